"""Simulation of a webcam: exposure, white balance, blur, noise, JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from training.synthetic.scenes.hands import Array

TILES = 8
HEIGHT = 480  # image size at which the noise of `Webcam` holds; smaller pixels of a larger image have more


class Webcam:
    """A webcam with random properties, which depend on the generator only."""

    def __init__(self, rng: np.random.Generator) -> None:
        gain = np.exp(rng.normal(0, 0.16)) * np.exp(rng.normal(0, 0.035, 3))
        gamma, lift = np.exp(rng.normal(0, 0.1)), rng.uniform(0, 10)
        grey = (np.arange(256) / 255) ** gamma
        curve = lift + (255 - lift) * np.clip(grey[:, None] * gain, 0, 1)
        self._curve = np.rint(curve).astype(np.uint8)[None]  # (1, 256, 3)
        self._blur = float(rng.uniform(0.55, 1.0))
        self._quality = int(rng.integers(62, 94))
        noise = float(np.exp(rng.uniform(np.log(0.8), np.log(5.0))))
        tiles = rng.normal(0, noise, (TILES, 520, 680, 3))
        tiles += cv2.GaussianBlur(rng.normal(0, noise * 2, (520, 680, 3)), (0, 0), 1.2)
        self._noise = np.rint(tiles).astype(np.int8)

    def sees(self, picture: Array, seed: int, frame: int) -> Array:
        """Return uint8 (H, W, 3) BGR of an RGB image; reproducible by seed and frame."""
        rng = np.random.default_rng((seed, frame))
        height, width = picture.shape[:2]
        blurred = cv2.GaussianBlur(np.ascontiguousarray(picture), (0, 0), self._blur)
        exposed = cv2.LUT(blurred, self._curve)
        y, x = rng.integers(0, 40, 2)
        tile = self._noise[rng.integers(TILES)]
        noise = tile.take(range(y, y + height), 0, mode="wrap").take(range(x, x + width), 1, mode="wrap")
        noisy = cv2.addWeighted(exposed, 1, noise, max(1, height / HEIGHT), 0, dtype=cv2.CV_8U)
        _, jpeg = cv2.imencode(".jpg", noisy[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))

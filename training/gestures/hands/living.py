"""Training data from rendered scenes of people, with hands found by the daemon's own pipeline.

Crops of posed hands teach what a gesture is, but not what is none: hands around cups, under chins, folded
under arms, half outside the image. So people of training/synthetic/scenes are simulated for some minutes,
with and without intended gestures, and every few frames the landmark network's output and the image of each
hand are kept, with the label from the script. The people differ from those that training/synthetic/scenes
measures with.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from training.gestures.hands.crops import squared
from training.gestures.hands.photos import LABELS
from training.gestures.hands.rois import Roi
from training.gestures.hands.table import save

if TYPE_CHECKING:
    from agent.core.types import Box, HandDetection
    from agent.inference.gestures.classifier import Readout
    from training.synthetic.scenes.hands import Array
    from training.synthetic.scenes.scene import Kind, Scene

IDLE, MEANT = range(100, 124), range(100, 116)  # seeds of the scenes
SECONDS, FPS = 120.0, 10.0
EVERY = 4  # one of so many frames is kept; of intended gestures all are
NEAR = 0.75  # sides of its box: a hand farther from any true palm is a false detection
DISSOLVING_S = 0.5  # seconds before and after an intended gesture in which the label is unclear
CLASSIFIER = (
    "gesturenet-landmark"  # classifier whose joints are kept; the default would need the weights trained here
)
INPUT = 224  # px of the landmark network's input


def scenes() -> list[tuple[Kind, int]]:
    """Return kind and seed of all scenes."""
    return [*(("gestures", seed) for seed in MEANT), *(("idle", seed) for seed in IDLE)]


def extract(cast: Path, out: Path, chosen: list[tuple[Kind, int]] | None = None) -> None:
    """Write two files a scene: `.npz` with the columns of features.py, `.pkl` with the images of the hands.

    Existing scenes are skipped.
    """
    from tqdm import tqdm

    from training.synthetic.scenes.measure import SceneRecognizer
    from training.synthetic.scenes.picture import Painter
    from training.synthetic.scenes.scene import Film, Scene

    out.mkdir(exist_ok=True)
    left = [job for job in chosen or scenes() if not _file(out, *job).exists()]
    if not left:
        return
    film = Film(SECONDS, FPS)
    recognizer, painter = SceneRecognizer(CLASSIFIER), Painter(*film.size)
    with tqdm(total=len(left) * round(SECONDS * FPS), unit="frame") as bar:
        for kind, seed in left:
            bar.set_description(f"{kind} {seed}")
            scene = Scene(cast, kind, seed, film)
            rows, pictures = zip(*_rows(scene, recognizer, painter, bar.update), strict=True)
            target = _file(out, kind, seed)
            target.with_suffix(".pkl").write_bytes(pickle.dumps(pictures))
            save(target, {key: np.array([row[key] for row in rows]) for key in rows[0]})
    recognizer.recognizer.close()


def _file(out: Path, kind: Kind, seed: int) -> Path:
    return out / f"{kind}-{seed:04d}.npz"


def _rows(
    scene: Scene, recognizer: Any, painter: Any, step: Any
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    from agent.core.geometry import box_of_landmarks
    from agent.core.types import Frame

    truth = Truth(scene)
    rng = np.random.default_rng((7, scene.seed))
    recognizer.recognizer.forget("live")
    for number, image in scene.frames(painter):
        (sight,) = recognizer.recognizer.recognize([Frame("live", number, float(scene.times[number]), image)])
        step()
        said = [(hand, *truth.of(hand, number)) for hand in sight.hands if hand.landmarks is not None]
        kept = [one for one in said if number % EVERY == 0 or one[1] in LABELS[:-1]]
        boxes = [_jittered(box_of_landmarks(hand.landmarks), rng) for hand, _, _ in kept]
        for (hand, label, doing), readout in zip(kept, recognizer.recognizer.read(image, boxes), strict=True):
            row = _row(readout, label, doing, scene.seed * 10_000 + number)
            yield row, picture_of(image, hand, row)


def _jittered(box: Box, rng: np.random.Generator) -> Box:
    """Box as tracked from the previous frame, after the hand has moved a little."""
    from agent.core.types import Box

    dx, dy, grown, turn = rng.normal(0, (0.03, 0.03, 0.05, 0.08))
    return Box(
        box.cx + dx * box.side, box.cy + dy * box.side, box.side * float(np.exp(grown)), box.angle + turn
    )


def _row(readout: Readout, label: str, doing: str, row: int) -> dict[str, Any]:
    return {
        "landmarks": in_crop(readout.landmarks, readout.box),
        "world": np.asarray(readout.world, np.float32).reshape(-1),
        "presence": np.float32(readout.presence),
        "handedness": np.float32(readout.right),
        "angle": np.float32(readout.box.angle),
        "row": row,
        "copy": 2,
        "label": label,
        "original": doing if label == "random" else label,
    }


def picture_of(image: Array, hand: HandDetection, known: dict[str, Any]) -> dict[str, Any]:
    """Return a hand of a frame (BGR) as crops.py stores images, with its landmarks and metadata."""
    from agent.core.geometry import box_of_landmarks

    box = box_of_landmarks(hand.landmarks)
    square, points = squared(image, Roi(box.cx, box.cy, box.side, box.angle), hand.landmarks)
    _, jpeg = cv2.imencode(".jpg", square, [cv2.IMWRITE_JPEG_QUALITY, 92])
    told = {name: known[name] for name in ("label", "original")}
    return {"jpeg": jpeg.tobytes(), "points": points, "lean": box.angle, **told}


def in_crop(landmarks: Array, box: Box) -> Array:
    """Transform (21, 3) from the image to (63,) pixels of the landmark network's input."""
    scale = box.side / INPUT
    cos, sin = np.cos(box.angle) / scale, np.sin(box.angle) / scale
    out = np.array(landmarks, np.float32)
    out[:, :2] = (out[:, :2] - (box.cx, box.cy)) @ np.array([(cos, -sin), (sin, cos)]) + INPUT / 2
    out[:, 2] /= scale
    return out.reshape(-1)


class Truth:
    """Ground truth of a detected hand, from the scene's scripts."""

    def __init__(self, scene: Scene) -> None:
        from training.synthetic.scenes.rig import SIDES

        self._scene = scene
        self._palms = {(i, side): scene.palms(i, side) for i in range(len(scene.actors)) for side in SIDES}
        self._shown = {(i, side): scene.scripts[i].shown_at(side, scene.times) for i, side in self._palms}

    def of(self, hand: HandDetection, number: int) -> tuple[str, str]:
        """Return label ("exclude": unclear) and activity of a hand detected in a frame."""
        width, height = self._scene.film.size

        def away(whose: Any) -> float:
            x, y, _ = self._palms[whose][number]
            return float(np.hypot(hand.box.cx - x * width, hand.box.cy - y * height)) / hand.box.side

        whose = min(self._palms, key=away)
        at, (actor, side) = float(self._scene.times[number]), whose
        doing = self._scene.doing(actor, at)
        if away(whose) > NEAR:
            return "random", "no hand"
        for beat in self._scene.scripts[actor].gestures:
            if beat.side == side and beat.start - DISSOLVING_S <= at <= beat.end + DISSOLVING_S:
                return (beat.name if beat.start <= at <= beat.end else "exclude"), doing
        return ("exclude" if self._shown[whose][number] else "random"), doing

"""Calibration data for INT8: a folder of images, the rendered hands, or NVIDIA's calibration file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agent.config.regular_file import is_visible
from agent.core.types import Box, Floats, Image
from agent.errors import ModelError, UnreadablePicture
from agent.inference.crops import cut, fill_batch, letterbox
from agent.inference.gestures.background import pictures
from agent.inference.manifest import Manifest
from agent.inference.trt.device import Device
from agent.inference.trt.library import Library
from agent.picture_file import read_picture

AT_MOST = 100  # images: each costs a second on a small board
LONGEST_HEADER = 60  # characters that are shown; NVIDIA's have 28: TRT-8501-EntropyCalibration2
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
OF_HANDS = {"gesture", "hand-landmark"}

Feed = dict[str, Floats]


def feeds_of(manifest: Manifest, folder: Path | None) -> list[Feed]:
    """Return one input per image, cropped and normalised as the manifest says.

    At most `AT_MOST`, evenly picked.
    Without a folder, networks for hands use the rendered hands; others need images of people.
    Raises `ModelError`: no folder, no images in it.
    """
    if folder is None and manifest.task not in OF_HANDS:
        raise ModelError(
            f"{manifest.name}: INT8 needs pictures to calibrate with; set recognition.tensorrt.calibration "
            "to a folder of a hundred or more from your camera, with and without people"
        )
    places = _of_folder(folder, manifest.name) if folder else list(pictures())
    spec = manifest.input
    feeds = []
    for image, box in places[:: max(len(places) // AT_MOST, 1)][:AT_MOST]:
        own = box if manifest.crop.rotate else box.upright()
        feed = {spec.name: fill_batch([cut(image, own.scaled(manifest.crop.margin), spec.size)], spec)}
        if spec.angle:
            feed[spec.angle] = np.array([[own.angle]], np.float32)
        feeds.append(feed)
    return feeds


def fingerprint(source: Path | None) -> str:
    """Return the sha256 of a calibration file, or of the names and sizes of a folder's images."""
    if source is None:
        return "rendered-hands"
    if source.is_file():
        return hashlib.sha256(source.read_bytes()).hexdigest()
    listed = [f"{path.relative_to(source)} {path.stat().st_size}" for path in _pictures_in(source)]
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()


def calibrator_of(library: Library, device: Device, feeds: Sequence[Feed], cache: bytes | None) -> Any:
    """Return TensorRT's entropy calibrator (up to version 10), from a calibration file or over the inputs.

    Called by TensorRT in the build thread; `feeds` may be empty where a file is given. TensorRT skips a file
    that it does not take without an error, and asks for inputs: then `refused` is the file's first line.
    """
    base = library.trt.IInt8EntropyCalibrator2

    class Calibrator(base):  # type: ignore[misc,valid-type]
        def __init__(self) -> None:
            super().__init__()
            self._waiting = iter(feeds)
            self.refused: str | None = None
            first = feeds[0] if feeds else {}
            with device.current():
                self._memory = {name: device.memory(array.nbytes) for name, array in first.items()}

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, names: list[str]) -> list[int] | None:
            if cache is not None:
                self.refused = (cache.splitlines() or [b""])[0].decode(errors="replace")[:LONGEST_HEADER]
            feed = next(self._waiting, None)
            if feed is None:
                return None
            with device.current():
                stream = device.stream()
                for name in names:
                    device.upload(self._memory[name], np.ascontiguousarray(feed[name]), stream)
                stream.synchronize()
            return [self._memory[name].address for name in names]

        def read_calibration_cache(self) -> bytes | None:
            return cache

        def write_calibration_cache(self, _cache: Any) -> None:
            """Do nothing: the plan is kept, the ranges alone are not needed."""

    return Calibrator()


def _of_folder(folder: Path, name: str) -> list[tuple[Image, Box]]:
    found = []
    for path in _pictures_in(folder):
        try:
            picture = read_picture(path)
        except (OSError, UnreadablePicture):
            continue
        found.append((picture, letterbox(picture)))
    if not found:
        raise ModelError(
            f"{name}: {folder} has no pictures to calibrate with; it needs a hundred or so "
            f"({', '.join(sorted(SUFFIXES))})"
        )
    return found


def _pictures_in(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(path for path in found if all(map(is_visible, path.relative_to(folder).parts)))

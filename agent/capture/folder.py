"""Source that plays a folder of numbered images, or a single image, as a clip."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from agent.capture.framing import Framing
from agent.capture.pacing import Pacing
from agent.capture.source import IMAGE_SUFFIXES, Clock, NegotiatedFormat
from agent.config.regular_file import visible_files
from agent.config.sources import local_path, shown
from agent.errors import EndOfSource, SourceLost, UnreadablePicture
from agent.picture_file import read_picture

if TYPE_CHECKING:
    from agent.config.settings import CameraSettings
    from agent.core.types import Frame

FOLDER_FPS = 15.0  # default: image sequences are seldom recorded at 30

log = structlog.get_logger()


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Return a sort key that puts 2.jpg before 10.jpg."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


class ImageFolder:
    """Plays the images of a folder in natural order, at `fps` of the settings.

    Damaged images are skipped and counted; the others keep their times.
    """

    live = False

    def __init__(self, settings: CameraSettings, camera: str, clock: Clock, *, pace: bool) -> None:
        self.skipped = 0
        self._path = local_path(settings.source) or Path(settings.source)
        self._name = shown(self._path)
        self._max_pixels = settings.max_pixels
        self._fps = settings.fps if "fps" in settings.model_fields_set else FOLDER_FPS
        self._loop = settings.loop
        self._framing = Framing(settings, camera)
        self._pacing = Pacing(clock, pace=pace)
        self._paths: list[Path] = []
        self._next = 0
        self._damaged = 0  # consecutive damaged images

    def open(self) -> NegotiatedFormat:
        """List the images and return the format of the first readable one. Raises `SourceLost`."""
        self.skipped = self._damaged = 0
        self._next = 0
        self._pacing.restart()
        self._paths = self._find()
        first = ""
        for path in self._paths:
            try:
                image = read_picture(path, self._max_pixels)
            except (OSError, UnreadablePicture) as exc:
                first = first or f"{shown(Path(path.name))} {_why(exc)}"
            else:
                return NegotiatedFormat(image.shape[1], image.shape[0], self._fps)
        raise SourceLost(
            f"{self._name}: none of its {len(self._paths)} images can be read as one (first: {first}); "
            "copy them again, or name another folder"
        )

    def _find(self) -> list[Path]:
        path = self._path
        if os.path.isfile(path):  # noqa: PTH113 (does not raise: the listing says why it cannot be read)
            return [path]
        try:
            images = visible_files(path, lambda name: name.lower().endswith(IMAGE_SUFFIXES))
        except OSError as exc:
            raise SourceLost(
                f"{shown(path)}: cannot be listed ({exc.strerror}); name a folder of images"
            ) from exc
        if not images:
            kinds = ", ".join(IMAGE_SUFFIXES)
            raise SourceLost(f"{shown(path)}: holds no image; expected files like 0001.jpg (any of {kinds})")
        return sorted(images, key=natural_key)

    def read(self) -> Frame:
        """Return the next image at its time. Raises `EndOfSource` after the last, or `SourceLost`."""
        if not self._paths:
            raise SourceLost(f"{self._name}: is not open")
        while True:
            if self._next >= len(self._paths) and not self._loop:
                raise EndOfSource(f"{self._name}: played to its end ({self._next - self.skipped} images)")
            index, self._next = self._next, self._next + 1
            path = self._paths[index % len(self._paths)]
            try:
                image = read_picture(path, self._max_pixels)
            except (OSError, UnreadablePicture) as exc:
                self._skip(path, _why(exc))
            else:
                self._damaged = 0
                return self._framing.frame(image, self._pacing.due(index / self._fps))

    def skip(self) -> float:
        """Drop the next frame and return its time; reading it costs little more. Raises as `read`."""
        return self.read().at

    def _skip(self, path: Path, why: str) -> None:
        self.skipped += 1
        self._damaged += 1
        log.warning("image_skipped", image=shown(path), reason=why)
        if self._damaged >= len(self._paths):  # a loop over a deleted folder would never end
            raise SourceLost(f"{self._name}: none of its {len(self._paths)} images can be read any more")

    def close(self) -> None:
        """Drop the list of images; may be called twice."""
        self._paths = []

    def interrupt(self) -> None:
        """End the wait for the next image's time, from another thread."""
        self._pacing.interrupt()


def _why(error: OSError | UnreadablePicture) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else str(error)

"""A video file, by its own time stamps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import structlog

from agent.capture.framing import Framing
from agent.capture.opencv import FFMPEG, prepare
from agent.capture.pacing import Pacing
from agent.capture.source import Clock, Granted
from agent.errors import EndOfSource, SourceLost

if TYPE_CHECKING:
    from agent.config.settings import CameraSettings
    from agent.core.types import Frame

MISSING_SHARE = 0.02  # of the time; containers estimate it, less than this is no damage
MISSING_S = 0.2

log = structlog.get_logger()


class VideoFile:
    """Plays what is there: a file that was cut off ends early, with a warning, not with an error."""

    live = False
    skipped = 0

    def __init__(self, settings: CameraSettings, camera: str, clock: Clock, *, pace: bool) -> None:
        self._path = Path(settings.source)
        self._asked_fps = settings.fps
        self._loop = settings.loop
        self._framing = Framing(settings, camera)
        self._pacing = Pacing(clock, pace=pace)
        self._capture: cv2.VideoCapture | None = None
        self._fps = 0.0
        self._frames = 0  # read since the file was opened
        self._time_s = 0.0  # of the last frame, inside the file
        self._round_s = 0.0  # where this round of a loop starts

    def open(self) -> Granted:
        """As `FrameSource.open`."""
        self._round_s = 0.0
        self._pacing.restart()
        capture = self._open_file()
        width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        return Granted(width, int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), self._fps)

    def _open_file(self) -> cv2.VideoCapture:
        self.close()
        _check_readable(self._path)
        prepare()
        capture = cv2.VideoCapture(str(self._path), FFMPEG)
        if not capture.isOpened():
            raise SourceLost(
                f"{self._path}: not a video that can be read ({self._path.stat().st_size} bytes); "
                "a recording that was cut off may lack its index: record again, or mend it with ffmpeg"
            )
        self._capture = capture
        self._fps = capture.get(cv2.CAP_PROP_FPS) or self._asked_fps
        self._frames, self._time_s = 0, 0.0
        return capture

    def read(self) -> Frame:
        """As `FrameSource.read`."""
        capture = self._capture
        if capture is None:
            raise SourceLost(f"{self._path}: is not open")
        ok, image = capture.read()
        if not ok:
            self._end(capture)
            return self.read()
        self._time_s = self._time_of(capture)
        self._frames += 1
        return self._framing.frame(image, self._pacing.due(self._round_s + self._time_s))  # type: ignore[arg-type]

    def _time_of(self, capture: cv2.VideoCapture) -> float:
        """Seconds since the file's start, by its time stamps; by counting where it has none."""
        stamp_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if self._frames == 0 or stamp_s > self._time_s:
            return max(stamp_s, 0.0)
        return self._time_s + 1 / self._fps

    def _end(self, capture: cv2.VideoCapture) -> None:
        """Start again where `loop` is set; raises `EndOfSource` where not."""
        expected = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        played_s = self._time_s + 1 / self._fps
        if expected / self._fps - played_s > max(MISSING_S, MISSING_SHARE * played_s):
            log.warning(
                "video_cut_off", source=str(self._path), frames_read=self._frames, frames_expected=expected
            )
        if not self._frames:
            raise SourceLost(f"{self._path}: none of its {expected} frames can be read; record it again")
        if not self._loop:
            raise EndOfSource(f"{self._path}: played to its end ({self._frames} frames)")
        self._round_s += self._time_s + 1 / self._fps
        self._open_file()

    def close(self) -> None:
        """As `FrameSource.close`."""
        if self._capture is not None:
            self._capture.release()
        self._capture = None

    def interrupt(self) -> None:
        """End the wait for the next frame's time."""
        self._pacing.interrupt()


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb") as file:
            if file.read(1):
                return
    except OSError as exc:
        raise SourceLost(f"{path}: {exc.strerror}; name a video file, or a folder of images") from exc
    raise SourceLost(f"{path}: is empty (0 bytes); record it again")

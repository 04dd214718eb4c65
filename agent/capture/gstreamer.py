"""Sources that read a GStreamer pipeline, including NVIDIA's CSI cameras, through a child process.

`gst-launch-1.0` writes raw frames to a pipe: BGR, or NV12 or BGRx where a GPU takes that, which NVIDIA's
decoder and converter write and the CPU need not convert; `gst_launch.py` then tells which, and its colours.
A child process rather than GStreamer inside the daemon, because a hung camera stack (nvargus) can then be
killed and its leaks end with it, OpenCV from PyPI has no GStreamer, and only Debian's gstreamer1.0-tools is
needed. The pipe carries no headers, so the size is fixed by `width` and `height` of the settings; images of
another aspect get black borders. The copy through the pipe costs about 0.8 ms of CPU for 640 x 480 in BGR.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from typing import TYPE_CHECKING

from agent.capture import gst_launch
from agent.capture.address import SourceAddress
from agent.capture.framing import Framing
from agent.capture.pipeline_process import PipelineProcess
from agent.capture.raw_layout import RawLayout, layout_of
from agent.capture.source import Clock, NegotiatedFormat
from agent.core.frame_memory import FrameMemory, OrdinaryFrameMemory, PixelFormat
from agent.core.nv12 import Nv12Image
from agent.core.redaction import secrets_in
from agent.errors import ConfigError, EndOfSource, SourceLost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.config.settings import CameraSettings
    from agent.core.types import Frame

LAUNCH = "gst-launch-1.0"
# RTSP streams state no frame rate, where a videorate that only drops ends the pipeline (an assertion of
# GStreamer 1.22). The one before it states a rate above all real ones; it repeats no frame.
STATED_FPS = 1000
START_S = 10.0  # timeout of the first frame; a CSI camera takes 2 to 5 s


class GstPipeline:
    """Camera or stream read through a GStreamer pipeline, `gst:PIPELINE` as for `gst-launch-1.0`."""

    skipped = 0
    advice = "try the pipeline with gst-launch-1.0"

    def __init__(
        self,
        settings: CameraSettings,
        camera: str,
        clock: Clock,
        *,
        pace: bool,
        memory: FrameMemory | None = None,
    ) -> None:
        self.live = pace
        self._address = SourceAddress(settings)
        self._name = self._address.name
        self._settings = settings
        self._clock = clock
        self._framing = Framing(settings, camera)
        self._memory = memory or OrdinaryFrameMemory()
        formats: tuple[PixelFormat, ...] = ("BGR",)
        self._formats = self._memory.pixel_formats if self._framing.keeps_pixels else formats
        self._pipeline()  # raises `ConfigError` where it is malformed
        self._child: PipelineProcess | None = None
        self._told: tuple[str, RawLayout] | None = None  # caps, and what they mean
        self._frames = 0

    def _pipeline(self) -> list[str]:
        """The words of the pipeline, with placeholders for the login."""
        text = self._settings.source.partition(":")[2]
        try:
            return shlex.split(text)
        except ValueError as exc:
            raise ConfigError(f"{self._name}: {exc}; every quote needs its partner") from exc

    def _start(self) -> PipelineProcess:
        """Start the child; words with the login go to its stdin, as every user can read arguments."""
        words = self._pipeline()
        sink = _sink(self._settings, self._formats, live=self.live)
        filled = [self._address.filled(word) for word in words]
        if filled == words and self._formats == ("BGR",) and not secrets_in(self._settings.source):
            return PipelineProcess([LAUNCH, "--quiet", *words, *sink])
        told = b"\0".join(os.fsencode(word) for word in [*filled, *sink])
        return PipelineProcess([sys.executable, "-I", gst_launch.__file__], told)

    def open(self) -> NegotiatedFormat:
        """Start the child and return the configured format; pipeline errors appear at the first `read`.

        Raises `SourceLost`.
        """
        self.close()
        if shutil.which(LAUNCH) is None:
            raise SourceLost(f"{self._name}: {LAUNCH} is not installed; apt install gstreamer1.0-tools")
        self._frames, self._told = 0, None
        self._child = self._start()
        return NegotiatedFormat(self._settings.width, self._settings.height, self._settings.fps)

    def read(self) -> Frame:
        """Return the next frame; waits at most `stall_timeout`, `START_S` for the first.

        Raises `SourceLost`, or `EndOfSource` at the end of a file.
        """
        child = self._child
        if child is None:
            raise SourceLost(f"{self._name}: is not open")
        patience_s = max(self._settings.stall_timeout, START_S if not self._frames else 0.0)
        layout = self._layout(child, patience_s)
        memory = self._memory.new(layout.nbytes)
        if not child.read_into(memory, patience_s):
            raise self._ended(child, patience_s)
        layout = self._layout(child, 0.0)  # the meaning of its colours may have changed, no more
        at = self._clock() if self.live else self._frames / self._settings.fps
        self._frames += 1
        pixels = layout.pixels(memory)
        return (
            self._framing.kept(pixels, at)
            if isinstance(pixels, Nv12Image)
            else self._framing.frame(pixels, at)
        )

    def _layout(self, child: PipelineProcess, patience_s: float) -> RawLayout:
        """The layout of the next frame: BGR, or what the child tells. Raises as `read`."""
        width, height = self._settings.width, self._settings.height
        if self._formats == ("BGR",):
            return RawLayout("BGR", width, height)
        caps = child.caps(patience_s)
        if caps is None:
            raise self._ended(child, patience_s)
        if self._told is None or self._told[0] != caps:
            self._told = caps, layout_of(caps, width, height)
        return self._told[1]

    def skip(self) -> float:
        """Drop the next frame and return its time; reading it costs little more. Raises as `read`."""
        return self.read().at

    def _ended(self, child: PipelineProcess, patience_s: float) -> SourceLost | EndOfSource:
        code = child.exit_code()
        if code == 0 and not self.live:
            return EndOfSource(f"{self._name}: played to its end ({self._frames} frames)")
        if code is None:
            seen = f"no picture for {patience_s:g} s"
        elif code == 0:
            seen = f"the stream ended after {self._frames} frames"
        else:
            seen = f"{LAUNCH} ended with {code} after {self._frames} frames"
        said = child.last_error()
        return self._address.lost(f"{seen}{f' and said: {said}' if said else ''}; {self.advice}")

    def close(self) -> None:
        """End the child, by force if need be; may be called twice."""
        if self._child is not None:
            self._child.close()
        self._child = None

    def interrupt(self) -> None:
        """Kill the child, so that the pipe closes and a waiting `read` returns."""
        child = self._child
        if child is not None:
            child.kill()


class CsiCamera(GstPipeline):
    """CSI camera of a Jetson (`csi:0`), through NVIDIA's Argus, scaled by the ISP."""

    advice = "csi needs JetPack's nvarguscamerasrc; restart nvargus-daemon, check the ribbon cable"

    def _pipeline(self) -> list[str]:
        settings = self._settings
        sensor = settings.source.partition(":")[2]
        if not (sensor.isascii() and sensor.isdecimal()):
            raise ConfigError(f'{settings.source}: "{sensor}" is no sensor number; expected csi:0 or csi:1')
        caps = f"video/x-raw(memory:NVMM),width={settings.width},height={settings.height}"
        caps += f",framerate={_fraction(settings.fps)}"
        return [
            *("nvarguscamerasrc", f"sensor-id={sensor}", "!", caps, "!"),
            *("nvvidconv", "!", f"video/x-raw,format={'NV12' if 'NV12' in self._formats else 'BGRx'}"),
        ]


def _fraction(fps: float) -> str:
    return f"{round(fps * 1000)}/1000"


def _sink(settings: CameraSettings, formats: Sequence[PixelFormat], *, live: bool) -> list[str]:
    """The last elements of the pipeline: pixels of the configured size, written to the pipe.

    Live: by the clock, at most `fps`, and only the newest frame is kept. Otherwise: every frame, evenly
    spaced, so that its index gives its time.
    """
    size = f"width={settings.width},height={settings.height},pixel-aspect-ratio=1/1"
    caps = f"video/x-raw,format={{{','.join(formats)}}},{size}"
    end = ["!", "fdsink", f"name={gst_launch.TELLS}"]
    shape = ["!", "videoconvert", "!", "videoscale", "add-borders=true", "!", caps]
    if live:
        stated = ["!", "videorate", "max-duplication-time=1", "!", f"video/x-raw,framerate={STATED_FPS}/1"]
        rate = [*stated, "!", "videorate", "drop-only=true", f"max-rate={max(round(settings.fps), 1)}"]
        newest = [
            "!",
            "queue",
            "leaky=downstream",
            "max-size-buffers=1",
            "max-size-bytes=0",
            "max-size-time=0",
        ]
        return [*rate, *shape, *newest, *end, "sync=true"]
    rate = ["!", "videorate", "!", f"video/x-raw,framerate={_fraction(settings.fps)}"]
    return [*rate, *shape, *end, "sync=false"]

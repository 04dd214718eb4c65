"""Motion JPEG over HTTP in its many dialects; other media over HTTP are read by FFmpeg."""

from __future__ import annotations

import http.client
import time
import urllib.error
from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.capture.address import SourceAddress, login_of
from agent.capture.ffmpeg_stream import OPEN_TIMEOUT_S, FfmpegStream
from agent.capture.framing import Framing
from agent.capture.jpegs import JpegSplitter
from agent.capture.opener import OpenStream
from agent.capture.server import NO_ANSWER, check_reachable, verdict
from agent.capture.source import Clock, NegotiatedFormat
from agent.errors import UnreadablePicture
from agent.picture_file import decode_picture

if TYPE_CHECKING:
    from agent.config.settings import CameraSettings
    from agent.core.types import Frame, Image

CHUNK_BYTES = 65_536
MAX_DAMAGED = 30  # consecutive undecodable images, about a second, after which the source is lost
PICTURES = ("multipart/", "image/")
PAGES = ("text/", "application/json", "application/xml", "application/xhtml")
EXPECTED = "expected a stream of pictures (multipart/x-mixed-replace); correct the path"


class HttpStream:
    """Camera at an HTTP or HTTPS address; follows redirects, supports Basic and Digest authentication.

    JPEGs are extracted by `JpegSplitter`, without parsing multipart. Content that is neither images nor a web
    page (HLS, MPEG-TS, FLV, MP4) is read by FFmpeg.
    """

    live = True

    def __init__(self, settings: CameraSettings, camera: str, clock: Clock, *, pace: bool) -> None:
        self._settings = settings
        self._address = SourceAddress(settings)
        self._clock = clock
        self._framing = Framing(settings, camera)
        self._other = FfmpegStream(settings, camera, clock, pace=pace)
        self._plays_other = False
        self._answer: OpenStream | None = None
        self._splitter = JpegSplitter()
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._damaged = 0
        self._first: Image | None = None

    @property
    def skipped(self) -> int:
        """Number of images that could not be decoded."""
        return self._other.skipped if self._plays_other else self._damaged + self._splitter.cut_off

    def open(self) -> NegotiatedFormat:
        """Connect and return the format of the first image.

        Raises `SourceLost`, whose text distinguishes an unknown host, no server, a refused login, a web page
        and no data.
        """
        self.close()
        self._damaged, self._splitter = 0, JpegSplitter()
        url, user, password = login_of(self._address.full())
        check_reachable(url, self._address.name)
        answer = self._ask(url, user, password)
        self._plays_other = answer is None
        if answer is None:
            return self._other.open()
        self._answer = answer
        self._first, _ = self._picture(OPEN_TIMEOUT_S)
        answer.wait_at_most(self._patience_s)
        return NegotiatedFormat(self._first.shape[1], self._first.shape[0], 0.0)

    def _ask(self, url: str, user: str | None, password: str | None) -> OpenStream | None:
        """The response that holds images; None where FFmpeg should try. Raises `SourceLost`."""
        try:
            answer = OpenStream(url, user, password, OPEN_TIMEOUT_S)
        except urllib.error.HTTPError as exc:
            with exc:
                said = verdict(exc.code, str(exc.reason), path=urlsplit(url).path, login=user is not None)
            raise self._address.lost(said or NO_ANSWER) from None
        except (http.client.HTTPException, ValueError):
            return None  # not HTTP as the standard library understands it
        except OSError as exc:
            reason = exc.reason if isinstance(exc, urllib.error.URLError) else exc
            raise self._address.lost(_why_no_answer(reason)) from None
        if answer.kind.startswith(PAGES):
            answer.close()
            raise self._address.lost(f"sends {answer.kind}, {EXPECTED}")
        if answer.kind.startswith(PICTURES):
            return answer
        answer.close()
        return None

    def read(self) -> Frame:
        """Return the next frame; waits at most `stall_timeout`. Raises `SourceLost`."""
        if self._plays_other:
            return self._other.read()
        if self._answer is None:
            raise self._address.lost("is not open")
        if self._first is not None:
            image, self._first = self._first, None
            return self._framing.frame(image, self._clock())
        return self._framing.frame(*self._picture(self._patience_s))

    def skip(self) -> float:
        """Drop the next frame undecoded and return its time. Raises `SourceLost`."""
        if self._plays_other:
            return self._other.skip()
        if self._answer is None or self._first is not None:
            return self.read().at
        return self._jpeg(time.monotonic() + self._patience_s, None)[1]

    @property
    def _patience_s(self) -> float:
        return max(self._settings.stall_timeout, 0.1)

    def _picture(self, patience_s: float) -> tuple[Image, float]:
        """The next decodable image and its arrival time. Raises `SourceLost`."""
        deadline = time.monotonic() + patience_s
        why: UnreadablePicture | None = None
        for _ in range(MAX_DAMAGED):
            data, at = self._jpeg(deadline, why)
            try:
                return decode_picture(data, self._settings.max_pixels), at
            except UnreadablePicture as exc:
                why = exc
                self._damaged += 1
        raise self._address.lost(f"{MAX_DAMAGED} pictures in a row cannot be decoded; the last one {why}")

    def _jpeg(self, deadline: float, why: UnreadablePicture | None) -> tuple[bytes, float]:
        assert self._answer is not None  # noqa: S101 (open, or first picture of open)
        while not self._waiting:
            try:
                data = self._answer.read(CHUNK_BYTES)
            except TimeoutError:
                data, deadline = b"", 0.0
            except (OSError, http.client.HTTPException, ValueError):
                data = b""
            at = self._clock()
            self._waiting.extend((picture, at) for picture in self._splitter.feed(data))
            if not self._waiting and (not data or time.monotonic() > deadline):
                raise self._address.lost(self._why_silent(why, ended=not data and deadline > 0))
        return self._waiting.popleft()

    def _why_silent(self, why: UnreadablePicture | None, *, ended: bool) -> str:
        kind = self._answer.kind if self._answer else ""
        if why is not None:
            return f"the stream holds no picture that can be decoded; the last one {why}"
        if self._first is None and not self._framing.begun:
            sent = f"answers with {kind} but sends no JPEG"
            return f"{sent} and {'ends' if ended else 'falls silent'}; choose MJPEG in the camera, or RTSP"
        if ended and kind.startswith("image/"):
            return "sends one picture and ends; look up the address of its stream in its manual"
        return (
            f"the stream stopped (ended by the server, or silent for {self._settings.stall_timeout:g} s); "
            "check the camera's power and network"
        )

    def close(self) -> None:
        """Close the connection; may be called twice."""
        self._other.close()
        self._plays_other = False
        self._first = None
        self._waiting.clear()
        if self._answer is not None:
            self._answer.close()
        self._answer = None

    def interrupt(self) -> None:
        """End a waiting `read`, from another thread."""
        answer = self._answer
        if answer is not None:
            answer.interrupt()


def _why_no_answer(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return NO_ANSWER
    said = reason.strerror if isinstance(reason, OSError) and reason.strerror else type(reason).__name__
    return f"breaks the connection off ({said}); check scheme and port of the URL"

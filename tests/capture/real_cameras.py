"""Real files and real servers for the tests of cameras, and an ear for states."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.ports import free_port

from agent.core.types import CameraState, Image

SYSTEM_PYTHON = "/usr/bin/python3"
PATIENCE_S = 30.0  # for a thing that must come; tests end long before


def picture(number: int, width: int = 160, height: int = 120) -> Image:
    """A picture that differs from number to number: a grey level, and a white bar that moves."""
    image = np.full((height, width, 3), 40 + number * 7 % 120, np.uint8)
    left = number * 9 % (width - 20)
    image[:, left : left + 20] = 255
    return image


def write_images(folder: Path, count: int, **size: int) -> Path:
    """Numbered without leading zeros, so that the order of names is not that of numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        assert cv2.imwrite(str(folder / f"{number}.png"), picture(number, **size))
    return folder


def write_video(path: Path, count: int, fps: float = 20.0, fourcc: str = "MJPG") -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), fps, (160, 120))
    assert writer.isOpened()
    for number in range(count):
        writer.write(picture(number))
    writer.release()
    return path


class Ear:
    """Hears the states of a camera."""

    def __init__(self) -> None:
        self.heard: list[CameraState] = []
        self._queue: queue.Queue[CameraState] = queue.Queue()

    def __call__(self, state: CameraState) -> None:
        self.heard.append(state)
        self._queue.put(state)

    def wait_for(self, state: str, reason: str = "") -> CameraState:
        """The next such state; the others before it are passed over."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                heard = self._queue.get(timeout=max(deadline - time.monotonic(), 0.01))
            except queue.Empty:
                pytest.fail(f"never heard {state} {reason!r}; heard {self.heard}")
            if heard.state == state and reason in heard.reason:
                return heard


class MjpegServer:
    """Sends motion JPEG as cheap network cameras do. `shows` makes the next picture's bytes, None ends."""

    def __init__(self, port: int = 0) -> None:
        self.shows: Callable[[int], bytes | None] = jpeg
        self.silent = threading.Event()  # accepts, and sends nothing more
        self.connections = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.connections += 1
                if self.path == "/page":
                    self.send_response(200)
                    self.send_header("Content-Type", "text/html")
                    self.end_headers()
                    self.wfile.write(b"<p>a camera's page</p>")
                    return
                if self.path != "/cam":
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
                self.end_headers()
                with suppress(OSError):
                    outer._stream(self.wfile.write)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._open = True
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/cam"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _stream(self, write: Callable[[bytes], object]) -> None:
        number = 0
        while self._open:
            if not self.silent.is_set():
                data = self.shows(number)
                if data is None:
                    return
                write(b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data))
                write(data + b"\r\n")
                number += 1
            time.sleep(0.03)  # the camera's frame rate

    def close(self) -> None:
        self._open = False
        self._server.shutdown()
        self._server.server_close()


def jpeg(number: int, width: int = 160, height: int = 120) -> bytes:
    return cv2.imencode(".jpg", picture(number, width, height))[1].tobytes()


class RtspServer:
    """GStreamer's RTSP server in a process of its own, which can be killed, frozen and started again."""

    MOVING = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=160,height=120,framerate=20/1"
    ENCODE = "videoconvert ! video/x-raw,format=I420 ! jpegenc ! rtpjpegpay name=pay0"

    def __init__(self, *login: str, pipeline: str = MOVING, encode: str = ENCODE) -> None:
        self.port = free_port()
        self.url = f"rtsp://127.0.0.1:{self.port}/cam"
        script = Path(__file__).with_name("rtsp_server.py")
        launch = f"{pipeline} ! {encode}"
        self._command = [SYSTEM_PYTHON, str(script), str(self.port), launch, *login]
        self.process = self.start()

    def start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        self.process = process
        return process

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def has_rtsp_server() -> bool:
    ask = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    if not Path(SYSTEM_PYTHON).exists():
        return False
    return subprocess.run([SYSTEM_PYTHON, "-c", ask], capture_output=True, check=False).returncode == 0

"""Motion JPEG in the dialects of real cameras, over http and https, from a real server."""

from __future__ import annotations

import base64
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_cameras import jpeg

from agent.capture.jpegs import JpegSplitter
from agent.capture.source import open_source
from agent.config.settings import CameraSettings, Secret
from agent.errors import SourceLost

FULL = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n"
DIALECTS = {  # content type of the answer, one part: %d is its length, %s the picture
    "normal": ("multipart/x-mixed-replace; boundary=frame", FULL),
    "no-first-boundary": (
        "multipart/x-mixed-replace;boundary=1234",
        b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n--1234\r\n",
    ),
    "no-length": ("multipart/x-mixed-replace; boundary=f", b"--f\r\nContent-Type: image/jpeg\r\n\r\n%s\r\n"),
    "dashes-in-boundary": ("multipart/x-mixed-replace;boundary=--frame", FULL),
    "quoted-boundary": ('multipart/x-mixed-replace; boundary="frame"', FULL),
    "bare-line-feeds": ("multipart/x-mixed-replace; boundary=frame", FULL.replace(b"\r\n", b"\n")),
    "nothing-behind": ("multipart/x-mixed-replace; boundary=frame", FULL.removesuffix(b"\r\n")),
    "type-jpg": ("multipart/x-mixed-replace; boundary=frame", FULL.replace(b"image/jpeg", b"image/jpg")),
    "type-with-size": ("multipart/x-mixed-replace; boundary=frame", FULL.replace(b"jpeg", b"jpeg;size=1")),
    "no-headers": ("multipart/x-mixed-replace; boundary=frame", b"--frame\r\n\r\n%s\r\n"),
    "wrong-length": ("multipart/x-mixed-replace; boundary=frame", FULL.replace(b"%d", b"17")),
    "mixed": ("multipart/mixed; boundary=frame", FULL),
    "one-jpeg-after-another": ("image/jpeg", b"%s"),
}
OTHERS = {  # status and content type of answers that are no stream
    "page": (200, "text/html"),
    "closed": (403, "text/plain"),
    "gone": (404, "text/html"),
    "busy": (503, "text/plain"),
    "broken": (500, "text/plain"),
}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


LOCKED = {"locked": basic("ann", "s3cret/Word"), "empty-password": basic("admin", "")}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name = self.path.strip("/")
        if name == "moved":
            self.answer(302, "text/html", Location="/normal")
        elif name in LOCKED and self.headers.get("Authorization") != LOCKED[name]:
            self.answer(401, "text/html", **{"WWW-Authenticate": 'Basic realm="cam"'})
        elif name in OTHERS:
            self.answer(*OTHERS[name])
        elif name == "nothing":
            self.answer(200, "multipart/x-mixed-replace; boundary=frame")
        else:
            kind, part = DIALECTS.get(name, DIALECTS["normal"])
            self.answer(200, kind)
            with suppress(OSError):
                self.stream(part)

    def stream(self, part: bytes) -> None:
        for number in range(2000):
            data = jpeg(number)
            self.wfile.write(part.replace(b"%d", b"%d" % len(data)).replace(b"%s", data))
            time.sleep(0.01)  # the camera's frame rate

    def answer(self, status: int, kind: str, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for header, value in headers.items():
            self.send_header(header, value)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=camera",
    ]
    files = ["-keyout", str(folder / "both.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*command, *files], check=True, capture_output=True)
    with (folder / "both.pem").open("ab") as both:
        both.write((folder / "cert.pem").read_bytes())
    return folder / "both.pem"


@pytest.fixture(scope="module", params=["http", "https"])
def camera(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of the server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if request.param == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(request.getfixturevalue("certificate"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"{request.param}://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def seen(url: str, count: int = 3, **settings: object) -> list[tuple[int, int, int]]:
    """Shapes of the first pictures."""
    source = open_source(
        CameraSettings.model_validate({"source": url, "stall_timeout": 1.0, **settings}), "front"
    )
    try:
        source.open()
        shapes = [source.read().image.shape for _ in range(count)]
        assert source.skipped == 0
        return shapes
    finally:
        source.close()


def reason(url: str, **settings: object) -> str:
    with pytest.raises(SourceLost) as lost:
        seen(url, **settings)
    return str(lost.value)


@pytest.mark.parametrize("dialect", [*DIALECTS, "moved"])
def test_every_dialect_plays(camera: str, dialect: str):
    assert seen(f"{camera}/{dialect}") == [(120, 160, 3)] * 3


def test_a_login_is_sent_also_with_an_empty_password(camera: str, tmp_path: Path):
    (tmp_path / "secret").write_text("s3cret/Word\n")
    (tmp_path / "empty").write_text("")
    assert seen(f"{camera}/locked", user="ann", password=Secret(file=tmp_path / "secret"))
    assert seen(f"{camera}/empty-password", user="admin", password=Secret(file=tmp_path / "empty"))
    assert seen(f"{camera}/empty-password", user="admin")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("page", "sends text/html, expected a stream of pictures"),
        ("locked", "wants a login (status 401)"),
        ("closed", "wants a login (status 403)"),
        ("gone", "has no stream at /gone (status 404)"),
        ("busy", "is busy (status 503 Service Unavailable)"),
        ("broken", "answers with status 500 Internal Server Error"),
        ("nothing", "answers with multipart/x-mixed-replace but sends no JPEG and ends"),
    ],
)
def test_what_a_camera_answers_is_reported_as_it_is(camera: str, path: str, said: str):
    assert said in reason(f"{camera}/{path}")


def test_a_wrong_login_is_reported_without_it(camera: str, tmp_path: Path):
    (tmp_path / "secret").write_text("wr0ng/Word")
    told = reason(f"{camera}/locked", user="ann", password=Secret(file=tmp_path / "secret"))
    assert "refuses the login (status 401)" in told
    assert "wr0ng" not in told


@given(st.lists(st.binary(max_size=60), min_size=4, max_size=4), st.integers(1, 4000))
def test_pictures_are_found_between_any_bytes_in_any_pieces(between: list[bytes], piece: int):
    between = [noise.replace(b"\xff", b"") for noise in between]
    pictures = [jpeg(number) for number in range(3)]
    stream = between[0] + b"".join(one + noise for one, noise in zip(pictures, between[1:], strict=True))
    splitter = JpegSplitter()
    found = [p for at in range(0, len(stream), piece) for p in splitter.feed(stream[at : at + piece])]
    assert found == pictures
    assert splitter.cut_off == 0


def test_a_picture_that_stops_in_the_middle_is_counted_and_the_next_is_found():
    splitter = JpegSplitter()
    assert list(splitter.feed(jpeg(1)[:-300] + jpeg(2))) == [jpeg(2)]
    assert splitter.cut_off == 1

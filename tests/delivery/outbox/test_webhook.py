"""One request, over TLS and to servers that do not behave."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.delivery.outbox import webhook
from agent.delivery.outbox.webhook import WebhookResponse, post


def send(url: str, timeout_s: float = 10.0, **headers: str) -> WebhookResponse:
    return post(url, b"x", content_type="", event_id="id", headers=headers, timeout_s=timeout_s)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server with a certificate of its own, and that certificate."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    made = "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key -out cert -subj /CN=localhost"
    alternative = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([openssl, *made.split(), *alternative], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"https://localhost:{server.server_address[1]}/", tmp_path / "cert"
    server.shutdown()
    server.server_close()
    thread.join()


def test_tls_is_spoken_with_those_whom_somebody_vouches_for(secure, monkeypatch: pytest.MonkeyPatch):
    url, certificate = secure
    webhook._context.cache_clear()
    refused = send(url)
    assert (refused.delivered, refused.perhaps) == (False, False)
    assert "CERTIFICATE_VERIFY_FAILED" in refused.reason
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    webhook._context.cache_clear()
    assert send(url).delivered
    webhook._context.cache_clear()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_accepts_and_says_nothing_is_left_at_the_deadline(scheme: str):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        answer = send(f"{scheme}://127.0.0.1:{mute.getsockname()[1]}/", timeout_s=0.3)
    assert (answer.delivered, answer.again) == (False, True)
    assert answer.perhaps == (scheme == "http")  # over TLS nothing was sent before the server had answered


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://example.org/", "no http"),
        ("http://", "names no host"),
        ("http://user:pass@127.0.0.1/", "Authorization header"),
        ("http://127.0.0.1:99999/", "Port out of range"),
        ("http://[::1/", "Invalid IPv6 URL"),
        ("http://" + "x" * 64 + ".example/", "label"),
    ],
)
def test_an_address_that_cannot_be_is_refused_with_a_reason_and_never_raises(url: str, why: str):
    answer = send(url)
    assert (answer.delivered, answer.again) == (False, False)
    assert why in answer.reason


SECRET_PATH = "/api/webhook/ZQx8Kq7"


class Echo(BaseHTTPRequestHandler):
    """Repeats what it was sent in its status line, as some proxies do."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        said = f"no {self.path} for {self.headers['Authorization']}"
        self.wfile.write(f"HTTP/1.0 404 {said}\r\nContent-Length: 0\r\n\r\n".encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:1 /{SECRET_PATH}",
        f"http://127.0.0.1\x01{SECRET_PATH}",
        f"http://127.0.0.1:99999{SECRET_PATH}",
        f"http://127.0.0.1:12ZQ{SECRET_PATH}",
        f"http://{SECRET_PATH}",
        f"ftp://127.0.0.1{SECRET_PATH}",
        f"http://[127.0.0.1{SECRET_PATH}",
        f"http://{'x' * 64}.example{SECRET_PATH}",
        f"http://127.0.0.1:9{SECRET_PATH}?token=ZQ12345",
    ],
)
def test_no_reason_repeats_the_path_of_a_webhook(url: str):
    answer = send(url, timeout_s=2.0)
    assert not answer.delivered
    assert answer.reason
    assert "ZQx8Kq7" not in answer.reason
    assert "ZQ12345" not in answer.reason


def test_no_reason_repeats_a_header_of_a_webhook():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        answer = send(url, Authorization="Bearer ZQx8Kq7\r\n")
    assert answer.reason
    assert "ZQx8Kq7" not in answer.reason


def test_what_a_server_repeats_in_its_answer_is_masked():
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        answer = send(
            f"http://127.0.0.1:{server.server_address[1]}{SECRET_PATH}", Authorization="Bearer ZQ88888"
        )
        server.shutdown()
        thread.join()
    assert answer.reason == "HTTP 404 no *** for ***"


def test_a_header_that_would_begin_another_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        answer = send(url, Title="a\r\nX-Other: b")
    assert (answer.delivered, answer.again) == (False, False)

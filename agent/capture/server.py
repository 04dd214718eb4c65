"""Asks a camera's server why there is no stream: OpenCV does not say."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import SplitResult, urlsplit

from agent.capture.source import public_name
from agent.errors import SourceLost

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
TIMEOUT_S = 2.0
NO_ANSWER = "accepts the connection but sends no stream; restart the camera, and check the path in the URL"


def check_reachable(url: str) -> None:
    """Raises `SourceLost` where no server listens at the address."""
    parts = urlsplit(url)
    try:
        host, port = _address(parts)
        socket.create_connection((host, port), TIMEOUT_S).close()
    except ValueError as exc:
        raise SourceLost(f"{public_name(url)}: not a URL ({exc}); expected rtsp://HOST[:PORT]/PATH") from exc
    except socket.gaierror as exc:
        raise SourceLost(f'{public_name(url)}: no host named "{host}"; correct it, or use its IP') from exc
    except TimeoutError as exc:
        raise SourceLost(
            f"{public_name(url)}: {host} did not answer in {TIMEOUT_S:g} s; is the camera on, and reachable?"
        ) from exc
    except OSError as exc:
        raise SourceLost(
            f"{public_name(url)}: {host} port {port}: {exc.strerror}; is the camera on, and the port right?"
        ) from exc


def _address(parts: SplitResult) -> tuple[str, int]:
    if not parts.hostname:
        raise ValueError("no host in it")
    return parts.hostname, parts.port or PORTS[parts.scheme]


def why_refused(url: str) -> str:
    """What the server says to a plain request for the stream: seen, and what to do."""
    parts = urlsplit(url)
    try:
        ask = _http_answer if parts.scheme.startswith("http") else _rtsp_answer
        status, kind = ask(parts)
    except (OSError, http.client.HTTPException, ValueError):
        return NO_ANSWER
    return _verdict(parts, status, kind)


def _verdict(parts: SplitResult, status: int, kind: str) -> str:
    if status in {401, 403}:
        if parts.username:
            return (
                f"refuses the login (status {status}); correct user and password of the camera, or the path"
            )
        return f"wants a login (status {status}); set user and password of the camera"
    if status in {404, 454}:
        return f"has no stream at {parts.path or '/'} (status {status}); look up the path in its manual"
    if status != http.client.OK:
        return f"answers with status {status}; look at the camera's own page"
    if kind and not kind.startswith(("multipart/", "image/", "video/", "application/sdp")):
        return f"sends {kind}, expected a stream of pictures (multipart/x-mixed-replace); correct the path"
    return NO_ANSWER


def _http_answer(parts: SplitResult) -> tuple[int, str]:
    """(status, content type)."""
    host, port = _address(parts)
    connect: http.client.HTTPConnection
    if parts.scheme == "https":
        connect = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S)
    else:
        connect = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connect.request("GET", f"{parts.path or '/'}?{parts.query}".removesuffix("?"))
        response = connect.getresponse()
        return response.status, response.headers.get_content_type()
    finally:
        connect.close()


def _rtsp_answer(parts: SplitResult) -> tuple[int, str]:
    """(status, content type) of DESCRIBE, RFC 2326 10.2, without a login: none is sent in the clear."""
    host, port = _address(parts)
    bare = f"rtsp://{host}:{port}{parts.path}" + (f"?{parts.query}" if parts.query else "")
    request = f"DESCRIBE {bare} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
    with socket.create_connection((host, port), TIMEOUT_S) as server:
        server.settimeout(TIMEOUT_S)
        server.sendall(request.encode())
        with server.makefile("rb") as answer:
            line = answer.readline(1000).split()
    if len(line) < 2 or not line[0].startswith(b"RTSP/"):
        raise ValueError("not an RTSP server")
    return int(line[1]), ""

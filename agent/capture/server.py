"""Diagnosis of unreachable streams: queries the camera's server, as FFmpeg's errors are unspecific."""

from __future__ import annotations

import http.client
import socket
import ssl
from urllib.parse import SplitResult, urlsplit

from agent.errors import SourceLost

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
TIMEOUT_S = 2.0
NO_ANSWER = "accepts the connection but sends no stream; restart the camera, and check the path in the URL"


def check_reachable(url: str, name: str) -> None:
    """Raise `SourceLost` where no server listens at a URL; `name` is the camera's name in the text."""
    try:
        host, port = _address(urlsplit(url))
    except ValueError:  # its text repeats the supposed port, which may be part of a password
        text = "not a URL (no host in it, or its port is no number); expected SCHEME://HOST[:PORT]/PATH"
        raise SourceLost(f"{name}: {text}") from None
    try:
        socket.create_connection((host, port), TIMEOUT_S).close()
    except socket.gaierror as exc:
        raise SourceLost(f'{name}: no host named "{host}"; correct it, or use its IP') from exc
    except TimeoutError as exc:
        raise SourceLost(
            f"{name}: {host} did not answer in {TIMEOUT_S:g} s; is the camera on, and reachable?"
        ) from exc
    except (OSError, UnicodeError) as exc:
        seen = exc.strerror if isinstance(exc, OSError) else "no name of a host"
        raise SourceLost(
            f"{name}: {host} port {port}: {seen}; is the camera on, and the port right?"
        ) from exc


def _address(parts: SplitResult) -> tuple[str, int]:
    if not parts.hostname:
        raise ValueError
    return parts.hostname, parts.port or PORTS[parts.scheme]


def why_refused(url: str) -> str:
    """Return what an RTSP server answers to DESCRIBE, and what to do; empty where it succeeds."""
    parts = urlsplit(url)
    try:
        status, reason = _rtsp_answer(parts)
    except (OSError, ValueError):
        return NO_ANSWER
    return verdict(status, reason, path=parts.path, login=bool(parts.username))


def verdict(status: int, reason: str, *, path: str, login: bool) -> str:
    """Return what an HTTP or RTSP status means for a camera, and what to do; empty for success."""
    if status in {401, 403}:
        if login:
            return (
                f"refuses the login (status {status}); correct user and password of the camera, or the path"
            )
        return f"wants a login (status {status}); set user and password of the camera"
    if status in {404, 454}:
        return f"has no stream at {path or '/'} (status {status}); look up the path in its manual"
    if status in {453, 503}:
        return f"is busy (status {status} {reason}); it may allow no further viewer: close another one"
    if status != http.client.OK:
        return f"answers with status {status} {reason}".rstrip() + "; look at the camera's own page"
    return ""


def unverified() -> ssl.SSLContext:
    """Return a TLS context without certificate verification, because cameras use self-signed certificates."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED  # many cameras get no updates
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # and have short keys
    return context


def _rtsp_answer(parts: SplitResult) -> tuple[int, str]:
    """(status, reason) of an RTSP DESCRIBE (RFC 2326 10.2), without a login, which would be in the clear."""
    host, port = _address(parts)
    shown_host = f"[{host}]" if ":" in host else host
    bare = f"{parts.scheme}://{shown_host}:{port}{parts.path}" + (f"?{parts.query}" if parts.query else "")
    request = f"DESCRIBE {bare} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
    with socket.create_connection((host, port), TIMEOUT_S) as plain:
        server = unverified().wrap_socket(plain) if parts.scheme == "rtsps" else plain
        server.settimeout(TIMEOUT_S)
        server.sendall(request.encode())
        with server.makefile("rb") as answer:
            line = answer.readline(1000).decode("latin-1").split(maxsplit=2)
    if len(line) < 2 or not line[0].startswith("RTSP/"):
        raise ValueError("not an RTSP server")
    return int(line[1]), line[2].strip() if len(line) > 2 else ""

"""One HTTP request to a target that the rules name, without following anyone elsewhere."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import SplitResult, quote, urlsplit

from agent import __version__
from agent.delivery.outbox.line import Line, connect

URL_SAFE = "/%:=&?~#+!$,;'@()*[]"  # left as it is written, what is percent-encoded already too


@dataclass(frozen=True, slots=True)
class WebhookResponse:
    """`delivered`, or the reason why not; `again` says whether another try makes sense.

    `perhaps`: all of the request was sent and no answer came, so that the server may have acted on it.
    """

    delivered: bool
    again: bool
    reason: str
    perhaps: bool = False


def post(
    url: str,
    body: bytes,
    *,
    content_type: str,
    event_id: str,
    headers: Mapping[str, str],
    timeout_s: float,
    expires_at: str = "",
) -> WebhookResponse:
    """POST `body`; 2xx is delivered, 408, 429, 5xx and network trouble may be tried again.

    `timeout_s` is for all of it, from looking the name up (which only ends by itself) to the answer's
    headers. Whoever does not answer by then is cut off. `Idempotency-Key` carries the event's id, the
    same one at every try; `Expires-At` says until when the request is worth something. Paths beyond
    ASCII are percent-encoded, headers go out as UTF-8.
    """
    line: Line | None = None
    try:
        target = _target(url)
        sent = _headers(
            {
                "User-Agent": f"gesture-agent/{__version__}",
                "Content-Type": content_type or "text/plain; charset=utf-8",
                "Idempotency-Key": event_id,
                **({"Expires-At": expires_at} if expires_at else {}),
            },
            headers,
        )
        line = connect(_host(target), target.port or _port(target), timeout_s, _tls(target))
        response = _exchange(line, target, body, sent)
    except ValueError as exc:
        return WebhookResponse(False, False, str(exc))
    except (OSError, HTTPException) as exc:
        perhaps = line is not None and line.sent_all
        return WebhookResponse(False, True, str(exc) or type(exc).__name__, perhaps)
    finally:
        if line is not None:
            line.cut()
    if 200 <= response.status < 300:
        return WebhookResponse(True, False, str(response.status))
    again = response.status in (408, 429) or response.status >= 500
    return WebhookResponse(False, again, f"HTTP {response.status} {response.reason}")


def _exchange(line: Line, target: SplitResult, body: bytes, headers: Mapping[str, bytes]) -> HTTPResponse:
    connection = HTTPConnection(_host(target), target.port)
    connection.sock = line  # all that http.client asks of a socket
    path = quote(target.path or "/", safe=URL_SAFE)
    query = f"?{quote(target.query, safe=URL_SAFE)}" if target.query else ""
    connection.request("POST", path + query, body, headers)
    line.sent_all = True
    return connection.getresponse()


def _target(url: str) -> SplitResult:
    if not url.startswith(("http://", "https://")):
        raise ValueError(f'"{url}" is no http:// or https:// address')
    target = urlsplit(url)
    if not target.hostname:
        raise ValueError(f'"{url}" names no host')
    if "@" in target.netloc:
        raise ValueError("an address with a user in it is not spoken to; send an Authorization header")
    return target


def _host(target: SplitResult) -> str:
    """As the name service knows it: Bücher.example is xn--bcher-kva.example."""
    return (target.hostname or "").encode("idna").decode("ascii")


def _port(target: SplitResult) -> int:
    return 443 if target.scheme == "https" else 80


def _tls(target: SplitResult) -> ssl.SSLContext | None:
    return _context() if target.scheme == "https" else None


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _headers(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, bytes]:
    """A rule's own headers replace ours of the same name, whatever their case."""
    wanted = {name.lower() for name in theirs}
    kept = {name: text for name, text in ours.items() if name.lower() not in wanted}
    return {name: text.encode() for name, text in {**kept, **theirs}.items()}

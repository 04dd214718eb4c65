"""One HTTP POST to a webhook, without following redirects."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, InvalidURL
from urllib.parse import SplitResult, quote, urlsplit

from agent import __version__
from agent.core.redaction import PART_CHARS, server_only, url_secrets, without
from agent.delivery.outbox.deadline_socket import DeadlineSocket, connect

URL_SAFE = "/%:=&?~#+!$,;'@()*[]"  # characters kept as written, percent-encoded ones too


@dataclass(frozen=True, slots=True)
class WebhookResponse:
    """Result of a webhook: `delivered`, or the reason why not; `again` says whether a retry makes sense.

    `perhaps`: the whole request was sent without an answer, so the server may have acted on it.
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
    """POST `body`; 2xx is delivered; 408, 429, 5xx and network errors may be retried.

    `timeout_s` covers everything from name lookup (which cannot be interrupted) to the response
    headers; after it the connection is cut. `Idempotency-Key` carries the event id, the same at every
    try; `Expires-At` is the deadline of the request. Paths beyond ASCII are percent-encoded,
    headers are sent as UTF-8.
    """
    line: DeadlineSocket | None = None
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
    except (InvalidURL, ValueError) as exc:  # tried again, it would be the same
        return WebhookResponse(False, False, _public(str(exc), url, headers))
    except (OSError, HTTPException) as exc:
        perhaps = line is not None and line.sent_all
        return WebhookResponse(False, True, _public(str(exc), url, headers) or type(exc).__name__, perhaps)
    finally:
        if line is not None:
            line.cut()
    if 200 <= response.status < 300:
        return WebhookResponse(True, False, str(response.status))
    again = response.status in (408, 429) or response.status >= 500
    return WebhookResponse(False, again, _public(f"HTTP {response.status} {response.reason}", url, headers))


def _public(reason: str, url: str, headers: Mapping[str, str]) -> str:
    """The words of http.client or of the server without the path and the headers that they may repeat."""
    words = [word for value in headers.values() for word in (value, *value.split())]
    return without(reason, (*url_secrets(url), *(word for word in words if len(word) >= PART_CHARS)))


def _exchange(
    line: DeadlineSocket, target: SplitResult, body: bytes, headers: Mapping[str, bytes]
) -> HTTPResponse:
    connection = HTTPConnection(_host(target), target.port)
    connection.sock = line  # all that http.client asks of a socket
    path = quote(target.path or "/", safe=URL_SAFE)
    query = f"?{quote(target.query, safe=URL_SAFE)}" if target.query else ""
    connection.request("POST", path + query, body, headers)
    line.sent_all = True
    return connection.getresponse()


def _target(url: str) -> SplitResult:
    if not url.startswith(("http://", "https://")):
        raise ValueError(f'"{server_only(url)}" is no http:// or https:// address')
    target = urlsplit(url)
    if not target.hostname:
        raise ValueError(f'"{server_only(url)}" names no host')
    if "@" in target.netloc:
        raise ValueError("an address with a user in it is not spoken to; send an Authorization header")
    return target


def _host(target: SplitResult) -> str:
    """Host in IDNA form: Bücher.example is xn--bcher-kva.example."""
    return (target.hostname or "").encode("idna").decode("ascii")


def _port(target: SplitResult) -> int:
    return 443 if target.scheme == "https" else 80


def _tls(target: SplitResult) -> ssl.SSLContext | None:
    return _context() if target.scheme == "https" else None


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _headers(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, bytes]:
    """Default headers, replaced by a rule's own headers of the same name in any case."""
    wanted = {name.lower() for name in theirs}
    kept = {name: text for name, text in ours.items() if name.lower() not in wanted}
    return {name: text.encode() for name, text in {**kept, **theirs}.items()}

"""Translation of HTTP and network errors: retryable ones, and those that the user must resolve."""

from __future__ import annotations

import socket
import ssl
import urllib.error
from http import HTTPStatus
from urllib.parse import urlsplit

from agent.errors import ModelError


class BrokenError(Exception):
    """A connection or server error that a retry may resolve."""


def refused(url: str, code: int) -> Exception:
    """Return the error for an HTTP status: `BrokenError` where a retry may help, else `ModelError`."""
    said = f"{url}: the server answers {code} {_phrase(code)}"
    by_hand = "download it with a browser and run `gesture-agent models import FILE`"
    if code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ModelError(f"{said}: it wants a login, or does not serve this network; {by_hand}")
    if code in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return ModelError(f"{said}: the file has moved; look for it on its page, {by_hand}")
    if code == HTTPStatus.TOO_MANY_REQUESTS or code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return BrokenError(f"the server answers {code} {_phrase(code)}; it is in trouble, try again later")
    return ModelError(f"{said}; {by_hand}")


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return ""


def unreachable(url: str, exc: Exception) -> Exception:
    """Return the error for a failed connection: `ModelError` for a certificate, else `BrokenError`."""
    cause = exc.reason if isinstance(exc, urllib.error.URLError) else exc
    host = urlsplit(url).hostname
    if isinstance(cause, ssl.SSLCertVerificationError):
        why = f"the certificate of {host} is not trusted ({cause.verify_message})"
        return ModelError(f"{url}: {why}; a proxy that looks inside? Then this machine must trust its own")
    reasons = {
        socket.gaierror: f"the name {host} is not known here; is there a network, is a proxy needed?",
        TimeoutError: f"{host} does not answer; is there a network, is a proxy needed (https_proxy)?",
        ConnectionRefusedError: f"{host} refuses the connection; is a proxy needed (https_proxy)?",
    }
    known = (text for kind, text in reasons.items() if isinstance(cause, kind))
    return BrokenError(next(known, f"the line broke ({cause or type(exc).__name__})"))

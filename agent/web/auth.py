"""Token authentication of the web server."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from http.cookies import CookieError, SimpleCookie

from agent.config.settings import WebSettings
from agent.errors import ConfigError

COOKIE = "gesture_agent"
COOKIE_S = 30 * 24 * 3600
PROTOCOL = "gesture-agent"  # WebSocket subprotocol with which clients send the token
TOKEN_PROTOCOL = "token."  # noqa: S105 (the prefix of one, then base64url without padding)
MIN_CHARS = 16


def read_token(settings: WebSettings) -> str | None:
    """Read the token from its file; None where none is configured. Raises `ConfigError`."""
    if settings.token is None:
        return None
    try:
        token = settings.token.read()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"web.token: {settings.token.file} cannot be read ({exc})") from exc
    if len(token) < MIN_CHARS:
        raise ConfigError(
            f"web.token: {settings.token.file} holds {len(token)} characters, {MIN_CHARS} are needed; "
            "make one with: openssl rand -hex 16"
        )
    return token


class TokenAuth:
    """Authenticates by the token or by a signed cookie that was issued for it; cookies survive restarts."""

    def __init__(self, token: str | None, wall: Callable[[], float]) -> None:
        self._token = None if token is None else token.encode()
        self._wall = wall

    @property
    def open(self) -> bool:
        """True if no token is required."""
        return self._token is None

    def is_token(self, given: str) -> bool:
        """Compare with the token in constant time."""
        return self._token is not None and hmac.compare_digest(
            given.encode("utf-8", "surrogateescape"), self._token
        )

    def cookie(self) -> str:
        """Issue a cookie value that `knows` accepts for `COOKIE_S` seconds."""
        until = str(int(self._wall() + COOKIE_S))
        return f"{until}.{self._seal(until)}"

    def knows(self, cookies: str) -> bool:
        """Return whether a Cookie header holds a valid cookie of ours."""
        try:
            found = SimpleCookie(cookies).get(COOKIE)
        except CookieError:
            return False
        until, _, seal = (found.value if found else "").partition(".")
        if not (
            until.isascii()
            and until.isdigit()
            and hmac.compare_digest(seal.encode(), self._seal(until).encode())
        ):
            return False
        return int(until) > self._wall()

    def _seal(self, until: str) -> str:
        return hmac.new(self._token or b"", f"page until {until}".encode(), hashlib.sha256).hexdigest()


def tokens_in(authorization: str, protocols: Sequence[str]) -> list[str]:
    """Return the tokens that a request offers in the headers Authorization and Sec-WebSocket-Protocol."""
    kind, _, given = authorization.partition(" ")
    bearer = [given.strip()] if kind.lower() == "bearer" else []
    return bearer + [found for protocol in protocols if (found := _unwrapped(protocol))]


def _unwrapped(protocol: str) -> str:
    """Token inside a subprotocol; empty where there is none."""
    if not protocol.startswith(TOKEN_PROTOCOL):
        return ""
    coded = protocol.removeprefix(TOKEN_PROTOCOL)
    try:
        return base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""

"""Source addresses of cameras: with the login for opening, without secrets for display."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from agent.capture.source import public_name
from agent.core.redaction import without
from agent.errors import SourceLost

if TYPE_CHECKING:
    from agent.config.settings import CameraSettings


class SourceAddress:
    """Source of one camera; reads the password file at each use, so that a changed one takes effect."""

    def __init__(self, settings: CameraSettings) -> None:
        self.name = public_name(settings.source)
        self._settings = settings

    def full(self) -> str:
        """Return the source with user and password, its scheme in lower case. Raises `SourceLost`."""
        try:
            scheme, separator, rest = self._settings.address().partition(":")
        except OSError as exc:
            raise self._unreadable(exc) from exc
        return scheme.lower() + separator + rest

    def filled(self, text: str) -> str:
        """Fill in `{user}` and `{password}` in a word of a GStreamer pipeline. Raises `SourceLost`."""
        try:
            return self._settings.filled(text)
        except OSError as exc:
            raise self._unreadable(exc) from exc

    def _unreadable(self, exc: OSError) -> SourceLost:
        return SourceLost(f"{self.name}: its password file cannot be read ({exc})")

    def hide(self, text: str) -> str:
        """Return a text of another program or library without the camera's secrets."""
        try:
            return without(text, self._settings.secrets())
        except OSError:
            return without(text, ())

    def lost(self, what: str) -> SourceLost:
        """Build a `SourceLost` whose text names the camera and has its secrets removed."""
        return SourceLost(f"{self.name}: {self.hide(what)}")


def login_of(url: str) -> tuple[str, str | None, str | None]:
    """Split a URL into itself without login, user and password; None where it has none."""
    scheme, separator, rest = url.partition("://")
    server, slash, path = rest.partition("/")
    userinfo, at, host = server.rpartition("@")
    bare = f"{scheme}{separator}{host}{slash}{quote(path, safe=_AS_IT_IS)}"
    if not at:
        return bare, None, None
    user, _, password = userinfo.partition(":")
    return bare, unquote(user), unquote(password)


_AS_IT_IS = "/?&=%:;,@!$'()*+~#[]-._"  # characters of path and query that are not percent-encoded

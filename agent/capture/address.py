"""Where a camera's stream is, with its login, and how to speak of it without."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from agent.capture.source import public_name
from agent.core.redaction import without
from agent.errors import SourceLost

if TYPE_CHECKING:
    from agent.config.settings import CameraSettings


class SourceAddress:
    """The source of one camera. The password file is read anew each time, so that a changed one counts."""

    def __init__(self, settings: CameraSettings) -> None:
        self.name = public_name(settings.source)
        self._settings = settings

    def full(self) -> str:
        """With user and password, to open it, its scheme in small letters. Raises `SourceLost`."""
        try:
            scheme, separator, rest = self._settings.address().partition(":")
        except OSError as exc:
            raise self._unreadable(exc) from exc
        return scheme.lower() + separator + rest

    def filled(self, text: str) -> str:
        """A word of a pipeline with user and password in place of `{user}` and `{password}`."""
        try:
            return self._settings.filled(text)
        except OSError as exc:
            raise self._unreadable(exc) from exc

    def _unreadable(self, exc: OSError) -> SourceLost:
        return SourceLost(f"{self.name}: its password file cannot be read ({exc})")

    def hide(self, text: str) -> str:
        """Words of another program or library without the camera's secrets."""
        try:
            return without(text, self._settings.secrets())
        except OSError:
            return without(text, ())

    def lost(self, what: str) -> SourceLost:
        """The error that the camera is lost, with its name."""
        return SourceLost(f"{self.name}: {self.hide(what)}")


def login_of(url: str) -> tuple[str, str | None, str | None]:
    """The URL without its login, user and password; None where it has none."""
    scheme, separator, rest = url.partition("://")
    server, slash, path = rest.partition("/")
    userinfo, at, host = server.rpartition("@")
    bare = f"{scheme}{separator}{host}{slash}{quote(path, safe=_AS_IT_IS)}"
    if not at:
        return bare, None, None
    user, _, password = userinfo.partition(":")
    return bare, unquote(user), unquote(password)


_AS_IT_IS = "/?&=%:;,@!$'()*+~#[]-._"  # of a path and query: what is written is what is asked for

"""What the page needs to set an agent up; implemented above the web server, which knows no cameras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class GivenCamera:
    """A camera as a visitor gave it."""

    name: str
    source: str
    user: str | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True)
class GivenBroker:
    """A broker as a visitor gave it."""

    url: str
    user: str | None = None
    password: str | None = None


class SetupProvider(Protocol):
    """Looks, tries and saves. Every method may take seconds, and raises `ConfigError` with what to do."""

    def state(self) -> dict[str, Any]:
        """What is set, and the `etag` of the settings file."""

    def devices(self) -> dict[str, Any]:
        """Cameras of this machine and brokers that answer."""

    def try_camera(self, camera: GivenCamera) -> dict[str, Any]:
        """Open it: what is seen, with a JPEG (base64) only where the settings allow pictures."""

    def try_broker(self, broker: GivenBroker) -> dict[str, Any]:
        """Log in: the verdict."""

    def save(self, camera: GivenCamera | None, broker: GivenBroker | None, etag: str) -> None:
        """Write both into the settings, or neither. They count from the next start on."""

    def can_start(self) -> None:
        """Raises `ConfigError` where an agent with the settings as they are would not start."""

"""Broker address, TLS and credentials, checked at the start."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.config.settings import MqttSettings, TlsSettings
from agent.config.tls import secure_context
from agent.errors import CannotStart

_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port of the broker, and whether to use TLS."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def address(url: str) -> Address:
    """Parse `mqtt://host[:port]` or `mqtts://host[:port]`. Raises `CannotStart`."""
    parts = urlsplit(url)
    try:
        port = parts.port or _PORTS[parts.scheme]
    except (KeyError, ValueError) as exc:
        raise CannotStart(
            f'mqtt.url "{url}": expected mqtt://host:port or mqtts://host:port ({exc})'
        ) from exc
    if not parts.hostname or parts.path not in ("", "/"):
        raise CannotStart(f'mqtt.url "{url}": expected mqtt://host:port or mqtts://host:port')
    return Address(parts.hostname, port, parts.scheme == "mqtts")


class _Socket(ssl.SSLSocket):
    """TLS socket that closes itself when the handshake fails.

    Paho would leave it to the garbage collector.
    """

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """Build the TLS context of the MQTT settings. Raises `ConfigError`."""
    context = secure_context(settings, "mqtt.tls")
    context.sslsocket_class = _Socket
    return context


def password(settings: MqttSettings) -> str | None:
    """Return the password, read anew for every connection so that a changed file counts.

    Raises `CannotStart`.
    """
    if settings.password is None:
        return None
    try:
        return settings.password.read()
    except (OSError, UnicodeDecodeError) as exc:
        raise CannotStart(f"mqtt.password {settings.password.file}: cannot be read ({exc})") from exc

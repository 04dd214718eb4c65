"""Tries a camera and a broker before they stand in the settings: for `gesture-agent init` and the page."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agent.capture.address import login_of
from agent.capture.source import open_source, public_name, settings_of
from agent.config.settings import CameraSettings, MqttSettings, Secret
from agent.diagnostics import CAMERA_S, CheckResult, check_broker, check_cameras
from agent.errors import ConfigError, EndOfSource, LostForNow

if TYPE_CHECKING:
    from agent.core.types import Image

HOSTS = ("localhost", "homeassistant.local", "core-mosquitto")  # where brokers usually are
PORT = 1883
FIND_S = 1.5  # names that nobody answers take longer than that
SETTLE = 8  # pictures until a camera's exposure has settled; clips and streams are not waited for


def find_brokers(hosts: tuple[str, ...] = HOSTS, port: int = PORT, limit_s: float = FIND_S) -> list[str]:
    """URLs of the hosts that take a connection, in the order of `hosts`; asked all at once."""
    found = []

    def ask(host: str) -> None:
        try:
            socket.create_connection((host, port), limit_s).close()
        except OSError:
            return
        found.append(host)

    threads = [threading.Thread(target=ask, args=(host,), daemon=True) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(limit_s)
    return [f"mqtt://{host}:{port}" for host in hosts if host in found]


def split_camera(said: str) -> tuple[str, str | None, str | None]:
    """Source without a login, user and password, of what a person wrote; /dev/video0 is a camera."""
    said = said.strip()
    source = f"v4l2:{said}" if said.startswith("/dev/") else said
    return login_of(source) if "://" in source else (source, None, None)


def split_broker(said: str) -> tuple[str, str | None, str | None]:
    """URL without a login, user and password, of what a person wrote; a bare host becomes a URL."""
    said = said.strip()
    url = said if said == "embedded" or "://" in said else f"mqtt://{said}"
    return login_of(url) if "@" in url else (url, None, None)


def try_camera(source: str, user: str | None, password: str | None) -> CheckResult:
    """Open a camera and take one picture. Raises `ConfigError` for a source that cannot be one."""
    with _camera(source, user, password) as settings:
        [verdict] = check_cameras({"front": settings})
    return verdict


def camera_picture(source: str, user: str | None, password: str | None) -> Image:
    """One picture of a camera, uint8 (H, W, 3) BGR. Raises `ConfigError` with the reason for none."""
    with _camera(source, user, password) as settings:
        return first_frame(settings)


def first_frame(settings: CameraSettings) -> Image:
    """uint8 (H, W, 3) BGR, turned as the settings say. Raises `ConfigError` with the reason."""
    source = open_source(settings, "shown")
    timer = threading.Timer(CAMERA_S, source.interrupt)
    timer.start()
    try:
        source.open()
        frame = source.read()
        for _ in range(SETTLE if settings.source.startswith("v4l2:") else 0):
            frame = source.read()
    except EndOfSource as exc:
        raise ConfigError(f"{public_name(settings.source)}: there is not a single picture in it") from exc
    except LostForNow as exc:
        raise ConfigError(str(exc)) from exc
    finally:
        timer.cancel()
        source.close()
    return frame.image


def try_broker(
    now: MqttSettings, url: str, user: str | None, password: str | Path | None, agent: str
) -> CheckResult:
    """Log in at a broker with the other settings as they are now. Raises `ConfigError` for no broker's URL.

    `password` is the password itself, or the file that holds it.
    """
    with tempfile.TemporaryDirectory(prefix="gesture-agent-trial-") as folder:
        file = private_file(Path(folder) / "password", password) if isinstance(password, str) else password
        given = now.model_dump(exclude={"url", "user", "password"})
        secret = Secret(file=file) if file else None
        try:
            settings = MqttSettings.model_validate({**given, "url": url, "user": user, "password": secret})
        except ValueError as exc:
            raise ConfigError(
                f'"{url}" is no broker; expected a host, "mqtt://HOST[:PORT]", '
                '"mqtts://HOST[:PORT]" or "embedded"'
            ) from exc
        return check_broker(settings, agent)


def private_file(path: Path, secret: str) -> Path:
    """The path, with the secret in it, readable by its owner only."""
    path.touch(mode=0o600)
    path.write_text(secret, encoding="utf-8")
    return path


@contextmanager
def _camera(source: str, user: str | None, password: str | None) -> Iterator[CameraSettings]:
    """Settings of a camera; the password is in a file while they are used."""
    with tempfile.TemporaryDirectory(prefix="gesture-agent-trial-") as folder:
        settings = settings_of(source, user=user)
        if password is not None:
            secret = Secret(file=private_file(Path(folder) / "password", password))
            settings = settings.model_copy(update={"password": secret})
        yield settings

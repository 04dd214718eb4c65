"""Sets an agent up from its page: looks for cameras and brokers, tries them, writes the settings."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2

from agent.capture.camera_list import list_cameras, without_cameras
from agent.capture.source import public_name
from agent.config.load import load
from agent.config.settings import Settings
from agent.config.sources import scheme
from agent.connection_trials import camera_picture, find_brokers, split_broker, split_camera, try_broker
from agent.core.redaction import redacted
from agent.errors import ConfigError
from agent.installation.secret_place import secret_files, secret_place
from agent.installation.settings_file import Changes, SettingsFile
from agent.web.setup import GivenBroker, GivenCamera

SCHEMES = ("v4l2", "rtsp", "rtsps", "http", "https", "csi")  # pipelines and files: on the machine itself
PICTURE_WIDTH = 640  # px
JPEG_QUALITY = 80


class BrowserSetup:
    """Implements `SetupProvider`. `settings` are those that run, `file` the one that will be read next."""

    def __init__(
        self,
        settings: Settings,
        file: SettingsFile,
        environ: Mapping[str, str],
        paused: Callable[[], bool] = lambda: False,
    ) -> None:
        """`paused` says whether the cameras are switched off: then none is opened, not even for a trial."""
        self._running, self._file, self._environ, self._paused = settings, file, environ, paused

    def state(self) -> dict[str, Any]:
        """What is set. `restart` says whether the file holds other cameras or another broker than run."""
        etag, written = self._file.etag, self._written()
        return {
            "etag": etag,
            "file": str(self._file.path),
            "camera": {name: public_name(camera.source) for name, camera in written.camera.items()},
            "broker": {"url": written.mqtt.url, "user": written.mqtt.user},
            "preview": self._running.web.preview,
            "keys": written.actions.keys,
            "restart": (written.camera, written.mqtt) != (self._running.camera, self._running.mqtt),
        }

    def devices(self) -> dict[str, Any]:
        """Cameras as `gesture-agent cameras list` shows them, and brokers where they usually are."""
        own = {camera.source: name for name, camera in self._written().camera.items()}
        cameras = [
            {
                **{key: asdict(camera)[key] for key in ("device", "source", "name", "problem")},
                "mode": str(camera.best_mode or ""),
                "watched_as": own.get(camera.source) or own.get(f"v4l2:{camera.device}"),
            }
            for camera in list_cameras()
        ]
        return {
            "cameras": cameras,
            "no_cameras": None if cameras else without_cameras(files=False),
            "brokers": find_brokers(),
        }

    def try_camera(self, camera: GivenCamera) -> dict[str, Any]:
        """Open it and take a picture, sent only with `web.preview`. Raises `ConfigError`."""
        source, user, password = self._camera(camera)
        if self._paused():
            raise ConfigError(
                "the agent is paused, so no camera is opened; resume it on the page, then try again"
            )
        image = camera_picture(source, user, password)
        height, width = image.shape[:2]
        text = f"{public_name(source)} gives pictures of {width} x {height} pixels"
        if not self._running.web.preview:
            return {"text": text, "picture": None}
        size = (PICTURE_WIDTH, round(height * PICTURE_WIDTH / width))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if width > PICTURE_WIDTH else image
        _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        return {"text": text, "picture": base64.b64encode(jpeg.tobytes()).decode()}

    def try_broker(self, broker: GivenBroker) -> dict[str, Any]:
        """Check the broker as `gesture-agent check` does. Raises `ConfigError` where it cannot be used."""
        url, user, password = _broker(broker)
        verdict = try_broker(self._written().mqtt, url, user, password, self._running.agent.id)
        if verdict.state == "fail":
            raise ConfigError(verdict.text)
        return {"state": verdict.state, "text": verdict.text}

    def save(self, camera: GivenCamera | None, broker: GivenBroker | None, etag: str) -> None:
        """Both into the settings, passwords into files of their own, all or nothing."""
        changes: dict[tuple[str, ...], Any] = {}
        beside = []
        folder = self._file.path.parent
        if camera:
            source, user, password = self._camera(camera)
            changes |= _login(("camera", camera.name), user)
            changes["camera", camera.name, "source"] = source
            if password is not None:
                place = secret_place(folder, f"camera-password-{camera.name}", password)
                beside += secret_files(place, password)
                changes["camera", camera.name, "password"] = {"file": _relative(place.path, folder)}
        if broker:
            url, user, password = _broker(broker)
            changes |= _login(("mqtt",), user)
            changes["mqtt", "url"] = url
            if password is not None:
                place = secret_place(folder, "mqtt-password", password)
                beside += secret_files(place, password)
                changes["mqtt", "password"] = {"file": _relative(place.path, folder)}
        self._file.change(_in_order(changes), etag, beside)

    def can_start(self) -> None:
        """Read the settings as the next start does. Raises `ConfigError`."""
        settings = load(self._file.path, self._environ).settings
        if not settings.camera:
            raise ConfigError("there is no camera in the settings yet")

    def _camera(self, camera: GivenCamera) -> tuple[str, str | None, str | None]:
        """Source, user and password. Raises `ConfigError` for what a browser may not open."""
        source, user, password = split_camera(camera.source)
        user, password = camera.user or user, camera.password or password
        if scheme(source) not in SCHEMES or (source.startswith("v4l2:") and not _is_device(source[5:])):
            raise ConfigError(
                f'"{redacted(source)[:80]}" is no camera that can be set up here; expected one of the list, '
                "rtsp://.., http://.. (MJPEG), csi:0. Pipelines (gst:) and files are written into "
                f"{self._file.path.name} on the machine itself"
            )
        written = self._written().camera
        twice = next((name for name, one in written.items() if one.source == source), None)
        if twice is not None:
            raise ConfigError(f"this is camera {twice} already; a camera serves one program at a time")
        if camera.name in written:
            raise ConfigError(f'there is a camera "{camera.name}" already; choose another name')
        return source, user, password

    def _written(self) -> Settings:
        """The settings that the next start will read. Raises `ConfigError`."""
        if not self._file.path.exists():
            return self._running
        return load(self._file.path, self._environ, need_files=False).settings


def _broker(broker: GivenBroker) -> tuple[str, str | None, str | None]:
    url, user, password = split_broker(broker.url)
    return url, broker.user or user, broker.password or password


def _login(table: tuple[str, ...], user: str | None) -> Changes:
    """A login replaces the whole one before it: an old password is never sent to another address."""
    return {(*table, "user"): user, (*table, "password"): None}


def _in_order(changes: Changes) -> Changes:
    """The address first, as a person writes it."""
    order = ("source", "url", "user", "password")
    return dict(sorted(changes.items(), key=lambda change: (change[0][:-1], order.index(change[0][-1]))))


def _is_device(path: str) -> bool:
    return path.startswith("/dev/") and ".." not in Path(path).parts


def _relative(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)

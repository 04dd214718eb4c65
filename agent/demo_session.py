"""Demonstration session: the whole agent on a camera or the clip, with an embedded broker.

What is printed is what a subscriber of the broker receives.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from agent.app import Agent
from agent.capture.source import open_source, settings_of
from agent.config.settings import AgentSettings, CameraSettings, MqttSettings, Settings, WebSettings
from agent.config.shipped import demo_clip, shipped_folder
from agent.errors import ConfigError, LostForNow
from agent.service.signals import signals

CLIP = demo_clip()
RULES = shipped_folder("rules/home.toml") / "rules" / "home.toml"
CATCH_UP_S = 3.0
TOO_MANY = 0.5  # share of dropped frames: of 30 a second 15 are processed, which is enough
MARK = "demo/all-heard"
QUIET_TOPICS = ("/bridge/info", "/bridge/health", "/config")  # long keys, left out of the demonstration

Say = Callable[[float, str, str], None]
"""Called with seconds since the start, topic, payload."""


def first_camera() -> str | None:
    """Return the first video device that delivers a frame."""
    for device in sorted(Path("/dev").glob("video*")):
        source = open_source(CameraSettings(source=f"v4l2:{device}"), "demo")
        try:
            source.open()
            source.read()
        except LostForNow:
            continue
        else:
            return f"v4l2:{device}"
        finally:
            source.close()
    return None


def check_source(source: str) -> None:
    """Check that a given source delivers a frame. Raises `ConfigError` with the reason."""
    opened = open_source(settings_of(source), "demo")
    try:
        opened.open()
        opened.read()
    except LostForNow as exc:
        raise ConfigError(str(exc)) from exc
    finally:
        opened.close()


@dataclass(frozen=True, slots=True)
class Shown:
    """Result of a demonstration."""

    started: int  # published gestures
    frames: int  # frames read from the camera or clip
    dropped: int  # of those, dropped while processing was busy

    @property
    def too_slow(self) -> bool:
        """Return whether so many frames were dropped that gestures may have been missed."""
        return self.dropped > TOO_MANY * self.frames


def demo_settings(settings: Settings, source: str, state: Path, *, web: bool = False) -> Settings:
    """Return the user's settings with one camera, the embedded broker and a temporary state folder.

    With `web`, the page with preview on localhost; a clip repeats.
    """
    page = WebSettings(enabled=True, port=settings.web.port, preview=True) if web else settings.web
    return settings.model_copy(
        update={
            "agent": AgentSettings(
                id="demo", rules=RULES, state_dir=state, cache_dir=settings.agent.cache_dir
            ),
            "camera": {"front": settings_of(source, loop=web)},
            "mqtt": MqttSettings(url="embedded"),
            "web": page,
        }
    )


def run_demo(
    settings: Settings,
    source: str,
    environ: Mapping[str, str],
    say: Say,
    *,
    web: bool = False,
    page_ready: Callable[[str], None] = lambda _url: None,
) -> Shown:
    """Run until the clip is over or Ctrl-C. Raises `CannotStart`.

    `page_ready` is called with the URL of the page, where there is one.
    """
    with tempfile.TemporaryDirectory(prefix="gesture-agent-demo-") as state:
        agent = Agent(demo_settings(settings, source, Path(state), web=web), environ)
        listener = _Listener(say)
        stop = signals(agent.loop.stop, agent.loop.reload)
        with stop, agent, listener.listening(agent.delivery.status().broker):
            if agent.page_url:
                page_ready(agent.page_url)
            agent.run()
            agent.delivery.flush(CATCH_UP_S)
            listener.catch_up()
    counters = [camera.counters for camera in agent.cameras.values()]
    return Shown(listener.started, sum(c.frames for c in counters), sum(c.dropped for c in counters))


class _Listener:
    """MQTT subscriber that prints like `mosquitto_sub -t '#' -v`, with relative times."""

    def __init__(self, say: Say) -> None:
        self.started = 0
        self._say = say
        self._began = time.monotonic()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "demo-listener")
        self._client.on_message = self._on_message
        self._caught_up = threading.Event()

    @contextmanager
    def listening(self, url: str) -> Iterator[None]:
        host, _, port = url.removeprefix("mqtt://").partition(":")
        self._client.connect(host, int(port))
        self._client.subscribe("#", qos=1)
        self._client.loop_start()
        try:
            yield
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    def catch_up(self) -> None:
        """Wait until everything published before has been received, by a message of our own."""
        self._client.publish(MARK, qos=1)
        self._caught_up.wait(CATCH_UP_S)

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        if message.topic == MARK:
            self._caught_up.set()
            return
        if message.topic.startswith("$SYS") or message.topic.endswith(QUIET_TOPICS):
            return
        payload = message.payload.decode("utf-8", "replace")
        self._say(time.monotonic() - self._began, message.topic, _short(payload))
        self.started += message.topic.endswith("/action")


def _short(payload: str) -> str:
    """An event without rarely needed keys."""
    try:
        document = json.loads(payload)
    except ValueError:
        return payload
    if not isinstance(document, dict) or "event_type" not in document:
        return payload
    wanted = ("event_type", "phase", "confidence", "hand", "held_ms", "latency_ms")
    return json.dumps({key: document[key] for key in wanted if key in document})

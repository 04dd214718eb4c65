"""The whole agent on what this machine has: a camera or the clip, with a broker inside.

What is printed is what a subscriber of the broker receives, nothing is taken on the way.
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
TOO_MANY = 0.5  # of the frames dropped: of 30 a second 15 are looked at, which is enough
MARK = "demo/all-heard"
QUIET_TOPICS = ("/bridge/info", "/bridge/health", "/config")  # long; nobody reads them on a first day

Say = Callable[[float, str, str], None]
"""Seconds since the start, topic, payload."""


def first_camera() -> str | None:
    """The first video device that gives a picture."""
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


def must_show(source: str) -> None:
    """Look whether a source that somebody named gives a picture. Raises `ConfigError`: why it does not."""
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
    """What a demo came to."""

    started: int  # gestures that were published
    frames: int  # read from the camera or clip
    dropped: int  # of those, because the one before was still being looked at

    @property
    def too_slow(self) -> bool:
        """Whether so many frames went by unseen that gestures may have, too."""
        return self.dropped > TOO_MANY * self.frames


def demo_settings(settings: Settings, source: str, state: Path, *, web: bool = False) -> Settings:
    """The user's settings, but for one camera, the embedded broker and a state folder that goes away.

    With `web` there is the page, with pictures, for this machine alone; a clip begins again at its end.
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
    """Until the clip is over or Ctrl-C. Raises `CannotStart`.

    `page_ready` hears the address of the page, where there is one.
    """
    with tempfile.TemporaryDirectory(prefix="gesture-agent-demo-") as state:
        agent = Agent(demo_settings(settings, source, Path(state), web=web), environ)
        listener = _Listener(say)
        stop = signals(agent.loop.stop, agent.loop.reload)
        with stop, agent, listener.listening(agent.delivery.status().broker):
            if agent.web_ui.url:
                page_ready(agent.web_ui.url)
            agent.run()
            agent.delivery.flush(CATCH_UP_S)
            listener.catch_up()
    counters = [camera.counters for camera in agent.cameras.values()]
    return Shown(listener.started, sum(c.frames for c in counters), sum(c.dropped for c in counters))


class _Listener:
    """A subscriber like any other: `mosquitto_sub -t '#' -v` with readable times."""

    def __init__(self, say: Say) -> None:
        self.started = 0
        self._say = say
        self._began = time.monotonic()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "demo-listener")
        self._client.on_message = self._heard
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
        """Wait until all that was published before has been heard: a message of ours comes last."""
        self._client.publish(MARK, qos=1)
        self._caught_up.wait(CATCH_UP_S)

    def _heard(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        if message.topic == MARK:
            self._caught_up.set()
            return
        if message.topic.startswith("$SYS") or message.topic.endswith(QUIET_TOPICS):
            return
        payload = message.payload.decode("utf-8", "replace")
        self._say(time.monotonic() - self._began, message.topic, _short(payload))
        self.started += message.topic.endswith("/action")


def _short(payload: str) -> str:
    """An event without the keys that a first look does not need."""
    try:
        document = json.loads(payload)
    except ValueError:
        return payload
    if not isinstance(document, dict) or "event_type" not in document:
        return payload
    wanted = ("event_type", "phase", "confidence", "hand", "held_ms", "latency_ms")
    return json.dumps({key: document[key] for key in wanted})

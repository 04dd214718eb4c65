"""Publishes Home Assistant discovery, removes outdated configs, and repeats it on the birth message."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import structlog

from agent.config.settings import HomeAssistantSettings
from agent.core.pace import Pace
from agent.delivery.homeassistant import discovery
from agent.delivery.homeassistant.entities import DeviceInfo
from agent.delivery.message import Message
from agent.delivery.mqtt.client import MqttClient
from agent.delivery.mqtt.packet_checks import Limits, fits

log = structlog.get_logger(__name__)

REPEAT_WITHIN_S = 5.0  # jitter over a fleet, so that Home Assistant is not flooded when it starts
REPEATS, REPEAT_EVERY_S = 3, 10.0  # burst of repetitions, and seconds between two if it restarts all the time
SETTLE_S = 3.0  # seconds for Home Assistant to release a topic; it ignores messages meanwhile


class HomeAssistant:
    """Publishes discovery messages through the MQTT client; its methods enqueue and return."""

    def __init__(
        self,
        settings: HomeAssistantSettings,
        mqtt: MqttClient,
        delay_s: Callable[[], float] | None = None,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._settings = settings
        self._mqtt = mqtt
        self._delay_s = delay_s or (lambda: random.uniform(0.0, REPEAT_WITHIN_S))  # noqa: S311 (no secret)
        self._wanted: dict[str, Message] = {}
        self._about: DeviceInfo | None = None
        self._settle_s = settle_s
        self._moving: set[str] = set()  # topics of the form published before
        self._timers: dict[str, threading.Timer] = {}
        self._limits = Limits()
        self._lock = threading.Lock()  # guards what is wanted: the loop describes, the MQTT thread connects
        self._split = False
        self._repeats = Pace(REPEATS, REPEAT_EVERY_S)
        self._repeat_due = False

    def topics(self) -> set[str]:
        """Topics to subscribe to: Home Assistant's birth message and all discovery topics of this agent."""
        if self._about is None:
            return set()
        prefix = self._settings.prefix
        told = {discovery.device_topic(prefix, self._about), discovery.component_topic(prefix, self._about)}
        return told | ({f"{prefix}/status"} if self._wanted else set())

    def describe(self, about: DeviceInfo) -> None:
        """Publish discovery of this device; call it again when cameras or gestures change."""
        with self._lock:
            self._about = about
            self._publish_wanted()

    def use_limits(self, limits: Limits) -> None:
        """Choose the form that this broker can take. Called before anything is published on a connection."""
        with self._lock:
            self._limits = limits
            if self._about is not None:
                self._publish_wanted()

    def _publish_wanted(self) -> None:
        before = self._wanted
        messages = self._chosen()
        self._wanted = {message.topic: message for message in messages}
        for topic, message in before.items():
            if topic not in self._wanted:
                self._mqtt.drop_state(topic)
            for tidy in discovery.cleanup(topic, message.payload, self._wanted):
                self._mqtt.publish_best_effort(tidy)
        for message in messages:
            if before.get(message.topic) != message or not self._mqtt.connected:
                self._mqtt.publish_state(message)

    def _chosen(self) -> list[Message]:
        """Messages in the configured form; one for each component where the device message is too large."""
        mode, prefix, about = self._settings.discovery, self._settings.prefix, self._about
        assert about is not None  # noqa: S101 (both callers have asked)
        messages = discovery.configs(mode, prefix, about)
        split = mode == "device" and not all(fits(message, self._limits) for message in messages)
        if split and not self._split:
            log.warning(
                "discovery_split",
                reason=f"the device's description has {len(messages[0].payload)} bytes",
                broker_takes=self._limits.packet_bytes,
                means="it is published component by component",
            )
        self._split = split
        return discovery.configs("component", prefix, about) if split else messages

    def received(self, topic: str, payload: bytes, retained: bool) -> None:
        """Process a received message. Called inside a callback of the connection."""
        prefix = self._settings.prefix
        if topic == f"{prefix}/status":
            if payload == b"online" and not retained:
                self._repeat_soon()
        elif (
            retained and payload and self._about is not None and discovery.is_ours(topic, prefix, self._about)
        ):
            self._clean_up(topic, payload)

    def close(self) -> None:
        """Cancel pending repetitions, but leave entities in place; the next start completes the rest."""
        for timer in self._timers.values():
            timer.cancel()
        if self._moving:
            self._publish_all()

    def _clean_up(self, topic: str, old: bytes) -> None:
        if not discovery.is_moved(topic, old, self._wanted):
            for message in discovery.cleanup(topic, old, self._wanted):
                self._mqtt.publish_best_effort(message)
            return
        self._moving.add(topic)
        self._mqtt.publish_best_effort(discovery.migration(topic))
        self._later("move", self._settle_s, self._publish_again)

    def _publish_again(self) -> None:
        self._publish_all()
        self._later("move", self._settle_s, self._forget_moved)

    def _publish_all(self) -> None:
        for message in self._wanted.values():
            self._mqtt.publish_best_effort(message)

    def _forget_moved(self) -> None:
        for topic in self._moving - self._wanted.keys():
            self._mqtt.publish_best_effort(discovery.removal(topic))
        self._moving.clear()

    def _repeat_soon(self) -> None:
        """Schedule one repetition, however many birth messages come meanwhile."""
        if self._repeat_due:
            return
        self._repeat_due = True
        wait_s = 0.0 if self._repeats.take(time.monotonic()) else REPEAT_EVERY_S
        self._later("repeat", wait_s + self._delay_s(), self._repeat)
        log.info("home_assistant_online", told_again_within_s=wait_s + REPEAT_WITHIN_S)

    def _repeat(self) -> None:
        self._repeat_due = False
        self._mqtt.republish_states()

    def _later(self, what: str, delay_s: float, do: Callable[[], None]) -> None:
        """Schedule an action, replacing a pending one of that key."""
        if what in self._timers:
            self._timers[what].cancel()
        self._timers[what] = timer = threading.Timer(delay_s, do)
        timer.daemon = True
        timer.start()

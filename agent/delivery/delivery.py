"""Facade of delivery for the main loop: takes events, states and actions and delivers them.

Nothing here blocks: events and actions are queued for the outbox thread, states for the MQTT thread,
commands for workers. Gestures arrive at least once or count as expired; keys and commands happen at
most once, at once or never.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from agent.config.settings import ActionsSettings, HomeAssistantSettings, MqttSettings, OutboxSettings
from agent.core.feedback import Feedback
from agent.core.timestamps import rfc3339
from agent.core.types import Action, GestureEvent, GestureStarted
from agent.delivery import topics
from agent.delivery.active_gestures import ActiveGestures
from agent.delivery.clocks import Clocks
from agent.delivery.homeassistant.entities import DeviceInfo
from agent.delivery.homeassistant.publisher import HomeAssistant
from agent.delivery.incoming import Fault, Incoming, usable
from agent.delivery.local_actions.local_actions import LocalActions
from agent.delivery.message import JSON, Message, as_json, state
from agent.delivery.mqtt.client import MqttClient
from agent.delivery.mqtt.id_lease import LeaseHolder, client_id
from agent.delivery.outbox.outbox import Outbox, Row
from agent.delivery.outbox.worker import OnPublished, OutboxWorker
from agent.delivery.removed_cameras import removed_cameras
from agent.delivery.requests import Request
from agent.delivery.rule_throttle import RuleEventThrottle
from agent.delivery.status import DeliveryStatus
from agent.supervision import Threads

MAX_AGE_S = 5.0
FEEDBACK_S = 2.0  # a sound later than that answers nothing
NO_DISCOVERY = HomeAssistantSettings(discovery="off")

CameraStateName = Literal["online", "offline", "disabled"]


class Delivery:
    """Takes what the main loop reports and sends it by MQTT, webhook, key press or command."""

    def __init__(
        self,
        agent_id: str,
        mqtt: MqttSettings,
        outbox: OutboxSettings,
        folder: Path,
        *,
        actions: ActionsSettings | None = None,
        homeassistant: HomeAssistantSettings = NO_DISCOVERY,
        clock: Callable[[], float] = time.monotonic,
        clocks: Clocks | None = None,
        on_published: OnPublished | None = None,
        threads: Threads | None = None,
    ) -> None:
        """Prepare delivery; nothing is opened until `start`.

        `folder` holds the outbox; `clock` is the one that stamps `event.at` and `action.at`.
        `threads` is the watchdog registry for the threads made here. Raises `CannotStart` for a wrong URL,
        missing certificates or password file, or a missing package.
        """
        actions = actions or ActionsSettings()
        threads = threads or Threads()
        self.topics = topics.Topics(mqtt.base, agent_id)
        self._home_settings = homeassistant
        self._clock = clock
        self._clocks = clocks or Clocks()
        self._active = ActiveGestures()
        self._rule_throttle = RuleEventThrottle()
        self._local_actions = LocalActions(actions, threads)
        self._broker, mqtt = _embedded(mqtt, threads)
        self._url = mqtt.url
        self._incoming = Incoming(self.topics, self._publish_best_effort)
        self._leases = LeaseHolder(agent_id, self.topics.bridge_claim, contested=self._repeat_health)
        self._health: Mapping[str, Any] | None = None
        self._folder = folder
        self._cameras: tuple[str, ...] = ()
        self._last: dict[str, str] = {}  # gesture that started last, by camera
        self._mqtt = MqttClient(
            mqtt,
            client_id(agent_id, folder),
            birth=state(self.topics.bridge_state, {"state": "online"}),
            will=state(self.topics.bridge_state, {"state": "offline"}),
            subscriptions=(self.topics.bridge_state, *self._incoming.subscriptions),
            report=lambda event: self._outbox_worker.report(event),  # noqa: PLW0108 (it comes next)
            received=self._received,
            leases=self._leases,
            threads=threads,
            on_limits=lambda limits: self._home.use_limits(limits),  # noqa: PLW0108 (as above)
        )
        self._outbox_worker = OutboxWorker(
            Outbox(folder, outbox, self._clocks),
            self._clocks,
            self._mqtt,
            webhook_timeout_s=actions.webhook_timeout,
            on_published=on_published,
            threads=threads,
        )
        self._home = HomeAssistant(homeassistant, self._mqtt)

    # Lifecycle.

    def begin(self, cameras: Iterable[str], *, wakes: bool) -> None:
        """Reset the retained states of an earlier run; call it before `start`.

        `wakes`: the rules wait for a wake gesture.
        """
        self._cameras = tuple(cameras)
        self._reset_states("the agent is starting", armed=not wakes)
        for camera in removed_cameras(self._folder, self._cameras):
            for topic in (
                self.topics.camera_state,
                self.topics.gesture,
                self.topics.armed,
                self.topics.occupancy,
            ):
                self._mqtt.publish_state(
                    Message(topic(camera), b"", retain=True), first=True
                )  # empty: deletes it

    def _reset_states(self, reason: str, *, armed: bool) -> None:
        """Reset the retained gesture, camera and wake states."""
        for camera in self._cameras:
            nothing = topics.gesture_payload(None, self._clocks.wall_s(), self._last.get(camera))
            self._mqtt.publish_state(state(self.topics.gesture(camera), nothing), first=True)
            self.camera_state(camera, "offline", reason)
            self.armed(camera, armed)
            self.occupied(camera, None)

    def start(self) -> None:
        """Start the outbox, the workers and the MQTT client. Returns at once; an absent broker is no error.

        Raises `CannotStart` when the outbox cannot be written to, the embedded broker does not
        start, or keys are enabled and cannot be opened.
        """
        if self._broker is not None:
            self._broker.start()
        self._local_actions.start()
        self._outbox_worker.start()
        self._mqtt.start()

    def flush(self, limit_s: float) -> bool:
        """Wait until every queued message is delivered while the broker is connected; False on timeout."""
        return self._mqtt.connected and self._outbox_worker.flush(limit_s)

    def close(self, limit_s: float = 3.0) -> None:
        """Deliver waiting rows while there is time, publish offline and stop; the rest stays on disk.

        Retained states are reset: no gesture, cameras offline, nothing armed.
        """
        self._home.close()
        self._reset_states("the agent has stopped", armed=False)
        if self._mqtt.connected:
            self._outbox_worker.flush(limit_s)
        self._outbox_worker.close()
        self._mqtt.close(limit_s + 1.0)
        self._local_actions.close()
        if self._broker is not None:
            self._broker.close()

    # Events and actions.

    def event(
        self,
        event: GestureEvent,
        *,
        max_age_s: float = MAX_AGE_S,
        latency_ms: float | None = None,
        zone: str | None = None,
        rule: str | None = None,
    ) -> str | None:
        """Publish a gesture event and return its id; None for a throttled `held` event.

        `latency_ms` None: from the event's frame until now.
        """
        if not self._active.should_publish(event):
            return None
        age_s = self._age_s(event.at)
        happened = self._clocks.wall_s() - age_s
        deadline = self._clocks.deadline(max_age_s - age_s)
        event_id = str(uuid.uuid4())
        payload = topics.event_payload(
            event,
            event_id=event_id,
            ts=rfc3339(happened),
            expires_at=rfc3339(deadline.wall_s),
            zone=zone,
            rule=rule,
            latency_ms=age_s * 1000 if latency_ms is None else latency_ms,
        )
        topic = self.topics.event(event.camera)
        self._outbox_worker.add(
            Row("publish", topic, as_json(payload), deadline, event_id, content_type=JSON)
        )
        if isinstance(event, GestureStarted):
            self._last[event.camera] = event.gesture
            action = self.topics.action(event.camera)
            self._outbox_worker.add(Row("publish", action, event.gesture.encode(), deadline, event_id))
        changed = self._active.changed(event, happened)
        if changed is not None:
            now = topics.gesture_payload(*changed, self._last.get(event.camera))
            self._mqtt.publish_state(state(self.topics.gesture(event.camera), now), first=True)
        return event_id

    def perform(self, action: Action) -> None:
        """Perform an action of a rule; an expired action is dropped."""
        age_s = self._age_s(action.at)
        left_s = action.max_age_s - age_s
        ts = rfc3339(self._clocks.wall_s() - age_s)
        self._publish_rule(action, ts, left_s)
        action = _stamped(action, ts)
        if action.kind in ("command", "key"):
            self._local_actions.do(action, left_s)
            return
        options = dict(action.options)
        content_type = next(
            (options.pop(name) for name in list(options) if name.lower() == "content-type"), ""
        )
        self._outbox_worker.add(
            Row(
                "webhook" if action.kind == "webhook" else "publish",
                action.target,
                action.payload.encode(),
                self._clocks.deadline(left_s),
                str(uuid.uuid4()),
                action.retain,
                content_type,
                tuple(options.items()),
            )
        )

    def _publish_rule(self, action: Action, ts: str, left_s: float) -> None:
        """Publish the rule event best-effort: dropped while the broker is away, unlike the action itself."""
        if left_s > 0 and self._rule_throttle.should_publish(action):
            event_id = str(uuid.uuid4())
            told = as_json(topics.rule_payload(action.rule, event_id=event_id, ts=ts))
            self._mqtt.publish_best_effort(
                Message(self.topics.rule_event, told, content_type=JSON, event_id=event_id, expiry_s=left_s)
            )

    def feedback(self, feedback: Feedback) -> None:
        """Tell a speaker or a light; late it would mislead, so it never waits for the broker."""
        ts = rfc3339(self._clocks.wall_s())
        told = as_json(topics.feedback_payload(feedback, ts=ts))
        topic = self.topics.feedback(feedback.camera)
        self._mqtt.publish_best_effort(Message(topic, told, content_type=JSON, expiry_s=FEEDBACK_S))

    def _age_s(self, at: float) -> float:
        return max(0.0, self._clock() - at)

    # Retained states, published again after every reconnection.

    def camera_state(self, camera: str, value: CameraStateName, reason: str | None = None) -> None:
        """Publish whether a camera delivers frames, and the reason if not."""
        told = state(self.topics.camera_state(camera), topics.camera_state_payload(value, reason))
        self._mqtt.publish_state(told, first=True)

    def armed(self, camera: str, armed: bool, for_s: float | None = None) -> None:
        """Publish the wake state; `for_s` None: until further notice."""
        until = None if for_s is None else self._clocks.wall_s() + for_s
        self._mqtt.publish_state(
            state(self.topics.armed(camera), topics.armed_payload(armed, until)), first=True
        )

    def occupied(self, camera: str, occupied: bool | None) -> None:
        """Publish whether somebody is in view; None: unknown, the camera does not look."""
        payload = topics.occupancy_payload(occupied, self._clocks.wall_s())
        self._mqtt.publish_state(state(self.topics.occupancy(camera), payload), first=True)

    def enabled(self, on: bool) -> None:
        """Publish whether the cameras are enabled."""
        self._mqtt.publish_state(state(self.topics.enabled_state, "ON" if on else "OFF"))

    def info(self, info: Mapping[str, Any]) -> None:
        """Publish build and host information of this agent (`bridge/info`)."""
        self._mqtt.publish_state(state(self.topics.bridge_info, {**info, "host": self._leases.mine.host}))

    def health(self, health: Mapping[str, Any]) -> None:
        """Publish the health report (`bridge/health`) with delivery's part filled in."""
        self._health = health
        told = {**self.with_delivery(health), "ts": rfc3339(self._clocks.wall_s())}
        self._mqtt.publish_state(state(self.topics.bridge_health, told, qos=0))

    def _repeat_health(self) -> None:
        """Publish health at once after an important change in delivery."""
        if self._health is not None:
            self.health(self._health)

    def with_delivery(self, health: Mapping[str, Any]) -> dict[str, Any]:
        """Return `health` with the keys `outbox` and `mqtt` of `bridge/health` filled in."""
        return {**health, **self.status().as_health()}

    def describe(
        self,
        *,
        version: str,
        cameras: Iterable[str],
        gestures: Iterable[str],
        rules: Iterable[str] = (),
        page: str | None = None,
        wakes: bool = False,
    ) -> None:
        """Publish Home Assistant discovery as configured; call it again when the devices change."""
        home = self._home_settings
        about = DeviceInfo(
            self.topics,
            version,
            tuple(cameras),
            tuple(gestures),
            tuple(rules),
            home.name,
            home.area,
            page,
            wakes,
        )
        self._home.describe(about)
        self._mqtt.follow("home assistant", self._home.topics())

    # Incoming messages.

    def follow(self, asked: Iterable[str], fault: Fault = usable) -> None:
        """Subscribe to these topics, so that rules can read their `values`.

        `fault` returns why a topic's payload cannot be used, empty if it can; the reason is logged.
        """
        topics = frozenset(asked)
        self._incoming.follow(topics, fault)
        self._mqtt.follow("rules", topics)

    @property
    def values(self) -> Mapping[str, str]:
        """Snapshot of the last payload of every followed topic that has one."""
        return self._incoming.values

    def next_request(self) -> Request | None:
        """Return the next request from outside, None when there is none. Never blocks."""
        return self._incoming.next_request()

    def respond(self, request: Request, data: Mapping[str, Any] | None = None, error: str = "") -> None:
        """Publish the response on `bridge/response/<name>`; an error response if `error` is given."""
        self._incoming.respond(request, data, error)

    def _received(self, topic: str, payload: bytes, retained: bool) -> None:
        """Called in the MQTT thread, inside a callback: only enqueues."""
        self._home.received(topic, payload, retained)
        self._incoming.received(topic, payload, retained)

    def _publish_best_effort(self, message: Message) -> str | None:
        return self._mqtt.publish_best_effort(message)

    # Status.

    @property
    def trouble(self) -> str | None:
        """Why the broker is not connected, in words; None while it is. Cheap."""
        return self._mqtt.trouble

    def status(self) -> DeliveryStatus:
        """Return a snapshot of the delivery status. Cheap."""
        fill, counters = self._outbox_worker.fill, self._outbox_worker.counters
        conflict = self._leases.conflict
        return DeliveryStatus(
            connected=self._mqtt.connected,
            broker=self._url,
            mqtt_version=self._mqtt.version,
            trouble=self._mqtt.trouble,
            reconnects=self._mqtt.reconnects,
            conflict=conflict.host if conflict else None,
            max_packet=self._mqtt.limits.packet_bytes,
            left_out=self._mqtt.left_out,
            left_out_count=self._mqtt.left_out_count,
            unusable=self._incoming.unusable,
            depth=fill.depth,
            queue_bytes=fill.queue_bytes,
            oldest_s=fill.oldest_s,
            dead=fill.dead,
            committed=counters["committed"],
            delivered=counters["delivered"],
            expired=counters["expired"] + self._local_actions.too_late,
            unknown=counters["unknown"],
            refused=counters["refused"],
            no_subscriber=counters["unheard"],
            dropped=counters["dropped"] + self._outbox_worker.lost,
            outbox_trouble=self._outbox_worker.trouble,
        )


def _embedded(settings: MqttSettings, threads: Threads) -> tuple[Any, MqttSettings]:
    """Start the embedded broker if configured; return the settings that connect to it."""
    if settings.url != "embedded":
        return None, settings
    from agent.delivery.mqtt.embedded import EmbeddedBroker  # noqa: PLC0415 (an optional package)

    broker = EmbeddedBroker(threads=threads)
    here = {"url": broker.url, "version": "3.1.1", "user": None, "password": None}
    return broker, settings.model_copy(update=here)


def _stamped(action: Action, ts: str) -> Action:
    """Return the action with `{ts}`, which the pure core cannot know, filled in."""
    return replace(
        action,
        target=action.target.replace("{ts}", ts),
        payload=action.payload.replace("{ts}", ts),
        options=tuple((name, text.replace("{ts}", ts)) for name, text in action.options),
    )

"""What the loop sees of delivery: it says what happened, and what it says goes out.

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
from agent.core.types import Action, GestureEvent, GestureStarted
from agent.delivery import topics
from agent.delivery.clocks import Clocks, rfc3339
from agent.delivery.former import former_cameras
from agent.delivery.gestures import GestureNews
from agent.delivery.homeassistant.entities import DeviceInfo
from agent.delivery.homeassistant.publisher import HomeAssistant
from agent.delivery.incoming import Fault, Incoming, usable
from agent.delivery.local_actions.local_actions import LocalActions
from agent.delivery.message import JSON, Message, as_json, state
from agent.delivery.mqtt.client import MqttClient
from agent.delivery.mqtt.id_lease import LeaseHolder, client_id
from agent.delivery.outbox.outbox import Outbox, Row
from agent.delivery.outbox.worker import OnPublished, OutboxWorker
from agent.delivery.requests import Request
from agent.delivery.rule_news import RuleNews
from agent.delivery.status import DeliveryStatus
from agent.supervision import Threads

MAX_AGE_S = 5.0
FEEDBACK_S = 2.0  # a sound later than that answers nothing
NO_DISCOVERY = HomeAssistantSettings(discovery="off")

CameraStateName = Literal["online", "offline", "disabled"]


class Delivery:
    """The one way out of the agent."""

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
        """`folder` holds the outbox; `clock` is the one that stamps `event.at` and `action.at`.

        `threads` watches over the threads that are made here. Raises `CannotStart` for what a person
        must mend: a wrong URL, missing certificates or password file, a missing package.
        """
        actions = actions or ActionsSettings()
        threads = threads or Threads()
        self.topics = topics.Topics(mqtt.base, agent_id)
        self._home_settings = homeassistant
        self._clock = clock
        self._clocks = clocks or Clocks()
        self._news = GestureNews()
        self._rule_news = RuleNews()
        self._local_actions = LocalActions(actions, threads)
        self._broker, mqtt = _embedded(mqtt, threads)
        self._url = mqtt.url
        self._outbox_worker = OutboxWorker(
            Outbox(folder, outbox, self._clocks),
            self._clocks,
            self,
            webhook_timeout_s=actions.webhook_timeout,
            on_published=on_published,
            threads=threads,
        )
        self._incoming = Incoming(self.topics, self._say)
        self._leases = LeaseHolder(agent_id, self.topics.bridge_claim, contested=self._repeat_health)
        self._health: Mapping[str, Any] | None = None
        self._folder = folder
        self._cameras: tuple[str, ...] = ()
        self._last: dict[str, str] = {}  # the gesture that began last, by camera
        self._mqtt = MqttClient(
            mqtt,
            client_id(agent_id, folder),
            birth=state(self.topics.bridge_state, {"state": "online"}),
            will=state(self.topics.bridge_state, {"state": "offline"}),
            subscriptions=(self.topics.bridge_state, *self._incoming.subscriptions),
            report=self._outbox_worker.report,
            received=self._received,
            leases=self._leases,
            threads=threads,
            met=lambda limits: self._home.met(limits),  # noqa: PLW0108 (it comes next)
        )
        self._home = HomeAssistant(homeassistant, self._mqtt)

    # Life.

    def begin(self, cameras: Iterable[str], *, wakes: bool) -> None:
        """Before `start`: what a run before this one left retained is put right before we say online.

        `wakes`: the rules wait for a wake gesture.
        """
        self._cameras = tuple(cameras)
        self._put_right("the agent is starting", armed=not wakes)
        for camera in former_cameras(self._folder, self._cameras):
            for topic in (self.topics.camera_state, self.topics.gesture, self.topics.armed):
                self._mqtt.keep(Message(topic(camera), b"", retain=True), first=True)  # empty: it goes

    def _put_right(self, reason: str, *, armed: bool) -> None:
        """No gesture is seen and no camera gives pictures."""
        for camera in self._cameras:
            nothing = topics.gesture_payload(None, self._clocks.wall_s(), self._last.get(camera))
            self._mqtt.keep(state(self.topics.gesture(camera), nothing), first=True)
            self.camera_state(camera, "offline", reason)
            self.armed(camera, armed)

    def start(self) -> None:
        """Returns at once; a broker that is away is a state, not an error.

        Raises `CannotStart` when the outbox cannot be written to, the embedded broker does not
        start, or keys are wanted and cannot be had.
        """
        if self._broker is not None:
            self._broker.start()
        self._local_actions.start()
        self._outbox_worker.start()
        self._mqtt.start()

    def flush(self, limit_s: float) -> bool:
        """Wait until nothing waits for the broker any more, if it is there; False when time was up."""
        return self._mqtt.connected and self._outbox_worker.flush(limit_s)

    def close(self, limit_s: float = 3.0) -> None:
        """Let waiting rows out while there is time, say offline, stop; the rest stays on disk.

        What is retained is true from then on: no gesture, no camera, nothing armed.
        """
        self._home.close()
        self._put_right("the agent has stopped", armed=False)
        if self._mqtt.connected:
            self._outbox_worker.flush(limit_s)
        self._outbox_worker.close()
        self._mqtt.close(limit_s + 1.0)
        self._local_actions.close()
        if self._broker is not None:
            self._broker.close()

    # What happened.

    def event(
        self,
        event: GestureEvent,
        *,
        max_age_s: float = MAX_AGE_S,
        latency_ms: float | None = None,
        zone: str | None = None,
        rule: str | None = None,
    ) -> str | None:
        """Tell of a gesture; its event id, or None for a `held` less than a second after the last.

        `latency_ms` None: from the event's frame until now.
        """
        if not self._news.worth_telling(event):
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
        changed = self._news.changed(event, happened)
        if changed is not None:
            now = topics.gesture_payload(*changed, self._last.get(event.camera))
            self._mqtt.keep(state(self.topics.gesture(event.camera), now), first=True)
        return event_id

    def perform(self, action: Action) -> None:
        """Do what a rule wants; what is late is not done."""
        age_s = self._age_s(action.at)
        left_s = action.max_age_s - age_s
        ts = rfc3339(self._clocks.wall_s() - age_s)
        self._tell_rule(action, ts, left_s)
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

    def _tell_rule(self, action: Action, ts: str, left_s: float) -> None:
        """For who watches: lost while the broker is away, where the action itself waits."""
        if left_s > 0 and self._rule_news.worth_telling(action):
            event_id = str(uuid.uuid4())
            told = as_json(topics.rule_payload(action.rule, event_id=event_id, ts=ts))
            self._mqtt.say(
                Message(self.topics.rule_event, told, content_type=JSON, event_id=event_id, expiry_s=left_s)
            )

    def feedback(self, feedback: Feedback) -> None:
        """Tell a speaker or a light; late it would mislead, so it never waits for the broker."""
        ts = rfc3339(self._clocks.wall_s())
        told = as_json(topics.feedback_payload(feedback, ts=ts))
        topic = self.topics.feedback(feedback.camera)
        self._mqtt.say(Message(topic, told, content_type=JSON, expiry_s=FEEDBACK_S))

    def _age_s(self, at: float) -> float:
        return max(0.0, self._clock() - at)

    # States: what is so until something else is, told again to a broker that comes back.

    def camera_state(self, camera: str, value: CameraStateName, reason: str | None = None) -> None:
        """Tell whether a camera gives pictures, and if not why."""
        told = state(self.topics.camera_state(camera), topics.camera_state_payload(value, reason))
        self._mqtt.keep(told, first=True)

    def armed(self, camera: str, armed: bool, for_s: float | None = None) -> None:
        """Tell the wake state; `for_s` None: until further notice."""
        until = None if for_s is None else self._clocks.wall_s() + for_s
        self._mqtt.keep(state(self.topics.armed(camera), topics.armed_payload(armed, until)), first=True)

    def occupied(self, camera: str, occupied: bool | None) -> None:
        """Tell whether somebody is in view; None: nobody looks."""
        payload = topics.occupancy_payload(occupied, self._clocks.wall_s())
        self._mqtt.keep(state(self.topics.occupancy(camera), payload))

    def enabled(self, on: bool) -> None:
        """Tell whether the cameras are in use at all."""
        self._mqtt.keep(state(self.topics.enabled_state, "ON" if on else "OFF"))

    def info(self, info: Mapping[str, Any]) -> None:
        """Tell what this agent is made of, and on which host."""
        self._mqtt.keep(state(self.topics.bridge_info, {**info, "host": self._leases.mine.host}))

    def health(self, health: Mapping[str, Any]) -> None:
        """Tell how the agent fares; delivery adds its own part."""
        self._health = health
        told = {**self.with_delivery(health), "ts": rfc3339(self._clocks.wall_s())}
        self._mqtt.keep(state(self.topics.bridge_health, told, qos=0))

    def _repeat_health(self) -> None:
        """Something in delivery's part is worth telling at once."""
        if self._health is not None:
            self.health(self._health)

    def with_delivery(self, health: Mapping[str, Any]) -> dict[str, Any]:
        """`health` with `outbox` and `mqtt` filled in, as `bridge/health` and its request give it."""
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
        """Tell Home Assistant what there is, as `[homeassistant]` says; again when it changes."""
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

    # What others want.

    def follow(self, asked: Iterable[str], fault: Fault = usable) -> None:
        """Keep an eye on these topics, so that rules can ask for their `values`.

        `fault` says why a topic's payload cannot be used, empty where it can: told in the log.
        """
        topics = frozenset(asked)
        self._incoming.follow(topics, fault)
        self._mqtt.follow("rules", topics)

    @property
    def values(self) -> Mapping[str, str]:
        """The last payload of every followed topic that has one; a snapshot."""
        return self._incoming.values

    def next_request(self) -> Request | None:
        """What somebody wants of the agent, None when nobody wants anything. Never blocks."""
        return self._incoming.next_request()

    def respond(self, request: Request, data: Mapping[str, Any] | None = None, error: str = "") -> None:
        """Answer a request on `bridge/response/<name>`; with an `error` it says so."""
        self._incoming.respond(request, data, error)

    def _received(self, topic: str, payload: bytes, retained: bool) -> None:
        """In the MQTT thread, inside a callback: only enqueues."""
        self._home.received(topic, payload, retained)
        self._incoming.received(topic, payload, retained)

    def _say(self, message: Message) -> str | None:
        return self._mqtt.say(message)

    # How it fares.

    @property
    def trouble(self) -> str | None:
        """Why there is no broker, in words; None while there is one. Cheap."""
        return self._mqtt.trouble

    def status(self) -> DeliveryStatus:
        """A snapshot; cheap."""
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

    # The link that the outbox thread publishes through.

    def publish(self, message: Message, generation: int | None = None) -> int | None:
        """Of the protocol `Link`: hand a message to the present connection."""
        return self._mqtt.publish(message, generation)

    def probe(self, generation: int) -> None:
        """Of the protocol `Link`: ask whether the broker is there."""
        self._mqtt.probe(generation)

    def abort(self, generation: int, reason: str) -> None:
        """Of the protocol `Link`: cut that connection."""
        self._mqtt.abort(generation, reason)


def _embedded(settings: MqttSettings, threads: Threads) -> tuple[Any, MqttSettings]:
    """The broker inside, if it is wanted, and the settings that lead to it."""
    if settings.url != "embedded":
        return None, settings
    from agent.delivery.mqtt.embedded import EmbeddedBroker  # noqa: PLC0415 (an optional package)

    broker = EmbeddedBroker(threads=threads)
    here = {"url": broker.url, "version": "3.1.1", "user": None, "password": None}
    return broker, settings.model_copy(update=here)


def _stamped(action: Action, ts: str) -> Action:
    """With `{ts}`, which the core does not know, filled in."""
    return replace(
        action,
        target=action.target.replace("{ts}", ts),
        payload=action.payload.replace("{ts}", ts),
        options=tuple((name, text.replace("{ts}", ts)) for name, text in action.options),
    )

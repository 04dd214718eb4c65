"""What the loop sees of delivery: it says what happened, and what it says goes out.

Nothing here blocks: events and actions are queued for the outbox thread, states for the MQTT thread,
commands for workers. Gestures arrive at least once or count as expired; keys and commands happen at
most once, at once or never.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import structlog

from agent.config.settings import ActionsSettings, MqttSettings, OutboxSettings
from agent.core.types import Action, GestureEnded, GestureEvent, GestureHeld, GestureStarted
from agent.delivery import command, requests, topics
from agent.delivery.clocks import Clocks, rfc3339
from agent.delivery.drain import Drain, OnPublished
from agent.delivery.message import JSON, Message, as_json, state
from agent.delivery.mqtt import Mqtt
from agent.delivery.outbox import Outbox, Row
from agent.delivery.requests import Request, RequestError
from agent.delivery.workers import Workers

if TYPE_CHECKING:
    from agent.delivery.embedded import EmbeddedBroker
    from agent.delivery.keys import Keyboard

log = structlog.get_logger(__name__)

MAX_AGE_S = 5.0
HELD_EVERY_S = 1.0  # a held gesture is told of once a second, not with every reading
REQUESTS_WAITING = 32
COMMANDS = 4  # at a time

CameraStateName = Literal["online", "offline", "disabled"]


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """How delivery fares, at one moment. Counters run since the outbox's file was begun."""

    connected: bool
    broker: str
    mqtt_version: str
    trouble: str | None  # with the broker
    reconnects: int
    depth: int
    queue_bytes: int
    oldest_s: float
    dead: int
    committed: int
    delivered: int
    expired: int
    refused: int
    unheard: int
    dropped: int
    outbox_trouble: str | None


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
        clock: Callable[[], float] = time.monotonic,
        clocks: Clocks | None = None,
        on_published: OnPublished | None = None,
    ) -> None:
        """`folder` holds the outbox; `clock` is the one that stamps `event.at` and `action.at`."""
        self.topics = topics.Topics(mqtt.base, agent_id)
        self._agent_id = agent_id
        self._mqtt_settings = mqtt
        self._actions = actions or ActionsSettings()
        self._clock = clock
        self._clocks = clocks or Clocks()
        self._drain = Drain(
            Outbox(folder, outbox, self._clocks),
            self._clocks,
            self,
            webhook_timeout_s=self._actions.webhook_timeout,
            on_published=on_published,
        )
        self._mqtt: Mqtt | None = None
        self._early: list[Message] = []  # states told before the start
        self._broker: EmbeddedBroker | None = None
        self._keyboard: Keyboard | None = None
        self._commands = Workers("command", COMMANDS, COMMANDS)
        self._requests: queue.Queue[Request] = queue.Queue(REQUESTS_WAITING)
        self._now: dict[
            str, dict[tuple[int, str], tuple[str, float]]
        ] = {}  # camera -> hand -> gesture, since
        self._held_told: dict[tuple[str, int, str], float] = {}
        self._too_late = 0

    # Life.

    def start(self) -> None:
        """Returns at once; a broker that is away is a state, not an error.

        Raises `CannotStart` for what a person must mend: an outbox that cannot be written to, a wrong
        URL, missing certificates or password file, a missing package.
        """
        settings = self._mqtt_settings
        if settings.url == "embedded":
            settings = self._start_broker(settings)
        self._mqtt = Mqtt(
            settings,
            f"gesture-agent-{self._agent_id}",
            birth=state(self.topics.bridge_state, {"state": "online"}),
            will=state(self.topics.bridge_state, {"state": "offline"}),
            subscriptions=(self.topics.bridge_state, self.topics.enabled_set, self.topics.request("+")),
            report=self._drain.report,
            received=self._received,
        )
        if self._actions.keys:
            from agent.delivery.keys import Keyboard  # noqa: PLC0415 (an optional package)

            self._keyboard = Keyboard()
        self._drain.start()
        self._commands.start()
        for message in self._early:
            self._mqtt.keep(message)
        self._mqtt.start()

    def flush(self, limit_s: float) -> bool:
        """Wait until nothing waits for the broker any more, if it is there; False when time was up."""
        return self._mqtt is not None and self._mqtt.connected and self._drain.flush(limit_s)

    def close(self, limit_s: float = 3.0) -> None:
        """Let waiting rows out while there is time, say offline, stop; the rest stays on disk."""
        if self._mqtt is not None:
            if self._mqtt.connected:
                self._drain.flush(limit_s)
            self._drain.close()
            self._mqtt.close(limit_s + 1.0)
        self._commands.close(1.0)
        if self._keyboard is not None:
            self._keyboard.close()
        if self._broker is not None:
            self._broker.close()

    def _start_broker(self, settings: MqttSettings) -> MqttSettings:
        from agent.delivery.embedded import EmbeddedBroker  # noqa: PLC0415 (an optional package)

        self._broker = EmbeddedBroker()
        self._broker.start()
        return settings.model_copy(update={"url": self._broker.url, "version": "3.1.1", "user": None})

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
        if isinstance(event, GestureHeld) and not self._held_again(event):
            return None
        age_s = self._age_s(event.at)
        happened = self._clocks.wall_s() - age_s
        deadline = self._clocks.deadline(max_age_s - age_s)
        event_id = str(uuid.uuid4())
        payload = topics.event_payload(
            event,
            event_id=event_id,
            ts=rfc3339(happened),
            zone=zone,
            rule=rule,
            latency_ms=age_s * 1000 if latency_ms is None else latency_ms,
        )
        topic = self.topics.event(event.camera)
        self._drain.add(Row("publish", topic, as_json(payload), deadline, event_id, content_type=JSON))
        if isinstance(event, GestureStarted):
            action = self.topics.action(event.camera)
            self._drain.add(Row("publish", action, event.gesture.encode(), deadline, event_id))
        self._tell_gesture(event, happened)
        return event_id

    def perform(self, action: Action) -> None:
        """Do what a rule wants; late ones are not done."""
        left_s = action.max_age_s - self._age_s(action.at)
        if action.kind == "command":
            self._now_or_never(action, left_s, self._run_command)
        elif action.kind == "key":
            self._now_or_never(action, left_s, self._press)
        else:
            payload = action.payload.encode()
            content_type = JSON if action.kind == "webhook" and payload[:1] in (b"{", b"[") else ""
            self._drain.add(
                Row(
                    action.kind,
                    action.target,
                    payload,
                    self._clocks.deadline(left_s),
                    str(uuid.uuid4()),
                    action.retain,
                    content_type,
                    action.options if action.kind == "webhook" else (),
                )
            )

    def _age_s(self, at: float) -> float:
        return max(0.0, self._clock() - at)

    def _held_again(self, event: GestureHeld) -> bool:
        key = (event.camera, event.person, event.hand)
        last = self._held_told.get(key)
        if last is not None and last <= event.at < last + HELD_EVERY_S:
            return False
        self._held_told[key] = event.at
        return True

    def _tell_gesture(self, event: GestureEvent, happened: float) -> None:
        """The newest of the gestures that are being made before this camera, for dashboards."""
        hands = self._now.setdefault(event.camera, {})
        key = (event.person, event.hand)
        if isinstance(event, GestureStarted):
            hands.pop(key, None)
            hands[key] = (event.gesture, happened)
            self._held_told[event.camera, event.person, event.hand] = event.at
        elif isinstance(event, GestureEnded):
            hands.pop(key, None)
            self._held_told.pop((event.camera, event.person, event.hand), None)
        else:
            return
        gesture, since = list(hands.values())[-1] if hands else (None, happened)
        self._keep(state(self.topics.gesture(event.camera), topics.gesture_payload(gesture, since)))

    # Keys and commands: at most once.

    def _now_or_never(self, action: Action, left_s: float, do: Callable[[Action], None]) -> None:
        if left_s > 0:
            do(action)
            return
        self._too_late += 1
        log.warning("action_too_late", rule=action.rule, kind=action.kind, by_s=round(-left_s, 3))

    def _run_command(self, action: Action) -> None:
        arguments = [value for _, value in action.options]
        timeout_s = self._actions.command_timeout

        def job() -> None:
            command.run(action.target, arguments, rule=action.rule, timeout_s=timeout_s)

        if not self._commands.submit(job):
            log.error("command_failed", rule=action.rule, reason=f"{COMMANDS} commands are still running")

    def _press(self, action: Action) -> None:
        if self._keyboard is None:
            log.error("key_failed", rule=action.rule, key=action.target, reason="actions.keys is false")
            return
        try:
            self._keyboard.press(action.target)
        except (OSError, ValueError) as exc:
            log.error("key_failed", rule=action.rule, key=action.target, reason=str(exc))

    # States: what is so until something else is, told again to a broker that comes back.

    def camera_state(self, camera: str, value: CameraStateName, reason: str | None = None) -> None:
        """Tell whether a camera gives pictures, and if not why."""
        self._keep(state(self.topics.camera_state(camera), topics.camera_state_payload(value, reason)))

    def armed(self, camera: str, armed: bool, for_s: float | None = None) -> None:
        """Tell the wake state; `for_s` None: until further notice."""
        until = None if for_s is None else self._clocks.wall_s() + for_s
        self._keep(state(self.topics.armed(camera), topics.armed_payload(armed, until)))

    def enabled(self, on: bool) -> None:
        """Tell whether the cameras are in use at all."""
        self._keep(state(self.topics.enabled_state, "ON" if on else "OFF"))

    def info(self, info: Mapping[str, Any]) -> None:
        """Tell what this agent is made of."""
        self._keep(state(self.topics.bridge_info, info))

    def health(self, health: Mapping[str, Any]) -> None:
        """Tell how the agent fares; delivery adds its own part."""
        self._keep(state(self.topics.bridge_health, self.with_delivery(health), qos=0))

    def with_delivery(self, health: Mapping[str, Any]) -> dict[str, Any]:
        """`health` with `outbox` and `mqtt` filled in, as `bridge/health` and its request give it."""
        s = self.status()
        outbox = {name: getattr(s, name) for name in ("depth", "oldest_s", "expired", "refused", "unheard")}
        outbox |= {"dropped": s.dropped, "dead": s.dead, "trouble": s.outbox_trouble}
        mqtt = {"reconnects": s.reconnects, "version": s.mqtt_version}
        return {**health, "outbox": outbox, "mqtt": mqtt}

    def _keep(self, message: Message) -> None:
        if self._mqtt is None:
            self._early.append(message)
        else:
            self._mqtt.keep(message)

    # Requests from outside.

    def next_request(self) -> Request | None:
        """What somebody wants of the agent, None when nobody wants anything. Never blocks."""
        try:
            return self._requests.get_nowait()
        except queue.Empty:
            return None

    def respond(self, request: Request, data: Mapping[str, Any] | None = None, error: str = "") -> None:
        """Answer on `bridge/response/<name>`; lost when the broker is away, as the asker is too."""
        if request.name != requests.ENABLE and self._mqtt is not None:
            answer = requests.response(self.topics, request.name, request.transaction, data=data, error=error)
            self._mqtt.publish(answer)

    def _received(self, topic: str, payload: bytes, retained: bool) -> None:
        """In the MQTT thread, inside a callback: only enqueues."""
        name = topic.rpartition("/")[2] if topic != self.topics.enabled_set else requests.ENABLE
        if retained:
            log.warning(
                "request_ignored", topic=topic, reason="it is retained and would act at every restart"
            )
            return
        error, transaction = "", None
        try:
            wish = requests.enabled(payload) if name == requests.ENABLE else requests.request(name, payload)
            transaction = wish.transaction
            self._requests.put_nowait(wish)
        except RequestError as exc:
            error, transaction = str(exc), exc.transaction
        except queue.Full:
            error = f"{REQUESTS_WAITING} requests are waiting already"
        if error:
            log.warning("request_refused", topic=topic[:100], reason=error)
            if name in topics.REQUESTS:
                self.respond(Request(name, transaction=transaction), error=error)

    # How it fares.

    @property
    def progress(self) -> int:
        """Moves several times a second while the outbox thread is healthy, broker or not."""
        return self._drain.progress

    def status(self) -> DeliveryStatus:
        """A snapshot; cheap."""
        fill, counters = self._drain.fill, self._drain.counters
        return DeliveryStatus(
            connected=self._mqtt is not None and self._mqtt.connected,
            broker=self._broker.url if self._broker is not None else self._mqtt_settings.url,
            mqtt_version=self._mqtt.version if self._mqtt is not None else "",
            trouble=self._mqtt.trouble if self._mqtt is not None else "not started",
            reconnects=self._mqtt.reconnects if self._mqtt is not None else 0,
            depth=fill.depth,
            queue_bytes=fill.queue_bytes,
            oldest_s=fill.oldest_s,
            dead=fill.dead,
            committed=counters["committed"],
            delivered=counters["delivered"],
            expired=counters["expired"] + self._too_late,
            refused=counters["refused"],
            unheard=counters["unheard"],
            dropped=counters["dropped"] + self._drain.lost,
            outbox_trouble=self._drain.trouble,
        )

    # The link that the outbox thread publishes through.

    def publish(self, message: Message, generation: int | None = None) -> int | None:
        """Of the protocol `Link`: hand a message to the present connection."""
        return self._mqtt.publish(message, generation) if self._mqtt is not None else None

    def abort(self, generation: int, reason: str) -> None:
        """Of the protocol `Link`: cut that connection."""
        if self._mqtt is not None:
            self._mqtt.abort(generation, reason)

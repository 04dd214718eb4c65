from __future__ import annotations

import json
import re
import uuid

from brokers import Mosquitto, Subscriber
from happenings import ended, started
from support.waiting import until

from agent.core.feedback import Feedback
from agent.delivery.delivery import Delivery


def test_a_start_reaches_the_broker_as_event_action_and_state(mosquitto: Mosquitto, deliver, listen):
    subscriber = listen(mosquitto.port)
    delivery = deliver(mosquitto.url)
    event_id = delivery.event(started("ok"), zone="sofa", rule="lamp-on", latency_ms=41.27)
    until(
        lambda: subscriber.on("/event") and subscriber.on("/action") and subscriber.on("/gesture"),
        "three messages",
    )

    (event,) = subscriber.on("gesture/kitchen/camera/front/event")
    payload = json.loads(event.payload)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", payload.pop("ts"))
    assert str(uuid.UUID(payload["event_id"])) == event_id == payload.pop("event_id")
    expires_at = payload.pop("expires_at")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", expires_at)
    assert payload == {
        "event_type": "ok",
        "phase": "started",
        "confidence": 0.931,
        "hand": "right",
        "person": 0,
        "zone": "sofa",
        "held_ms": 320,
        "rule": "lamp-on",
        "latency_ms": 41.3,
    }
    assert not event.retained
    assert event.qos == 1
    assert event.properties["ContentType"] == "application/json"
    assert event.properties["UserProperty"] == [("event_id", event_id), ("expires_at", expires_at)]
    assert 1 <= event.properties["MessageExpiryInterval"] <= 5
    (action,) = subscriber.on("gesture/kitchen/camera/front/action")
    assert action.payload == "ok"
    assert action.properties["UserProperty"] == event.properties["UserProperty"]
    assert json.loads(subscriber.on("/gesture")[-1].payload)["gesture"] == "ok"


def test_an_end_is_an_event_but_no_action_and_clears_the_state(mosquitto: Mosquitto, deliver, listen):
    subscriber = listen(mosquitto.port)
    delivery = deliver(mosquitto.url)
    delivery.event(started("fist"))
    delivery.event(ended("fist"))
    until(lambda: len(subscriber.on("/event")) == 2 and len(subscriber.on("/gesture")) == 2, "both")
    assert [json.loads(h.payload)["phase"] for h in subscriber.on("/event")] == ["started", "ended"]
    assert [h.payload for h in subscriber.on("/action")] == ["fist"]
    assert json.loads(subscriber.on("/gesture")[-1].payload)["gesture"] == "none"


def test_events_and_actions_are_never_retained_but_states_are(mosquitto: Mosquitto, deliver, listen):
    delivery = deliver(mosquitto.url)
    delivery.event(started())
    delivery.camera_state("front", "online")
    delivery.enabled(True)
    delivery.info({"version": "1"})
    delivery.health({"uptime_s": 3})
    until(lambda: delivery.status().delivered == 2, "delivery")
    late = listen(mosquitto.port)
    until(lambda: len(late.heard) >= 6, "retained states")
    assert sorted(h.topic.removeprefix("gesture/kitchen/") for h in late.heard) == [
        "bridge/health",
        "bridge/info",
        "bridge/state",
        "camera/front/gesture",
        "camera/front/state",
        "enabled/state",
    ]


def test_birth_and_a_clean_farewell(mosquitto: Mosquitto, deliver, listen):
    subscriber = listen(mosquitto.port)
    delivery = deliver(mosquitto.url)
    delivery.close()
    until(lambda: len(subscriber.on("bridge/state")) >= 2, "birth and farewell")
    assert [h.payload for h in subscriber.on("bridge/state")] == ['{"state":"online"}', '{"state":"offline"}']


def test_states_are_published_again_to_a_broker_that_forgot_them(mosquitto: Mosquitto, deliver, listen):
    delivery = deliver(mosquitto.url)
    delivery.camera_state("front", "offline", "gone")
    mosquitto.kill()
    until(lambda: not delivery.status().connected, "the loss is noticed")
    mosquitto.start()
    until(lambda: delivery.status().connected, "reconnection")
    subscriber = listen(mosquitto.port)
    until(lambda: subscriber.on("camera/front/state") and subscriber.on("bridge/state"), "states")
    assert json.loads(subscriber.on("camera/front/state")[0].payload) == {
        "state": "offline",
        "reason": "gone",
    }
    assert delivery.status().reconnects == 1


def test_on_published_tells_what_has_arrived(mosquitto: Mosquitto, deliver):
    published: list[tuple[str, bytes]] = []
    delivery = deliver(mosquitto.url, on_published=lambda topic, payload: published.append((topic, payload)))
    delivery.event(started("two"))
    until(lambda: len(published) == 2, "both messages")
    assert published[1] == ("gesture/kitchen/camera/front/action", b"two")


def test_the_newest_of_two_hands_is_the_current_gesture(mosquitto: Mosquitto, deliver, listen):
    subscriber = listen(mosquitto.port, "gesture/kitchen/camera/+/gesture")
    delivery = deliver(mosquitto.url)
    first, second = started("fist"), started("stop")
    object.__setattr__(second, "hand", "left")
    delivery.event(first)
    delivery.event(second)
    closing = ended("stop")
    object.__setattr__(closing, "hand", "left")
    delivery.event(closing)
    delivery.event(ended("fist"))
    until(lambda: len(subscriber.heard) == 4, "four states")
    assert [json.loads(h.payload)["gesture"] for h in subscriber.heard] == ["fist", "stop", "fist", "none"]


def _states(subscriber: Subscriber) -> dict[str, object]:
    """What is retained below a camera now, by the last word of its topic."""
    told = {h.topic.rsplit("/", 1)[1]: json.loads(h.payload) for h in subscriber.heard}
    return {
        "camera": told["state"]["state"],
        "gesture": told["gesture"]["gesture"],
        "armed": told["armed"]["armed"],
        "occupied": told["occupancy"]["occupied"],
    }


def _busy(delivery: Delivery) -> None:
    delivery.camera_state("front", "online")
    delivery.armed("front", True, 30)
    delivery.occupied("front", True)
    delivery.event(started("stop"))
    until(lambda: delivery.status().delivered == 2, "delivery")


NOTHING = {"camera": "offline", "gesture": "none", "armed": False, "occupied": None}


def test_after_a_clean_stop_what_is_retained_says_that_nothing_is_seen(mosquitto: Mosquitto, deliver, listen):
    delivery = deliver(mosquitto.url, start=False)
    delivery.begin(["front"], wakes=True)
    delivery.start()
    until(lambda: delivery.status().connected, "connection")
    _busy(delivery)
    delivery.close()
    subscriber = listen(mosquitto.port, "gesture/kitchen/camera/#")
    until(lambda: len(subscriber.heard) == 4, "what is retained")
    assert _states(subscriber) == NOTHING


def test_after_a_kill_the_next_run_puts_what_is_retained_right_before_it_says_online(
    mosquitto: Mosquitto, deliver, listen, tmp_path
):
    subscriber = listen(mosquitto.port, "gesture/kitchen/#")
    for tail, payload in [  # as a process leaves it that had no time to say anything
        ("bridge/state", '{"state":"offline"}'),
        ("camera/front/state", '{"state":"online","reason":null}'),
        ("camera/front/gesture", '{"gesture":"stop","since":"2026-11-22T20:15:30.123Z","last":"stop"}'),
        ("camera/front/armed", '{"armed":true,"until":"2026-11-22T20:16:00.000Z"}'),
        ("camera/front/occupancy", '{"occupied":true,"since":"2026-11-22T20:15:30.123Z"}'),
    ]:
        subscriber.publish(f"gesture/kitchen/{tail}", payload, retain=True)
    until(lambda: len(subscriber.heard) == 5, "what was left")
    subscriber.heard.clear()
    again = deliver(mosquitto.url, start=False)
    again.begin(["front"], wakes=True)
    again.start()
    until(lambda: subscriber.on("bridge/state"), "it says online")
    online = next(n for n, h in enumerate(subscriber.heard) if h.topic.endswith("bridge/state"))
    before = [h for h in subscriber.heard[:online] if "/camera/" in h.topic]
    assert len(before) == 4
    subscriber.heard[:] = before
    assert _states(subscriber) == NOTHING


def test_without_a_wake_gesture_what_an_earlier_run_said_of_it_is_put_right(
    mosquitto: Mosquitto, deliver, listen
):
    waking = deliver(mosquitto.url, start=False)
    waking.begin(["front"], wakes=True)
    waking.start()
    until(lambda: waking.status().connected, "connection")
    waking.close()
    plain = deliver(mosquitto.url, start=False)
    plain.begin(["front"], wakes=False)
    plain.start()
    until(lambda: plain.status().connected, "connection")
    subscriber = listen(mosquitto.port, "gesture/kitchen/camera/front/armed")
    until(lambda: subscriber.heard, "what is retained")
    assert json.loads(subscriber.heard[-1].payload) == {"armed": True, "until": None}


def test_what_is_retained_of_a_camera_that_is_no_longer_there_goes(mosquitto: Mosquitto, deliver, listen):
    before = deliver(mosquitto.url, start=False)
    before.begin(["front", "door"], wakes=False)
    before.start()
    until(lambda: before.status().connected, "connection")
    before.close()
    after = deliver(mosquitto.url, start=False)
    after.begin(["front"], wakes=False)
    after.start()
    until(lambda: after.status().connected, "connection")
    subscriber = listen(mosquitto.port, "gesture/kitchen/camera/#")
    until(lambda: len(subscriber.heard) >= 4, "what is retained")
    assert {h.topic.split("/")[3] for h in subscriber.heard} == {"front"}


def test_feedback_is_reported_at_once_and_never_retained(mosquitto: Mosquitto, deliver, listen):
    delivery = deliver(mosquitto.url)
    subscriber = listen(mosquitto.port, "gesture/kitchen/camera/+/feedback")
    delivery.feedback(Feedback("refused", "front", "lamp", "stop"))
    until(lambda: subscriber.heard, "the feedback")
    told = json.loads(subscriber.heard[0].payload)
    assert told.pop("ts")
    assert told == {"feedback": "refused", "rule": "lamp", "gesture": "stop"}
    later = listen(mosquitto.port, "gesture/kitchen/#")
    until(lambda: later.on("bridge/state"), "what is retained")
    assert later.on("/feedback") == []

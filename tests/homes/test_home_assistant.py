"""The agent in a real Home Assistant. The tests of a release build on one another, in this order."""

from __future__ import annotations

import datetime as dt
import functools
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from brokers import Heard, Mosquitto, Subscriber
from daemon import Daemon
from home_assistant import HomeAssistant
from homes_kit import FIGURES, eventually, home, share
from prepare import RELEASES

pytestmark = [pytest.mark.homes, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[2]
CLIP = ROOT / "tests/data/demo.mp4"
BLUEPRINTS = ROOT / "docs/home-assistant/blueprints"
BLUEPRINT = "gesture_toggles_entity.yaml"
MAKER = "gesture-agent"
GESTURES = {"fist", "stop", "thumbs_up", "ok", "two", "peace"}
SHOWN = GESTURES - {"two"}  # in the film; its two fingers were taught to mean peace

EVENT = "event.kitchen_gestures_gesture"
NOW = "sensor.kitchen_gestures_current_gesture"
SWITCH = "switch.kitchen_gestures_recognition"
CAMERA = "binary_sensor.kitchen_gestures_camera"
AWAKE = "binary_sensor.kitchen_gestures_awake"
ENTITIES = {  # unique id -> entity id
    "gesture_kitchen.enabled": SWITCH,
    "gesture_kitchen.outbox": "sensor.kitchen_gestures_undelivered_events",
    "gesture_kitchen.latency": "sensor.kitchen_gestures_latency",
    "gesture_kitchen.front.gesture": EVENT,
    "gesture_kitchen.front.now": NOW,
    "gesture_kitchen.front.camera": CAMERA,
    "gesture_kitchen.front.armed": AWAKE,
    "gesture_kitchen.front.fps": "sensor.kitchen_gestures_frame_rate",
    "gesture_kitchen.front.occupancy": "binary_sensor.kitchen_gestures_person_in_view",
    "gesture_kitchen.reload": "button.kitchen_gestures_reload_rules",
    "gesture_kitchen.restart": "button.kitchen_gestures_restart",
}
ANSWER = {  # says that everything before has been dealt with
    "triggers": [{"trigger": "mqtt", "topic": "home/ping"}],
    "actions": [
        {"action": "mqtt.publish", "data": {"topic": "home/pong", "payload": "{{ trigger.payload }}"}}
    ],
    "mode": "queued",
}
NAMED = ("Watch me", "Kitchen gestures Watch me")  # newer releases put the device first
STILL_THERE = "{{ trigger.to_state is not none }}"  # else the entity was taken away
TELL_EVENT = {
    "conditions": STILL_THERE,
    "triggers": [
        {"trigger": "state", "entity_id": EVENT, "not_from": "unavailable", "not_to": "unavailable"}
    ],
    "actions": [
        {
            "action": "mqtt.publish",
            "data": {
                "topic": "home/event",
                "payload": "{{ dict(trigger.to_state.attributes,"
                " at=trigger.to_state.last_changed.timestamp()) | to_json }}",
            },
        }
    ],
    "mode": "queued",
}


def tell(topic: str, trigger: dict[str, Any], payload: str) -> dict[str, Any]:
    """An automation that publishes each time it is triggered."""
    data = {"topic": topic, "payload": payload, "qos": 1}
    return {"triggers": [trigger], "actions": [{"action": "mqtt.publish", "data": data}], "mode": "queued"}


class House:
    """A broker, a Home Assistant, an agent, and an ear at the broker."""

    def __init__(self, broker: Mosquitto, home: HomeAssistant, agent: Daemon, release: str) -> None:
        self.broker, self.home, self.agent, self.release = broker, home, agent, release
        self.ear = Subscriber(broker.port)

    def actions(self) -> Counter[str]:
        """How often the agent told of each gesture."""
        return Counter(h.payload for h in self.ear.on("camera/front/action"))

    def fired(self) -> Counter[str]:
        """How often Home Assistant's device triggers fired for each gesture."""
        return Counter(h.payload for h in self.ear.on("home/fired"))

    def toggled(self) -> int:
        return len(self.ear.on("home/lamp"))

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(heard.payload) for heard in self.ear.on("home/event")]

    def recognise(self, on: bool) -> None:
        """With Home Assistant's switch, to be obeyed by the agent's camera."""
        self.home.call("switch", "turn_on" if on else "turn_off", entity_id=SWITCH)
        eventually(lambda: self.home.value(CAMERA) == ("on" if on else "off"), f"camera {on=}")

    def show_film(self) -> None:
        """Until all of its gestures were seen once more; then wait for Home Assistant."""
        before = self.actions()
        self.recognise(True)
        eventually(lambda: set(self.actions() - before) >= SHOWN, "all gestures of the film")
        self.recognise(False)
        self.settle()

    def settle(self) -> None:
        """Home Assistant gets messages in order: when it answers, it has seen all that came before."""
        before = len(self.ear.on("home/pong"))

        def answered() -> bool:  # what is asked before it has subscribed again is lost
            self.ear.publish("home/ping", "?")
            return len(self.ear.on("home/pong")) > before + 1  # the first may answer an older question

        eventually(answered, "an answer")

    def configs(self) -> list[Heard]:
        return self.ear.on("/config")


@pytest.fixture(scope="module", params=RELEASES)
def house(
    request: pytest.FixtureRequest,
    broker: Mosquitto,
    make_agent: Callable[[], Daemon],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    program = home(f"home-assistant-{request.param}") / "bin/hass"
    folder = tmp_path_factory.mktemp("house")
    assistant = HomeAssistant(program, folder / "home-assistant", broker.port)
    agent = make_agent()
    house = House(broker, assistant, agent, request.param)
    try:
        assistant.start()
        agent.start()
        eventually(lambda: assistant.value(SWITCH) == "off", "the switch is there")
        yield house
    finally:
        agent.kill()
        assistant.stop()
        house.ear.close()


def test_the_device_and_its_entities_appear_as_designed(house: House):
    device = house.home.device(MAKER)
    assert device is not None
    assert (device["name"], device["serial_number"]) == ("Kitchen gestures", "kitchen")
    areas = house.home.ask("config/area_registry/list")
    assert [area["name"] for area in areas if area["area_id"] == device["area_id"]] == ["Kitchen"]
    assert house.home.entities(device["id"]) == ENTITIES
    event = house.home.state(EVENT)
    assert event is not None
    assert set(event["attributes"]["event_types"]) == GESTURES
    assert house.home.value(EVENT) == "unknown"  # nothing has happened yet
    eventually(lambda: house.home.value(CAMERA) == "off", "recognition is off: the camera is closed")
    eventually(lambda: house.home.value(AWAKE) == "off", "nobody has woken the rules")
    assert house.home.value(NOW) == "unavailable"
    assert house.home.complaints() == []


def test_every_gesture_of_the_agent_is_a_device_trigger_a_taught_one_too(house: House):
    device = house.home.device(MAKER)
    assert device is not None
    triggers = house.home.triggers(device["id"])
    assert {(t["type"], t["subtype"]) for t in triggers} == {("gesture", f"{g} front") for g in GESTURES}
    house.home.automate("answer", ANSWER)
    house.home.automate("event", TELL_EVENT)
    for trigger in triggers:
        gesture = trigger["subtype"].split()[0]
        wanted = {key: trigger[key] for key in ("domain", "device_id", "type", "subtype")}
        house.home.automate(f"on_{gesture}", tell("home/fired", {"trigger": "device", **wanted}, gesture))
    now = tell("home/now", {"trigger": "state", "entity_id": NOW}, "{{ trigger.to_state.state }}")
    house.home.automate("now", {**now, "conditions": STILL_THERE})


@pytest.fixture
def website() -> Iterator[str]:
    """Where the blueprint can be fetched from."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=BLUEPRINTS))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_blueprint_is_imported_and_makes_an_automation(house: House, website: str):
    found = house.home.ask("blueprint/import", url=f"{website}/{BLUEPRINT}")
    assert found["validation_errors"] is None
    path = f"gesture-agent/{BLUEPRINT}"
    given = {"path": path, "yaml": found["raw_data"], "source_url": website}
    house.home.ask("blueprint/save", domain="automation", **given)
    assert "error" not in house.home.ask("blueprint/list", domain="automation")[path]
    inputs = {"camera": EVENT, "gesture": "peace", "target": {"entity_id": "input_boolean.lamp"}}
    house.home.automate("lamp", {"use_blueprint": {"path": path, "input": inputs}})
    lamp = {"trigger": "state", "entity_id": "input_boolean.lamp", "to": ["on", "off"]}
    house.home.automate("lamp_told", tell("home/lamp", lamp, "{{ trigger.to_state.state }}"))


def test_a_gesture_fires_its_trigger_and_its_event_exactly_once(house: House):
    house.show_film()
    assert house.actions()
    assert house.fired() == house.actions()
    assert Counter(event["event_type"] for event in house.events()) == house.actions()
    assert len({event["event_id"] for event in house.events()}) == len(house.events())
    assert {event["phase"] for event in house.events()} == {"started"}
    assert house.toggled() == house.actions()["peace"]
    assert house.home.complaints() == []


def test_the_current_gesture_follows_and_goes_back_to_none(house: House):
    states = [heard.payload for heard in house.ear.on("home/now")]
    assert set(states) >= SHOWN | {"none", "unavailable"}
    assert states[-1] == "unavailable"  # the camera is closed


def test_the_same_event_delivered_twice_does_not_fire_the_blueprint_twice(house: House):
    toggled = house.toggled()
    last = [h for h in house.ear.on("front/event") if '"peace"' in h.payload and '"started"' in h.payload][-1]
    event = json.loads(last.payload)
    for event_id in ("new", "new", "newer"):
        house.ear.publish(last.topic, json.dumps({**event, "event_id": event_id}))
        house.settle()
        if event_id == "new":
            eventually(lambda: house.toggled() > toggled, "toggled")
            # the pause of the blueprint is over when the automation no longer runs
            eventually(lambda: house.home.state("automation.lamp")["attributes"]["current"] == 0, "idle")
    eventually(lambda: house.toggled() == toggled + 2, "toggled by the other event")


RESTARTS: dict[str, Callable[[House], None]] = {}


def restart(act: Callable[[House], None]) -> Callable[[House], None]:
    RESTARTS[act.__name__] = act
    return act


@restart
def agent_restarted(house: House) -> None:
    house.agent.stop()
    eventually(lambda: house.home.value(SWITCH) == "unavailable", "the switch is gone")
    house.agent.start()


@restart
def agent_killed(house: House) -> None:
    house.agent.kill()
    eventually(lambda: house.home.value(SWITCH) == "unavailable", "the switch is gone")
    house.agent.start()


@restart
def broker_killed(house: House) -> None:
    house.broker.kill()
    eventually(lambda: house.home.value(EVENT) == "unavailable", "Home Assistant has noticed")
    house.ear.ready.clear()
    house.broker.start()
    eventually(house.ear.ready.is_set, "the ear is back")


@restart
def home_assistant_restarted(house: House) -> None:
    told = len(house.configs())
    house.home.stop()
    house.home.start()
    eventually(lambda: len(house.configs()) > told, "all is told again after its birth message")


@pytest.mark.parametrize("what", RESTARTS)
def test_no_event_and_no_trigger_is_replayed_by_a_restart(house: House, what: str):
    fired, toggled = house.fired(), house.toggled()
    happened = house.home.state(EVENT)
    RESTARTS[what](house)
    eventually(lambda: house.home.value(SWITCH) == "off", "the switch is back")
    house.settle()
    assert house.fired() == fired
    assert house.toggled() == toggled
    now = house.home.state(EVENT)
    assert now is not None
    assert happened is not None
    assert now["state"] == happened["state"]  # the time of the last gesture, not of the restart


def test_after_all_restarts_a_gesture_still_fires_once(house: House):
    fired, acted, toggled = house.fired(), house.actions(), house.toggled()
    before = len(house.events())
    house.show_film()
    assert house.fired() - fired == house.actions() - acted
    assert house.toggled() - toggled == (house.actions() - acted)["peace"]
    measured(house, house.events()[before:], "frame to state change, the networks' answers being remembered")


def test_from_the_last_frame_of_the_hold_to_the_state_in_home_assistant(house: House):
    house.agent.stop()
    house.agent.start(source=CLIP, networks=True)
    eventually(lambda: house.home.value(SWITCH) == "off", "the switch is back")
    before = len(house.events())
    house.recognise(True)
    eventually(lambda: len(house.events()) >= before + 20, "twenty gestures", 600)
    house.recognise(False)
    house.settle()
    waits = measured(house, house.events()[before:], "last frame of the hold to state change")
    assert min(waits) > 0


def measured(house: House, events: list[dict[str, Any]], what: str) -> list[float]:
    """Milliseconds from the frame that made each gesture start to the new state of the event entity."""
    seen = [dt.datetime.fromisoformat(event["ts"].replace("Z", "+00:00")) for event in events]
    waits = [(event["at"] - at.timestamp()) * 1000 for event, at in zip(events, seen, strict=True)]
    hops = [wait - e["latency_ms"] for wait, e in zip(waits, events, strict=True)]
    FIGURES.append(
        f"Home Assistant {house.release}: {what}: p50 {share(waits, 0.5):.0f} ms, "
        f"p95 {share(waits, 0.95):.0f} ms of {len(waits)} gestures; of which outbox, broker and "
        f"Home Assistant p50 {share(hops, 0.5):.0f} ms, p95 {share(hops, 0.95):.0f} ms"
    )
    return waits


def test_another_form_of_discovery_keeps_device_entities_and_what_people_called_them(house: House):
    device = house.home.device(MAKER)
    assert device is not None
    house.home.ask("config/entity_registry/update", entity_id=SWITCH, name="Watch me")
    for form in ("component", "device"):
        house.agent.stop()
        eventually(lambda: house.home.value(SWITCH) == "unavailable", "the switch is gone")
        house.agent.start(discovery=form)
        wanted = {form}
        eventually(lambda wanted=wanted: _retained_forms(house) == wanted, f"only {form} is told")  # type: ignore[misc]
        eventually(lambda: house.home.value(SWITCH) == "off", "the switch is back")
        assert house.home.entities(device["id"]) == ENTITIES
        assert len(house.home.triggers(device["id"])) == len(GESTURES)
        state = house.home.state(SWITCH)
        assert state is not None
        assert state["attributes"]["friendly_name"] in NAMED
    fired, acted = house.fired(), house.actions()
    house.show_film()
    assert house.fired() - fired == house.actions() - acted


def _retained_forms(house: House) -> set[str]:
    """Which forms of discovery the broker keeps."""
    ear = Subscriber(house.broker.port)
    try:
        ear.publish("end/of/retained", "x")
        eventually(lambda: ear.on("end/of/retained"), "all retained ones")
        topics = [heard.topic for heard in ear.on("/config") if heard.retained]
    finally:
        ear.close()
    return {"device" if "/device/" in topic else "component" for topic in topics}


def test_a_camera_that_leaves_takes_its_entities_along(house: House):
    device = house.home.device(MAKER)
    assert device is not None
    house.agent.stop()
    house.agent.start(cameras=("front", "back"))
    more = sum(".front." in name for name in ENTITIES)
    eventually(lambda: len(house.home.entities(device["id"])) == len(ENTITIES) + more, "the second camera")
    eventually(lambda: len(house.home.triggers(device["id"])) == 2 * len(GESTURES), "its triggers")
    house.agent.stop()
    house.agent.start()
    eventually(lambda: house.home.entities(device["id"]) == ENTITIES, "the second camera is gone")
    eventually(lambda: len(house.home.triggers(device["id"])) == len(GESTURES), "its triggers too")
    eventually(lambda: house.home.value(SWITCH) == "off", "the first is still there")


def test_switched_off_discovery_leaves_nothing_behind(house: House):
    house.agent.stop()
    house.agent.start(discovery="off")
    eventually(lambda: house.home.device(MAKER) is None, "the device is gone")
    rows = house.home.ask("config/entity_registry/list")
    assert not [row for row in rows if row["unique_id"].startswith("gesture_kitchen")]
    assert house.home.state(SWITCH) is None
    assert _retained_forms(house) == set()

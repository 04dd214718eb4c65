from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from brokers import Mosquitto
from happenings import started
from support.waiting import until

from agent.config.settings import HomeAssistantSettings
from agent.core.types import BUILT_IN_GESTURES, Action
from agent.delivery.homeassistant import discovery
from agent.delivery.homeassistant.entities import DeviceInfo, components
from agent.delivery.homeassistant.publisher import REPEATS
from agent.delivery.requests import Request
from agent.delivery.topics import Topics

BLUEPRINTS = Path(__file__).parents[3] / "docs/home-assistant/blueprints"

ABOUT = DeviceInfo(
    Topics("gesture", "kitchen"),
    "1.0.0",
    ("front", "back"),
    BUILT_IN_GESTURES,
    ("lamp",),
    "Kitchen",
    "Kitchen",
)


def device() -> dict:
    (message,) = discovery.configs("device", "homeassistant", ABOUT)
    assert (message.topic, message.retain, message.qos) == (
        "homeassistant/device/gesture_kitchen/config",
        True,
        1,
    )
    return json.loads(message.payload)


def test_the_event_entity_fires_on_starts_only_and_never_becomes_unavailable():
    part = device()["components"]["front-gesture"]
    assert part["availability"] == []
    in_time = "as_timestamp(value_json.expires_at, default=0) >= as_timestamp(now())"
    assert part["value_template"] == (
        f"{{{{ value if value_json.phase == 'started' and {in_time} else '' }}}}"
    )
    assert part["event_types"] == list(BUILT_IN_GESTURES)


def test_every_gesture_of_every_camera_has_a_trigger():
    triggers = [p for p in device()["components"].values() if p["platform"] == "device_automation"]
    assert len(triggers) == 10
    assert len({(t["type"], t["subtype"]) for t in triggers}) == 10
    assert {t["topic"] for t in triggers} == {
        "gesture/kitchen/camera/front/action", "gesture/kitchen/camera/back/action",
    }  # fmt: skip


def test_unique_ids_are_unique_and_every_component_names_its_qos():
    parts = device()["components"].values()
    ids = [p["unique_id"] for p in parts if p["platform"] != "device_automation"]
    assert len(ids) == len(set(ids)) == 16
    assert all("qos" in p for p in parts)
    assert not any("object_id" in p for p in parts)


def test_one_camera_away_does_not_make_the_others_unavailable():
    whole = device()
    assert whole["availability"] == [
        {"topic": "gesture/kitchen/bridge/state", "value_template": "{{ value_json.state }}"}
    ]
    assert "gesture/kitchen/camera/back/state" in {
        a["topic"] for a in whole["components"]["back-now"]["availability"]
    }


def test_no_name_of_a_person_is_mistaken_for_a_part_of_ours():
    topics, gestures = Topics("gesture", "kitchen"), ("now", "gesture", "camera", "back_now", "trigger")
    cameras = ("front", "front-now", "front_back", "enabled", "front-now-trigger")
    parts = components(DeviceInfo(topics, "1", cameras, gestures, wakes=True))
    assert len(parts) == 5 + len(cameras) * (6 + len(gestures))
    ids = {part["unique_id"] for part in parts.values() if "unique_id" in part}
    other = components(DeviceInfo(Topics("gesture", "kitchen_front"), "1", ("now", "back"), ()))
    assert not ids & {part["unique_id"] for part in other.values()}


def test_entity_ids_are_those_that_home_assistant_makes_of_the_names():
    def ids(about: DeviceInfo) -> set[str]:
        return {part["default_entity_id"] for part in components(about).values() if "name" in part}

    assert "event.kitchen_gesture_front" in ids(ABOUT)
    assert "switch.gestures_kitchen_recognition" in ids(replace(ABOUT, name=None))
    assert "sensor.kuche_oben_current_gesture_front" in ids(replace(ABOUT, name="Küche (oben)"))
    assert "switch.gesture_kitchen_recognition" in ids(replace(ABOUT, name="厨房"))


def test_being_awake_is_shown_where_a_gesture_wakes_the_rules():
    assert "front-armed" not in components(ABOUT)
    wakes = components(replace(ABOUT, wakes=True))
    assert wakes["front-armed"]["state_topic"] == "gesture/kitchen/camera/front/armed"


def test_component_by_component_each_carries_its_device():
    messages = {
        m.topic: json.loads(m.payload) for m in discovery.configs("component", "homeassistant", ABOUT)
    }
    assert len(messages) == len(device()["components"])
    event = messages["homeassistant/event/gesture_kitchen/front-gesture/config"]
    assert event["device"]["identifiers"] == ["gesture_kitchen"]
    assert "availability" not in event
    assert "platform" not in event
    trigger = messages["homeassistant/device_automation/gesture_kitchen/front-stop-trigger/config"]
    assert "availability" not in trigger
    switch = messages["homeassistant/switch/gesture_kitchen/enabled/config"]
    assert switch["availability"][0]["topic"] == "gesture/kitchen/bridge/state"


def test_an_old_config_has_moved_when_all_of_it_is_reported_in_the_other_form():
    by_device, by_component, nothing = (
        {m.topic: m for m in discovery.configs(mode, "home/assistant", ABOUT)}
        for mode in ("device", "component", "off")
    )
    less = {m.topic: m for m in discovery.configs("device", "home/assistant", replace(ABOUT, cameras=()))}
    for before, after in ((by_device, by_component), (by_component, by_device)):
        for topic, message in before.items():
            assert discovery.is_moved(topic, message.payload, after)
            assert not discovery.is_moved(topic, message.payload, before)
            assert not discovery.is_moved(topic, message.payload, nothing)
    gone = [topic for topic, m in by_component.items() if not discovery.is_moved(topic, m.payload, less)]
    assert len(gone) == 2 * (5 + len(BUILT_IN_GESTURES))
    assert not discovery.is_moved(discovery.device_topic("home/assistant", ABOUT), b"{", by_component)


def test_off_tells_nothing():
    assert discovery.configs("off", "homeassistant", ABOUT) == []


@pytest.mark.parametrize(
    ("topic", "ours"),
    [
        ("homeassistant/device/gesture_kitchen/config", True),
        ("homeassistant/event/gesture_kitchen/front_gesture/config", True),
        ("homeassistant/device/gesture_kitchen2/config", False),
        ("homeassistant/switch/lamp/config", False),
        ("homeassistant/light/other/gesture_kitchen/config", False),
        ("other/device/gesture_kitchen/config", False),
    ],
)
def test_only_our_own_topics_are_tidied(topic: str, ours: bool):
    assert discovery.is_ours(topic, "homeassistant", ABOUT) is ours


@pytest.mark.parametrize(
    "old", [b"", b"{", b"[]", b"null", b'{"components": 3}', b'{"components": {"a": {}}}']
)
def test_a_damaged_old_config_is_simply_replaced(old: bytes):
    wanted = {m.topic: m for m in discovery.configs("device", "homeassistant", ABOUT)}
    assert discovery.cleanup("homeassistant/device/gesture_kitchen/config", old, wanted) == []


def tell(delivery, *gestures: str) -> None:
    delivery.describe(version="1", cameras=["front"], gestures=gestures or BUILT_IN_GESTURES)


def home(mode: str) -> HomeAssistantSettings:
    return HomeAssistantSettings(discovery=mode)  # type: ignore[arg-type]


def test_a_gesture_that_is_gone_leaves_home_assistant_cleanly(mosquitto: Mosquitto, deliver, listen):
    first = deliver(mosquitto.url, homeassistant=home("device"))
    tell(first, "stop", "wave")
    topic = "homeassistant/device/gesture_kitchen/config"
    subscriber = listen(mosquitto.port, topic)
    until(lambda: subscriber.heard, "config")
    first.close()
    second = deliver(mosquitto.url, homeassistant=home("device"), wait=False)
    tell(second, "stop")
    until(lambda: len(subscriber.heard) >= 4, "new, farewell, new")
    parts = [json.loads(h.payload)["components"].get("front-wave-trigger") for h in subscriber.heard]
    assert parts[0]["platform"] == "device_automation"
    assert {"platform": "device_automation"} in parts[1:]
    assert parts[-1] is None


@pytest.mark.parametrize(
    ("before", "after"), [("device", "component"), ("component", "device"), ("device", "off")]
)
def test_what_the_former_form_has_told_is_removed(mosquitto: Mosquitto, deliver, listen, before, after):
    first = deliver(mosquitto.url, homeassistant=home(before))
    tell(first)
    former = listen(mosquitto.port, "homeassistant/#")
    count = 1 if before == "device" else 15
    until(lambda: len(former.heard) == count, "told")
    first.close()
    second = deliver(mosquitto.url, homeassistant=home(after), start=False)
    second._home._settle_s = 0.05
    second.start()
    tell(second)
    gone = {h.topic for h in former.heard}
    until(lambda: {h.topic for h in former.heard if not h.payload} == gone, "the former topics are emptied")
    now = {
        m.topic
        for m in discovery.configs(
            after,
            "homeassistant",
            DeviceInfo(Topics("gesture", "kitchen"), "1", ("front",), BUILT_IN_GESTURES),
        )
    }
    late = listen(mosquitto.port, "homeassistant/#")
    if after != "off":  # Home Assistant is asked to keep what moves, then told where it is now
        migration = [h for h in former.heard if h.payload == '{"migrate_discovery":true}']
        assert {h.topic for h in migration} == gone
        assert not any(h.retained for h in migration)
        told_again = {
            h.topic for h in former.heard[former.heard.index(migration[-1]) :] if len(h.payload) > 99
        }
        assert told_again == now
    late.publish("homeassistant/end", "x")
    until(lambda: late.on("homeassistant/end"), "all retained ones have come")
    assert {h.topic for h in late.heard if h.retained} == now


def test_an_agent_that_stops_while_the_form_changes_leaves_nobody_without_entities(
    mosquitto: Mosquitto, deliver, listen
):
    first = deliver(mosquitto.url, homeassistant=home("component"))
    tell(first)
    subscriber = listen(mosquitto.port, "homeassistant/#")
    until(lambda: len(subscriber.heard) == 15, "told")
    first.close()
    second = deliver(mosquitto.url, homeassistant=home("device"), start=False)
    second._home._settle_s = 3600.0
    second.start()
    tell(second)
    until(lambda: sum("migrate_discovery" in h.payload for h in subscriber.heard) == 15, "all are let go")
    second.close()
    until(lambda: subscriber.heard[-1].topic == "homeassistant/device/gesture_kitchen/config", "told again")
    assert set(json.loads(subscriber.heard[-1].payload)["components"]) >= {"enabled", "front-stop-trigger"}


def test_all_is_published_again_when_home_assistant_is_born(mosquitto: Mosquitto, deliver, listen):
    delivery = deliver(mosquitto.url, homeassistant=home("device"))
    delivery._home._delay_s = lambda: 0.0
    tell(delivery)
    delivery.enabled(True)
    subscriber = listen(mosquitto.port)
    until(lambda: subscriber.on("gesture_kitchen/config") and subscriber.on("enabled/state"), "retained")
    subscriber.publish("homeassistant/status", "online")
    until(
        lambda: (
            len(subscriber.on("gesture_kitchen/config")) == 2 and len(subscriber.on("enabled/state")) == 2
        ),
        "config and states once more",
    )


def test_no_event_is_replayed_by_restarts_of_the_broker_or_the_agent(mosquitto: Mosquitto, deliver, listen):
    delivery = deliver(mosquitto.url, homeassistant=home("device"))
    tell(delivery)
    delivery.event(started())
    until(lambda: delivery.status().delivered == 2, "delivery")
    mosquitto.kill()
    mosquitto.start()
    until(lambda: delivery.status().reconnects == 1 and delivery.status().connected, "reconnection")
    subscriber = listen(mosquitto.port)
    subscriber.publish("homeassistant/status", "online")
    delivery.close()
    again = deliver(mosquitto.url, homeassistant=home("device"))
    tell(again)
    until(lambda: len(subscriber.on("bridge/state")) >= 3, "online, offline, online")
    assert subscriber.on("/event") == []
    assert subscriber.on("/action") == []


def test_a_home_assistant_that_says_all_the_time_that_it_is_born_gets_discovery_again_now_and_then(
    mosquitto: Mosquitto, deliver, listen
):
    delivery = deliver(mosquitto.url, homeassistant=home("device"))
    tell(delivery)
    subscriber = listen(mosquitto.port, "homeassistant/device/#")
    until(lambda: subscriber.heard, "config")
    delivery._home._delay_s = lambda: 0.0
    for _ in range(500):
        subscriber.say("homeassistant/status", "online")
    delivery._mqtt.republish_states()
    subscriber.publish("homeassistant/device/end", "x")
    until(lambda: subscriber.on("end"), "all has been told")
    assert 2 <= len(subscriber.on("config")) <= 2 + REPEATS


def test_names_hold_the_camera_only_where_there_are_several():
    one = components(replace(ABOUT, cameras=("front",)))
    assert {one[f"front-{key}"]["name"] for key in ("gesture", "now", "camera", "fps", "occupancy")} == {
        "Gesture", "Current gesture", "Camera", "Frame rate", "Person in view",
    }  # fmt: skip
    assert one["front-gesture"]["default_entity_id"] == "event.kitchen_gesture"
    several = components(ABOUT)
    assert (several["front-gesture"]["name"], several["back-gesture"]["name"]) == (
        "Gesture front",
        "Gesture back",
    )
    assert one["front-gesture"]["unique_id"] == several["front-gesture"]["unique_id"]


def test_the_device_names_its_page_and_no_hardware_that_is_none():
    assert "configuration_url" not in device()["device"]
    (message,) = discovery.configs("device", "homeassistant", replace(ABOUT, page="http://pi.local:8765/"))
    told = json.loads(message.payload)["device"]
    assert told["configuration_url"] == "http://pi.local:8765/"
    assert "hw_version" not in told


def test_rules_that_fire_are_an_event_entity_where_there_are_rules():
    part = components(ABOUT)["rule"]
    assert (part["event_types"], part["availability"]) == (["lamp"], [])
    assert "rule" not in components(replace(ABOUT, rules=()))


def test_a_firing_is_reported_once_for_all_its_actions_and_occupancy_is_kept(
    mosquitto: Mosquitto, deliver, listen
):
    subscriber = listen(mosquitto.port)
    delivery = deliver(mosquitto.url, homeassistant=home("device"))
    for topic in ("home/lamp", "home/radio"):
        delivery.perform(Action("publish", "lamp", 0.0, 5.0, topic, "ON"))
    delivery.occupied("front", True)
    until(lambda: subscriber.on("camera/front/occupancy"), "occupancy")
    until(lambda: subscriber.on("home/radio"), "both actions")
    (fired,) = subscriber.on("gesture/kitchen/rule/event")
    told = json.loads(fired.payload)
    assert told["event_type"] == "lamp"
    assert set(told) == {"event_type", "event_id", "ts"}
    late = listen(mosquitto.port, "gesture/kitchen/#")
    late.publish("gesture/kitchen/end", "x")
    until(lambda: late.on("end"), "all that is retained")
    assert json.loads(late.on("occupancy")[0].payload)["occupied"] is True
    assert late.on("rule/event") == []


@pytest.mark.parametrize("button", ["reload", "restart"])
def test_a_button_asks_what_it_says(mosquitto: Mosquitto, deliver, listen, button: str):
    delivery = deliver(mosquitto.url, homeassistant=home("device"))
    part = device()["components"][button]
    listen(mosquitto.port).publish(part["command_topic"], part["payload_press"])
    found: list[Request] = []
    until(lambda: found.extend(filter(None, [delivery.next_request()])) or found, "the request")
    assert found[0].name == button


@pytest.mark.parametrize("file", sorted(BLUEPRINTS.glob("*.yaml")), ids=lambda file: file.name)
def test_a_blueprint_uses_the_inputs_that_it_asks_for_and_has_its_import_link(file: Path):
    used: set[str] = set()

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!input", lambda _, node: used.add(node.value) or f"<{node.value}>")
    told = yaml.load(file.read_text(encoding="utf-8"), Loader)  # noqa: S506 (a SafeLoader)
    assert set(told["blueprint"]["input"]) == used
    assert {"triggers", "actions"} <= set(told)
    assert told["blueprint"]["source_url"].endswith(f"docs/home-assistant/blueprints/{file.name}")
    assert file.name in (BLUEPRINTS.parents[1] / "guides" / "home-assistant.md").read_text(encoding="utf-8")

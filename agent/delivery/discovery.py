"""What Home Assistant (and openHAB) is told, so that it builds the entities by itself. Pure.

Two forms of the same components: one message for the whole device (Home Assistant 2024.11 on), or one
for every component (older ones, openHAB). Only a start passes the event entity's template, so that
it fires once a gesture; it has no availability, because Home Assistant replays the last event of an
entity that becomes available.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from agent.delivery.message import JSON, Message, as_json
from agent.delivery.topics import NO_GESTURE_NOW, Topics

Mode = Literal["device", "component", "off"]
Component: TypeAlias = "dict[str, Any]"

MAKER = "gesture-agent"
HEALTH_EXPIRES_S = 180  # three missed `bridge/health`

_ONLY_STARTS = "{{ value if value_json.phase == 'started' else '' }}"
_STATE = "{{ value_json.state }}"


@dataclass(frozen=True, slots=True)
class Described:
    """What there is to tell of."""

    topics: Topics
    version: str
    cameras: tuple[str, ...]
    gestures: tuple[str, ...]
    backend: str = ""
    name: str | None = None  # of the device; None: the agent's id
    area: str | None = None
    page: str | None = None  # URL of the agent's own page

    @property
    def node(self) -> str:
        """Unique among all devices, safe in a topic."""
        return f"gesture_{self.topics.agent}"


def configs(mode: Mode, prefix: str, about: Described) -> list[Message]:
    """The retained messages of that form; none when it is off."""
    parts = components(about)
    if mode == "off":
        return []
    if mode == "device":
        whole = {**_head(about), "availability": [_bridge(about)], "components": parts}
        return [_config(device_topic(prefix, about), whole)]
    return [
        _config(component_topic(prefix, about, part["platform"], key), _alone(part, about))
        for key, part in parts.items()
    ]


def device_topic(prefix: str, about: Described) -> str:
    """Where the whole device is told."""
    return f"{prefix}/device/{about.node}/config"


def component_topic(prefix: str, about: Described, platform: str = "+", key: str = "+") -> str:
    """Where one component is told; by default a filter for all of ours."""
    return f"{prefix}/{platform}/{about.node}/{key}/config"


def is_ours(topic: str, prefix: str, about: Described) -> bool:
    """True for a config topic of this agent in either form."""
    if not (topic.startswith(f"{prefix}/") and topic.endswith("/config")):
        return False
    rest = topic.removeprefix(f"{prefix}/").split("/")
    return (len(rest) == 3 and rest[:2] == ["device", about.node]) or (
        len(rest) == 4 and rest[1] == about.node
    )


def tidied(topic: str, old: bytes, wanted: Mapping[str, Message]) -> list[Message]:
    """What removes the traces of an `old` retained config from Home Assistant and from the broker.

    A topic that is no longer wanted is emptied. A component that left the device is told once as a
    bare platform, then the device follows without it.
    """
    now = wanted.get(topic)
    if now is None:
        return [Message(topic, b"", retain=True)] if old else []
    before, after = _components_of(old), _components_of(now.payload)
    stubs = {key: {"platform": part["platform"]} for key, part in before.items() if key not in after}
    if not stubs:
        return []
    farewell = {**json.loads(now.payload), "components": {**after, **stubs}}
    return [_config(topic, farewell), now]


def components(about: Described) -> dict[str, Component]:
    """All entities and triggers, by key."""
    parts = {"enabled": _enabled(about), "outbox": _outbox(about)}
    for camera in about.cameras:
        parts[f"{camera}_gesture"] = _event(about, camera)
        parts[f"{camera}_now"] = _now(about, camera)
        parts[f"{camera}_camera"] = _connectivity(about, camera)
        for gesture in about.gestures:
            parts[f"{camera}_{gesture}"] = _trigger(about, camera, gesture)
    return parts


def _event(about: Described, camera: str) -> Component:
    return {
        "platform": "event",
        **_named(about, f"{camera}_gesture", "event", f"Gesture {camera}"),
        "icon": "mdi:hand-wave",
        "state_topic": about.topics.event(camera),
        "value_template": _ONLY_STARTS,
        "event_types": list(about.gestures),
        "qos": 1,
        "availability": [],
    }


def _now(about: Described, camera: str) -> Component:
    topic = about.topics.gesture(camera)
    return {
        "platform": "sensor",
        **_named(about, f"{camera}_now", "sensor", f"Current gesture {camera}"),
        "device_class": "enum",
        "options": [NO_GESTURE_NOW, *about.gestures],
        "state_topic": topic,
        "value_template": "{{ value_json.gesture }}",
        "json_attributes_topic": topic,
        "qos": 1,
        "availability": [
            _bridge(about),
            {"topic": about.topics.camera_state(camera), "value_template": _STATE},
        ],
        "availability_mode": "all",
    }


def _connectivity(about: Described, camera: str) -> Component:
    topic = about.topics.camera_state(camera)
    return {
        "platform": "binary_sensor",
        **_named(about, f"{camera}_camera", "binary_sensor", f"Camera {camera}"),
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "state_topic": topic,
        "value_template": "{{ 'online' if value_json.state == 'online' else 'offline' }}",
        "json_attributes_topic": topic,
        "payload_on": "online",
        "payload_off": "offline",
        "qos": 1,
    }


def _enabled(about: Described) -> Component:
    return {
        "platform": "switch",
        **_named(about, "enabled", "switch", "Recognition"),
        "icon": "mdi:cctv",
        "state_topic": about.topics.enabled_state,
        "command_topic": about.topics.enabled_set,
        "payload_on": "ON",
        "payload_off": "OFF",
        "qos": 1,
    }


def _outbox(about: Described) -> Component:
    return {
        "platform": "sensor",
        **_named(about, "outbox", "sensor", "Undelivered events"),
        "entity_category": "diagnostic",
        "state_class": "measurement",
        "state_topic": about.topics.bridge_health,
        "value_template": "{{ value_json.outbox.depth }}",
        "expire_after": HEALTH_EXPIRES_S,
        "qos": 0,
    }


def _trigger(about: Described, camera: str, gesture: str) -> Component:
    return {
        "platform": "device_automation",
        "automation_type": "trigger",
        "type": "gesture",
        "subtype": f"{gesture} {camera}",
        "topic": about.topics.action(camera),
        "payload": gesture,
        "qos": 1,
    }


def _named(about: Described, key: str, domain: str, name: str) -> Component:
    return {
        "unique_id": f"{about.node}_{key}",
        "default_entity_id": f"{domain}.{about.topics.agent}_{key}".replace("-", "_"),
        "name": name,
    }


def _bridge(about: Described) -> dict[str, str]:
    return {"topic": about.topics.bridge_state, "value_template": _STATE}


def _head(about: Described) -> Component:
    device: Component = {
        "identifiers": [about.node],
        "name": about.name or f"Gestures {about.topics.agent}",
        "manufacturer": MAKER,
        "model": "Gesture daemon",
        "serial_number": about.topics.agent,
        "sw_version": about.version,
    }
    more = {"hw_version": about.backend, "suggested_area": about.area, "configuration_url": about.page}
    device |= {key: value for key, value in more.items() if value}
    return {"device": device, "origin": {"name": MAKER, "sw_version": about.version}}


def _alone(part: Component, about: Described) -> Component:
    """A component that carries its device and availability itself; triggers have no availability."""
    config = {key: value for key, value in part.items() if key != "platform"}
    if part["platform"] != "device_automation":
        config = {"availability": [_bridge(about)], **config}
    if config.get("availability") == []:
        del config["availability"]
    return {**_head(about), **config}


def _components_of(payload: bytes) -> dict[str, Component]:
    """Those of a device's config; what is no such thing has none."""
    try:
        found = json.loads(payload)["components"]
        return {key: part for key, part in found.items() if isinstance(part["platform"], str)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _config(topic: str, value: Component) -> Message:
    return Message(topic, as_json(value), retain=True, content_type=JSON)

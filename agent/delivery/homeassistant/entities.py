"""The entities and device triggers that Home Assistant builds for an agent. Pure.

Only a start that is not late passes the event entity's template, so that it fires once a gesture; it has
no availability, because Home Assistant replays the last event of an entity that becomes available.

Keys and unique ids hold what a person named between marks that no name contains, so that no camera, agent
or taught gesture ("now", "camera") can be mistaken for something else.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, TypeAlias

from agent.delivery.topics import NO_GESTURE_NOW, Topics

Component: TypeAlias = "dict[str, Any]"

HEALTH_EXPIRES_S = 180  # three missed health reports

_ONLY_STARTS = (  # expired events, which a frozen broker may forward late, are ignored
    "{{ value if value_json.phase == 'started' "
    "and as_timestamp(value_json.expires_at, default=0) >= as_timestamp(now()) else '' }}"
)
_STATE = "{{ value_json.state }}"
_OCCUPIED = "{{ 'None' if value_json.occupied is none else 'ON' if value_json.occupied else 'OFF' }}"
_ONLINE_OR_NOT = "{{ 'online' if value_json.state == 'online' else 'offline' }}"  # disabled is not online


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What discovery describes: agent, device name, cameras, gestures and rules."""

    topics: Topics
    version: str
    cameras: tuple[str, ...]
    gestures: tuple[str, ...]
    rules: tuple[str, ...] = ()
    name: str | None = None  # name of the device; None: the agent's id
    area: str | None = None
    page: str | None = None  # URL of the agent's web page
    wakes: bool = False  # the rules need a wake gesture, so an entity shows the wake state

    @property
    def device_name(self) -> str:
        """Name of the device."""
        return self.name or f"Gestures {self.topics.agent}"

    def of(self, name: str, camera: str) -> str:
        """Name of an entity of a camera; includes the camera's name only where there are several."""
        return name if len(self.cameras) == 1 else f"{name} {camera}"

    @property
    def node(self) -> str:
        """Node id: unique among all devices, safe in a topic."""
        return node_of(self.topics.agent)


def node_of(agent: str) -> str:
    """Return the node id of an agent for discovery topics and unique ids."""
    return f"gesture_{agent}"


def components(about: DeviceInfo) -> dict[str, Component]:
    """Return all entities and triggers by key. A key holds only what a topic may: a-z 0-9 _ -."""
    parts = {"enabled": _enabled(about), "outbox": _outbox(about), "latency": _latency(about)}
    parts |= {"reload": _reload(about), "restart": _restart(about)}
    if about.rules:
        parts["rule"] = _rule(about)
    for camera in about.cameras:
        parts[f"{camera}-gesture"] = _event(about, camera)
        parts[f"{camera}-now"] = _now(about, camera)
        parts[f"{camera}-camera"] = _connectivity(about, camera)
        parts[f"{camera}-fps"] = _fps(about, camera)
        parts[f"{camera}-occupancy"] = _occupancy(about, camera)
        if about.wakes:
            parts[f"{camera}-armed"] = _armed(about, camera)
        for gesture in about.gestures:
            parts[f"{camera}-{gesture}-trigger"] = _trigger(about, camera, gesture)
    return parts


def bridge(about: DeviceInfo) -> dict[str, str]:
    """Availability entry: online state of the agent."""
    return {"topic": about.topics.bridge_state, "value_template": _STATE}


def _event(about: DeviceInfo, camera: str) -> Component:
    return {
        "platform": "event",
        **_named(about, "event", about.of("Gesture", camera), camera, "gesture"),
        "icon": "mdi:hand-wave",
        "state_topic": about.topics.event(camera),
        "value_template": _ONLY_STARTS,
        "event_types": list(about.gestures),
        "qos": 1,
        "availability": [],
    }


def _now(about: DeviceInfo, camera: str) -> Component:
    topic = about.topics.gesture(camera)
    return {
        "platform": "sensor",
        **_named(about, "sensor", about.of("Current gesture", camera), camera, "now"),
        "icon": "mdi:hand-back-right",
        "device_class": "enum",
        "options": [NO_GESTURE_NOW, *about.gestures],
        "state_topic": topic,
        "value_template": "{{ value_json.gesture }}",
        "json_attributes_topic": topic,
        "qos": 1,
        **_while_enabled(about, camera),
    }


def _while_enabled(about: DeviceInfo, camera: str) -> Component:
    return {
        "availability": [
            bridge(about),
            {"topic": about.topics.camera_state(camera), "value_template": _ONLINE_OR_NOT},
        ],
        "availability_mode": "all",
    }


def _occupancy(about: DeviceInfo, camera: str) -> Component:
    return {
        "platform": "binary_sensor",
        **_named(about, "binary_sensor", about.of("Person in view", camera), camera, "occupancy"),
        "device_class": "occupancy",
        "state_topic": about.topics.occupancy(camera),
        "value_template": _OCCUPIED,
        "qos": 1,
        **_while_enabled(about, camera),
    }


def _rule(about: DeviceInfo) -> Component:
    return {
        "platform": "event",
        **_named(about, "event", "Rule fired", "rule"),
        "icon": "mdi:script-text-play",
        "state_topic": about.topics.rule_event,
        "event_types": list(about.rules),
        "qos": 1,
        "availability": [],
    }


def _reload(about: DeviceInfo) -> Component:
    return {
        **_button(about, "Reload rules", "reload"),
        "icon": "mdi:reload",
        "entity_category": "config",
    }


def _restart(about: DeviceInfo) -> Component:
    return {
        **_button(about, "Restart", "restart"),
        "device_class": "restart",
        "entity_category": "config",
    }


def _button(about: DeviceInfo, name: str, request: str) -> Component:
    return {
        "platform": "button",
        **_named(about, "button", name, request),
        "command_topic": about.topics.request(request),
        "payload_press": "{}",
        "qos": 1,
    }


def _connectivity(about: DeviceInfo, camera: str) -> Component:
    topic = about.topics.camera_state(camera)
    return {
        "platform": "binary_sensor",
        **_named(about, "binary_sensor", about.of("Camera", camera), camera, "camera"),
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "state_topic": topic,
        "value_template": _ONLINE_OR_NOT,
        "json_attributes_topic": topic,
        "payload_on": "online",
        "payload_off": "offline",
        "qos": 1,
    }


def _armed(about: DeviceInfo, camera: str) -> Component:
    return {
        "platform": "binary_sensor",
        **_named(about, "binary_sensor", about.of("Awake", camera), camera, "armed"),
        "icon": "mdi:ear-hearing",
        "state_topic": about.topics.armed(camera),
        "value_template": "{{ 'ON' if value_json.armed else 'OFF' }}",
        "json_attributes_topic": about.topics.armed(camera),
        "qos": 1,
    }


def _enabled(about: DeviceInfo) -> Component:
    return {
        "platform": "switch",
        **_named(about, "switch", "Recognition", "enabled"),
        "icon": "mdi:cctv",
        "state_topic": about.topics.enabled_state,
        "command_topic": about.topics.enabled_set,
        "payload_on": "ON",
        "payload_off": "OFF",
        "qos": 1,
    }


def _outbox(about: DeviceInfo) -> Component:
    return {
        **_diagnostic(about, "Undelivered events", "outbox"),
        "icon": "mdi:tray-full",
        "value_template": "{{ value_json.outbox.depth }}",
    }


def _latency(about: DeviceInfo) -> Component:
    return {
        **_diagnostic(about, "Latency", "latency"),
        "device_class": "duration",
        "unit_of_measurement": "ms",
        "suggested_display_precision": 0,
        "value_template": "{{ value_json.latency.get('p50') }}",
    }


def _fps(about: DeviceInfo, camera: str) -> Component:
    return {
        **_diagnostic(about, about.of("Frame rate", camera), camera, "fps"),
        "icon": "mdi:filmstrip",
        "unit_of_measurement": "fps",
        "suggested_display_precision": 0,
        "value_template": f"{{{{ value_json.camera.get('{camera}', {{}}).get('fps') }}}}",
    }


def _diagnostic(about: DeviceInfo, name: str, *key: str) -> Component:
    """Build a diagnostic sensor of a value in `bridge/health`."""
    return {
        "platform": "sensor",
        **_named(about, "sensor", name, *key),
        "entity_category": "diagnostic",
        "state_class": "measurement",
        "state_topic": about.topics.bridge_health,
        "expire_after": HEALTH_EXPIRES_S,
        "qos": 0,
    }


def _trigger(about: DeviceInfo, camera: str, gesture: str) -> Component:
    return {
        "platform": "device_automation",
        "automation_type": "trigger",
        "type": "gesture",
        "subtype": f"{gesture} {camera}",
        "topic": about.topics.action(camera),
        "payload": gesture,
        "qos": 1,
    }


def _named(about: DeviceInfo, domain: str, name: str, *key: str) -> Component:
    return {
        "unique_id": ".".join((about.node, *key)),
        "default_entity_id": f"{domain}.{_slug(about.device_name) or about.node}_{_slug(name)}",
        "name": name,
    }


def _slug(name: str) -> str:
    """Make an entity id of a name as Home Assistant before 2025.10 does."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")

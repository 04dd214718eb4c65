"""Home Assistant MQTT discovery messages (also read by openHAB). Pure.

Two forms of the same components: one message for the whole device (Home Assistant 2024.11 on), or one
for every component (older ones, openHAB).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Literal

from agent.core.numbers import read_json
from agent.delivery.homeassistant.entities import Component, DeviceInfo, bridge, components, node_of
from agent.delivery.message import JSON, Message, as_json

Mode = Literal["device", "component", "off"]

MAKER = "gesture-agent"
SUPPORT = "https://github.com/gesture-agent/gesture-agent"


def configs(mode: Mode, prefix: str, about: DeviceInfo) -> list[Message]:
    """Return the retained discovery messages of that form; none when discovery is off."""
    parts = components(about)
    if mode == "off":
        return []
    if mode == "device":
        whole = {**_head(about), "availability": [bridge(about)], "components": parts}
        return [_config(device_topic(prefix, about), whole)]
    return [
        _config(component_topic(prefix, about, part["platform"], key), _alone(part, about))
        for key, part in parts.items()
    ]


def filters(prefix: str, agent: str) -> tuple[str, str]:
    """Topic filters for all discovery topics of an agent id, in either form."""
    node = node_of(agent)
    return f"{prefix}/device/{node}/config", f"{prefix}/+/{node}/+/config"


def device_topic(prefix: str, about: DeviceInfo) -> str:
    """Discovery topic of the whole device."""
    return f"{prefix}/device/{about.node}/config"


def component_topic(prefix: str, about: DeviceInfo, platform: str = "+", key: str = "+") -> str:
    """Discovery topic of one component; by default a filter for all components of the agent."""
    return f"{prefix}/{platform}/{about.node}/{key}/config"


def is_ours(topic: str, prefix: str, about: DeviceInfo) -> bool:
    """Return True for a discovery topic of this agent in either form."""
    if not (topic.startswith(f"{prefix}/") and topic.endswith("/config")):
        return False
    rest = topic.removeprefix(f"{prefix}/").split("/")
    return (len(rest) == 3 and rest[:2] == ["device", about.node]) or (
        len(rest) == 4 and rest[1] == about.node
    )


def cleanup(topic: str, old: bytes, wanted: Mapping[str, Message]) -> list[Message]:
    """Return the messages that remove an `old` retained config from Home Assistant and from the broker.

    A topic that is no longer used is emptied. A component that left the device is published once as a
    bare platform, then the device follows without it. The bare ones come first: while Home Assistant
    processes a component, it ignores what follows about it in the next message.
    """
    now = wanted.get(topic)
    if now is None:
        return [removal(topic)] if old else []
    before, after = _components_of(old), _components_of(now.payload)
    stubs = {key: {"platform": part["platform"]} for key, part in before.items() if key not in after}
    if not stubs:
        return []
    return [_config(topic, {**json.loads(now.payload), "components": {**stubs, **after}}), now]


def removal(topic: str) -> Message:
    """Return the message that empties a discovery topic: Home Assistant removes what it described."""
    return Message(topic, b"", retain=True)


def migration(topic: str) -> Message:
    """Return the message that makes Home Assistant release a topic and keep its entities and their names.

    They return once another topic describes them: Home Assistant's migration between the two forms.
    """
    return Message(topic, as_json({"migrate_discovery": True}), content_type=JSON)


def is_moved(topic: str, old: bytes, wanted: Mapping[str, Message]) -> bool:
    """Return True when every component of an `old` config is published on another topic now."""
    before = _described([(topic, old)])
    return (
        topic not in wanted
        and bool(before)
        and before <= _described((t, m.payload) for t, m in wanted.items())
    )


def _described(configs: Iterable[tuple[str, bytes]]) -> set[tuple[str, str]]:
    """Platform and key of all components in those configs."""
    found: set[tuple[str, str]] = set()
    for topic, payload in configs:
        levels = topic.split("/")
        if levels[-3] == "device":
            found |= {(part["platform"], key) for key, part in _components_of(payload).items()}
        else:
            found.add((levels[-4], levels[-2]))
    return found


def _head(about: DeviceInfo) -> Component:
    device: Component = {
        "identifiers": [about.node],
        "name": about.device_name,
        "manufacturer": MAKER,
        "model": "Gesture daemon",
        "serial_number": about.topics.agent,
        "sw_version": about.version,
    }
    more = {"suggested_area": about.area, "configuration_url": about.page}
    device |= {key: value for key, value in more.items() if value}
    origin = {"name": MAKER, "sw_version": about.version, "support_url": SUPPORT}
    return {"device": device, "origin": origin}


def _alone(part: Component, about: DeviceInfo) -> Component:
    """A component with its own device and availability; triggers have no availability."""
    config = {key: value for key, value in part.items() if key != "platform"}
    if part["platform"] != "device_automation":
        config = {"availability": [bridge(about)], **config}
    if config.get("availability") == []:
        del config["availability"]
    return {**_head(about), **config}


def _components_of(payload: bytes) -> dict[str, Component]:
    """Components of a device's config; empty for other content."""
    try:
        found = read_json(payload)["components"]
        return {key: part for key, part in found.items() if isinstance(part["platform"], str)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _config(topic: str, value: Component) -> Message:
    return Message(topic, as_json(value), retain=True, content_type=JSON)

"""Checks of outgoing messages and subscriptions against MQTT and the limits of the broker.

What does not fit is refused here with a reason: brokers close the connection on a malformed or
oversized packet, and on every reconnection again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.delivery.message import Message

TOPIC_BYTES = 65_535  # MQTT 5.0, 1.5.4: the length of a string has two bytes
TOPIC_LEVELS = 200  # mosquitto treats a topic with more levels as malformed
INCOMING_BYTES = 2_000_000  # largest packet to receive; our own discovery needs about 0.1 MB
PACKET_BYTES = 268_435_455  # MQTT 5.0, 1.5.5: the largest remaining length


_CONTROLS = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))
_NO_CHARACTERS = "\ufdd0-\ufdef" + "".join(
    chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF)
)
_NO_TEXT = re.compile(f"[{re.escape(_CONTROLS)}\ud800-\udfff{_NO_CHARACTERS}]")


class PublishError(ValueError):
    """Raised for a message or topic that must not go to the broker; the text says why."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a broker, from its CONNACK or learned from earlier connections."""

    packet_bytes: int | None = None  # None: it set no limit
    qos: int = 2
    retain: bool = True
    wildcards: bool = True

    @staticmethod
    def from_properties(properties: Any) -> Limits:
        """Return the limits of CONNACK properties (MQTT 5.0, 3.2.2.3)."""
        return Limits(
            getattr(properties, "MaximumPacketSize", None),
            getattr(properties, "MaximumQoS", 2),
            getattr(properties, "RetainAvailable", 1) == 1,
            getattr(properties, "WildcardSubscriptionAvailable", 1) == 1,
        )

    def lowered(self, packet_bytes: int | None, *, retain: bool) -> Limits:
        """Return these limits combined with learned ones."""
        sizes = [size for size in (self.packet_bytes, packet_bytes) if size is not None]
        return replace(self, packet_bytes=min(sizes, default=None), retain=self.retain and retain)


def admitted(message: Message, limits: Limits, *, v5: bool) -> tuple[Message, Properties | None, int]:
    """Return the message as this broker takes it, its MQTT 5 properties, and its packet size in bytes.

    A QoS that the broker does not offer is lowered, and `retain` dropped where it is not supported.
    Raises `PublishError` for what cannot be sent at all.
    """
    fault = topic_fault(message.topic) or wildcard_fault(message.topic)
    if fault:
        raise PublishError(fault)
    for name, text in (("content type", message.content_type), ("event id", message.event_id)):
        if fault := text_fault(text):
            raise PublishError(f"the {name} {fault}")
    qos, retain = min(message.qos, limits.qos), message.retain and limits.retain
    if (qos, retain) != (message.qos, message.retain):
        message = replace(message, qos=qos, retain=retain)
    properties = _properties(message) if v5 else None
    size = packet_size(message, properties)
    most = PACKET_BYTES if limits.packet_bytes is None else limits.packet_bytes
    if size > most:
        raise PublishError(f"{size} bytes with its headers, the broker takes at most {most}")
    return message, properties, size


def fits(message: Message, limits: Limits) -> bool:
    """Return whether this broker takes the message, measured as MQTT 5, which is the larger form."""
    try:
        admitted(message, limits, v5=True)
    except PublishError:
        return False
    return True


def our_limits() -> Properties:
    """Return the CONNECT properties that limit what the broker may send to us."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = INCOMING_BYTES
    return properties


def topic_fault(topic: str) -> str | None:
    """Return what is wrong with a topic or topic filter; None when it is valid."""
    if not topic:
        return "the topic is empty"
    if topic.count("/") > TOPIC_LEVELS:
        return f"the topic has more than {TOPIC_LEVELS} levels"
    if fault := text_fault(topic):
        return f"the topic {fault}"
    return None


def wildcard_fault(topic: str) -> str | None:
    """Return what is wrong with a topic to publish to if it holds a wildcard, else None."""
    found = next((c for c in topic if c in "+#"), None)
    return f'the topic holds the wildcard "{found}"' if found else None


def text_fault(text: str) -> str | None:
    """Return what keeps a text from being an MQTT string (MQTT 5.0, 1.5.4); None when it is one."""
    if found := _NO_TEXT.search(text):
        what = "a control character, " if found[0] in _CONTROLS else "what is no character, "
        return f"holds {what}U+{ord(found[0]):04X} at place {found.start() + 1}"
    size = len(text.encode())
    return f"has {size} bytes, at most {TOPIC_BYTES} are allowed" if size > TOPIC_BYTES else None


def packet_size(message: Message, properties: Properties | None) -> int:
    """Size of the PUBLISH packet in bytes (MQTT 5.0, 3.3)."""
    rest = 2 + len(message.topic.encode()) + (2 if message.qos else 0) + len(message.payload)
    if properties is not None:
        rest += len(properties.pack())  # type: ignore[no-untyped-call]
    return 1 + max(1, -(-rest.bit_length() // 7)) + rest


def _properties(message: Message) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if message.content_type:
        properties.ContentType = message.content_type
    if message.event_id:
        properties.UserProperty = ("event_id", message.event_id)
    if message.expires_at:
        properties.UserProperty = ("expires_at", message.expires_at)
    if message.expiry_s is not None:
        properties.MessageExpiryInterval = max(1, int(message.expiry_s))
    return properties

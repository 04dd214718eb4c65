"""The gate that everything published or subscribed to passes: what MQTT allows, and what this broker takes.

What does not fit is refused here and named. Sent all the same, it would cost the connection, and every
further one: brokers answer a malformed or oversized packet by hanging up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.delivery.message import Message

TOPIC_BYTES = 65_535  # MQTT 5.0, 1.5.4: the length of a string has two bytes
TOPIC_LEVELS = 200  # mosquitto takes a topic with more for malformed
INCOMING_BYTES = 2_000_000  # of a packet; the largest that we need is our own discovery, some 0.1 MB
PACKET_BYTES = 268_435_455  # MQTT 5.0, 1.5.5: the largest remaining length


_CONTROLS = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))
_NO_CHARACTERS = "\ufdd0-\ufdef" + "".join(
    chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF)
)
_NO_TEXT = re.compile(f"[{re.escape(_CONTROLS)}\ud800-\udfff{_NO_CHARACTERS}]")


class PublishError(ValueError):
    """This message or this topic must not go to the broker; the text says why."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a broker takes, as its CONNACK says or as was found out."""

    packet_bytes: int | None = None  # None: it set no limit
    qos: int = 2
    retain: bool = True
    wildcards: bool = True

    @staticmethod
    def told(properties: Any) -> Limits:
        """Of the properties of a CONNACK (MQTT 5.0, 3.2.2.3)."""
        return Limits(
            getattr(properties, "MaximumPacketSize", None),
            getattr(properties, "MaximumQoS", 2),
            getattr(properties, "RetainAvailable", 1) == 1,
            getattr(properties, "WildcardSubscriptionAvailable", 1) == 1,
        )

    def lowered(self, packet_bytes: int | None, *, retain: bool) -> Limits:
        """With what was found out besides."""
        sizes = [size for size in (self.packet_bytes, packet_bytes) if size is not None]
        return replace(self, packet_bytes=min(sizes, default=None), retain=self.retain and retain)


def admitted(message: Message, limits: Limits, *, v5: bool) -> tuple[Message, Properties | None, int]:
    """The message as this broker takes it, its MQTT 5 properties, and the size of its packet in bytes.

    A QoS that the broker does not offer is lowered, and `retain` left out where it keeps nothing.
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
    """Whether this broker takes it, sent in MQTT 5, which is the larger form."""
    try:
        admitted(message, limits, v5=True)
    except PublishError:
        return False
    return True


def our_limits() -> Properties:
    """For CONNECT: no broker shall send us more than we can use."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = INCOMING_BYTES
    return properties


def topic_fault(topic: str) -> str | None:
    """What is wrong with a topic or topic filter; None when brokers take it."""
    if not topic:
        return "the topic is empty"
    if topic.count("/") > TOPIC_LEVELS:
        return f"the topic has more than {TOPIC_LEVELS} levels"
    if fault := text_fault(topic):
        return f"the topic {fault}"
    return None


def wildcard_fault(topic: str) -> str | None:
    """A wildcard is for subscriptions only."""
    found = next((c for c in topic if c in "+#"), None)
    return f'the topic holds the wildcard "{found}"' if found else None


def text_fault(text: str) -> str | None:
    """What keeps a text from being an MQTT string (MQTT 5.0, 1.5.4); None when it is one."""
    if found := _NO_TEXT.search(text):
        what = "a control character, " if found[0] in _CONTROLS else "what is no character, "
        return f"holds {what}U+{ord(found[0]):04X} at place {found.start() + 1}"
    size = len(text.encode())
    return f"has {size} bytes, at most {TOPIC_BYTES} are allowed" if size > TOPIC_BYTES else None


def packet_size(message: Message, properties: Properties | None) -> int:
    """Bytes of the PUBLISH packet (MQTT 5.0, 3.3)."""
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

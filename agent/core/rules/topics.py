"""Whether a text can be an MQTT topic to publish to or to ask the value of."""

from __future__ import annotations

MAX_BYTES = 1000  # of a topic; MQTT allows 65,535, and no home has one of a thousand
SHOWN_CHARS = 60


def topic_problem(topic: str) -> str | None:
    """Why a text is no topic, in a sentence; None where it is one (MQTT 5, sections 1.5.4 and 4.7).

    Wildcards are no part of it. Control characters and non-characters may not be in it: brokers close the
    connection over them, and the message would be tried again for ever. Half of a surrogate pair has no
    UTF-8.
    """
    if not topic:
        return "it must not be empty"
    if "+" in topic or "#" in topic:
        return "it must not contain + or #"
    if any(_forbidden(ord(letter)) for letter in topic):
        return "it must not contain a line end or another control character"
    try:
        size = len(topic.encode())
    except UnicodeEncodeError:
        return "it cannot be written as UTF-8"
    return f"it is {size} bytes long; at most {MAX_BYTES} are sent" if size > MAX_BYTES else None


def shown_topic(topic: str) -> str:
    """The topic for people: cut short, control characters as escapes."""
    text = topic if topic.isprintable() else ascii(topic)[1:-1]
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."


def _forbidden(code: int) -> bool:
    """Control characters (C0, C1) and Unicode's non-characters."""
    return code < 0x20 or 0x7F <= code <= 0x9F or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE

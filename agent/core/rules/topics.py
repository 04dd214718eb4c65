"""Validation and display of MQTT topic names."""

from __future__ import annotations

MAX_BYTES = 1000  # of a topic; MQTT allows 65,535, real topics are far shorter
SHOWN_CHARS = 60


def topic_problem(topic: str) -> str | None:
    """Return why a text is not a valid topic name, or None where it is (MQTT 5, sections 1.5.4 and 4.7).

    Wildcards are rejected. So are control characters and non-characters, over which brokers close the
    connection, so that the message would be retried without end, and unpaired surrogates, which have no
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
    """Return a topic for display: shortened, control characters escaped."""
    text = topic if topic.isprintable() else ascii(topic)[1:-1]
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."


def _forbidden(code: int) -> bool:
    """Whether a code point is a control character (C0, C1) or a Unicode non-character."""
    return code < 0x20 or 0x7F <= code <= 0x9F or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE

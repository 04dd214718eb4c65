"""Why nothing fired: in the moment, and in the log."""

from __future__ import annotations

from pathlib import Path

from film import RULES, Start, drawn_film
from visitors import stream


def test_a_hand_that_is_not_sure_enough_says_what_it_has_and_what_is_asked(start: Start):
    agent = start(drawn_film("stop", 0.87))
    with stream(agent.page.url, "ws/page") as page:
        line = page.until("log", entry=Kind("near"))["entry"]
        backs = {
            hand["held_back"]
            for message in page.heard
            if message["type"] == "progress"
            for hand in message["hands"]
            if hand["held_back"]
        }
    assert (line["gesture"], line["hand"]) == ("stop", "right")
    assert line["why"][0].startswith("stop 0.")
    assert line["why"][0].endswith(", asks 0.9")
    assert any(text.startswith("stop 0.8") for text in backs)
    assert not any(message["type"] == "fired" for message in page.heard)


def test_a_gesture_whose_rule_sleeps_says_so(start: Start, rules: Path):
    rules.write_text(
        '[wake]\ngesture = "ok"\nwindow = "5s"\n' + RULES.replace('"stop" }', '"stop", armed = true }'),
        encoding="utf-8",
    )
    agent = start()
    with stream(agent.page.url, "ws/page") as page:
        line = page.until("log", entry=Kind("gesture"))["entry"]
    assert line["why"] == ["lamp: not awake (no wake gesture; wanted: ok within the last 5 s)"]


def test_where_a_rule_fired_nothing_is_explained(start: Start):
    with stream(start().page.url, "ws/page") as page:
        assert page.until("log", entry=Kind("gesture"))["entry"]["why"] == []


class Kind:
    """Equal to every entry of the log of a kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __eq__(self, entry: object) -> bool:
        return isinstance(entry, dict) and entry.get("kind") == self.kind

    def __hash__(self) -> int:
        return hash(self.kind)

"""What a rule file says, in the core's words."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

from rule_texts import SAY, load, rule

from agent.config.settings import DebounceSettings
from agent.core.rules import ActionTemplate, Between, Conditions, Dial, ValueIs
from agent.core.thresholds import Thresholds, thresholds_of

USUAL = thresholds_of(DebounceSettings())


def test_rules_override_the_general_thresholds_one_by_one(tmp_path: Path) -> None:
    text = (
        rule(SAY, name="plain")
        + rule(
            SAY,
            name="own",
            when='{ gesture = "ok", hold = "1s", release = "2s", confidence = 0.4, raised = 0.9, lean = 20,'
            " at_face = true }",
        )
        + rule(SAY + '\ncooldown = "100ms"\nmax_age = "9s"', name="quick", when='{ gesture = "fist" }')
    )
    plain, own, quick = load(tmp_path, a=text).rule_set.rules
    assert plain.thresholds == USUAL
    assert own.thresholds == Thresholds(
        confidence=0.4,
        keep=0.4,
        hold_s=1.0,
        release_s=2.0,
        raised=0.9,
        lean=20.0,
        at_face=True,
        doubtful_confidence=0.4,
        doubtful_hold_s=1.0,
    )
    assert quick.thresholds == replace(USUAL, cooldown_s=0.1)
    assert (plain.cooldown_s, plain.max_age_s, quick.cooldown_s, quick.max_age_s) == (0.0, 5.0, 0.1, 9.0)


def test_the_wake_gesture_may_be_stricter_than_the_rest(tmp_path: Path) -> None:
    text = '[wake]\ngesture = "stop"\nconfidence = 0.9\nraised = 0.8\nlean = 30\n' + rule(SAY)
    wake = load(tmp_path, a=text).rule_set.wake
    assert wake is not None
    assert wake.thresholds == Thresholds(
        confidence=0.9, hold_s=0.8, raised=0.8, lean=30.0, doubtful_confidence=0.9, doubtful_hold_s=0.8
    )


def test_every_kind_of_action(tmp_path: Path) -> None:
    text = rule(
        """publish = { topic = "t", payload = { a = 1 }, retain = true }
webhook = { url = "http://127.0.0.1/x", json = { by = "{camera}" }, headers = { X-Key = "k" } }
command = ["notify-send", "{gesture}"]
key = ["KEY_LEFTCTRL", "KEY_W"]
do = [{ webhook = { url = "http://127.0.0.1/y", text = "hi" } }, { webhook = { url = "http://[::1]/z" } }]"""
    )
    [one] = load(tmp_path, a=text).rule_set.rules
    json_header = ("Content-Type", "application/json")
    assert one.do[:5] == (
        ActionTemplate("publish", "t", {"a": 1}, retain=True),
        ActionTemplate(
            "webhook", "http://127.0.0.1/x", {"by": "{camera}"}, options=(json_header, ("X-Key", "k"))
        ),
        ActionTemplate("command", "notify-send", options=(("arg", "{gesture}"),)),
        ActionTemplate("key", "KEY_LEFTCTRL+KEY_W"),
        ActionTemplate("webhook", "http://127.0.0.1/y", "hi"),
    )
    assert one.do[5].payload["gesture"] == "{gesture}", "a webhook without a body says what happened"


def test_values_times_and_places(tmp_path: Path) -> None:
    when = """{ gesture = "ok", hand = "left", person = 1, camera = "door", min_hand = 0.1, \
between = [22:00:00, "06:30"], \
if = [{ topic = "a", json = "x.0", is = true }, { topic = "b", above = 3 }] }"""
    [one] = load(tmp_path, a=rule(SAY, when=when)).rule_set.rules
    assert one.when == Conditions(
        "gesture",
        ("ok",),
        hand="left",
        camera="door",
        person=1,
        min_hand=0.1,
        within_s=2.0,
        between=Between(dt.time(22), dt.time(6, 30)),
        values=(ValueIs("a", ("x", "0"), is_=True), ValueIs("b", above=3)),
    )


def test_a_dial_finds_its_step_and_its_start(tmp_path: Path) -> None:
    def dial(text: str) -> Dial | None:
        table = f'dial = {{ topic = "t", {text} }}'
        [one] = load(tmp_path, a=rule(table, when='{ gesture = "ok", move = "vertical" }')).rule_set.rules
        return one.dial

    assert dial("from = 0, to = 255") == Dial(0, 255, 1.0, 127.5)
    assert dial("from = 0.0, to = 1.0") == Dial(0, 1, 0.01, 0.5)
    assert dial(
        'from = 10, to = 0, step = 5, every = "1s", start = 3, travel = 2, follow = "f", follow_json = "a.b"'
    ) == (Dial(10, 0, 5, 3, every_s=1.0, travel=2.0, follow=("f", ("a", "b"))))

"""explain: what let a gesture through, or stopped it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from scenes import HEADER, LIMITS, pipeline, records

from agent.core.rules import ActionTemplate, Conditions, Rule, RuleSet, WakeGesture, Zone, verdict
from agent.core.trace import TraceRecord
from agent.core.trace_explain import STOPPED_BY, explain
from agent.core.types import HandPosture, Place

PUBLISH = (ActionTemplate("publish", "lamp", "on"),)
SHOWN = records("." * 8 + "S" * 15 + "." * 20)  # shown from 0.53 s to 1.53 s


def why(
    at_s: float, scene: list[TraceRecord] = SHOWN, rule_set: RuleSet | None = None, around_s: float = 0.3
) -> str:
    return "\n".join(explain(HEADER, scene, pipeline(rule_set), at_s, around_s))


def rule(name: str = "lamp", **when: object) -> Rule:
    return Rule(name, Conditions("gesture", ("stop",), **when), PUBLISH, HEADER.thresholds)  # type: ignore[arg-type]


def test_before_it_is_sure_enough_the_confidence_that_is_wanted_is_reported() -> None:
    said = why(0.61)
    assert "The classifier said stop 0.95" in said
    assert "nothing formed: the best gesture, stop, had 0.56 and confidence asks for 0.65" in said


def test_the_confidence_that_this_gesture_asks_for_is_reported() -> None:
    own = replace(HEADER.thresholds, confidence_of=(("stop", 0.9),))
    said = explain(HEADER, SHOWN, pipeline(thresholds=own), 0.61, 0.3)
    assert "nothing formed: the best gesture, stop, had 0.56 and confidence asks for 0.9" in "\n".join(said)


def test_while_it_forms_the_hold_is_reported() -> None:
    assert "stop was forming: 133ms of the hold of 300ms were over" in why(0.81)


def held(how: Callable[[float], HandPosture]) -> list[TraceRecord]:
    """What is shown, by a hand that is held so at each time."""
    return [
        replace(m, observations=tuple(replace(r, posture=how(m.at)) for r in m.observations)) for m in SHOWN
    ]


def test_a_hand_held_too_low_is_reported() -> None:
    said = why(1.1, held(lambda _: HandPosture(raised=0.31)))
    assert "raised to 0.31 (0 hips, 1 shoulders)" in said
    assert "nothing formed: stop had 0.9" in said
    assert "but the hand is too low (raised to 0.31, limit 0.5)" in said


def test_a_hand_that_sank_while_its_gesture_formed_is_reported() -> None:
    said = why(0.81, held(lambda at: HandPosture(1.0 if at < 0.7 else 0.4)))
    assert "stop was forming" in said
    assert "but the hand is too low (raised to 0.40, limit 0.5)" in said


def test_a_hand_that_leans_is_reported() -> None:
    said = why(1.1, held(lambda _: HandPosture(1.0, 71.2)))
    assert "raised to 1.00 (0 hips, 1 shoulders), leaning by 71 degrees" in said
    assert "but the hand leans (71 degrees, limit 60)" in said


def test_a_closed_hand_at_the_face_is_reported() -> None:
    said = why(1.1, held(lambda _: HandPosture(1.3, 20.0, at_face=True)))
    assert "leaning by 20 degrees, closed and at the face" in said
    assert "but the hand is closed and at the face (at_face is off)" in said


def test_a_start_is_reported_with_its_time() -> None:
    said = why(1.1)
    assert "stop was on since 0.67 s; keep 0.4 kept it" in said
    assert "1.00 s  stop started" in said


def test_the_release_is_reported_while_the_hand_is_gone() -> None:
    said = why(1.9, around_s=0.1)
    assert "was not seen for 0.43 s; that counts as no gesture" in said
    assert "stop was on, but had been under keep 0.4 for 267ms of the release of 350ms" in said


def test_a_cooldown_is_reported() -> None:
    slow = replace(LIMITS, cooldown_s=3.0)
    scene = records("S" * 15 + "." * 15 + "S" * 15)
    said = "\n".join(explain(HEADER, scene, pipeline(thresholds=slow), 2.8, 0.1))
    assert "stop was forming: 300ms of the hold of 300ms were over, but it had just ended" in said
    assert "cooldown had" in said


def test_a_dip_at_the_end_of_the_hold_is_reported() -> None:
    scene = [*records("S" * 5, score=0.9), *records("S" * 12, score=0.45, start=5 / 15)]
    assert "was under confidence 0.65 at this moment" in why(0.75, scene)


def test_the_zone_that_the_hand_was_not_in_is_reported() -> None:
    sofa = Zone("sofa", (0.6, 0.0, 1.0, 1.0))
    said = why(1.0, rule_set=RuleSet((rule(zone=sofa),), (sofa,)))
    assert "rule lamp was stopped by its zone: (0.50, 0.50); wanted: zone sofa [0.6, 0.0, 1.0, 1.0]" in said


def test_a_rule_that_fired_is_reported_with_what_it_did() -> None:
    assert "rule lamp fired: publish lamp on" in why(1.0, rule_set=RuleSet((rule(),)))


def test_the_rule_that_was_before_it_is_reported() -> None:
    said = why(1.0, rule_set=RuleSet((rule("first"), rule("second"))))
    assert "rule first fired" in said
    assert "rule second was stopped by a rule before it: first matched" in said


def test_the_wake_state_is_reported_asleep_and_awake() -> None:
    rule_set = RuleSet((rule(armed=True),), wake=WakeGesture("ok", 5.0, HEADER.thresholds))
    asleep = why(1.0, rule_set=rule_set)
    assert "Camera front was not awake: rules that are armed waited for ok." in asleep
    assert (
        "rule lamp was stopped by the wake gesture: no wake gesture; wanted: ok within the last 5 s" in asleep
    )
    scene = [*records("O" * 15 + "." * 15), *records("S" * 15, start=2.0)]
    awake = why(2.5, scene, rule_set)
    assert "Camera front was awake: ok woke it, and its rules listened until" in awake
    assert "rule lamp fired" in awake


def test_a_rule_with_its_own_hold_is_distinguished() -> None:
    slow = Rule("slow", Conditions("gesture", ("stop",)), PUBLISH, replace(LIMITS, hold_s=2.0))
    said = why(1.4, rule_set=RuleSet((rule(), slow)))
    assert "By the thresholds of [debounce] and lamp, stop was on since" in said
    assert "By the thresholds of slow, stop was forming: 733ms of the hold of 2s were over." in said


def test_a_distance_gate_is_reported() -> None:
    scene = records("S" * 15, place=Place(0.5, 0.5, 0.05))
    said = why(0.5, scene, RuleSet((rule(min_hand=0.1),)))
    assert "stopped by the distance: the hand is too small: 0.050; wanted: at least 0.1" in said


def test_no_hand_no_frame_and_a_closed_camera_are_reported() -> None:
    assert "No hand was in view" in why(0.2, [TraceRecord("frame", i / 15, "front") for i in range(30)])
    scene = [*records("SS|"), *records("?", start=5.0)]
    said = why(3.0, scene, around_s=3.0)
    assert "Camera front gave no frame for 2.9 s." in said
    assert "camera front was closed or lost" in said


@pytest.mark.parametrize("at_s", [-0.5, 60.0])
def test_a_time_beyond_the_trace_is_refused_with_its_length(at_s: float) -> None:
    with pytest.raises(ValueError, match=r"the trace goes from 0s to 2\.8s"):
        why(at_s)


def test_there_are_words_for_every_refusal() -> None:
    reasons = set(verdict.Reason.__args__)  # type: ignore[attr-defined]
    assert set(STOPPED_BY) == reasons - {"fired", "gesture"}

"""Zones: parts of one camera's picture, with a distance."""

from __future__ import annotations

import pytest
from rule_scenario import SOFA, Play, rule

from agent.core.rules import RuleEngine, RuleSet, RuleVerdict
from agent.core.types import GestureStarted, Place


@pytest.mark.parametrize(
    ("place", "camera", "reason"),
    [
        (Place(0.3, 0.5, 0.2), "front", "fired"),
        (Place(0.1, 0.9, 0.1), "front", "fired"),
        (Place(0.6, 0.5, 0.2), "front", "zone"),
        (Place(0.3, 0.1, 0.2), "front", "zone"),
        (Place(0.3, 0.5, 0.09), "front", "min_hand"),
        (Place(0.3, 0.5, 0.2), "door", "camera"),
    ],
)
def test_a_zone_is_a_part_of_one_camera_with_a_distance(place: Place, camera: str, reason: str) -> None:
    play = Play(rule("a", "stop", zone=SOFA), zones=(SOFA,))
    play.show("SSSS", place=place, camera=camera)
    assert play.reasons() == {"a": reason}


def test_a_hand_of_unknown_place_is_in_no_zone() -> None:
    engine = RuleEngine(RuleSet((rule("a", "stop", zone=SOFA),), (SOFA,)))
    why: list[RuleVerdict] = []
    assert engine.feed(GestureStarted(1.0, "front", 0, "right", "stop", 1.0, 0.3), why=why) == []
    assert (why[0].reason, why[0].seen) == ("zone", "an unknown place")


def test_the_zone_of_an_event_is_known_without_a_rule() -> None:
    engine = RuleEngine(RuleSet(zones=(SOFA,)))
    inside = GestureStarted(1.0, "front", 0, "right", "stop", 1.0, 0.3, Place(0.3, 0.5, 0.2))
    outside = GestureStarted(1.0, "front", 0, "right", "stop", 1.0, 0.3, Place(0.9, 0.5, 0.2))
    assert (engine.zone_of(inside), engine.zone_of(outside)) == ("sofa", None)

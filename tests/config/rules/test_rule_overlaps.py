"""Rules that get in each other's way are warned about."""

from __future__ import annotations

from pathlib import Path

import pytest
from rule_texts import SAY, load, rule

from agent.config.rules.files import MAX_WARNINGS


def warnings(tmp_path: Path, *whens: str, also: bool = False) -> list[str]:
    text = "".join(
        rule(SAY + ("\ncontinue = true" if also else ""), name=f"r{i}", when=when)
        for i, when in enumerate(whens)
    )
    text += "[zone.a]\nbox = [0.0, 0, 0.4, 1]\n[zone.b]\nbox = [0.5, 0, 1, 1]\n"
    return [str(one).replace(f"{tmp_path}/", "") for one in load(tmp_path, a=text).warnings]


def test_a_rule_that_can_never_fire_is_warned_about(tmp_path: Path) -> None:
    assert warnings(tmp_path, '{ gesture = "stop" }', '{ gesture = "stop", hand = "left" }') == [
        'a.toml:6:6: "r1" can never fire: "r0" (a.toml:2) comes first and matches all that it matches'
    ]


def test_two_rules_that_can_both_match_are_warned_about(tmp_path: Path) -> None:
    assert warnings(
        tmp_path, '{ gesture = "stop", hand = "left" }', '{ gesture = "stop", armed = true }'
    ) == [
        (
            'a.toml:6:6: "r1" and "r0" (a.toml:2) can both match; '
            "only the first fires, unless one has continue = true"
        )
    ]


def test_two_rules_with_different_holds_are_warned_about(tmp_path: Path) -> None:
    assert warnings(tmp_path, '{ gesture = "stop" }', '{ gesture = "stop", hold = "1s" }') == [
        (
            'a.toml:6:6: "r1" and "r0" (a.toml:2) both fire for one gesture, '
            "each after its own hold; is that meant?"
        )
    ]


@pytest.mark.parametrize(
    "whens",
    [
        ('{ gesture = "stop" }', '{ gesture = "fist" }'),
        ('{ gesture = "stop", hand = "left" }', '{ gesture = "stop", hand = "right" }'),
        ('{ gesture = "stop", hand = "left" }', '{ gesture = "stop" }'),
        ('{ gesture = "stop", zone = "a" }', '{ gesture = "any", zone = "b" }'),
        ('{ gesture = "stop", camera = "x" }', '{ gesture = "stop", camera = "y" }'),
        (
            '{ gesture = "ok", between = ["22:00", "06:00"] }',
            '{ gesture = "ok", between = ["06:00", "22:00"] }',
        ),
        (
            '{ gesture = "ok", if = { topic = "t", is = 1 } }',
            '{ gesture = "ok", if = { topic = "t", is = 2 } }',
        ),
        (
            '{ gesture = "ok", if = { topic = "t", is = 1 } }',
            '{ gesture = "ok", if = { topic = "t", not = 1 } }',
        ),
        ('{ gesture = "stop", move = "left" }', '{ gesture = "stop", move = "right" }'),
        ('{ gesture = "stop", move = "left" }', '{ gesture = "stop" }'),
        ('{ sequence = ["fist", "stop"] }', '{ gesture = "stop" }'),
        ('{ sequence = ["fist", "stop"] }', '{ sequence = ["ok", "stop"] }'),
        ('{ both = "stop" }', '{ gesture = "stop" }'),
    ],
)
def test_rules_that_cannot_meet_and_special_cases_first_are_fine(
    tmp_path: Path, whens: tuple[str, str]
) -> None:
    assert warnings(tmp_path, *whens) == []


@pytest.mark.parametrize(
    "whens",
    [
        ('{ gesture = "stop" }', '{ sequence = ["fist", "stop"] }'),
        ('{ gesture = "any" }', '{ both = "stop" }'),
        ('{ sequence = ["fist", "stop"] }', '{ sequence = ["ok", "fist", "stop"] }'),
        ('{ gesture = "ok" }', '{ gesture = "ok", between = ["06:00", "22:00"] }'),
    ],
)
def test_rules_in_the_shadow_of_a_rule_before_them_are_found(tmp_path: Path, whens: tuple[str, str]) -> None:
    [warning] = warnings(tmp_path, *whens)
    assert "can never fire" in warning


def test_a_rule_that_lets_matching_continue_is_never_an_overlap(tmp_path: Path) -> None:
    assert warnings(tmp_path, '{ gesture = "stop" }', '{ gesture = "stop" }', also=True) == []


def test_hundreds_of_overlaps_are_not_all_told(tmp_path: Path) -> None:
    found = warnings(tmp_path, *['{ gesture = "stop" }'] * 30)
    assert len(found) == MAX_WARNINGS + 1
    assert found[-1] == "a.toml: more overlaps like these; only the first are told"

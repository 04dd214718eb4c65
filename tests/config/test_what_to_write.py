"""Slips of people who are new to TOML: the message says what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from rule_texts import problems, rule

from agent.config.load import load
from agent.config.problems import ConfigProblems


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("source = 0", 'write "v4l2:/dev/video0"'),
        ("source = front.mp4", 'text stands in quotes: "front.mp4"'),
        ('source = "front.mp4\nfps = 3', "a quote that is opened in this line is not closed"),
        (
            'source = "a"\nrotate = "90"',
            '"90" is not one of 0, 90, 180, 270; write it without quotes: rotate = 90',
        ),
        ('source = "a"\nmirror = True', "write true"),
        ('source = "a"\nuser = 5', '5 is not text; write it in quotes: user = "5"'),
        ('source = "a"\nstall = 300ms', 'text stands in quotes: "300ms"'),
    ],
)
def test_a_slip_in_the_settings_is_reported_with_what_to_write(tmp_path: Path, text: str, hint: str):
    (tmp_path / "config.toml").write_text(f"[camera.front]\n{text}\n")
    with pytest.raises(ConfigProblems) as caught:
        load(tmp_path / "config.toml", {})
    assert hint in str(caught.value)


def test_a_secret_that_lacks_its_quotes_is_not_shown(tmp_path: Path):
    (tmp_path / "config.toml").write_text("[mqtt]\npassword = hunter2\n")
    with pytest.raises(ConfigProblems) as caught:
        load(tmp_path / "config.toml", {})
    assert str(caught.value).endswith("text stands in quotes")


def test_one_bracket_too_few_around_rule_is_reported(tmp_path: Path):
    [problem] = problems(tmp_path, a='[rule]\nid = "x"\n')
    assert problem.endswith(
        "is not a list [ ... ]; write [[rule]] with two brackets, one such heading for each"
    )


def test_a_gesture_without_quotes_is_reported(tmp_path: Path):
    assert problems(tmp_path, a=rule("", when="{ gesture = stop }")) == [
        'a.toml:3:20: Invalid value; text stands in quotes: "stop"'
    ]


def test_a_letter_of_a_taught_gesture_is_told_how_to_be_named(tmp_path: Path):
    [problem] = problems(tmp_path, a='[[case]]\ntitle = "x"\nright = "HHH"\n')
    assert problem.endswith('known: . 2 ? F O S T; for a gesture of your own write letters = { H = "NAME" }')

"""`gesture-agent rules`: what is wrong, what the cases say, what keys would fire."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import Run

from agent.commands.keyboard_simulator import KeyboardSimulator
from agent.config.rules.files import read_rules
from agent.config.settings import DebounceSettings
from agent.core.gesture_pipeline import GesturePipeline
from agent.core.thresholds import thresholds_of
from agent.core.types import LABELS

RULES = """
[zone.sofa]
box = [0.1, 0.2, 0.4, 0.9]
camera = "front"

[[rule]]
id = "lamp-on"
when = { gesture = "thumbs_up", hand = "right" }
publish = { topic = "lamp/set", payload = { state = "ON" } }

[[rule]]
id = "sofa-off"
when = { gesture = "fist", zone = "sofa" }
publish = { topic = "lamp/set", payload = "off" }

[[case]]
title = "a thumb switches the lamp on"
right = "TTTTTT...."
expect = [{ at = "0.3s", topic = "lamp/set", payload = { state = "ON" } }]
"""


@pytest.fixture
def rules(home: Path) -> Path:
    """One good rule file where the settings look for it."""
    (home / "rules").mkdir()
    path = home / "rules" / "lamp.toml"
    path.write_text(RULES)
    return path


# --- check, test, list ----------------------------------------------------------------------------


def test_good_rules_are_counted(run: Run, rules: Path) -> None:
    done = run("rules", "check")
    assert (done.returncode, done.stdout) == (0, "ok   2 rules in 1 files, 1 cases to test them with\n")


def test_all_typos_of_all_rule_files_are_pointed_at_at_once(run: Run, rules: Path) -> None:
    rules.write_text(RULES.replace('"thumbs_up"', '"thumb_up"').replace("publish", "pubish", 1))
    (rules.parent / "other.toml").write_text(
        '[[rule]]\nid = "x"\nwhen = { gesture = "fist" }\nkye = "KEY_A"\n'
    )
    done = run("rules", "check")
    assert done.returncode == 3
    assert 'unknown gesture "thumb_up"; did you mean "thumbs_up"?' in done.stderr
    assert f"{rules}:8:" in done.stderr
    assert 'did you mean "publish"?' in done.stderr
    assert 'unknown key "kye"; did you mean "key"?' in done.stderr
    document = json.loads(run("rules", "check", "--json").stdout)
    assert document["ok"] is False
    assert {Path(problem["file"]).name for problem in document["problems"]} == {"lamp.toml", "other.toml"}


def test_two_rules_that_can_both_match_are_warned_about_but_allowed(run: Run, rules: Path) -> None:
    rules.write_text(
        RULES + RULES[RULES.index("[[rule]]") : RULES.index("[[case]]")].replace('id = "', 'id = "too-')
    )
    done = run("rules", "check")
    assert done.returncode == 0
    assert '"too-lamp-on" can never fire' in done.stderr


def test_cases_that_pass_and_fail_are_distinguished_by_the_exit_code_too(run: Run, rules: Path) -> None:
    done = run("rules", "test")
    assert (done.returncode, done.stdout) == (0, "ok   a thumb switches the lamp on\n1 passed, 0 failed\n")
    rules.write_text(RULES.replace('at = "0.3s"', 'at = "3s"'))
    done = run("rules", "test")
    assert done.returncode == 1
    assert "fail a thumb switches the lamp on\n" in done.stdout
    assert "right TTTTTT....\n" in done.stdout
    assert "it came at 0.3 s" in done.stdout
    [case] = json.loads(run("rules", "test", "--json").stdout)["cases"]
    assert case["passed"] is False


def test_rules_are_listed_in_words_with_the_line_they_are_written_in(run: Run, rules: Path) -> None:
    listed = run("rules", "list", COLUMNS="300").stdout
    assert "thumbs_up, right hand" in listed
    assert "fist, in zone sofa" in listed
    assert 'publish lamp/set {"state": "ON"}' in listed
    assert f"{rules}:7" in listed
    assert [rule["id"] for rule in json.loads(run("rules", "list", "--json").stdout)] == [
        "lamp-on",
        "sofa-off",
    ]


def test_a_file_can_be_named_instead_of_the_settings_folder(run: Run, home: Path, rules: Path) -> None:
    rules.rename(home / "mine.toml")
    assert run("rules", "check", "mine.toml").returncode == 0
    assert "2 rules" in run("rules", "check", "mine.toml").stdout


def test_a_rules_folder_that_is_not_there_is_said(run: Run) -> None:
    done = run("rules", "check")
    assert done.returncode == 3
    assert "make the folder, or set agent.rules" in done.stderr


# --- try: the two hands -----------------------------------------------------------------------------


@pytest.fixture
def simulator(rules: Path) -> KeyboardSimulator:
    debounce = DebounceSettings()
    rule_set = read_rules(rules, LABELS, debounce).rule_set
    interpreter = GesturePipeline(
        LABELS, smoothing_s=0.15, thresholds=thresholds_of(debounce), rule_set=rule_set
    )
    return KeyboardSimulator(interpreter, LABELS)


def play(simulator: KeyboardSimulator, keys: str) -> list[str]:
    """A key each second at 20 frames/s; what was noted."""
    for second, key in enumerate(keys):
        assert simulator.press(key)
        for frame in range(20):
            simulator.advance(second + frame / 20)
    return [note.text for note in simulator.notes]


def test_a_key_is_a_gesture_until_the_next_key(simulator: KeyboardSimulator) -> None:
    assert play(simulator, " tt ") == [
        "thumbs_up started, right hand",
        'lamp-on: publish lamp/set {"state":"ON"}',
        "thumbs_up ended, right hand",
    ]


def test_the_other_hand_does_not_fire_a_rule_for_the_right_one_and_is_reported_why(
    simulator: KeyboardSimulator,
) -> None:
    notes = play(simulator, " \tt")
    assert notes[0] == "thumbs_up started, left hand"
    assert notes[1].startswith("lamp-on: ")
    assert "left" in notes[1]
    assert not any("publish" in note for note in notes)


def test_a_zone_puts_the_hand_there(simulator: KeyboardSimulator) -> None:
    outside = play(simulator, " f ")
    assert any(note.startswith("sofa-off: ") and "wanted" in note for note in outside)
    simulator.notes.clear()
    for key in "zf":
        simulator.press(key)
    for frame in range(20):
        simulator.advance(10 + frame / 20)
    assert simulator.camera == "front"
    assert "sofa-off: publish lamp/set off" in [note.text for note in simulator.notes]


def test_every_built_in_gesture_has_a_key_and_a_taught_one_gets_a_digit(rules: Path) -> None:
    labels = (*LABELS, "wave")
    keys = KeyboardSimulator(GesturePipeline(labels), labels).keys
    assert keys == {"t": "thumbs_up", "f": "fist", "s": "stop", "o": "ok", "2": "two", "3": "wave"}


# --- try: the terminal ------------------------------------------------------------------------------


class Terminal:
    """A terminal of 100 columns with the command in it."""

    def __init__(self, home: Path, environ: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent", "rules", "try"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=home,
            env={**environ, "TERM": "xterm", "LINES": "40"},
            start_new_session=True,
        )
        os.close(slave)
        self.shown = ""

    def until(self, condition: Callable[[str], bool], patience_s: float = 60.0) -> None:
        ends = time.monotonic() + patience_s
        while not condition(self.shown):
            assert time.monotonic() < ends, self.shown[-2000:]
            if select.select([self._master], [], [], 0.5)[0]:
                self.shown += os.read(self._master, 65536).decode(errors="replace")

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(home: Path, environ: dict[str, str], rules: Path) -> Iterator[Terminal]:
    opened = Terminal(home, environ)
    yield opened
    opened.close()


def test_a_key_in_a_terminal_shows_the_rule_that_would_fire_and_q_ends(terminal: Terminal) -> None:
    terminal.until(lambda shown: "press a key" in shown)
    terminal.press("t")
    terminal.until(lambda shown: "lamp-on: publish lamp/set" in shown)
    terminal.press("q")
    assert terminal.process.wait(20) == 0
    assert "Traceback" not in terminal.shown


def test_ctrl_c_ends_it_as_quietly(terminal: Terminal) -> None:
    terminal.until(lambda shown: "press a key" in shown)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(20) == 0
    assert "Traceback" not in terminal.shown


def test_without_a_terminal_it_says_what_to_use_instead(run: Run, rules: Path) -> None:
    done = run("rules", "try")
    assert done.returncode == 3
    assert "rules test" in done.stderr

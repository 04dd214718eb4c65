"""Files of the release before run: an old key counts, and a warning names the new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.load import load
from agent.config.problems import ConfigProblems
from agent.config.rules.files import read_rules
from agent.config.settings import DebounceSettings

OLD = """
[camera.front]
source = "v4l2:0"
stall = "7s"

[recognition]
look_around = "800ms"
min_person = 0.6

[debounce]
keep = 0.3

[rest]
fps = 2
"""

OLD_RULES = """
[[rule]]
id = "lights"
when = { gesture = "stop" }
publish = { topic = "lights", payload = "off" }

[[rule]]
id = "log"
also = true
when = { gesture = "stop" }
publish = { topic = "log", payload = "stop" }
"""


def written(folder: Path, text: str, name: str = "config.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_an_old_config_means_what_it_meant(tmp_path: Path):
    settings = load(written(tmp_path, OLD), {}, need_files=False).settings
    assert settings.camera["front"].stall_timeout == 7.0
    assert settings.recognition.redetect_interval == 0.8
    assert settings.recognition.person_confidence == 0.6
    assert settings.debounce.keep_confidence == 0.3
    assert settings.idle.fps == 2.0


def test_a_setting_that_is_gone_has_no_effect_and_is_warned_of(tmp_path: Path):
    path = written(tmp_path, "[recognition.tensorrt]\noverlap = true\ngraphs = false\n")
    name = "GESTURE_AGENT__RECOGNITION__TENSORRT__OVERLAP"
    loaded = load(path, {name: "true"}, need_files=False)
    assert loaded.settings.recognition.tensorrt.graphs is False
    why = "has no effect any more (a GPU always classifies tracked hands beside the poses); remove it"
    assert loaded.warnings == (f'{path}:2:1: "overlap" {why}', f"{name} {why}")


def test_every_old_key_is_warned_of_where_it_stands(tmp_path: Path):
    path = written(tmp_path, OLD)
    assert set(load(path, {}, need_files=False).warnings) == {
        f'{path}:4:1: "stall" is now called "stall_timeout"',
        f'{path}:7:1: "look_around" is now called "redetect_interval"',
        f'{path}:8:1: "min_person" is now called "person_confidence"',
        f'{path}:11:1: "keep" is now called "keep_confidence"',
        f'{path}:13:2: "rest" is now called "idle"',
    }


def test_a_wrong_value_under_an_old_key_is_placed(tmp_path: Path):
    path = written(tmp_path, "[debounce]\nkeep = 2\n")
    with pytest.raises(ConfigProblems, match=r"config.toml:2:8: .*at most 1"):
        load(path, {}, need_files=False)


def test_the_old_and_the_new_key_together_are_refused(tmp_path: Path):
    path = written(tmp_path, "[debounce]\nkeep = 0.3\nkeep_confidence = 0.4\n")
    with pytest.raises(ConfigProblems, match=r'unknown key "keep"; known: .*keep_confidence'):
        load(path, {}, need_files=False)


def test_an_old_variable_counts_and_is_warned_of(tmp_path: Path):
    environ = {"GESTURE_AGENT__REST__FPS": "3", "GESTURE_AGENT__DEBOUNCE__KEEP": "0.2"}
    loaded = load(written(tmp_path, ""), environ, need_files=False)
    assert (loaded.settings.idle.fps, loaded.settings.debounce.keep_confidence) == (3.0, 0.2)
    assert set(loaded.warnings) == {
        "GESTURE_AGENT__REST__FPS is now called GESTURE_AGENT__IDLE__FPS",
        "GESTURE_AGENT__DEBOUNCE__KEEP is now called GESTURE_AGENT__DEBOUNCE__KEEP_CONFIDENCE",
    }


def test_where_both_variables_are_set_the_new_one_counts(tmp_path: Path):
    environ = {"GESTURE_AGENT__REST__FPS": "3", "GESTURE_AGENT__IDLE__FPS": "5"}
    assert load(written(tmp_path, ""), environ, need_files=False).settings.idle.fps == 5.0


def test_old_rules_fire_as_they_did_and_are_warned_of(tmp_path: Path):
    path = written(tmp_path, OLD_RULES, "rules.toml")
    rules = read_rules(path, ("stop", "random"), DebounceSettings())
    assert [rule.continue_matching for rule in rules.rule_set.rules] == [False, True]
    assert [str(warning) for warning in rules.warnings] == [f'{path}:9:1: "also" is now called "continue"']

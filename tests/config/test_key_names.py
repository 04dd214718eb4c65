from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.key_names import KEY_NAMES
from agent.config.problems import ConfigProblems
from agent.config.rules.files import LoadedRules, read_rules, unusable_key_rules
from agent.config.settings import DebounceSettings
from agent.core.types import LABELS


def rules(folder: Path, key: str) -> LoadedRules:
    (folder / "a.toml").write_text(f'[[rule]]\nid = "louder"\nwhen = {{ gesture = "two" }}\nkey = {key}\n')
    return read_rules(folder, LABELS, DebounceSettings())


def test_the_keys_that_kiosks_press_are_known():
    assert {"KEY_VOLUMEUP", "KEY_ENTER", "KEY_LEFTCTRL", "KEY_F12", "KEY_1", "KEY_PLAYPAUSE"} <= KEY_NAMES


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ('"KEY_VOLUMUP"', 'a.toml:4:7: unknown key "KEY_VOLUMUP"; did you mean "KEY_VOLUMEUP"?'),
        ('["KEY_LEFTCTRL", "KEY_ESCAPE"]', 'a.toml:4:24: unknown key "KEY_ESCAPE"; did you mean "KEY_'),
        ('"KEY_0X0X0X0X0X0X0X0X"', "names are those of linux/input-event-codes.h, like KEY_ENTER"),
    ],
)
def test_a_key_that_no_keyboard_has_is_reported_at_load(tmp_path: Path, key: str, said: str):
    with pytest.raises(ConfigProblems) as caught:
        rules(tmp_path, key)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 200


def test_rules_that_press_keys_are_named_where_keys_are_off(tmp_path: Path):
    assert "louder would press keys, but actions.keys is false" in str(
        unusable_key_rules(rules(tmp_path, '"KEY_A"').rule_set)
    )
    (tmp_path / "a.toml").write_text("")
    assert unusable_key_rules(read_rules(tmp_path, LABELS, DebounceSettings()).rule_set) is None

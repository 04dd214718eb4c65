"""Rule files in a line each, loaded, or the problems with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.rules.files import LoadedRules, read_rules
from agent.config.settings import DebounceSettings
from agent.core.types import LABELS
from agent.errors import ConfigError

GOOD = """
[[rule]]
id = "a"
when = { gesture = "stop" }
publish = { topic = "t", payload = "p" }
"""


def load(tmp_path: Path, cameras: list[str] | None = None, **files: str) -> LoadedRules:
    for name, text in files.items():
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    return read_rules(tmp_path, LABELS, DebounceSettings(), cameras)


def problems(tmp_path: Path, cameras: list[str] | None = None, **files: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, cameras, **files)
    return str(caught.value).replace(f"{tmp_path}/", "").split("\n")


def rule(text: str, *, name: str = "x", when: str = '{ gesture = "stop" }') -> str:
    return f'[[rule]]\nid = "{name}"\nwhen = {when}\n{text}\n'


SAY = 'publish = { topic = "t" }'

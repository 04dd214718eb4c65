"""An agent with its page, of a drawn film unless a test asks for the clip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from film import RULES, Agent, Film, Start, drawn_film, look_at_clip

from agent.config.settings import WebSettings


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "rules.toml"
    file.write_text(RULES, encoding="utf-8")
    return file


@pytest.fixture
def start(rules: Path) -> Iterator[Start]:
    """Starts an agent with options of `Agent` and settings of [web], on a free port where none is given."""
    with ExitStack() as running:

        def started(film: Film | None = None, *, rules: Path = rules, **options: Any) -> Agent:
            names = ("send_s", "hold_s", "speed", "setup", "teaching", "tuning", "cameras")
            own = {name: options.pop(name) for name in names if name in options}
            settings = WebSettings.model_validate({"enabled": True, "port": 0, **options})
            return running.enter_context(Agent(film or drawn_film(), settings, rules, **own))

        yield started


@pytest.fixture(scope="session")
def clip(cache_dir: Path) -> Film:
    """The rendered clip as the real networks see it."""
    return look_at_clip(cache_dir)

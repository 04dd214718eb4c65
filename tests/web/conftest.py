"""An agent with its page, of a drawn film unless a test asks for the clip."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # film.py, browser.py, visitors.py

from film import Agent, Film, drawn_film, look_at_clip

from agent.config.settings import WebSettings

RULES = """
[[rule]]
id = "lamp"
when = { gesture = "stop" }
publish = { topic = "home/lamp/set", payload = { state = "ON" } }

[[rule]]
id = "bell"
when = { gesture = "fist" }
publish = { topic = "home/bell", payload = "ring" }
"""

Start = Callable[..., Agent]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "rules.toml"
    file.write_text(RULES, encoding="utf-8")
    return file


@pytest.fixture
def start(rules: Path) -> Iterator[Start]:
    """Starts an agent with settings of [web], by default on a free port of the loopback."""
    with ExitStack() as running:

        def started(
            film: Film | None = None, *, rules: Path = rules, send_s: float = 5.0, **web: Any
        ) -> Agent:
            settings = WebSettings.model_validate({"enabled": True, "port": 0, **web})
            return running.enter_context(Agent(film or drawn_film(), settings, rules, send_s=send_s))

        yield started


@pytest.fixture(scope="session")
def clip(cache_dir: Path) -> Film:
    """The rendered clip as the real networks see it."""
    return look_at_clip(cache_dir)

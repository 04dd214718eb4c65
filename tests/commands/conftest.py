"""The command as a user runs it: a process of its own, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import Run


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Current folder and home of the commands; models and state end up in it."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def environ(home: Path) -> dict[str, str]:
    """What the commands see of the environment: nothing of the developer's own settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GESTURE_AGENT", "XDG_", "STATE_", "CACHE_", "CREDENTIALS_"))
    }
    return {**kept, "HOME": str(home), "COLUMNS": "100", "PYTHONUTF8": "1"}


@pytest.fixture
def run(home: Path, environ: dict[str, str]) -> Run:
    """`run("check", "--json", GESTURE_AGENT__LOG__LEVEL="debug")` gives returncode, stdout, stderr."""

    def start(*arguments: str, text_in: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "agent", *arguments],
            input=text_in,
            capture_output=True,
            text=True,
            cwd=home,
            env={**environ, **more},
            timeout=120,
            check=False,
        )

    return start

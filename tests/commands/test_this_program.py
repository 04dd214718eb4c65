"""Printed commands work as they stand, from the folder in which they were printed."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from agent import __version__

ASK = "from agent.commands.this_program import this_program; print(this_program())"


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment with a space in its path: this interpreter, and the program beside it."""
    folder = tmp_path / "a home" / ".venv" / "bin"
    folder.mkdir(parents=True)
    program = folder / "gesture-agent"
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m agent \"$@\"\n")
    program.chmod(0o755)
    return folder


def printed(folder: Path, cwd: Path, path: str) -> str:
    code = f"import sys; sys.executable = {str(folder / 'python')!r}; {ASK}"
    command = [sys.executable, "-c", code]
    env = {**os.environ, "PATH": path}
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_it_is_its_path_where_PATH_does_not_find_it_and_that_runs(environment: Path):  # noqa: N802
    cwd = environment.parents[1]
    said = printed(environment, cwd, os.environ["PATH"])
    assert said == ".venv/bin/gesture-agent"
    shell = ["sh", "-c", f"{said} --version"]
    done = subprocess.run(shell, cwd=cwd, capture_output=True, text=True, check=True)
    assert done.stdout == f"gesture-agent {__version__}\n"


def test_from_elsewhere_the_whole_path_is_quoted_for_the_shell(environment: Path, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    said = printed(environment, elsewhere, os.environ["PATH"])
    assert shlex.split(said) == [str(environment / "gesture-agent")]


def test_it_is_its_name_where_PATH_finds_it(environment: Path):  # noqa: N802
    assert printed(environment, Path("/"), f"{environment}:{os.environ['PATH']}") == "gesture-agent"


def test_another_installation_on_PATH_does_not_count(environment: Path, tmp_path: Path):  # noqa: N802
    other = tmp_path / "other"
    other.mkdir()
    (other / "gesture-agent").write_text("#!/bin/sh\n")
    (other / "gesture-agent").chmod(0o755)
    cwd = environment.parents[1]
    assert printed(environment, cwd, f"{other}:{os.environ['PATH']}") == ".venv/bin/gesture-agent"


def test_without_a_program_it_is_the_module(environment: Path):
    (environment / "gesture-agent").unlink()
    assert printed(environment, environment.parents[1], os.environ["PATH"]) == ".venv/bin/python -m agent"

"""What programs and narrow terminals rely on: JSON on errors, lines of 80 columns, the right folders."""

from __future__ import annotations

import contextlib
import io
import json
import os
import string
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import Run
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from agent import __version__
from agent.cli import app, main
from agent.commands.lazy_commands import LazyGroup
from agent.commands.output import echo_json, echo_table, fitting
from agent.commands.service_folders import as_the_service
from agent.config.load import load
from agent.config.settings import OutboxSettings
from agent.delivery.clocks import Clocks, Deadline
from agent.delivery.outbox.outbox import Outbox, Row
from agent.installation.paths import InstallPaths


def _commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and subcommand with its name in words."""
    for lazy in LazyGroup.announced.values():
        command = lazy.load(None)
        if lazy.group:
            yield from (((lazy.name, name), inner) for name, inner in command.commands.items())
        else:
            yield (lazy.name,), command
    yield ("version",), get_command(app).commands["version"]


def _options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


def _needed(command: Any) -> list[str]:
    """Something for every argument and option that must be given."""
    found = []
    for parameter in command.params:
        if parameter.required:
            found += ["x"] if parameter.param_type_name == "argument" else [parameter.opts[0], "x"]
    return found


EITHER = {"evaluate": ["--manifest", "x"]}  # one of two must be given
SPEAKING = {" ".join(words): command for words, command in _commands() if "--json" in _options(command)}
WITH_SETTINGS = [name for name, command in SPEAKING.items() if "--config" in _options(command)]


@pytest.fixture
def main_says(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """The command line in this process: exit code and the JSON documents of stdout."""

    def run(*arguments: str) -> tuple[object, list[Any]]:
        monkeypatch.chdir(home)
        monkeypatch.delenv("GESTURE_AGENT_CONFIG", raising=False)
        monkeypatch.setattr("sys.argv", ["gesture-agent", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_most_commands_speak_json():
    assert {"check", "outbox list", "outbox purge", "models list", "rules list", "fleet"} <= set(SPEAKING)
    assert len(WITH_SETTINGS) > 12


@pytest.mark.parametrize("name", SPEAKING)
def test_wrong_usage_of_every_command_is_json(main_says, name: str):
    code, [said] = main_says(*name.split(), "--json", "--bogus")
    assert (code, said["ok"], said["exit_code"]) == (2, False, 2)
    assert "--bogus" in said["error"]


@pytest.mark.parametrize("name", WITH_SETTINGS)
def test_settings_that_are_wrong_are_json_with_their_place_from_every_command(
    main_says, home: Path, name: str
):
    (home / "config.toml").write_text("[mqtt]\nurl = 5\n")
    (home / "x").write_text("")  # what the arguments name
    code, [said] = main_says(*name.split(), *_needed(SPEAKING[name]), *EITHER.get(name, []), "--json")
    assert (code, said["ok"]) == (3, False), said
    assert said.get("exit_code", code) == code  # `check` and `rules check` answer with their own document
    assert [(problem["line"], problem["column"]) for problem in said["problems"]] == [(2, 7)]


def test_wrong_usage_is_json_too_where_json_is_asked_for(run: Run):
    done = run("outbox", "list", "--json", "--bogus")
    assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (2, 2)
    assert "--bogus" in json.loads(done.stdout)["error"]
    assert run("outbox", "list", "--bogus").stdout == ""


def test_what_is_no_number_is_null(capsys: pytest.CaptureFixture[str]):
    echo_json({"recall": float("nan"), "all": [1.5, float("inf")]})
    assert json.loads(capsys.readouterr().out) == {"recall": None, "all": [1.5, None]}


def test_version_is_an_option(run: Run):
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"gesture-agent {__version__}\n")


def test_the_list_of_networks_fits_into_eighty_columns(run: Run):
    done = run("models", "list", COLUMNS="80")
    table = done.stdout.split("\n\n")[0].splitlines()
    assert max(map(len, table)) <= 80
    too_long = [line for line in done.stdout.splitlines() if len(line) > 80 and " " in line.strip()]
    assert too_long == []


@pytest.mark.parametrize(
    ("widths", "room", "found"),
    [
        ([5, 10], 80, [5, 10]),
        ([5, 200], 80, [5, 73]),
        ([100, 100], 80, [39, 39]),
        ([50, 100, 5], 80, [35, 36, 5]),
    ],
)
def test_the_widest_columns_give_way(widths: list[int], room: int, found: list[int]):
    assert fitting(widths, room) == found
    assert sum(found) + 2 * (len(found) - 1) <= room


WORDS = st.text(string.ascii_letters + string.digits + " /-_.,;äß", max_size=300)


@given(st.integers(1, 10).flatmap(lambda n: st.lists(st.lists(WORDS, min_size=n, max_size=n), min_size=2)))
def test_every_table_fits_into_eighty_columns_and_loses_no_letter(rows: list[list[str]]):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "80")
        echo_table(rows[0], rows[1:])
    assert max(map(len, printed.getvalue().splitlines()), default=0) <= 80
    given_letters = sorted("".join(cell for row in rows for cell in row).replace(" ", ""))
    assert sorted(printed.getvalue().replace(" ", "").replace("\n", "")) == given_letters


def test_a_row_that_is_past_its_time_is_not_shown_as_waiting(run: Run, home: Path):
    clocks = Clocks()
    past = Deadline(clocks.boot, clocks.boot_s() - 5, time.time() - 5, time.time() - 10)
    state = home / "state"
    state.mkdir()
    box = Outbox(state, OutboxSettings(), clocks)
    box.open()
    box.add([Row("publish", "late", b"x", past, "1")])
    box.add([Row("publish", "early", b"x", clocks.deadline(600), "2")])
    box.close()
    rows = json.loads(run("outbox", "list", "--json", GESTURE_AGENT__AGENT__STATE_DIR=str(state)).stdout)
    assert {row["target"]: row["state"] for row in rows} == {"late": "expired", "early": "waits"}
    assert "expired" in run("outbox", "list", GESTURE_AGENT__AGENT__STATE_DIR=str(state)).stdout


def test_commands_with_the_settings_of_the_service_look_into_its_folders(tmp_path: Path):
    places = InstallPaths(tmp_path)
    for folder in (places.settings, places.state, places.cache):
        folder.mkdir(parents=True)
    (places.settings / "config.toml").write_text("")
    (tmp_path / "own.toml").write_text("")
    service = as_the_service(load(places.settings / "config.toml", {}), {}, places).settings.agent
    assert (service.state_dir, service.cache_dir) == (places.state, places.cache)
    own = as_the_service(load(tmp_path / "own.toml", {}), {}, places).settings.agent
    assert (own.state_dir, own.cache_dir) == (None, None)
    systemd = {"STATE_DIRECTORY": "/a", "CACHE_DIRECTORY": "/b"}
    inside = as_the_service(load(places.settings / "config.toml", {}), systemd, places).settings.agent
    assert (inside.state_dir, inside.cache_dir) == (None, None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every folder")
def test_who_may_not_open_the_services_folders_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    places = InstallPaths(tmp_path)
    for folder in (places.settings, places.state):
        folder.mkdir(parents=True)
    (places.settings / "config.toml").write_text("")
    places.state.chmod(0)
    as_the_service(load(places.settings / "config.toml", {}), {}, places)
    assert "Try again with sudo" in capsys.readouterr().err

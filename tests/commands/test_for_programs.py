"""What programs and narrow terminals rely on: JSON on errors, lines of 80 columns, the right folders."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from command import Run

from agent import __version__
from agent.commands.output import echo_json, fitting
from agent.commands.service_folders import as_the_service
from agent.config.load import load
from agent.config.settings import OutboxSettings
from agent.delivery.clocks import Clocks, Deadline
from agent.delivery.outbox.outbox import Outbox, Row
from agent.installation.paths import InstallPaths


@pytest.mark.parametrize(
    "command",
    [
        ("check",),
        ("outbox", "list"),
        ("models", "list"),
        ("rules", "check"),
        ("rules", "list"),
        ("teach", "--list"),
    ],
    ids=" ".join,
)
def test_an_error_of_a_command_that_speaks_json_is_json(run: Run, home: Path, command: tuple[str, ...]):
    (home / "config.toml").write_text("[mqtt]\nurl = 5\n")
    done = run(*command, "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 3
    assert said["ok"] is False
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

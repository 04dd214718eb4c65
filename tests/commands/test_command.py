"""The command line as a whole: what it teaches, how it ends, what it prints for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command import Run

from agent import __version__
from agent.config.settings import OutboxSettings
from agent.delivery.clocks import Clocks
from agent.delivery.outbox.outbox import Outbox, Row

COMMANDS = (
    ("check",),
    ("run",),
    ("demo",),
    ("replay",),
    ("record",),
    ("explain",),
    ("tune",),
    ("evaluate",),
    ("models", "list"),
    ("models", "fetch"),
    ("service", "install"),
    ("service", "status"),
    ("rules", "check"),
    ("rules", "test"),
    ("rules", "list"),
    ("rules", "try"),
    ("outbox", "list"),
    ("outbox", "purge"),
)


def test_help_names_the_first_steps_every_command_and_the_exit_codes(run: Run) -> None:
    done = run("--help")
    assert done.returncode == 0
    for words in (
        "gesture-agent init",
        "gesture-agent check",
        "0 stopped, 1 crashed",
        "3 cannot start",
    ):
        assert words in done.stdout
    for command in {command[0] for command in COMMANDS}:
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_every_command_has_an_example_that_begins_with_it(run: Run, command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert f"\n    gesture-agent {' '.join(command)}" in done.stdout


def test_help_in_a_pipe_is_plain_text(run: Run) -> None:
    assert run("--help").stdout.isascii()


def test_asking_for_nothing_shows_the_help(run: Run) -> None:
    done = run()
    assert "Usage: " in done.stdout + done.stderr


def test_a_misspelt_command_is_wrong_usage_and_not_a_crash(run: Run) -> None:
    done = run("chekc")
    assert done.returncode == 2
    assert "check" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("version").stdout.startswith(f"gesture-agent {__version__}\n")
    assert json.loads(run("version", "--json").stdout)["version"] == __version__


def test_a_typo_in_the_settings_is_pointed_at_without_a_traceback(run: Run, home: Path) -> None:
    (home / "config.toml").write_text('[mqtt]\nulr = "mqtt://broker"\n[log]\nlevel = "inof"\n')
    done = run("models", "list")
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr == (
        'config.toml:2:1: unknown key "ulr"; did you mean "url"?\n'
        'config.toml:4:9: "inof" is not one of "debug", "info", "warning", "error"; did you mean "info"?\n'
    )


def test_a_settings_file_that_is_not_there_is_said_and_nothing_is_run(run: Run) -> None:
    done = run("models", "list", "--config", "nowhere.toml")
    assert done.returncode == 3
    assert done.stderr == "nowhere.toml: cannot be read: No such file or directory\n"


def test_a_reader_that_leaves_early_is_no_crash(home: Path, environ: dict[str, str]) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'"{sys.executable}" -m agent models list | true'],
        capture_output=True,
        text=True,
        cwd=home,
        env=environ,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_bug_is_a_traceback_and_exit_code_1(home: Path, environ: dict[str, str]) -> None:
    code = "import agent.cli as cli\n@cli.app.command()\ndef bug(): 1 / 0\ncli.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "bug"],
        capture_output=True,
        text=True,
        cwd=home,
        env=environ,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere.mp4", "nowhere.mp4: No such file"),
        ("empty", "holds no image"),
        ("notes.mp4", "notes.mp4"),
        ("gopher:x", "no such kind of source"),
    ],
)
def test_what_cannot_be_replayed_is_said_in_a_line(
    run: Run, home: Path, cache_dir: Path, source: str, said: str
) -> None:
    (home / "empty").mkdir()
    (home / "notes.mp4").write_text("these are notes")
    done = run("replay", source, CACHE_DIRECTORY=str(cache_dir))
    assert done.returncode == 3
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_daemon_does_not_start_without_a_camera(run: Run) -> None:
    done = run("run")
    assert done.returncode == 3
    assert "no camera is set" in done.stderr


def test_the_daemon_does_not_start_without_its_networks_and_says_how_to_get_them(
    run: Run, home: Path
) -> None:
    (home / "config.toml").write_text('[camera.a]\nsource = "csi:0"\n')
    done = run("run")
    assert done.returncode == 3
    assert "gesture-agent models fetch" in done.stderr
    assert "Traceback" not in done.stderr


# --- models -------------------------------------------------------------------------------------


def test_models_that_are_not_fetched_are_listed_as_missing_with_the_command_that_gets_them(run: Run) -> None:
    found = {model["name"]: model for model in json.loads(run("models", "list", "--json").stdout)}
    assert found["palm-detector"]["state"] == "missing"
    assert "gesture-agent models fetch" in found["palm-detector"]["detail"]
    assert found["palm-detector"]["license"] == "Apache-2.0"


def test_fetching_what_is_in_order_changes_nothing(run: Run, cache_dir: Path) -> None:
    path = cache_dir / "engines" / "palm-detector.onnx"
    before = path.stat().st_mtime_ns
    done = run("models", "fetch", "palm-detector", CACHE_DIRECTORY=str(cache_dir))
    assert (done.returncode, done.stdout) == (0, "palm-detector: ready\n")
    as_json = run("models", "fetch", "palm-detector", "--json", CACHE_DIRECTORY=str(cache_dir))
    assert json.loads(as_json.stdout) == {"palm-detector": str(path)}
    assert path.stat().st_mtime_ns == before


def test_a_model_that_nobody_knows_cannot_be_fetched(run: Run) -> None:
    done = run("models", "fetch", "palm-detektor")
    assert done.returncode == 3
    assert "palm-detektor: no such engine" in done.stderr
    assert "palm-detector" in done.stderr


# --- outbox -------------------------------------------------------------------------------------


def test_an_outbox_that_was_never_used_is_empty(run: Run) -> None:
    assert run("outbox", "list").stdout == "Nothing waits.\n"
    assert json.loads(run("outbox", "list", "--json").stdout) == []
    assert json.loads(run("outbox", "purge", "--json").stdout) == {"removed": 0}


def test_what_waits_is_listed_and_removed_only_after_a_yes(run: Run, home: Path) -> None:
    fill_outbox(home / "state")
    (home / "config.toml").write_text('[agent]\nstate_dir = "state"\n')
    [row] = json.loads(run("outbox", "list", "--json").stdout)
    assert (row["target"], row["payload"]) == ("gesture/kitchen/camera/front/event", '{"a":1}')
    assert "gesture/kitchen/camera/front/event" in run("outbox", "list").stdout
    assert run("outbox", "purge", text_in="n\n").returncode == 1
    assert len(json.loads(run("outbox", "list", "--json").stdout)) == 1
    assert run("outbox", "purge", "--yes").stdout == "1 removed.\n"
    assert json.loads(run("outbox", "list", "--json").stdout) == []


def fill_outbox(folder: Path) -> None:
    folder.mkdir()
    clocks = Clocks()
    box = Outbox(folder, OutboxSettings(), clocks)
    box.open()
    row = Row("publish", "gesture/kitchen/camera/front/event", b'{"a":1}', clocks.deadline(60.0), "e-1")
    box.add([row])
    box.close()

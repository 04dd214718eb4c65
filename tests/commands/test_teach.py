"""`gesture-agent teach`: from pictures to a gesture that rules know."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command import Run
from real_cameras import MjpegServer

from agent.commands.collect import spread
from agent.commands.teach_tui import half_blocks

HORNS = """
[[rule]]
id = "horns"
when = { gesture = "rock" }
publish = { topic = "home/music", payload = "loud" }
"""


@pytest.fixture
def ready(home: Path, cache_dir: Path, environ: dict[str, str]) -> Path:
    """A folder with settings; the networks are there."""
    (home / "config.toml").write_text(
        f'[agent]\ncache_dir = "{cache_dir}"\nstate_dir = "state"\n[camera.front]\nsource = "nowhere.mp4"\n'
    )
    return home


@pytest.fixture
def live() -> Iterator[MjpegServer]:
    server = MjpegServer()
    yield server
    server.close()


def copied(shared: Path, folder: Path, kind: tuple[str, str], count: int, held: int = 1) -> None:
    """So many pictures, each `held` times."""
    with (shared / "photos.csv").open(encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if (r["source"], r["original_label"]) == kind]
    folder.mkdir()
    for number, i in enumerate(np.linspace(0, len(rows) - 1, count)):
        for repeated in range(held):
            shutil.copy(shared / rows[int(i)]["path"], folder / f"{number:03d}-{repeated:03d}.jpg")


@pytest.mark.slow
def test_a_gesture_learned_from_pictures_fires_a_rule_for_another_person_and_can_be_forgotten(
    run: Run, ready: Path, shared_data: Path
) -> None:
    copied(shared_data, ready / "mine", ("tanishka", "RockOn"), count=14)
    copied(shared_data, ready / "clip", ("emrecandir", "photo"), count=3, held=15)
    done = run("teach", "rock", "--folder", "mine", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["gesture"], facts["others"]) == ("rock", 640)
    assert facts["examples"] >= 10
    assert facts["left_out_right"] >= 0.8 * facts["left_out"]
    assert facts["others_mistaken"] < 0.05 * facts["others"]
    listed = json.loads(run("teach", "--list", "--json").stdout)
    assert listed == [{"gesture": "rock", "examples": facts["examples"], "kind": "new", "in_use": True}]
    assert [path.name for path in (ready / "state").iterdir()] == ["taught.npz"]

    (ready / "rules").mkdir()
    (ready / "rules" / "music.toml").write_text(HORNS)
    assert run("rules", "check").returncode == 0
    played = run("replay", "clip", "--json")
    started = [json.loads(line) for line in played.stdout.splitlines()]
    assert any((event["event_type"], event["phase"]) == ("rock", "started") for event in started)

    again = run("teach", "rock", "--improve", "--folder", "mine", "--json")
    assert json.loads(again.stdout)["examples"] == 2 * facts["examples"]
    assert "forgotten" in run("teach", "--remove", "rock").stdout
    assert run("teach", "--list").stdout == "Nothing was taught yet.\n"
    assert run("rules", "check").returncode == 3


def test_a_gesture_is_learned_from_a_live_camera(
    run: Run, ready: Path, live: MjpegServer, shared_data: Path
) -> None:
    copied(shared_data, ready / "call", ("tanishka", "CallMe"), count=12)
    pictures = [path.read_bytes() for path in sorted((ready / "call").iterdir())]
    live.shows = lambda number: pictures[number // 10 % len(pictures)]
    front = {"GESTURE_AGENT__CAMERA__FRONT__SOURCE": live.url}
    done = run("teach", "call", "--camera", "front", "--count", "8", "--json", **front)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["gesture"], facts["examples"]) == ("call", 8)
    told = done.stderr.splitlines()
    assert told[:3] == [f"call: show it in {left} s" for left in (3, 2, 1)]
    assert told[3:5] == [f"call: {n} of 8 taken; turn and move your hand a little" for n in (5, 8)]
    assert [path.name for path in (ready / "state").iterdir()] == ["taught.npz"]


def test_a_built_in_gesture_is_adapted_only_when_asked_for(run: Run, ready: Path) -> None:
    done = run("teach", "fist", "--folder", ".")
    assert done.returncode == 3
    assert "fist is built in; `gesture-agent teach fist --improve` adapts it to you" in done.stderr


def test_what_is_not_there_cannot_be_improved_or_removed(run: Run, ready: Path) -> None:
    assert (
        "rock is neither built in nor taught yet" in run("teach", "rock", "--improve", "--folder", ".").stderr
    )
    done = run("teach", "--remove", "rock")
    assert (done.returncode, done.stderr) == (3, "rock was not taught; taught: nothing\n")


@pytest.mark.parametrize("name", ["Rock", "any", "two words", "3rd", "a/b"])
def test_a_name_that_rules_and_topics_could_not_hold_is_refused(run: Run, ready: Path, name: str) -> None:
    done = run("teach", name, "--folder", ".")
    assert done.returncode == 3
    assert f'"{name}": a gesture is called by a letter' in done.stderr


def test_where_to_learn_from_is_asked_for(run: Run, ready: Path) -> None:
    assert run("teach", "rock").returncode == 2
    assert run("teach", "rock", "--camera", "front", "--folder", ".").returncode == 2


def test_a_folder_without_pictures_and_an_unknown_camera_are_named(run: Run, ready: Path) -> None:
    (ready / "empty").mkdir()
    assert "empty: no picture in it" in run("teach", "rock", "--folder", "empty").stderr
    done = run("teach", "rock", "--camera", "back")
    assert (done.returncode, done.stderr) == (3, 'no camera "back" in the settings; there: front\n')


def test_a_camera_that_is_away_is_reported_and_nothing_is_kept(run: Run, ready: Path) -> None:
    done = run("teach", "rock", "--camera", "front")
    assert done.returncode == 1
    assert "nowhere.mp4" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (ready / "state" / "taught.npz").exists()


def test_a_damaged_file_stops_the_commands_that_need_it(run: Run, ready: Path) -> None:
    (ready / "state").mkdir()
    (ready / "state" / "taught.npz").write_bytes(b"x")
    done = run("teach", "--list")
    assert done.returncode == 3
    assert "taught.npz: not a file of taught gestures" in done.stderr


def test_the_terminal_shows_two_pixels_a_character() -> None:
    picture = np.zeros((4, 2, 3), np.uint8)
    picture[:2] = (1, 2, 3)  # blue, green, red: the upper half
    text = half_blocks(picture, 2)
    upper, lower = text.split("\n")
    assert upper == "\x1b[38;2;3;2;1;48;2;3;2;1m\u2580" * 2 + "\x1b[0m"
    assert lower == "\x1b[38;2;0;0;0;48;2;0;0;0m\u2580" * 2 + "\x1b[0m"


def test_a_selection_is_spread_over_the_whole() -> None:
    assert spread(range(100), 4) == [0, 33, 66, 99]
    assert spread(range(3), 4) == [0, 1, 2]

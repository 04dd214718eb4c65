"""The real homes and the real agent, for tests that `make test-homes` runs and `make test` skips."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
from brokers import Mosquitto
from daemon import FILM_FPS, Daemon, Film, settings
from homes_kit import FIGURES, HOMES, home
from prepare import NODE_REDS

CLIP = Path(__file__).parents[1] / "data/demo.mp4"
CLIP_FPS = 15
PEACE_S = (12.1, 13.4)  # of the clip: somebody shows two fingers, and is taught to mean peace


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before anything is prepared for them."""
    if HOMES not in os.environ:
        for item in items:
            if item.get_closest_marker("homes"):
                item.add_marker(
                    pytest.mark.skip("a real Home Assistant and Node-RED are big: make test-homes")
                )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES:
        terminalreporter.section("measured")
        for line in FIGURES:
            terminalreporter.write_line(line)


@pytest.fixture(scope="module", params=NODE_REDS)
def node_red_home(request: pytest.FixtureRequest) -> Path:
    return home(f"node-red-{request.param}")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every third picture of the rendered clip: fist, stop, thumbs_up, ok, two."""
    folder = tmp_path_factory.mktemp("film")
    video, number = cv2.VideoCapture(str(CLIP)), 0
    while (read := video.read())[0]:
        if number % (CLIP_FPS // FILM_FPS) == 0:
            cv2.imwrite(str(folder / f"{number:05}.png"), read[1])
        number += 1
    return folder


@pytest.fixture(scope="session")
def taught(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `taught.npz` made by the command, of the pictures with two fingers."""
    folder = tmp_path_factory.mktemp("taught")
    (folder / "peace").mkdir()
    video = cv2.VideoCapture(str(CLIP))
    first, last = (round(at * CLIP_FPS) for at in PEACE_S)
    video.set(cv2.CAP_PROP_POS_FRAMES, first)
    for number in range(first, last):
        cv2.imwrite(str(folder / "peace" / f"{number}.png"), video.read()[1])
    config = folder / "config.toml"
    config.write_text(settings(CLIP, cache_dir), encoding="utf-8")
    words = ("-m", "agent", "teach", "peace", "--force", "--folder", folder / "peace")  # looks like two
    run(*words, "--config", config)
    return folder / "state/taught.npz"


@pytest.fixture(scope="session")
def film(pictures: Path, taught: Path, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Film:
    """The pictures, and what the networks say of them, the taught gesture too."""
    folder = tmp_path_factory.mktemp("sights")
    shutil.copytree(taught.parent, folder / "state")
    config = folder / "config.toml"
    config.write_text(settings(pictures, cache_dir), encoding="utf-8")
    run(Path(__file__).with_name("remembering.py"), "look", config, folder / "sights")
    return Film(pictures, taught, folder / "sights", cache_dir)


def run(*words: str | Path) -> None:
    done = subprocess.run([sys.executable, *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path_factory.mktemp("broker")).start()
    yield mosquitto
    mosquitto.stop()


@pytest.fixture(scope="module")
def make_agent(
    film: Film, broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Daemon]:
    """An agent with a state folder of its own, at the broker; to be started, and stopped."""
    return lambda: Daemon(tmp_path_factory.mktemp("agent"), film, broker.url)

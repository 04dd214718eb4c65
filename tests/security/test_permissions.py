"""Files and folders of the running agent become unreadable, read-only or somebody else's: it goes on."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from brokers import Mosquitto, Subscriber
from daemons import configured, daemon
from support.waiting import until

ROUNDS = int(os.environ.get("GESTURE_AGENT_ATTACKS", "1"))
SOMEBODY = 65534
RULE = """
[[rule]]
id = "lamp"
when = { gesture = "stop" }
publish = { topic = "home/lamp", payload = "ON" }
"""
Ask = Callable[[str], dict[str, Any]]


def bound_by_permissions() -> list[str]:
    """Root may read everything; without its capabilities it may not."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed (apt install util-linux)")
    return ["setpriv", "--bounding-set=-all"]


@contextmanager
def closed(path: Path, mode: int) -> Iterator[None]:
    """Changed mode, and the old one again."""
    before = path.stat().st_mode & 0o7777
    path.chmod(mode)
    yield
    path.chmod(before)


@contextmanager
def given_away(path: Path) -> Iterator[None]:
    """A file of somebody else that nobody else may read."""
    if os.geteuid() == 0:
        os.chown(path, SOMEBODY, SOMEBODY)
    with closed(path, 0o600 if os.geteuid() == 0 else 0):
        yield
    if os.geteuid() == 0:
        os.chown(path, 0, 0)


@pytest.fixture
def watched(tmp_path: Path, cache_dir: Path) -> Iterator[tuple[Path, Subscriber]]:
    broker = Mosquitto(tmp_path).start()
    subscriber = Subscriber(broker.port)
    (tmp_path / "films").mkdir()
    for picture in (tmp_path / "films/film.png", tmp_path.parent / "front.png"):
        cv2.imwrite(str(picture), np.full((480, 640, 3), 90, np.uint8))
    cameras = f'[camera.front]\nsource = "{tmp_path.parent / "front.png"}"\nloop = true\nfps = 5'
    cameras += '\n[camera.film]\nsource = "films/film.png"\nloop = true\nfps = 2'
    config = configured(tmp_path, "permissions", broker.url, cache_dir, cameras)
    (tmp_path / "rules/lamp.toml").write_text(RULE)
    yield config, subscriber
    subscriber.close()
    broker.stop()


def asking(subscriber: Subscriber) -> Ask:
    def ask(name: str) -> dict[str, Any]:
        before = len(subscriber.on(f"response/{name}"))
        subscriber.publish(f"gesture/permissions/bridge/request/{name}", '{"rule": "lamp"}')
        until(lambda: len(subscriber.on(f"response/{name}")) > before, f"the answer to {name}")
        return dict(json.loads(subscriber.on(f"response/{name}")[-1].payload))

    return ask


def frames_seen(ask: Ask) -> int:
    return int(ask("health")["data"]["camera"]["front"]["frames"])


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_whatever_may_no_longer_be_read_or_written_the_agent_goes_on(
    watched: tuple[Path, Subscriber], tmp_path: Path, seed: int
):
    config, subscriber = watched
    rules = tmp_path / "rules"
    attacks: list[tuple[str, Callable[[], Any], bool]] = [
        ("a rule file unreadable", lambda: closed(rules / "lamp.toml", 0), True),
        ("a rule file of somebody else", lambda: given_away(rules / "lamp.toml"), True),
        ("rules not to be listed", lambda: closed(rules, 0o300), True),
        ("rules not to be entered", lambda: closed(rules, 0), True),
        ("the folder of all not to be entered", lambda: closed(tmp_path, 0), True),
        ("the settings unreadable", lambda: closed(config, 0), False),
        ("state read-only", lambda: closed(tmp_path / "state", 0o500), False),
        ("state not to be entered", lambda: closed(tmp_path / "state", 0), False),
        ("the outbox read-only", lambda: closed(tmp_path / "state/outbox.db", 0o400), False),
        ("the outbox of somebody else", lambda: given_away(tmp_path / "state/outbox.db"), False),
        ("a film unreadable", lambda: closed(tmp_path / "films/film.png", 0), False),
        ("films not to be entered", lambda: closed(tmp_path / "films", 0), False),
    ]
    if seed:
        random.Random(seed).shuffle(attacks)  # noqa: S311 (repeatable)
    ask = asking(subscriber)
    with daemon(config, through=bound_by_permissions()) as running:
        until(lambda: subscriber.on("camera/film/state"), "the agent runs", 90)
        for name, attack, touches_rules in attacks:
            with attack():
                told = ask("reload")
                assert (told["status"] == "error") == touches_rules, (name, told)
                assert not touches_rules or "cannot be read" in told["error"], (name, told)
                lamps, frames = len(subscriber.on("home/lamp")), frames_seen(ask)
                assert ask("test_rule")["status"] == "ok", name
                until(lambda n=lamps: len(subscriber.on("home/lamp")) > n, f"the old rule: {name}", 60)
                until(lambda n=frames: frames_seen(ask) > n, f"frames are looked at: {name}", 60)
                if name == "state not to be entered":  # the outbox looks once a second
                    until(lambda: "its folder may not be entered" in running.said, "the outbox says so")
            if touches_rules:
                assert ask("reload")["status"] == "ok", name
            assert running.process.poll() is None, name
        until(lambda: "online" in subscriber.on("camera/film/state")[-1].payload, "the film is back", 90)
        health = ask("health")["data"]
        assert health["rules"]["count"] == 1
        assert "the file was removed" not in running.said
        assert "Traceback" not in running.said


@pytest.mark.parametrize("place", ["state", "."])
def test_an_outbox_that_may_not_be_read_is_told(tmp_path: Path, place: str):
    state = tmp_path / "home/state"
    state.mkdir(parents=True)
    (state / "outbox.db").touch()
    command = [sys.executable, "-m", "agent", "outbox", "list", "--json"]
    environ = {**os.environ, "GESTURE_AGENT__AGENT__STATE_DIR": str(state), "HOME": str(tmp_path)}
    with closed(state if place == "state" else state.parent, 0):
        done = subprocess.run(
            [*bound_by_permissions(), *command], env=environ, capture_output=True, text=True, check=False
        )
    assert done.returncode == 3
    assert "ermission denied" in json.loads(done.stdout)["error"]

"""The main job on real input: pictures of a hand in, MQTT messages at a subscriber out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from brokers import Mosquitto, Subscriber, until

ROOT = Path(__file__).parents[1]
CLIP, TRUTH = ROOT / "tests/data/demo.mp4", ROOT / "tests/data/demo.json"
DESK = ("fist", "stop", "thumbs_up", "ok")
FPS = 15
GAP = 8  # frames: half a second without a hand


def agent(*words: str | Path, **environ: str) -> subprocess.Popen[str]:
    """The command as a user runs it."""
    return subprocess.Popen(
        [sys.executable, "-m", "agent", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environ},
    )


def replayed(source: Path) -> list[dict[str, Any]]:
    process = agent("replay", source, "--json")
    out, err = process.communicate()
    assert process.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()]


def starts(events: list[dict[str, Any]]) -> list[str]:
    return [event["event_type"] for event in events if event["phase"] == "started"]


@pytest.mark.parametrize("label", DESK)
def test_a_gesture_of_a_real_hand_starts_once(shared_data: Path, cache_dir: Path, label: str):
    events = replayed(shared_data / "sequences" / "desk" / label)
    assert [(event["event_type"], event["phase"]) for event in events] == [
        (label, "started"),
        (label, "ended"),
    ]
    assert 0 < events[0]["at_s"] < 1.5


@pytest.fixture(params=["photographs", "rendered clip"])
def film(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, list[str]]:
    """A folder of images, and the gestures in it in order."""
    if request.param == "photographs":
        shared: Path = request.getfixturevalue("shared_data")
        frames, gestures = _real_frames(shared / "sequences/desk"), list(DESK)
    else:
        truth = json.loads(TRUTH.read_text(encoding="utf-8"))
        frames, gestures = _rendered_frames(), [span["gesture"] for span in truth["gestures"]]
    folder = tmp_path / "film"
    folder.mkdir()
    for number, image in enumerate(frames):
        cv2.imwrite(str(folder / f"{number:05}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return folder, gestures


def _real_frames(desk: Path) -> Iterator[np.ndarray[Any, Any]]:
    for label in DESK:
        for path in sorted((desk / label).glob("*.jpg")):
            yield np.asarray(cv2.imread(str(path)))
        for _ in range(GAP):
            yield np.full((480, 640, 3), 90, np.uint8)


def _rendered_frames() -> Iterator[np.ndarray[Any, Any]]:
    video = cv2.VideoCapture(str(CLIP))
    while True:
        there, image = video.read()
        if not there:
            return
        yield np.asarray(image)


def test_from_pictures_to_a_subscriber_of_a_real_broker(
    film: tuple[Path, list[str]], cache_dir: Path, tmp_path: Path
):
    folder, gestures = film
    broker = Mosquitto(tmp_path).start()
    subscriber = Subscriber(broker.port, "gesture/e2e/#")
    config = tmp_path / "config.toml"
    config.write_text(
        f"""
        [agent]
        id = "e2e"
        rules = "{tmp_path / "rules.toml"}"
        state_dir = "{tmp_path / "state"}"
        cache_dir = "{cache_dir}"
        [camera.desk]
        source = "{folder}"
        fps = {FPS}
        [mqtt]
        url = "{broker.url}"
        """
    )
    (tmp_path / "rules.toml").write_text(
        """
        [[rule]]
        id = "lamp"
        when = { gesture = "stop" }
        publish = { topic = "gesture/e2e/lamp", payload = { state = "ON", by = "{camera}" } }
        """
    )
    process = agent("run", "--config", config)
    try:
        assert process.wait(timeout=150) == 0  # a film ends, and with it the agent
    finally:
        process.kill()
        _out, err = process.communicate()

    def heard(tail: str) -> list[str]:
        return [h.payload for h in subscriber.heard if h.topic == f"gesture/e2e/{tail}"]

    until(lambda: '{"state":"offline"}' in heard("bridge/state"), "the farewell")
    subscriber.close()
    broker.stop()
    phases = [json.loads(payload) for payload in heard("camera/desk/event")]
    told = [(e["event_type"], e["phase"]) for e in phases if e["phase"] != "held"]
    assert told == [(g, phase) for g in gestures for phase in ("started", "ended")], err
    assert heard("camera/desk/action") == gestures
    assert heard("lamp") == ['{"state":"ON","by":"desk"}'] * gestures.count("stop")
    assert heard("bridge/state") == ['{"state":"online"}', '{"state":"offline"}']
    states = [json.loads(payload) for payload in heard("camera/desk/state")]
    assert [state["state"] for state in states if state["reason"] is None] == ["online"]
    assert "played to its end" in states[-1]["reason"]
    assert json.loads(heard("camera/desk/gesture")[-1])["gesture"] == "none"
    assert set(json.loads(heard("bridge/info")[0])["gestures"]) == {"thumbs_up", "fist", "stop", "ok", "two"}
    assert not [h for h in subscriber.heard if h.topic.endswith(("/event", "/action")) and h.retained]


def test_off_closes_the_cameras_and_stays_off_over_a_restart(cache_dir: Path, tmp_path: Path):
    broker = Mosquitto(tmp_path).start()
    subscriber = Subscriber(broker.port, "gesture/private/#")
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures/0.png"), np.full((480, 640, 3), 90, np.uint8))
    (tmp_path / "rules").mkdir()
    config = tmp_path / "config.toml"
    config.write_text(
        f"""
        [agent]
        id = "private"
        state_dir = "{tmp_path / "state"}"
        cache_dir = "{cache_dir}"
        [camera.desk]
        source = "{tmp_path / "pictures"}"
        loop = true
        [mqtt]
        url = "{broker.url}"
        """
    )

    def last(tail: str) -> str:
        return next((h.payload for h in reversed(subscriber.heard) if h.topic.endswith(tail)), "")

    first = agent("run", "--config", config)
    second = None
    try:
        until(lambda: '"online"' in last("camera/desk/state"), "the camera is in use")
        subscriber.publish("gesture/private/enabled/set", "OFF")
        until(lambda: '"disabled"' in last("camera/desk/state"), "the camera is closed")
        assert last("enabled/state") == "OFF"
        first.kill()  # no time to say or to write anything
        first.communicate()
        subscriber.heard.clear()
        second = agent("run", "--config", config)
        until(lambda: '"disabled"' in last("camera/desk/state"), "the camera stays closed")
        assert last("enabled/state") == "OFF"
        assert not [h for h in subscriber.heard if h.topic.endswith("desk/state") and '"online"' in h.payload]
        subscriber.publish("gesture/private/enabled/set", "ON")
        until(lambda: '"online"' in last("camera/desk/state"), "the camera is back in use")
    finally:
        for process in filter(None, (first, second)):
            process.kill()
            process.communicate()
        subscriber.close()
        broker.stop()


def test_the_daemon_starts_without_its_broker_and_stops_when_told(
    cache_dir: Path, tmp_path: Path, free_port: int
):
    config = tmp_path / "config.toml"
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "0.png"), np.full((480, 640, 3), 90, np.uint8))
    (tmp_path / "rules").mkdir()
    config.write_text(
        f"""
        [agent]
        id = "lonely"
        state_dir = "{tmp_path / "state"}"
        cache_dir = "{cache_dir}"
        [camera.desk]
        source = "{pictures}"
        loop = true
        [mqtt]
        url = "mqtt://127.0.0.1:{free_port}"
        [log]
        format = "json"
        """
    )
    process = agent("run", "--config", config)
    try:
        lines = iter(process.stderr.readline, "") if process.stderr else iter(())
        seen = []
        for line in lines:
            seen.append(line)
            if "broker_lost" in line:
                break
        assert f"nothing listens at 127.0.0.1:{free_port}" in seen[-1], seen
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.communicate()

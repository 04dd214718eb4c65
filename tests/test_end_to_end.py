"""The main job on real input: pictures of a hand in, MQTT messages at a subscriber out."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from brokers import Mosquitto, Subscriber
from daemons import CLIP, configured, daemon
from support.ports import free_port
from support.waiting import until

from agent.config.settings import Settings
from agent.core.rules import RuleSet
from agent.core.types import Frame, GestureHeld, GestureStarted
from agent.inference.build import build_recognizer
from agent.pipeline import build_pipeline

ROOT = Path(__file__).parents[1]
TRUTH = ROOT / "tests/data/demo.json"
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


@pytest.mark.parametrize(("profile", "seed"), [("balanced", 0), ("accurate", 1), ("accurate", 2)])
def test_a_weak_gesture_is_one_gesture_when_a_third_of_the_frames_is_late(
    shared_data: Path, cache_dir: Path, profile: str, seed: int
):
    """In this clip the crop along the landmarks grows too large, and confirms itself in that."""
    settings = Settings.model_validate({"recognition": {"profile": profile}})
    recognizer = build_recognizer(settings.recognition, cache_dir)
    pipeline = build_pipeline(settings, recognizer.labels, RuleSet())
    late, events = random.Random(seed), []  # noqa: S311
    for seq, path in enumerate(sorted((shared_data / "sequences/desk/thumbs_up").glob("*.jpg"))[20:75]):
        if late.random() >= 0.3:
            (detections,) = recognizer.recognize([Frame("desk", seq, seq / FPS, cv2.imread(str(path)))])
            events += pipeline.process(detections).events
    recognizer.close()
    told = [(event.gesture, type(event)) for event in events if not isinstance(event, GestureHeld)]
    assert told == [("thumbs_up", GestureStarted)]


@pytest.fixture(params=["photographs", "rendered clip"])
def film(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, list[str]]:
    """A folder of images, and the gestures in it in order."""
    if request.param == "photographs":
        shared: Path = request.getfixturevalue("shared_data")
        gestures = list(DESK[:2])  # in real time; the test above reads all of them, as fast as it can
        frames = _real_frames(shared / "sequences/desk", gestures)
    else:
        truth = json.loads(TRUTH.read_text(encoding="utf-8"))
        frames, gestures = _rendered_frames(), [span["gesture"] for span in truth["gestures"]]
    folder = tmp_path / "film"
    folder.mkdir()
    for number, image in enumerate(frames):
        cv2.imwrite(str(folder / f"{number:05}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return folder, gestures


def _real_frames(desk: Path, labels: Sequence[str]) -> Iterator[np.ndarray[Any, Any]]:
    for label in labels:
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
    camera = f'[camera.desk]\nsource = "{folder}"\nfps = {FPS}'
    config = configured(tmp_path, "e2e", broker.url, cache_dir, camera)
    (tmp_path / "rules/lamp.toml").write_text(
        """
        [[rule]]
        id = "lamp"
        when = { gesture = "stop" }
        publish = { topic = "gesture/e2e/lamp", payload = { state = "ON", by = "{camera}" } }
        """
    )
    with daemon(config) as running:
        assert running.process.wait(timeout=150) == 0  # a film ends, and with it the agent

    def heard(tail: str) -> list[str]:
        return [h.payload for h in subscriber.heard if h.topic == f"gesture/e2e/{tail}"]

    until(lambda: '{"state":"offline"}' in heard("bridge/state"), "the farewell")
    subscriber.close()
    broker.stop()
    phases = [json.loads(payload) for payload in heard("camera/desk/event")]
    told = [(e["event_type"], e["phase"]) for e in phases if e["phase"] != "held"]
    assert told == [(g, phase) for g in gestures for phase in ("started", "ended")], running.said
    assert heard("camera/desk/action") == gestures
    assert heard("lamp") == ['{"state":"ON","by":"desk"}'] * gestures.count("stop")
    assert heard("bridge/state") == ['{"state":"online"}', '{"state":"offline"}']
    states = [json.loads(payload) for payload in heard("camera/desk/state")]
    assert [state["state"] for state in states if state["reason"] is None] == ["online"]
    assert "played to its end" in states[-2]["reason"]
    assert states[-1]["reason"] == "the agent has stopped"
    assert json.loads(heard("camera/desk/gesture")[-1])["gesture"] == "none"
    assert set(json.loads(heard("bridge/info")[0])["gestures"]) == {"thumbs_up", "fist", "stop", "ok", "two"}
    assert not [h for h in subscriber.heard if h.topic.endswith(("/event", "/action")) and h.retained]


def test_off_closes_the_cameras_and_stays_off_over_a_restart(cache_dir: Path, tmp_path: Path):
    broker = Mosquitto(tmp_path).start()
    subscriber = Subscriber(broker.port, "gesture/private/#")
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures/0.png"), np.full((480, 640, 3), 90, np.uint8))
    camera = f'[camera.desk]\nsource = "{tmp_path / "pictures"}"\nloop = true'
    config = configured(tmp_path, "private", broker.url, cache_dir, camera)

    def last(tail: str) -> str:
        return next((h.payload for h in reversed(subscriber.heard) if h.topic.endswith(tail)), "")

    try:
        with daemon(config) as first:
            until(lambda: '"online"' in last("camera/desk/state"), "the camera is in use")
            subscriber.publish("gesture/private/enabled/set", "OFF")
            until(lambda: '"disabled"' in last("camera/desk/state"), "the camera is closed")
            until(lambda: last("enabled/state") == "OFF", "the agent says that it is off")
            first.kill()
        subscriber.heard.clear()
        with daemon(config):
            until(lambda: '"disabled"' in last("camera/desk/state"), "the camera stays closed")
            until(lambda: last("enabled/state") == "OFF", "the agent says that it is off")
            told = [h.payload for h in subscriber.heard if h.topic.endswith("desk/state")]
            assert not [payload for payload in told if '"online"' in payload]
            subscriber.publish("gesture/private/enabled/set", "ON")
            until(lambda: '"online"' in last("camera/desk/state"), "the camera is back in use")
    finally:
        subscriber.close()
        broker.stop()


def test_the_daemon_starts_without_its_broker_and_stops_when_told(cache_dir: Path, tmp_path: Path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "0.png"), np.full((480, 640, 3), 90, np.uint8))
    camera = f'[camera.desk]\nsource = "{pictures}"\nloop = true\n[log]\nformat = "json"'
    port = free_port()
    url = f"mqtt://127.0.0.1:{port}"
    with daemon(configured(tmp_path, "lonely", url, cache_dir, camera)) as running:
        until(lambda: "broker_lost" in running.said, "the broker is missed")
        assert f"nothing listens at 127.0.0.1:{port}" in running.said

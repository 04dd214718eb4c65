"""Our networks on a real Triton Inference Server. Asked for with `make test-triton`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.waiting import until
from thin_daemon import CLIP, thin_daemon
from triton_server import RealTriton

from agent.config.settings import RecognitionSettings, TritonSettings
from agent.core.types import Frame
from agent.errors import EngineAway, ModelError
from agent.inference.build import build_recognizer
from agent.inference.engine import RemoteEngine, connect_engine, load_engine
from agent.inference.manifest import load_manifest
from agent.inference.models import fetch, locate

pytestmark = pytest.mark.triton

CLASSIFIER = "gesturenet-ensemble"
NETWORKS = (CLASSIFIER, "palm-detector", "pose-detector", "pose-landmark")
TIMEOUT_S = 10.0  # a shared machine without a GPU may take its time


@pytest.fixture(scope="module")
def files(cache_dir: Path) -> Path:
    fetch([CLASSIFIER], cache_dir)
    return cache_dir


@pytest.fixture(scope="module")
def triton(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealTriton]:
    server = RealTriton(tmp_path_factory.mktemp("triton"))
    for name in NETWORKS:
        server.serve(name, locate(name, files))
    server.start()
    yield server
    server.kill()


Connect = Callable[..., RemoteEngine]


@pytest.fixture
def connect(triton: RealTriton) -> Iterator[Connect]:
    made: list[RemoteEngine] = []

    def make(name: str = CLASSIFIER) -> RemoteEngine:
        settings = TritonSettings(url=triton.url, timeout=TIMEOUT_S)
        made.append(connect_engine(load_manifest(name), settings))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


def crops(count: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    return {
        "input_1": random.random((count, 3, 224, 224), np.float32),
        "crop_angle": random.random((count, 1), np.float32),
    }


@pytest.mark.parametrize("count", [1, 2, 11])  # the server takes 8 at once
def test_it_says_what_the_network_says_here(connect: Connect, files: Path, count: int) -> None:
    here = load_engine(CLASSIFIER, locate(CLASSIFIER, files)).run(crops(count))
    there = connect().run(crops(count))
    for name, array in there.items():
        np.testing.assert_allclose(array, here[name], rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_of_ours_fits_its_manifest_there(connect: Connect, name: str) -> None:
    engine = connect(name)
    assert engine.away is None
    assert engine.version == "1"


def test_pictures_are_seen_as_here(triton: RealTriton, files: Path) -> None:
    there = RecognitionSettings(
        backend="triton", triton=TritonSettings(url=triton.url, networks="all", timeout=TIMEOUT_S)
    )
    video, seen = cv2.VideoCapture(str(CLIP)), []
    frames = [np.asarray(video.read()[1]) for _ in range(45)][::3]
    for settings in (RecognitionSettings(), there):
        recognizer = build_recognizer(settings, files)
        all_detections = [
            recognizer.recognize([Frame("front", n, n / 5, image)])[0] for n, image in enumerate(frames)
        ]
        recognizer.close()
        seen.append(
            [(s.people, [(h.person, h.hand, h.scores.argmax()) for h in s.hands]) for s in all_detections]
        )
    assert seen[0] == seen[1]
    assert any(hands for _, hands in seen[0])


def test_another_network_under_the_name_cannot_start(tmp_path: Path, files: Path) -> None:
    server = RealTriton(tmp_path)
    server.serve(CLASSIFIER, locate("hand-landmark", files))
    server.start()
    try:
        with pytest.raises(ModelError, match='is another network: it has no input "crop_angle"'):
            connect_engine(load_manifest(CLASSIFIER), TritonSettings(url=server.url, timeout=TIMEOUT_S))
    finally:
        server.kill()


def test_a_network_that_is_unloaded_and_loaded_again(
    triton: RealTriton, connect: Connect, files: Path
) -> None:
    engine = connect()
    triton.withdraw(CLASSIFIER)
    until(lambda: not triton.has(CLASSIFIER), "it is unloaded", 60)
    with pytest.raises(EngineAway, match=r"the server says .*unknown model.*|not ready"):
        engine.run(crops(1))
    triton.serve(CLASSIFIER, locate(CLASSIFIER, files))
    until(lambda: engine.away is None, f"it is back; {engine.away}", 60)
    engine.run(crops(1))


def test_a_server_that_is_killed_and_started_again(triton: RealTriton, connect: Connect) -> None:
    engine = connect()
    engine.run(crops(1))
    triton.kill()
    with pytest.raises(EngineAway):
        engine.run(crops(1))
    triton.start()
    until(lambda: engine.away is None, f"it is back; {engine.away}", 60)
    engine.run(crops(1))


def test_a_daemon_goes_on_without_the_server_and_with_it_again(
    triton: RealTriton, files: Path, tmp_path: Path
) -> None:
    with thin_daemon(tmp_path, triton.url, files, TIMEOUT_S) as recognition:
        until(lambda: recognition() == "online", "health says so", 90)
        triton.kill()
        until(lambda: recognition() == "away", "health says so", 90)
        triton.start()
        until(lambda: recognition() == "online", "health says so", 90)

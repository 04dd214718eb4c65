"""The heads that we ship: their contract, their symmetry, and how they read real hands."""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from agent.config.settings import RecognitionSettings
from agent.errors import ModelError
from agent.inference.build import build_recognizer
from agent.inference.manifest import JoinSource, Manifest, load_manifest
from agent.inference.models import fetch
from agent.inference.recognizer import Recognizer

HEADS = ("gesturenet-landmark", "gesturenet-landmark-lite")


@pytest.fixture(scope="module", params=HEADS)
def manifest(request: pytest.FixtureRequest) -> Manifest:
    return load_manifest(request.param)


@pytest.fixture(scope="module")
def head(manifest: Manifest) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        str(manifest.folder / "head.onnx"), providers=["CPUExecutionProvider"]
    )


def some_hands(count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {
        "landmarks": rng.uniform(0, 224, (count, 63)).astype(np.float32),
        "world": rng.normal(0, 0.05, (count, 63)).astype(np.float32),
        "presence": np.ones((count, 1), np.float32),
        "handedness": rng.uniform(0, 1, (count, 1)).astype(np.float32),
        "crop_angle": rng.uniform(-3, 3, (count, 1)).astype(np.float32),
    }


def test_the_manifest_names_the_very_file_beside_it(manifest: Manifest) -> None:
    assert isinstance(manifest.source, JoinSource)
    assert manifest.source.head == "head.onnx"
    stored = (manifest.folder / manifest.source.head).read_bytes()
    assert hashlib.sha256(stored).hexdigest() == manifest.source.sha256


def test_the_head_is_small(manifest: Manifest) -> None:
    assert (manifest.folder / "head.onnx").stat().st_size < 4_000_000


@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_hand_of_a_batch_gets_probabilities_and_is_judged_alone(
    head: onnxruntime.InferenceSession, manifest: Manifest, count: int
) -> None:
    hands = some_hands(count)
    scores, embedding = head.run(["activation_18", "embedding"], hands)
    assert scores.shape == (count, len(manifest.labels))
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert len(embedding) == count
    alone = head.run(["activation_18"], {name: value[:1] for name, value in hands.items()})[0]
    np.testing.assert_allclose(alone[0], scores[0], atol=1e-4)


def test_a_hand_and_its_mirror_image_mean_the_same(head: onnxruntime.InferenceSession) -> None:
    hands = some_hands(5)
    flip = np.tile(np.array([-1, 1, 1], np.float32), 21)
    mirrored = {
        **hands,
        "landmarks": hands["landmarks"] * flip + np.tile(np.array([224, 0, 0], np.float32), 21),
        "world": hands["world"] * flip,
        "handedness": 1 - hands["handedness"],
        "crop_angle": -hands["crop_angle"],
    }
    np.testing.assert_allclose(
        head.run(["activation_18"], hands)[0], head.run(["activation_18"], mirrored)[0], atol=1e-3
    )


@pytest.fixture(
    scope="module", params=["gesturenet-landmark", "gesturenet-ensemble", "gesturenet-ensemble-lite"]
)
def recognizer(request: pytest.FixtureRequest, cache_dir: Path) -> Recognizer:
    """The head alone, and with the second opinion that it has by default."""
    name: str = request.param
    try:
        fetch([name], cache_dir)
    except ModelError as exc:
        pytest.skip(f"{name} cannot be made here: {exc}")
    return build_recognizer(RecognitionSettings(gestures=name, proposal="palm"), cache_dir)


def test_the_desk_which_it_never_saw_is_read_right(recognizer: Recognizer, shared_data: Path) -> None:
    right: dict[str, list[bool]] = defaultdict(list)
    for path in sorted((shared_data / "sequences" / "desk").glob("*/*.jpg"))[::10]:
        hands = recognizer.recognize_still(cv2.imread(str(path)))
        best = max(hands, key=lambda h: h.scores[:5].max(), default=None)
        right[path.parent.name].append(
            best is not None and recognizer.labels[int(best.scores.argmax())] == path.parent.name
        )
    shares = {label: float(np.mean(hits)) for label, hits in right.items()}
    assert np.mean(list(shares.values())) > 0.85, shares
    assert min(shares.values()) > 0.6, shares


def test_photographs_of_every_gesture_are_read_right(recognizer: Recognizer, shared_data: Path) -> None:
    with (shared_data / "photos.csv").open() as file:
        rows = [
            r
            for r in csv.DictReader(file)
            if r["source"] == "ardamavi" and r["label"] in {"ok", "stop", "two"}
        ]
    hits = []
    for row in rows[::40]:
        hands = recognizer.hands_in(cv2.imread(str(shared_data / row["path"])), None)
        hits.append(bool(hands) and recognizer.labels[int(hands[0].scores.argmax())] == row["label"])
    assert np.mean(hits) > 0.8


def test_a_thumb_counts_only_when_it_points_up(recognizer: Recognizer, shared_data: Path) -> None:
    path = sorted((shared_data / "sequences" / "desk" / "thumbs_up").glob("*.jpg"))[30]
    upside_down = np.ascontiguousarray(cv2.imread(str(path))[::-1, ::-1])
    assert all(
        recognizer.labels[int(h.scores.argmax())] != "thumbs_up"
        for h in recognizer.recognize_still(upside_down)
    )

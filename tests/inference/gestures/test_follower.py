"""A smaller network confirms settled gestures; where it does not, the larger one has the word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agent.core.types import LABELS, Box, Floats
from agent.core.work_plan import ImageResult, Rates
from agent.inference.engine import Engine, load_engine
from agent.inference.gestures.background import pictures
from agent.inference.gestures.classifier import HandClassifier, HandCrop, Readout
from agent.inference.gestures.follower import Follower
from agent.inference.gestures.second import SecondClassifier
from agent.inference.manifest import EnsembleSource, load_manifest
from agent.inference.models import fetch, locate

ENSEMBLE = load_manifest("gesturenet-ensemble")
RATES = Rates()
LONG, NOW = 0.0, 5.0  # since when the gesture was shown; the time of the frame


class Counted:
    """An engine that counts the hands it was given."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.hands = engine, 0
        self.name, self.inputs, self.outputs = engine.name, engine.inputs, engine.outputs

    def run(self, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        self.hands += len(next(iter(inputs.values())))
        return self._engine.run(inputs)

    def close(self) -> None:
        self._engine.close()


class Reader:
    """The default classifier in its parts, with counted networks."""

    def __init__(self, cache: Path) -> None:
        source = ENSEMBLE.source
        assert isinstance(source, EnsembleSource)
        names = (source.first, str(ENSEMBLE.second), str(ENSEMBLE.follower))
        fetch([ENSEMBLE.name], cache)
        large, image, small = (Counted(load_engine(name, locate(name, cache))) for name in names)
        self.large, self.small = large, small
        second = SecondClassifier(image, load_manifest(names[1]), source, RATES)
        follower = Follower(small, load_manifest(names[2]), RATES)
        self.both = HandClassifier(large, ENSEMBLE, second=second, follower=follower)
        self.alone = HandClassifier(large, ENSEMBLE, second=second)

    def read(self, crops: list[HandCrop]) -> list[Readout]:
        self.large.hands = self.small.hands = 0
        return self.both.read_crops(crops)


@pytest.fixture(scope="module")
def reader(cache_dir: Path) -> Reader:
    return Reader(cache_dir)


@pytest.fixture(scope="module")
def shown(reader: Reader) -> list[tuple[HandCrop, int]]:
    """Rendered hands that both networks read as the same gesture, with the last result of a settled one."""
    found = []
    for picture, box in list(pictures())[::3]:
        crop = reader.alone.crop(picture, box)
        scores = reader.alone.read_crops([crop])[0].scores
        assert scores is not None
        label = int(scores.argmax())
        if LABELS[label] != "random" and scores[label] > RATES.sure:
            past = ImageResult(scores, NOW - 0.1, label, LONG, scores)
            settled = replace(crop, image_result=past, at=NOW)
            reader.read([settled])
            if not reader.large.hands:
                found.append((settled, label))
    assert len(found) >= 5
    return found


def test_a_settled_gesture_is_confirmed_by_the_smaller_network_alone(
    reader: Reader, shown: list[tuple[HandCrop, int]]
) -> None:
    said = reader.read([crop for crop, _ in shown])
    assert (reader.large.hands, reader.small.hands) == (0, len(shown))
    for readout, (crop, label) in zip(said, shown, strict=True):
        assert readout.scores is not None
        assert int(readout.scores.argmax()) == label
        assert readout.embedding is None
        expected = reader.alone.read_crops([crop])[0]
        assert readout.landmarks is not None
        assert expected.landmarks is not None
        apart = np.abs(readout.landmarks - expected.landmarks)[:, :2].mean() / crop.box.side
        assert apart < 0.05


def test_hands_that_are_not_settled_are_read_by_the_larger_one_in_their_places(
    reader: Reader, shown: list[tuple[HandCrop, int]]
) -> None:
    crops = [crop for crop, _ in shown[:4]]
    crops[1] = replace(crops[1], image_result=None)
    crops[3] = replace(crops[3], image_result=replace(shown[3][0].image_result, since=NOW - 0.3))
    said = reader.read(crops)
    assert (reader.large.hands, reader.small.hands) == (2, 2)
    for place in (1, 3):
        expected = reader.alone.read_crops([crops[place]])[0]
        np.testing.assert_allclose(said[place].scores, expected.scores, atol=1e-5)
        np.testing.assert_allclose(said[place].landmarks, expected.landmarks, atol=1e-2)
    for place in (0, 2):
        assert int(said[place].scores.argmax()) == shown[place][1]


def test_where_the_smaller_one_contradicts_the_larger_one_reads_the_same_frame(
    reader: Reader, shown: list[tuple[HandCrop, int]]
) -> None:
    crop, label = shown[0]
    other = (label + 1) % (len(LABELS) - 1)
    wrong = replace(crop, image_result=replace(crop.image_result, label=other))
    (said,) = reader.read([wrong])
    assert (reader.large.hands, reader.small.hands) == (1, 1)
    np.testing.assert_allclose(said.scores, reader.alone.read_crops([wrong])[0].scores, atol=1e-5)


def test_its_own_probabilities_are_never_told(reader: Reader, shown: list[tuple[HandCrop, int]]) -> None:
    crop, label = shown[0]
    weak = np.full(len(LABELS), 0.09, np.float32)
    weak[label] = 0.55
    past = replace(crop.image_result, scores=weak, landmark_scores=weak)
    (said,) = reader.read([replace(crop, image_result=past)])
    assert reader.large.hands == 0
    assert said.scores is not None
    assert said.scores[label] < 0.6


def test_a_photograph_and_a_recheck_are_left_to_the_larger_one(
    reader: Reader, shown: list[tuple[HandCrop, int]]
) -> None:
    crop, _ = shown[0]
    late = replace(crop.image_result, at=NOW - RATES.recheck_s)
    reader.read([replace(crop, at=None), replace(crop, image_result=late)])
    assert (reader.large.hands, reader.small.hands) == (2, 0)


def test_a_picture_without_a_hand_is_not_confirmed(reader: Reader, shown: list[tuple[HandCrop, int]]) -> None:
    crop, _ = shown[0]
    reader.read([replace(crop, image=np.zeros_like(crop.image), box=Box(80, 80, 160))])
    assert reader.large.hands == 1

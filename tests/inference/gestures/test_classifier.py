from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from agent.core.types import Box, Floats
from agent.errors import EngineError, ModelError
from agent.inference.fake_engine import FakeEngine
from agent.inference.gestures.classifier import HandClassifier
from agent.inference.manifest import Manifest

GESTURENET = {
    "name": "gesturenet",
    "task": "gesture",
    "summary": "NVIDIA's contract: 160 px, upright, no landmarks",
    "license": "any",
    "labels": ["thumbs_up", "fist", "stop", "ok", "two", "random"],
    "source": {"kind": "import", "hint": "bring it"},
    "input": {"name": "input_1", "shape": ["N", 3, 160, 160], "offset": 128, "scale": 1 / 256},
    "crop": {"margin": 1.1, "rotate": False},
    "output": {"scores": "activation_18"},
}
PICTURE = np.full((480, 640, 3), 255, np.uint8)
TURNED = Box(300, 200, 100, 0.7)


def manifest(**changes: object) -> Manifest:
    return Manifest.model_validate(GESTURENET | changes)


def mean_of_each(inputs: Mapping[str, Floats]) -> dict[str, Floats]:
    means = inputs["input_1"].mean(axis=(1, 2, 3))
    return {"activation_18": np.repeat(means[:, None], 6, axis=1).astype(np.float32)}


def engine(shape: tuple[int | str, ...] = ("N", 3, 160, 160), scores: int = 6) -> FakeEngine:
    return FakeEngine("gesturenet", {"input_1": shape}, {"activation_18": ("N", scores)}, mean_of_each)


def test_all_hands_go_through_in_one_batch() -> None:
    network = engine()
    readouts = HandClassifier(network, manifest()).read(PICTURE, [TURNED, TURNED, TURNED])
    assert network.runs == [{"input_1": (3, 3, 160, 160)}]
    assert [r.scores is not None for r in readouts] == [True] * 3


def test_the_crop_has_the_margin_of_the_manifest_and_is_upright_where_it_says_so() -> None:
    box = HandClassifier(engine(), manifest()).crop_box(TURNED)
    assert box == Box(300, 200, pytest.approx(110), 0)
    turned = HandClassifier(engine(), manifest(crop={"margin": 1.0, "rotate": True})).crop_box(TURNED)
    assert turned == TURNED


def test_pixels_are_normalised_by_the_manifest() -> None:
    (readout,) = HandClassifier(engine(), manifest()).read(PICTURE, [TURNED])
    assert readout.scores is not None
    assert readout.scores[0] == pytest.approx((255 - 128) / 256)


def test_outputs_that_the_manifest_does_not_name_are_absent() -> None:
    (readout,) = HandClassifier(engine(), manifest()).read(PICTURE, [TURNED])
    assert (readout.landmarks, readout.presence, readout.right, readout.points) == (None, None, None, None)


def test_no_hands_run_no_network() -> None:
    network = engine()
    assert HandClassifier(network, manifest()).read(PICTURE, []) == []
    assert network.runs == []


@pytest.mark.parametrize("hands", [1, 2, 3])
def test_a_network_of_fixed_batch_is_filled_up(hands: int) -> None:
    network = engine((2, 3, 160, 160))
    fixed = manifest(input=GESTURENET["input"] | {"shape": [2, 3, 160, 160]})  # type: ignore[operator]
    assert len(HandClassifier(network, fixed).read(PICTURE, [TURNED] * hands)) == hands
    assert network.runs == [{"input_1": (2, 3, 160, 160)}] * -(-hands // 2)


def test_the_turn_of_a_crop_is_fed_where_the_manifest_asks_for_it() -> None:
    fed: list[Floats] = []

    def answer(inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        fed.append(inputs["crop_angle"])
        return mean_of_each(inputs)

    network = FakeEngine(
        "n", {"input_1": ("N", 3, 160, 160), "crop_angle": ("N", 1)}, {"activation_18": ("N", 6)}, answer
    )
    turning = manifest(
        input=GESTURENET["input"] | {"angle": "crop_angle"},  # type: ignore[operator]
        crop={"margin": 1.0, "rotate": True},
    )
    HandClassifier(network, turning).read(PICTURE, [TURNED, Box(100, 100, 50)])
    assert fed[0] == pytest.approx(np.array([[0.7], [0.0]], np.float32))


def test_landmarks_come_back_in_pixels_of_the_picture() -> None:
    def answer(inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        points = np.zeros((1, 63), np.float32)
        points[0, :3] = (80, 0, 16)  # the middle of the crop's upper edge
        return mean_of_each(inputs) | {"landmarks": points}

    outputs = {"activation_18": ("N", 6), "landmarks": ("N", 63)}
    network = FakeEngine("n", {"input_1": ("N", 3, 160, 160)}, outputs, answer)
    classifier = HandClassifier(
        network, manifest(output={"scores": "activation_18", "landmarks": "landmarks"})
    )
    (readout,) = classifier.read(PICTURE, [Box(300, 200, 100 / 1.1)])
    assert readout.landmarks is not None
    assert readout.landmarks[0] == pytest.approx((300, 150, 10), abs=1e-3)


def test_a_network_of_another_size_says_what_to_fix() -> None:
    with pytest.raises(
        ModelError, match=r'gesturenet: input "input_1" is .*128, 128.*160, 160.*re-export it or fix'
    ):
        HandClassifier(engine(("N", 3, 128, 128)), manifest())


def test_a_network_without_the_named_input_or_output_is_reported() -> None:
    with pytest.raises(ModelError, match='has no input "picture", it has '):
        HandClassifier(engine(), manifest(input=GESTURENET["input"] | {"name": "picture"}))  # type: ignore[operator]
    with pytest.raises(ModelError, match='has no output "softmax", it has '):
        HandClassifier(engine(), manifest(output={"scores": "softmax"}))


def test_more_scores_than_labels_are_reported() -> None:
    with pytest.raises(ModelError, match="gives 7 scores, the manifest has 6 labels"):
        HandClassifier(engine(scores=7), manifest())


def test_fewer_answers_than_crops_are_an_engine_error() -> None:
    network = FakeEngine(
        "n", {"input_1": ("N", 3, 160, 160)}, {"activation_18": ("N", 6)},
        lambda _: {"activation_18": np.zeros((1, 6), np.float32)},
    )  # fmt: skip
    with pytest.raises(
        EngineError, match=r"gesturenet: 2 crops in, outputs \['activation_18'\] do not have as many"
    ):
        HandClassifier(network, manifest()).read(PICTURE, [TURNED, TURNED])


def test_a_failing_network_is_an_engine_error() -> None:
    network = engine()
    network.broken = "out of memory"
    with pytest.raises(EngineError, match="gesturenet: out of memory"):
        HandClassifier(network, manifest()).read(PICTURE, [TURNED])

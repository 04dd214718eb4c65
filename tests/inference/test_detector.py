from __future__ import annotations

import numpy as np
import pytest

from agent.core.types import Box, Floats
from agent.errors import EngineError, ModelError
from agent.inference.detector import Detector, anchor_centres
from agent.inference.fake_engine import FakeEngine
from agent.inference.manifest import Anchors, Manifest, load_manifest

ANCHORS = {"palm-detector": 2016, "pose-detector": 2254}
BLACK = np.zeros((192, 192, 3), np.uint8)


def palm_manifest() -> Manifest:
    return load_manifest("palm-detector")


def detector(found: list[tuple[int, float, Floats]]) -> Detector:
    """A palm detector whose network finds, for anchor i, a logit and 18 numbers."""

    def answer(inputs: object) -> dict[str, Floats]:
        count = len(inputs["input_1"])  # type: ignore[index]
        boxes, scores = np.zeros((count, 2016, 18), np.float32), np.full((count, 2016, 1), -20, np.float32)
        for anchor, logit, numbers in found:
            boxes[:, anchor], scores[:, anchor] = numbers, logit
        return {"boxes": boxes, "scores": scores}

    outputs = {"boxes": ("N", 2016, 18), "scores": ("N", 2016, 1)}
    return Detector(FakeEngine("palm", {"input_1": ("N", 3, 192, 192)}, outputs, answer), palm_manifest())


def numbers(x: float, y: float, side: float) -> Floats:
    return np.array([x, y, side, side, *[x, y] * 7], np.float32)


@pytest.mark.parametrize("name", ANCHORS)
def test_there_are_as_many_anchors_as_the_network_has(name: str) -> None:
    manifest = load_manifest(name)
    assert manifest.anchors
    centres = anchor_centres(manifest.anchors, manifest.input.size)
    assert centres.shape == (ANCHORS[name], 2)
    assert centres.min() > 0
    assert (centres < manifest.input.size[0]).all()


def test_layers_of_one_stride_share_a_grid() -> None:
    centres = anchor_centres(Anchors(strides=(8, 16, 16, 16), keypoints=7), (192, 192))
    assert centres[:2].tolist() == [[4, 4], [4, 4]]
    assert centres[2].tolist() == [12, 4]
    assert centres[1152:1158].tolist() == [[8, 8]] * 6


def test_a_detection_is_placed_in_the_picture_that_was_searched() -> None:
    ((found,),) = detector([(0, 3.0, numbers(92, 92, 40))]).find(BLACK, [Box(300, 200, 384)])
    assert found.points[0] == pytest.approx((300, 200))  # 92 + the anchor's 4 = the middle of 192
    assert found.points[1] == pytest.approx((80, 80))
    assert found.score == pytest.approx(0.953, abs=1e-3)


def test_overlapping_detections_become_one_weighted_by_score() -> None:
    found = detector([(0, 0.5, numbers(90, 92, 40)), (2, 5.0, numbers(90, 92, 40))]).find(
        BLACK, [Box(96, 96, 192)]
    )
    ((one,),) = found
    assert 98 < one.points[0][0] < 102  # between 94 and 102, nearer to the surer one
    assert one.score == pytest.approx(0.993, abs=1e-3)


def test_detections_apart_stay_two_the_best_first() -> None:
    (both,) = detector([(0, 1.0, numbers(30, 30, 20)), (2, 5.0, numbers(120, 120, 20))]).find(
        BLACK, [Box(96, 96, 192)]
    )
    assert [round(float(d.points[0][0])) for d in both] == [132, 34]


def test_what_is_unsure_is_not_found() -> None:
    assert detector([(0, -0.1, numbers(92, 92, 40))]).find(BLACK, [Box(96, 96, 192)]) == [[]]


def test_every_region_has_its_own_answer_in_one_run() -> None:
    assert len(detector([(0, 1.0, numbers(30, 30, 20))]).find(BLACK, [Box(96, 96, 192)] * 3)) == 3
    assert detector([]).find(BLACK, []) == []


def test_numbers_that_are_none_are_an_engine_error() -> None:
    with pytest.raises(EngineError, match="palm-detector: scores is not finite"):
        detector([(7, float("nan"), numbers(0, 0, 1))]).find(BLACK, [Box(96, 96, 192)])


def test_anchors_that_do_not_fit_the_network_are_reported() -> None:
    outputs = {"boxes": ("N", 896, 16), "scores": ("N", 896, 1)}
    engine = FakeEngine("face", {"input_1": ("N", 3, 192, 192)}, outputs, lambda _: {})
    with pytest.raises(ModelError, match=r"palm-detector: output boxes is .*896.* ask for .*2016, 18"):
        Detector(engine, palm_manifest())

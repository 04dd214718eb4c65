from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from agent.core.types import Floats
from agent.errors import ModelError
from agent.inference.files.exposure import BRIGHT_ENOUGH, MOST, with_auto_exposure
from agent.inference.manifest import Input

SIDE = 96
PLAIN = Input(name="input_1", shape=("N", 3, SIDE, SIDE))
SIGNED = Input(name="input_1", shape=("N", 3, SIDE, SIDE), offset=127.5, scale=1 / 127.5)


def exposed(pictures: Floats, spec: Input = PLAIN) -> Floats:
    """What a network sees of its input, float32 (N, 3, SIDE, SIDE)."""
    session = onnxruntime.InferenceSession(with_auto_exposure(mirror(), spec).SerializeToString())
    (seen,) = session.run(None, {"input_1": pictures.astype(np.float32)})
    return np.asarray(seen)


def mirror(side: int = SIDE) -> onnx.ModelProto:
    """A network whose output is its input."""
    ends = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 3, side, side]) for n in ("input_1", "out")
    ]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["input_1"], ["out"])], "mirror", ends[:1], ends[1:]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def picture(mean: float, seed: int = 0) -> Floats:
    """(1, 3, SIDE, SIDE) in 0..1 of about that mean."""
    return np.random.default_rng(seed).uniform(0, 2 * mean, (1, 3, SIDE, SIDE)).astype(np.float32)


def middle(seen: Floats) -> Floats:
    return seen[..., SIDE // 6 : -SIDE // 6, SIDE // 6 : -SIDE // 6]


def test_a_picture_that_is_bright_enough_stays_as_it_is_to_the_last_bit() -> None:
    bright = picture(BRIGHT_ENOUGH + 0.01)
    np.testing.assert_array_equal(exposed(bright), bright)
    np.testing.assert_array_equal(exposed(2 * bright - 1, SIGNED), 2 * bright - 1)


@pytest.mark.parametrize("mean", [0.06, 0.1, 0.2])
def test_a_dark_one_becomes_bright_enough(mean: float) -> None:
    dark = picture(mean)
    seen = exposed(dark)
    assert middle(seen).mean() == pytest.approx(BRIGHT_ENOUGH, rel=1e-3)
    np.testing.assert_allclose(seen, dark * (seen.mean() / dark.mean()), rtol=1e-4)


def test_one_that_is_nearly_black_is_brightened_so_far_and_no_farther() -> None:
    np.testing.assert_allclose(exposed(picture(0.01)), MOST * picture(0.01), rtol=1e-5)
    assert not exposed(np.zeros((1, 3, SIDE, SIDE), np.float32)).any()


def test_nothing_is_brighter_than_white() -> None:
    lamp = picture(0.02)
    lamp[..., 40:56, 40:56] = 0.9
    assert exposed(lamp).max() == 1.0


def test_each_picture_of_a_batch_is_exposed_by_itself() -> None:
    both = np.concatenate([picture(0.3), picture(0.05)])
    seen = exposed(both)
    np.testing.assert_array_equal(seen[0], both[0])
    np.testing.assert_array_equal(seen[1], exposed(both[1:])[0])


def test_what_lies_beyond_the_frame_does_not_count() -> None:
    for bright in (0.26, 0.5):
        cut_off = picture(bright)
        cut_off[..., : 2 * SIDE // 3] = 0
        np.testing.assert_array_equal(exposed(cut_off), cut_off)


def test_values_from_minus_one_to_one_mean_the_same_light() -> None:
    dark = picture(0.08)
    np.testing.assert_allclose(exposed(2 * dark - 1, SIGNED), 2 * exposed(dark) - 1, atol=1e-5)


def test_a_layout_that_it_was_not_made_for_is_refused() -> None:
    for shape in (("N", 3, 100, 100), ("N", 96, 96, 3)):
        spec = Input(name="input_1", shape=shape, layout="NCHW" if shape[1] == 3 else "NHWC")
        with pytest.raises(ModelError, match="automatic exposure wants NCHW and sides that 8 divides"):
            with_auto_exposure(mirror(), spec)

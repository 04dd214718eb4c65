"""What stands in an ONNX file: told from its weights and nodes, not from its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from agent.errors import ModelError
from agent.inference.files.formats import number_format

ROOT = Path(__file__).parents[3]


def network(path: Path, nodes: list[onnx.NodeProto], *weights: onnx.TensorProto) -> Path:
    """A file with one input, `x`, and one output, `y`."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "drawn", ends[:1], ends[1:], list(weights))
    onnx.save(helper.make_model(graph), str(path))
    return path


def weights(dtype: type[np.generic], *shape: int, name: str = "w") -> onnx.TensorProto:
    return numpy_helper.from_array(np.ones(shape, dtype), name)


PRODUCT = helper.make_node("MatMul", ["x", "w"], ["y"])


@pytest.mark.parametrize(("dtype", "said"), [(np.float32, "fp32"), (np.float16, "fp16 weights")])
def test_the_weights_say_it(tmp_path: Path, dtype: type[np.generic], said: str):
    assert number_format(network(tmp_path / "a.onnx", [PRODUCT], weights(dtype, 4, 4))) == said


def test_most_of_the_weights_decide_however_many_tensors_they_are_in(tmp_path: Path):
    few = [weights(np.float32, 4, name=name) for name in ("a", "b", "c")]
    many = weights(np.float16, 4, 100, name="w")
    assert number_format(network(tmp_path / "a.onnx", [PRODUCT], many, *few)) == "fp16 weights"


def test_weights_that_an_exporter_left_as_constants_count_too(tmp_path: Path):
    constant = helper.make_node("Constant", [], ["w"], value=weights(np.float16, 4, 4))
    assert number_format(network(tmp_path / "a.onnx", [constant, PRODUCT])) == "fp16 weights"


def test_quantizing_nodes_make_it_int8_whatever_the_weights_are_kept_in(tmp_path: Path):
    step = weights(np.float32, name="step")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "step"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "step"], ["d"]),
        helper.make_node("MatMul", ["d", "w"], ["y"]),
    ]
    path = network(tmp_path / "a.onnx", nodes, weights(np.float32, 4, 4), step)
    assert number_format(path) == "int8 Q/DQ"


def test_the_shipped_gesturenet_is_in_half_precision():
    assert number_format(ROOT / "engines/gesturenet/gesturenet_fp16.onnx") == "fp16 weights"


def test_a_file_that_is_no_onnx_is_said(tmp_path: Path):
    (tmp_path / "a.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match="cannot be read as ONNX"):
        number_format(tmp_path / "a.onnx")

"""A small head for hand-landmark, drawn from a seed: right in shape, ignorant of gestures."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZES = {"landmarks": 63, "world": 63, "presence": 1, "handedness": 1, "crop_angle": 1, "heartbeat": 1}


def random_head(wants: tuple[str, ...], classes: int = 6, opset: int = 17) -> bytes:
    """ONNX: the named inputs side by side, one layer, softmax; output "activation_18"."""
    rng = np.random.default_rng(7)
    weights = rng.normal(0, 0.02, (sum(SIZES[name] for name in wants), classes)).astype(np.float32)
    nodes = [
        helper.make_node("Concat", list(wants), ["all"], axis=1),
        helper.make_node("MatMul", ["all", "weights"], ["sums"]),
        helper.make_node("Softmax", ["sums"], ["activation_18"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "head",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", SIZES[name]]) for name in wants],
        [helper.make_tensor_value_info("activation_18", TensorProto.FLOAT, ["N", classes])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())

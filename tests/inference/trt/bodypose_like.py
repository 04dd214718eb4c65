"""Networks of random weights with the exact tensors of NVIDIA's: built and run, they know nothing."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BODYPOSE = {
    "input_1:0": (288, 384, 3),
    "heatmap_out/BiasAdd:0": (36, 48, 19),
    "conv2d_transpose_1/BiasAdd:0": (144, 192, 38),
}


def bodyposenet(*, open_sizes: bool = False) -> bytes:
    """NHWC in, heat maps of stride 8 and fields of stride 2 out; `open_sizes` as Keras leaves them."""
    rng = np.random.default_rng(3)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(rng.normal(0, 0.05, shape).astype(np.float32), name)

    def value(name: str) -> onnx.ValueInfoProto:
        height, width, channels = BODYPOSE[name]
        sizes = ["H", "W"] if open_sizes else [height, width]
        if open_sizes and name != "input_1:0":
            sizes = [f"{name}_h", f"{name}_w"]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *sizes, channels])

    source, maps, fields = BODYPOSE
    nodes = [
        helper.make_node("Transpose", [source], ["chw"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "Conv", ["chw", "w1"], ["c1"], strides=[2, 2], pads=[1, 1, 1, 1], kernel_shape=[3, 3]
        ),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node(
            "Conv", ["r1", "w2"], ["c2"], strides=[4, 4], pads=[1, 1, 1, 1], kernel_shape=[5, 5]
        ),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Conv", ["r2", "w3"], ["m"], kernel_shape=[1, 1]),
        helper.make_node("Transpose", ["m"], [maps], perm=[0, 2, 3, 1]),
        helper.make_node("ConvTranspose", ["r2", "w4"], ["f"], strides=[4, 4], kernel_shape=[4, 4]),
        helper.make_node("Transpose", ["f"], [fields], perm=[0, 2, 3, 1]),
    ]
    initializers = [
        weights("w1", 16, 3, 3, 3), weights("w2", 32, 16, 5, 5), weights("w3", 19, 32, 1, 1),
        weights("w4", 32, 38, 4, 4),
    ]  # fmt: skip
    graph = helper.make_graph(nodes, "bodypose", [value(source)], [value(maps), value(fields)], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())

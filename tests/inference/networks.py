"""Networks with the exact tensors of NVIDIA's and weights drawn by lot, or that say what they are told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from agent.core.types import Floats

HEATMAPS, FIELDS = "heatmap_out/BiasAdd:0", "conv2d_transpose_1/BiasAdd:0"
BODY_INPUT, HAND_INPUT, HAND_OUTPUT = "input_1:0", "input_1", "activation_18"
Dim = int | str


def bodyposenet(
    size: tuple[Dim, Dim] = (288, 384), batch: Dim = "N", seed: int = 5, opset: int = 13, channels: int = 19
) -> bytes:
    """Three convolutions to a stride of 8, heatmaps, and fields four times as fine, NHWC outside as TAO's."""
    rng = np.random.default_rng(seed)
    weights: list[onnx.TensorProto] = []

    def weight(name: str, *shape: int) -> str:
        values = rng.normal(0, 1.5 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)
        weights.append(numpy_helper.from_array(values, name))
        return name

    nodes = [helper.make_node("Transpose", [BODY_INPUT], ["x0"], perm=[0, 3, 1, 2])]
    for i, (a, b) in enumerate([(3, 8), (8, 16), (16, 24)]):
        inputs = [f"x{i}", weight(f"w{i}", b, a, 3, 3)]
        nodes.append(helper.make_node("Conv", inputs, [f"c{i}"], strides=[2, 2], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"x{i + 1}"]))
    nodes += [
        helper.make_node("Conv", ["x3", weight("wh", channels, 24, 1, 1)], ["h"]),
        helper.make_node("Conv", ["x3", weight("wf", 38, 24, 1, 1)], ["f"]),
        helper.make_node("ConvTranspose", ["f", weight("wt", 38, 38, 4, 4)], ["f4"], strides=[4, 4]),
        helper.make_node("Transpose", ["h"], [HEATMAPS], perm=[0, 2, 3, 1]),
        helper.make_node("Transpose", ["f4"], [FIELDS], perm=[0, 2, 3, 1]),
    ]
    eighth = [d // 8 if isinstance(d, int) else f"{d}8" for d in size]
    half = [d // 2 if isinstance(d, int) else f"{d}2" for d in size]
    return _model(
        nodes, weights, {BODY_INPUT: [batch, *size, 3]},
        {HEATMAPS: [batch, *eighth, channels], FIELDS: [batch, *half, 38]}, opset,
    )  # fmt: skip


def telling(heatmaps: Floats, fields: Floats) -> bytes:
    """A BodyPoseNet that sees the same people in every picture."""
    height, width = heatmaps.shape[0] * 8, heatmaps.shape[1] * 8
    weights = [
        numpy_helper.from_array(heatmaps[None], "heatmaps"),
        numpy_helper.from_array(fields[None], "fields"),
        numpy_helper.from_array(np.float32(0), "zero"),
    ]
    nodes = [
        helper.make_node("ReduceMean", [BODY_INPUT], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["heatmaps", "nothing"], [HEATMAPS]),
        helper.make_node("Add", ["fields", "nothing"], [FIELDS]),
    ]
    outputs: dict[str, list[Dim]] = {HEATMAPS: ["N", *heatmaps.shape], FIELDS: ["N", *fields.shape]}
    return _model(nodes, weights, {BODY_INPUT: ["N", height, width, 3]}, outputs)


def gesturenet(
    labels: int = 6, side: Dim = 160, name: str = HAND_INPUT, output: str = HAND_OUTPUT, opset: int = 13
) -> bytes:
    """A convolution, a mean over the picture, a softmax."""
    rng = np.random.default_rng(9)
    weights = [
        numpy_helper.from_array(rng.normal(0, 0.3, (8, 3, 5, 5)).astype(np.float32), "w0"),
        numpy_helper.from_array(rng.normal(0, 3, (8, labels)).astype(np.float32), "w1"),
    ]
    nodes = [
        helper.make_node("Conv", [name, "w0"], ["c"], strides=[4, 4]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w1"], ["sums"]),
        helper.make_node("Softmax", ["sums"], [output], axis=1),
    ]
    return _model(nodes, weights, {name: ["N", 3, side, side]}, {output: ["N", labels]}, opset)


def _model(
    nodes: Sequence[onnx.NodeProto], weights: Sequence[onnx.TensorProto],
    inputs: dict[str, list[Dim]], outputs: dict[str, list[Dim]], opset: int = 13,
) -> bytes:  # fmt: skip
    def infos(tensors: dict[str, list[Dim]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in tensors.items()]

    graph = helper.make_graph(list(nodes), "network", infos(inputs), infos(outputs), list(weights))
    opsets = [helper.make_opsetid("", opset)]
    return bytes(
        helper.make_model(
            graph, opset_imports=opsets, ir_version=8, producer_name="tests"
        ).SerializeToString()
    )

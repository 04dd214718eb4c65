"""Automatic exposure inside a network: a dark picture is brightened before the network looks at it.

MediaPipe's networks were made for pictures that a telephone has exposed well. At a tenth of the light they
lose hands which are all there, only dark. To multiply every value brings most of them back, and where a
picture is bright enough nothing changes. It is part of the network so that every engine does the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from agent.errors import ModelError
from agent.inference.manifest import Input

BRIGHT_ENOUGH = 0.25  # mean of black (0) to white (1) in the middle: darker pictures are brightened
MOST = 6.0  # times: beyond it there is little but noise
BLOCK = 8  # px: the mean is taken of means of blocks, which are few
MARGIN = 1 / 6  # of the picture at each side does not count: what is looked for is in the middle
BEYOND = 1e-4  # of white: a block that is darker lies beyond the camera's frame and does not count
DARKEST = 1e-3  # no division by nothing
PREFIX = "exposure/"


def with_auto_exposure(model: onnx.ModelProto, spec: Input) -> onnx.ModelProto:
    """The network with its input `spec.name` (N, 3, H, W) exposed: each picture by itself, none darker.

    Raises `ModelError` where the layout is another or blocks do not fit.
    """
    height, width = spec.size
    if spec.layout != "NCHW" or height % BLOCK or width % BLOCK:
        raise ModelError(
            f"{spec.name}: automatic exposure wants NCHW and sides that {BLOCK} divides, not {spec.shape}"
        )
    done = onnx.ModelProto()
    done.CopyFrom(model)
    graph = done.graph
    exposed = PREFIX + "exposed"
    for node in graph.node:
        node.input[:] = [exposed if name == spec.name else name for name in node.input]
    black, white = ((value - spec.offset) * spec.scale for value in (0, 255))
    constants = {
        "black": np.float32(black),
        "range": np.float32(white - black),
        "starts": np.array([round(height / BLOCK * MARGIN), round(width / BLOCK * MARGIN)]),
        "ends": np.array([side // BLOCK - round(side / BLOCK * MARGIN) for side in (height, width)]),
        "axes": np.array([2, 3]),
        "by_beyond": np.float32(1 / BEYOND),
        "darkest": np.float32(DARKEST),
        "bright_enough": np.float32(BRIGHT_ENOUGH),
        "least": np.float32(1.0),
        "most": np.float32(MOST),
        "white": np.float32(1.0),
    }
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), PREFIX + name) for name, value in constants.items()
    )
    nodes = list(_nodes(spec.name))
    first = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(first)
    onnx.checker.check_model(done, full_check=True)
    return done


def _nodes(picture: str) -> Iterator[onnx.NodeProto]:
    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
        names = [name if name == picture else PREFIX + name for name in inputs]
        return helper.make_node(kind, names, [PREFIX + output], PREFIX + output, **attributes)

    yield node("Sub", [picture, "black"], "above_black")
    yield node("Div", ["above_black", "range"], "light")
    yield node("AveragePool", ["light"], "blocks", kernel_shape=[BLOCK, BLOCK], strides=[BLOCK, BLOCK])
    yield node("Slice", ["blocks", "starts", "ends", "axes"], "middle")
    yield node("Mul", ["middle", "by_beyond"], "there")
    yield node("Min", ["there", "white"], "in_frame")
    yield node("ReduceMean", ["in_frame"], "share", axes=[1, 2, 3], keepdims=1)
    yield node("ReduceMean", ["middle"], "mean", axes=[1, 2, 3], keepdims=1)
    yield node("Max", ["mean", "darkest"], "level")
    yield node("Div", ["share", "level"], "by_level")
    yield node("Mul", ["by_level", "bright_enough"], "wanted")
    yield node("Clip", ["wanted", "least", "most"], "gain")
    yield node("Mul", ["light", "gain"], "brighter")
    yield node("Min", ["brighter", "white"], "clipped")
    yield node("Mul", ["clipped", "range"], "stretched")
    yield node("Add", ["stretched", "black"], "exposed")

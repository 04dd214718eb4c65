"""A gesture network that is well until it sees a picture, and then never returns."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

NAME = "endless"
LABELS = ("thumbs_up", "fist", "stop", "ok", "two", "random")
MANIFEST = """
name = "endless"
task = "gesture"
summary = "for tests"
license = "Apache-2.0"
labels = {labels}
[source]
kind = "file"
file = "endless.onnx"
sha256 = "{sha256}"
[input]
name = "picture"
shape = ["N", 3, 32, 32]
[output]
scores = "scores"
"""
ROUNDS_EACH = 1e15  # of the loop, for a pixel of full brightness: at 10 ns each, four months


def write_endless(engines: Path) -> None:
    """Put it beside the other engines."""
    folder = engines / NAME
    folder.mkdir()
    data = _network()
    (folder / "endless.onnx").write_bytes(data)
    manifest = MANIFEST.format(labels=list(LABELS), sha256=hashlib.sha256(data).hexdigest())
    (folder / "manifest.toml").write_text(manifest.replace("'", '"'), encoding="utf-8")


def _network() -> bytes:
    """Scores from the mean colours, plus nothing, counted in a loop of brightness * ROUNDS_EACH rounds."""
    node, number = helper.make_node, numpy_helper.from_array
    scalar = helper.make_tensor_value_info
    turn = helper.make_graph(
        [node("Identity", ["on"], ["still_on"]), node("Mul", ["sum", "one"], ["sum_after"])],
        "turn",
        [
            scalar("round", TensorProto.INT64, []),
            scalar("on", TensorProto.BOOL, []),
            scalar("sum", TensorProto.FLOAT, []),
        ],
        [scalar("still_on", TensorProto.BOOL, []), scalar("sum_after", TensorProto.FLOAT, [])],
    )
    graph = helper.make_graph(
        [
            node("ReduceSum", ["picture"], ["brightness"], keepdims=0),
            node("Mul", ["brightness", "rounds_each"], ["rounds_real"]),
            node("Cast", ["rounds_real"], ["rounds"], to=TensorProto.INT64),
            node("Loop", ["rounds", "yes", "nothing"], ["counted"], body=turn),
            node("GlobalAveragePool", ["picture"], ["means"]),
            node("Flatten", ["means"], ["colours"]),
            node("MatMul", ["colours", "weights"], ["sums"]),
            node("Add", ["sums", "counted"], ["logits"]),
            node("Softmax", ["logits"], ["scores"]),
        ],
        NAME,
        [scalar("picture", TensorProto.FLOAT, ["N", 3, 32, 32])],
        [scalar("scores", TensorProto.FLOAT, ["N", len(LABELS)])],
        [
            number(np.array(ROUNDS_EACH, np.float32), "rounds_each"),
            number(np.array(True), "yes"),
            number(np.array(0, np.float32), "nothing"),
            number(np.array(1, np.float32), "one"),
            number(np.ones((3, len(LABELS)), np.float32), "weights"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())

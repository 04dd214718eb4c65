"""Detection of the number format of an ONNX file's weights."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto

from agent.errors import ModelError

_QUANTIZED = {"QuantizeLinear", "DequantizeLinear"}
_WORDS: dict[int, str] = {
    TensorProto.FLOAT: "fp32",
    TensorProto.FLOAT16: "fp16 weights",
    TensorProto.BFLOAT16: "bf16 weights",
}


def number_format(path: Path) -> str:
    """Return the format of most weights, or "int8 Q/DQ" for a quantized network. Raises `ModelError`.

    Half-precision weights do not determine the arithmetic: a CPU converts them to float32.
    """
    try:
        graph = onnx.load(str(path)).graph
    except (OSError, DecodeError) as exc:
        raise ModelError(f"{path}: cannot be read as ONNX ({exc}); fetch or import it again") from exc
    if any(node.op_type in _QUANTIZED for node in graph.node):
        return "int8 Q/DQ"
    held = Counter[int]()
    for tensor in _weights(graph):
        if tensor.data_type in _WORDS:
            held[tensor.data_type] += math.prod(tensor.dims)
    return _WORDS[held.most_common(1)[0][0]] if held else "fp32"


def _weights(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    """Initializers, and constants that an exporter left as nodes."""
    constants = [node for node in graph.node if node.op_type == "Constant"]
    held = [a.t for node in constants for a in node.attribute if a.type == onnx.AttributeProto.TENSOR]
    return [*graph.initializer, *held]

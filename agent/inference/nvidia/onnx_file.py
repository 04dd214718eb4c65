"""Reading of ONNX files, with precise errors for files that are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from agent.errors import ModelError
from agent.inference.engine import Shape

OLDEST_OPSET = 7  # of ONNX Runtime and of TensorRT's parser
FIRST = 0x08  # tag of `ir_version`, which every writer puts first
NEWEST_IR = 30  # with reserve: 11 is of 2025
_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
"""Fields of ONNX's ModelProto: number -> wire type (0 varint, 2 length-delimited)."""


@dataclass(frozen=True, slots=True)
class Network:
    """Inputs, outputs and metadata of a network."""

    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]
    opset: int
    producer: str


def read_network(content: bytes, name: str, key: str | None = None) -> Network:
    """Read an ONNX file's metadata. Raises `ModelError`: not ONNX, truncated, opset, external weights.

    `key` is what the content was decrypted with, if it was: invalid content then suggests a wrong key.
    """
    try:
        model = onnx.load_from_string(content)
    except DecodeError as exc:
        raise _unreadable(content, name, key) from exc
    if not model.graph.node or not model.graph.output:
        raise _unreadable(content, name, key)
    if any(w.data_location == onnx.TensorProto.EXTERNAL for w in model.graph.initializer):
        raise ModelError(f"{name}: its weights lie in files beside it; save it as one file and import that")
    opset = next((o.version for o in model.opset_import if o.domain in {"", "ai.onnx"}), 0)
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise ModelError(f"{name}: is of ONNX opset {opset}; {OLDEST_OPSET} to {newest} can be run here")
    weights = {w.name for w in model.graph.initializer}
    return Network(
        {v.name: _shape(v) for v in model.graph.input if v.name not in weights},
        {v.name: _shape(v) for v in model.graph.output},
        opset,
        f"{model.producer_name} {model.producer_version}".strip(),
    )


def missing_bytes(content: bytes) -> int | None:
    """Return the bytes missing at the end of an ONNX file; 0: complete; None: not ONNX."""
    at, first = 0, True
    while at < len(content):
        tag, at = _number(content, at)
        field, wire = tag >> 3, tag & 7
        if _FIELDS.get(field) != wire or (first and tag != FIRST):
            return None
        value, at = _number(content, at)
        if first and not 0 < value <= NEWEST_IR:
            return None
        first = False
        if wire and at + value > len(content):
            return at + value - len(content)
        at += value if wire else 0
    return None if first else 0


def _unreadable(content: bytes, name: str, key: str | None) -> ModelError:
    missing = missing_bytes(content)
    if missing:
        return ModelError(
            f"{name}: is truncated, {missing:,} bytes are missing at its end; download it again"
        )
    if missing == 0:
        return ModelError(f"{name}: holds no network, or a damaged one; download it again")
    if key is not None:
        return ModelError(
            f'{name}: decoding it with the key "{key}" gives no ONNX; the key is wrong, or the file damaged '
            "(NVIDIA's own models have the key nvidia_tlt; what you trained has the key that you chose)"
        )
    return ModelError(f"{name}: is no ONNX file; it begins with {content[:8].hex(' ') or 'nothing'}")


def _number(content: bytes, at: int) -> tuple[int, int]:
    """A protobuf varint and its end offset; past the end of the content it is 0."""
    value = shift = 0
    while at < len(content) and shift < 64:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    return value, at


def _shape(info: onnx.ValueInfoProto) -> Shape:
    dims = info.type.tensor_type.shape.dim
    return tuple(
        d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else d.dim_param or "?" for d in dims
    )

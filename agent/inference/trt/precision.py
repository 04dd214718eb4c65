"""Conversion of networks to FP16 or INT8, for a TensorRT that takes the types of the network (11, RTX).

FP16: weights and arithmetic in half precision, inputs and outputs stay float32. INT8: Q/DQ nodes around every
convolution and matrix product, symmetric, weights by channel, ranges from calibration images.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType
from onnxruntime.quantization import quantize_static as _quantize
from onnxruntime.transformers.float16 import convert_float_to_float16

from agent.core.types import Floats
from agent.errors import ModelError
from agent.inference.files.compose import in_order

Feed = dict[str, Floats]

KEEP_FULL = ("Resize", "Upsample", "TopK", "NonMaxSuppression")  # their sizes and scales must stay float32
QUANTIZED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def in_half(model: bytes, name: str) -> bytes:
    """Convert to FP16 inside, float32 outside; a network in half precision is returned unchanged.

    Raises `ModelError` where it cannot be converted.
    """
    if not _has(_loaded(model, name), TensorProto.FLOAT):
        return model
    try:
        with _quiet():
            halved = convert_float_to_float16(
                onnx.load_from_string(in_full(model, name)), keep_io_types=True, op_block_list=list(KEEP_FULL)
            )
        halved = in_order(halved)
        onnx.checker.check_model(halved, full_check=True)
    except Exception as exc:  # the library's errors share no base class
        raise ModelError(
            f"{name}: cannot be turned into FP16 ({exc}); set recognition.tensorrt.precision to fp32"
        ) from exc
    return bytes(halved.SerializeToString())


def in_full(model: bytes, name: str) -> bytes:
    """Convert to float32 throughout: half-precision weights are widened, casts to half replaced."""
    network = _loaded(model, name)
    if not _has(network, TensorProto.FLOAT16):
        return model
    for tensor in network.graph.initializer:
        _widen(tensor)
    for node in network.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
            elif attribute.type == onnx.AttributeProto.TENSOR:
                _widen(attribute.t)
    del network.graph.value_info[:]  # it holds the old types
    return bytes(network.SerializeToString())


def in_int8(model: bytes, feeds: Sequence[Feed], name: str) -> bytes:
    """Insert Q/DQ nodes with ranges from calibration inputs: extremes, averaged over images.

    Raises `ModelError`. ONNX Runtime's entropy calibration would keep every value of every image in memory.
    """
    if not feeds:
        raise ModelError(f"{name}: INT8 needs pictures to calibrate with, none were given")
    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, target = Path(folder) / "full.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(in_full(model, name))
        try:
            _quantize(
                str(source),
                str(target),
                _Reader(feeds),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTIZED),
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                extra_options={
                    "CalibMovingAverage": True,
                    "CalibTensorRangeSymmetric": True,
                    "ActivationSymmetric": True,  # TensorRT supports no zero point
                    "WeightSymmetric": True,
                    "AddQDQPairToWeight": True,
                    "QuantizeBias": False,  # nor INT32 biases
                },
            )
        except Exception as exc:  # the library's errors share no base class
            raise ModelError(
                f"{name}: cannot be quantized ({exc}); set recognition.tensorrt.precision to fp16"
            ) from exc
        return target.read_bytes()


def _loaded(model: bytes, name: str) -> Any:
    try:
        network = onnx.load_from_string(model)
    except Exception as exc:  # each implementation of protobuf has its own exception
        raise ModelError(f"{name}: is no ONNX file ({exc}); fetch or export it again") from exc
    if not network.graph.node:
        raise ModelError(f"{name}: there is no network in this ONNX file; fetch or export it again")
    return network


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._feeds: Iterator[Feed] = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def _has(network: Any, kind: int) -> bool:
    """Return whether any weight with more than one element is of this type."""
    return any(t.data_type == kind and int(np.prod(t.dims or [1])) > 1 for t in network.graph.initializer)


def _widen(tensor: Any) -> None:
    if tensor.data_type == TensorProto.FLOAT16:
        wide = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the library's advice on the root logger and its warnings about rounded weights."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

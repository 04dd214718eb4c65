"""Converter from TensorFlow Lite to ONNX, for the float networks of MediaPipe.

TFLite stores images as (N, H, W, C); the result uses (N, C, H, W), for its inputs too, and any N.
Half-precision weights become float32, sparse ones (`DENSIFY`) dense. Only what leads to the requested outputs
is converted. An operator that is not in `_WRITERS` is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

from agent.errors import ModelError

OPSET, IR = 13, 8  # old enough for TensorRT 8.6 and onnxruntime 1.17

_OPERATORS = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
_ACTIVATIONS = {v: k for k, v in vars(tflite.ActivationFunctionType).items() if isinstance(v, int)}
_DTYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}


def convert(source: bytes, outputs: Mapping[str, str], name: str = "network") -> onnx.ModelProto:
    """Convert a .tflite network to ONNX; a single input is named "input_1".

    `outputs` maps the requested output names to tensor names of the source. Raises `ModelError` where the
    bytes are not a TFLite model, an output does not exist, or an operator is unsupported.
    """
    if source[4:8] != b"TFL3":
        raise ModelError(f"{name}: not a TFLite file (no TFL3 mark at byte 4)")
    model = _Converter(source, name).convert(outputs)
    onnx.checker.check_model(model, full_check=True)
    return model


class _Converter:
    def __init__(self, source: bytes, name: str) -> None:
        self.name = name
        self.model = tflite.Model.GetRootAsModel(source, 0)
        self.graph = self.model.Subgraphs(0)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.tensors = {self.tensor_name(i): i for i in range(self.graph.TensorsLength())}
        self.maker = {
            int(i): op
            for op in map(self.graph.Operators, range(self.graph.OperatorsLength()))
            for i in op.OutputsAsNumpy()
        }
        self.written: dict[int, str] = {}

    def convert(self, outputs: Mapping[str, str]) -> onnx.ModelProto:
        inputs = [int(i) for i in self.graph.InputsAsNumpy()]
        self.written = {i: "input_1" if len(inputs) == 1 else self.tensor_name(i) for i in inputs}
        heads = []
        for wanted, tensor in outputs.items():
            if tensor not in self.tensors:
                raise ModelError(f"{self.name}: output tensor {tensor!r} is not in the network")
            index = self.tensors[tensor]
            self.node("Identity", [self.value(index)], wanted)
            heads.append(_value_info(wanted, self.onnx_shape(index)))
        fed = [_value_info(self.written[i], self.onnx_shape(i)) for i in inputs]
        graph = helper.make_graph(self.nodes, self.name, fed, heads, list(self.constants.values()))
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opset, ir_version=IR, producer_name="gesture-agent")

    def value(self, index: int) -> str:
        """The ONNX name of a computed tensor; writes its operator and all before it if needed."""
        if index not in self.written:
            op = self.maker.get(index)
            if op is None:
                return self.constant(f"t{index}", self.array(index))
            code = self.model.OperatorCodes(op.OpcodeIndex())
            kind = _OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            if kind not in _WRITERS:
                raise ModelError(f"{self.name}: operator {kind} is unknown to the converter")
            self.written[index] = _WRITERS[kind](self, op, f"t{index}")
        return self.written[index]

    def array(self, index: int) -> np.ndarray[Any, Any]:
        """A constant's values: float32 or int32, through DEQUANTIZE and DENSIFY if they lie before it."""
        op = self.maker.get(index)
        if op is not None:  # only the two operators that unpack weights give a constant
            code = self.model.OperatorCodes(op.OpcodeIndex())
            kind = _OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            if kind not in ("DEQUANTIZE", "DENSIFY"):
                raise ModelError(
                    f"{self.name}: {self.tensor_name(index)} is computed by {kind}, not a constant"
                )
            return self.array(int(op.Inputs(0)))
        tensor = self.graph.Tensors(index)
        if tensor.Type() not in _DTYPES:
            raise ModelError(
                f"{self.name}: {self.tensor_name(index)} has type {tensor.Type()}, want float or int32"
            )
        buffer = self.model.Buffers(tensor.Buffer())
        if buffer.DataIsNone():
            raise ModelError(f"{self.name}: {self.tensor_name(index)} is neither computed nor constant")
        values = buffer.DataAsNumpy().view(_DTYPES[tensor.Type()])
        if tensor.Sparsity() is not None:
            values = self.dense(values, tensor.Sparsity(), self.shape(index))
        values = values.reshape(self.shape(index))
        return np.asarray(values, np.float32 if values.dtype == np.float16 else values.dtype)

    def dense(self, values: Any, sparsity: Any, shape: list[int]) -> np.ndarray[Any, Any]:
        """Dense weights from compressed rows (CSR) of the last dimension, the layout MediaPipe uses."""
        *outer, last = (sparsity.DimMetadata(i) for i in range(sparsity.DimMetadataLength()))
        in_order = list(sparsity.TraversalOrderAsNumpy()) == list(range(len(shape)))
        if not in_order or any(dim.Format() != 0 for dim in outer) or last.Format() != 1:
            raise ModelError(f"{self.name}: sparse weights in a layout other than rows of the last dimension")
        starts = _index_vector(last.ArraySegments(), last.ArraySegmentsType())
        columns = _index_vector(last.ArrayIndices(), last.ArrayIndicesType())
        full = np.zeros((int(np.prod(shape[:-1])), shape[-1]), values.dtype)
        full[np.repeat(np.arange(len(full)), np.diff(starts)), columns] = values
        return full

    def constant(self, name: str, values: np.ndarray[Any, Any]) -> str:
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def activated(self, kind: str, inputs: list[str], output: str, activation: int, **attributes: Any) -> str:
        """Add a node and its activation, which TFLite fuses."""
        name = _ACTIVATIONS[activation]
        if name == "NONE":
            return self.node(kind, inputs, output, **attributes)
        before = self.node(kind, inputs, f"{output}_linear", **attributes)
        if name == "RELU":
            return self.node("Relu", [before], output)
        if name == "RELU6":
            limits = [self.constant("zero", np.float32(0)), self.constant("six", np.float32(6))]
            return self.node("Clip", [before, *limits], output)
        raise ModelError(f"{self.name}: fused activation {name} is unknown to the converter")

    def tensor_name(self, index: int) -> str:
        return str(self.graph.Tensors(index).Name().decode())

    def shape(self, index: int) -> list[int]:
        return [int(n) for n in self.graph.Tensors(index).ShapeAsNumpy()]

    def onnx_shape(self, index: int) -> list[int | str]:
        _, *rest = self.shape(index)
        return ["N", rest[2], rest[0], rest[1]] if len(rest) == 3 else ["N", *rest]


def _value_info(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _index_vector(table: Any, kind: int) -> np.ndarray[Any, Any]:
    reader = {1: tflite.Int32Vector, 2: tflite.Uint16Vector, 3: tflite.Uint8Vector}[kind]()
    reader.Init(table.Bytes, table.Pos)
    return np.asarray(reader.ValuesAsNumpy(), np.int64)


def _options(op: Any, kind: str) -> Any:
    options = getattr(tflite, kind)()
    options.Init(op.BuiltinOptions().Bytes, op.BuiltinOptions().Pos)
    return options


def _pads(
    padding: int, size: list[int], kernel: list[int], stride: list[int], dilation: list[int]
) -> list[int]:
    """ONNX pads (top, left, bottom, right) of TFLite's SAME (0) or VALID (1)."""
    if padding == tflite.Padding.VALID:
        return [0, 0, 0, 0]
    total = [
        max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
    ]
    return [total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2]


def _conv(c: _Converter, op: Any, out: str) -> str:
    x, weights = int(op.Inputs(0)), c.array(int(op.Inputs(1)))
    code = c.model.OperatorCodes(op.OpcodeIndex())
    depthwise = (
        max(code.BuiltinCode(), code.DeprecatedBuiltinCode()) == tflite.BuiltinOperator.DEPTHWISE_CONV_2D
    )
    options = _options(op, "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions")
    kernel = list(weights.shape[1:3])
    stride = [options.StrideH(), options.StrideW()]
    dilation = [options.DilationHFactor(), options.DilationWFactor()]
    inputs = [
        c.value(x),
        c.constant(f"{out}_w", weights.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))),
    ]
    if op.InputsLength() > 2 and op.Inputs(2) >= 0:
        inputs.append(c.constant(f"{out}_b", c.array(int(op.Inputs(2)))))
    return c.activated(
        "Conv", inputs, out, options.FusedActivationFunction(), kernel_shape=kernel, strides=stride,
        dilations=dilation, pads=_pads(options.Padding(), c.shape(x)[1:3], kernel, stride, dilation),
        group=c.shape(x)[3] if depthwise else 1,
    )  # fmt: skip


def _add(c: _Converter, op: Any, out: str) -> str:
    inputs = [c.value(int(i)) for i in op.InputsAsNumpy()]
    return c.activated("Add", inputs, out, _options(op, "AddOptions").FusedActivationFunction())


def _prelu(c: _Converter, op: Any, out: str) -> str:
    slope = c.array(int(op.Inputs(1))).transpose(2, 0, 1)
    return c.node("PRelu", [c.value(int(op.Inputs(0))), c.constant(f"{out}_slope", slope)], out)


def _pad(c: _Converter, op: Any, out: str) -> str:
    pads = c.array(int(op.Inputs(1)))[[0, 3, 1, 2]].T.reshape(-1).astype(np.int64)
    return c.node("Pad", [c.value(int(op.Inputs(0))), c.constant(f"{out}_pads", pads)], out)


def _max_pool(c: _Converter, op: Any, out: str) -> str:
    options, x = _options(op, "Pool2DOptions"), int(op.Inputs(0))
    kernel = [options.FilterHeight(), options.FilterWidth()]
    stride = [options.StrideH(), options.StrideW()]
    pads = _pads(options.Padding(), c.shape(x)[1:3], kernel, stride, [1, 1])
    fused = options.FusedActivationFunction()
    return c.activated("MaxPool", [c.value(x)], out, fused, kernel_shape=kernel, strides=stride, pads=pads)


def _resize(c: _Converter, op: Any, out: str) -> str:
    options = _options(op, "ResizeBilinearOptions")
    how = (
        "half_pixel"
        if options.HalfPixelCenters()
        else "align_corners"
        if options.AlignCorners()
        else "asymmetric"
    )
    before, after = (np.array(c.shape(int(i))[1:3]) for i in (op.Inputs(0), op.Outputs(0)))
    scales = c.constant(f"{out}_scales", np.array([1, 1, *(after / before)], np.float32))
    return c.node(
        "Resize",
        [c.value(int(op.Inputs(0))), "", scales],
        out,
        mode="linear",
        coordinate_transformation_mode=how,
    )


def _depth_to_space(c: _Converter, op: Any, out: str) -> str:
    size = _options(op, "DepthToSpaceOptions").BlockSize()
    return c.node("DepthToSpace", [c.value(int(op.Inputs(0)))], out, blocksize=size, mode="DCR")


def _reshape(c: _Converter, op: Any, out: str) -> str:
    x, target = int(op.Inputs(0)), c.shape(int(op.Outputs(0)))
    name = c.value(x)
    if len(c.shape(x)) == 4:  # the flat order is TFLite's
        name = c.node("Transpose", [name], f"{out}_nhwc", perm=[0, 2, 3, 1])
    if len(target) == 4:
        raise ModelError(f"{c.name}: a reshape to four dimensions is unknown to the converter")
    return c.node("Reshape", [name, c.constant(f"{out}_shape", np.array([0, *target[1:]], np.int64))], out)


def _concatenate(c: _Converter, op: Any, out: str) -> str:
    axis = _options(op, "ConcatenationOptions").Axis()
    if len(c.shape(int(op.Outputs(0)))) == 4:
        axis = (0, 2, 3, 1)[axis]
    return c.node("Concat", [c.value(int(i)) for i in op.InputsAsNumpy()], out, axis=axis)


def _mean(c: _Converter, op: Any, out: str) -> str:
    axes = sorted(int(a) for a in c.array(int(op.Inputs(1))).reshape(-1))
    if axes != [1, 2]:
        raise ModelError(
            f"{c.name}: a mean over axes {axes} is unknown to the converter, want height and width"
        )
    keep = int(_options(op, "ReducerOptions").KeepDims())
    return c.node("ReduceMean", [c.value(int(op.Inputs(0)))], out, axes=[2, 3], keepdims=keep)


def _fully_connected(c: _Converter, op: Any, out: str) -> str:
    weights, bias = (c.constant(f"{out}_{k}", c.array(int(op.Inputs(i)))) for i, k in ((1, "w"), (2, "b")))
    fused = _options(op, "FullyConnectedOptions").FusedActivationFunction()
    return c.activated("Gemm", [c.value(int(op.Inputs(0))), weights, bias], out, fused, transB=1)


def _logistic(c: _Converter, op: Any, out: str) -> str:
    return c.node("Sigmoid", [c.value(int(op.Inputs(0)))], out)


_WRITERS: dict[str, Callable[[_Converter, Any, str], str]] = {
    "ADD": _add,
    "CONCATENATION": _concatenate,
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _conv,
    "DEPTH_TO_SPACE": _depth_to_space,
    "FULLY_CONNECTED": _fully_connected,
    "LOGISTIC": _logistic,
    "MAX_POOL_2D": _max_pool,
    "MEAN": _mean,
    "PAD": _pad,
    "PRELU": _prelu,
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resize,
}

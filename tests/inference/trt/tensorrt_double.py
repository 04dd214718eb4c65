"""TensorRT's Python API as it was in 8.6, is in 10 and in 11, in so far as the agent uses it.

A plan is the ONNX network with a header; it runs on ONNX Runtime, reading and writing at the addresses that
it was told, so that wrong addresses, shapes and batches show. `api.json` lists the names of the real bindings
(tensorrt-bindings 8.6.1, tensorrt-cu13-bindings 11.4.0 and tensorrt-rtx-cu13-bindings 1.7.1 as imported,
tensorrt-stubs 10.13.0 as read); nothing in here has another name.

TensorRT for RTX ("rtx-1.7.1") compiles a kernel for each shape at its first run, unless its runtime cache has
it; a context that is asked to captures a shape's second run and replays it from then on.
"""

from __future__ import annotations

import ctypes
import enum
import json
import math
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

API: dict[str, dict[str, list[str]]] = {
    version: {cls: names.split() for cls, names in classes.items()}
    for version, classes in json.loads((Path(__file__).parent / "api.json").read_text()).items()
}
NUMBERS = {  # of enums whose numbers mean something
    "ComputeCapability": {"NONE": 0, "CURRENT": 1} | {f"SM{n}": n for n in (75, 80, 86, 89, 120, 121)},
    "EngineInvalidityDiagnostics": {
        "VERSION_MISMATCH": 1,
        "UNSUPPORTED_CC": 2,
        "OLD_CUDA_DRIVER": 4,
        "OLD_CUDA_RUNTIME": 8,
        "INSUFFICIENT_GPU_MEMORY": 16,
        "MALFORMED_ENGINE": 32,
        "CUDA_ERROR": 64,
    },
}
UNKNOWN_OPERATOR = "NonZero"  # stands for what TensorRT does not know
MAGIC = b"plan"


class Severity(enum.IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class _Logger:
    def __init__(self) -> None: ...


class _Monitor:
    def __init__(self) -> None: ...


class _Calibrator:
    def __init__(self) -> None: ...


class Behaviour:
    """What goes wrong, and what was seen."""

    def __init__(self) -> None:
        self.out_of_memory = False
        self.refuses_plans = False
        self.skips_calibration_files = False  # without an error, as those of some other versions
        self.fails_to_run = False
        self.refuses_capture = False  # as a network with a loop, which waits for the device in its midst
        self.gives: Callable[[Any], Any] = lambda array: array  # what a run makes of a right output
        self.cannot_start = False  # as where no device can be opened: every factory raises
        self.bytes_at: Callable[[int], int] = lambda _address: 0  # how much the device holds there
        self.gpu = "NVIDIA Test"
        self.waits_for: threading.Event | None = None  # a build ends when this is set
        self.built: list[dict[str, Any]] = []
        self.runs: list[dict[str, tuple[int, ...]]] = []
        self.capability = 89  # of the GPU
        self.compiled: list[str] = []  # RTX: kernels that were compiled at run time
        self.replayed = 0  # RTX: runs of contexts that capture
        self.streams: Any = None  # who is asked for work: `ask(handle, work)`, `is_capturing(handle)`


def double(version: str, behaviour: Behaviour | None = None) -> Any:
    """A module `tensorrt` of "8.6.1", "10.13.0" or "11.4.0", or `tensorrt_rtx` of "rtx-1.7.1"."""
    names = API[version]
    how = behaviour or Behaviour()

    def members(cls: str) -> Any:
        known = NUMBERS.get(cls, {})
        return enum.IntEnum(cls, {n: known.get(n, i) for i, n in enumerate(names[cls]) if n.isupper()})

    module = SimpleNamespace(
        __version__=version.removeprefix("rtx-"),
        ILogger=_Logger,
        DataType=members("DataType"),
        TensorIOMode=members("TensorIOMode"),
        BuilderFlag=members("BuilderFlag"),
        MemoryPoolType=members("MemoryPoolType"),
        NetworkDefinitionCreationFlag=members("NetworkDefinitionCreationFlag"),
        behaviour=how,
    )
    for cls in ("CudaGraphStrategy", "ComputeCapability", "EngineValidity", "EngineInvalidityDiagnostics"):
        if cls in names:
            setattr(module, cls, members(cls))
    if "IProgressMonitor" in names:
        module.IProgressMonitor = _Monitor
    if "IInt8EntropyCalibrator2" in names:
        module.IInt8EntropyCalibrator2 = _Calibrator
    kinds = {
        "Builder": _Builder, "IBuilderConfig": _Config, "INetworkDefinition": _Network,
        "OnnxParser": _Parser,
        "ParserError": _ParserError, "Runtime": _Runtime, "ICudaEngine": _Engine,
        "IExecutionContext": _Context,
        "IOptimizationProfile": _Profile, "IHostMemory": _HostMemory, "ITensor": _Tensor,
    }  # fmt: skip
    if "IRuntimeConfig" in names:
        kinds |= {"IRuntimeConfig": _RuntimeConfig, "IRuntimeCache": _RuntimeCache}
    for name, base in kinds.items():
        kept = {k: v for k, v in vars(base).items() if k.startswith("_") or k in names[name]}
        kept.pop("__dict__", None)
        kept.pop("__weakref__", None)
        setattr(module, name, type(name, (), {**kept, "trt": module}))
    return module


def _demand_start(trt: Any) -> None:
    """What pybind11 says where the library's factory gives nothing, in every version."""
    if trt.behaviour.cannot_start:
        raise TypeError("pybind11::init(): factory function returned nullptr")


class _HostMemory:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def __bytes__(self) -> bytes:
        return self._content

    @property
    def nbytes(self) -> int:
        return len(self._content)


class _Tensor:
    def __init__(self, value: Any) -> None:
        self.name = value.name
        self.shape = tuple(d.dim_value or -1 for d in value.type.tensor_type.shape.dim)


class _Profile:
    def __init__(self) -> None:
        self._shapes: dict[str, Any] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:  # noqa: A002 (its real names)
        assert all(a <= b <= c for a, b, c in zip(min, opt, max, strict=True))
        self._shapes[input] = [list(min), list(opt), list(max)]


class _Config:
    def __init__(self) -> None:
        self._flags = {int(self.trt.BuilderFlag.TF32)}  # type: ignore[attr-defined]
        self._profiles: list[Any] = []
        self._pools: dict[int, int] = {}
        self._calibration_profile: Any = None
        self._timing: Any = None

    def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
        if serialized_timing_cache and not serialized_timing_cache.startswith(MAGIC):
            return None
        return SimpleNamespace(serialize=lambda: _HostMemory(MAGIC), known=bool(serialized_timing_cache))

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:  # noqa: ARG002 (real names)
        self._timing = cache
        return True

    def get_timing_cache(self) -> Any:
        return self._timing

    def set_flag(self, flag: Any) -> None:
        self._flags.add(int(flag))

    def clear_flag(self, flag: Any) -> None:
        self._flags.discard(int(flag))

    def set_memory_pool_limit(self, pool: Any, size: int) -> None:
        self._pools[int(pool)] = size

    def add_optimization_profile(self, profile: Any) -> int:
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def set_calibration_profile(self, profile: Any) -> bool:
        self._calibration_profile = profile
        return True


class _Network:
    def __init__(self) -> None:
        self._model: Any = None

    @property
    def num_inputs(self) -> int:
        return len(self._model.graph.input)

    def _shape_of(self, name: str) -> tuple[int, ...]:
        return next(_Tensor(v).shape for v in self._model.graph.input if v.name == name)

    def get_input(self, index: int) -> Any:
        return self.trt.ITensor(self._model.graph.input[index])  # type: ignore[attr-defined]


class _ParserError:
    def __init__(self, number: int, node: Any) -> None:
        self._number, self._node = number, node

    def desc(self) -> str:
        return f"no importer registered for op {self._node.op_type}"

    def node(self) -> int:
        return self._number

    def node_name(self) -> str:
        return str(self._node.name)

    def node_operator(self) -> str:
        return str(self._node.op_type)


class _Parser:
    def __init__(self, network: Any, logger: Any) -> None:
        self._network, self._logger = network, logger
        self._errors: list[Any] = []

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return self._errors[index]

    def parse(self, model: bytes) -> bool:
        try:
            self._network._model = onnx.load_from_string(model)
        except Exception:  # noqa: BLE001 (protobuf's own)
            self._logger.log(Severity.ERROR, "ModelImporter: failed to parse the ONNX model")
            return False
        unknown = [
            (i, n) for i, n in enumerate(self._network._model.graph.node) if n.op_type == UNKNOWN_OPERATOR
        ]
        self._errors = [self.trt.ParserError(i, n) for i, n in unknown]  # type: ignore[attr-defined]
        return not self._errors


class _Builder:
    def __init__(self, logger: Any) -> None:
        _demand_start(self.trt)  # type: ignore[attr-defined]
        self._logger = logger

    def create_network(self, flags: int = 0) -> Any:
        explicit = getattr(self.trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH", None)  # type: ignore[attr-defined]
        if self.trt.__version__.startswith("8"):  # type: ignore[attr-defined]
            assert flags & (1 << int(explicit)), "8.6 makes a network of implicit batch unless told not to"
        return self.trt.INetworkDefinition()  # type: ignore[attr-defined]

    def create_builder_config(self) -> Any:
        return self.trt.IBuilderConfig()  # type: ignore[attr-defined]

    def create_optimization_profile(self) -> Any:
        return self.trt.IOptimizationProfile()  # type: ignore[attr-defined]

    def _calibrated(self, network: Any, config: Any, calibrator: Any) -> dict[str, Any]:
        """As TensorRT up to 10: reads as many pictures at each address as the profile's OPT says."""
        file, count = calibrator.read_calibration_cache(), 0
        names = [network.get_input(i).name for i in range(network.num_inputs)]
        profile = config._calibration_profile or (config._profiles or [self.trt.IOptimizationProfile()])[0]  # type: ignore[attr-defined]
        if self.trt.behaviour.skips_calibration_files:  # type: ignore[attr-defined]
            file = None
        while file is None and (addresses := calibrator.get_batch(names)):
            for name, address in zip(names, addresses, strict=True):
                shape = profile._shapes.get(name, [0, network._shape_of(name)])[1]
                held = self.trt.behaviour.bytes_at(address)  # type: ignore[attr-defined]
                assert held >= math.prod(shape) * 4, f"{name}: read past the end"
            count += 1
        return {"calibration_file": file, "calibrated_with": count}

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        how, flags = self.trt.behaviour, self.trt.BuilderFlag  # type: ignore[attr-defined]
        is_open = any(-1 in network.get_input(i).shape for i in range(network.num_inputs))
        if is_open and not config._profiles:
            self._logger.log(Severity.ERROR, "Network has dynamic inputs, but no optimization profile")
            return None
        if how.out_of_memory:
            self._logger.log(Severity.ERROR, "[executionContext] CUDA error 2: out of memory")
            return None
        halves = any(t.data_type == onnx.TensorProto.FLOAT16 for t in network._model.graph.initializer)
        if halves and hasattr(flags, "FP16") and int(flags.FP16) not in config._flags:
            self._logger.log(Severity.ERROR, "Half precision tensors, but BuilderFlag::kFP16 is not set")
            return None
        calibrator = getattr(config, "int8_calibrator", None)
        if hasattr(flags, "INT8") and int(flags.INT8) in config._flags and calibrator is None:
            self._logger.log(Severity.ERROR, "INT8 without calibrator")
            return None
        seen: dict[str, Any] = {
            "flags": sorted(flags(f).name for f in config._flags),
            "timed_before": bool(config._timing and config._timing.known),
            "workspace": config._pools[int(self.trt.MemoryPoolType.WORKSPACE)],  # type: ignore[attr-defined]
        }
        if calibrator is not None:
            seen |= self._calibrated(network, config, calibrator)
        monitor = getattr(config, "progress_monitor", None)
        if monitor is not None:
            monitor.phase_start("Building engine", None, 4)
            for step in range(4):
                monitor.phase_start("Timing", "Building engine", 2)
                monitor.step_complete("Timing", 0)
                monitor.phase_finish("Timing")
                if not monitor.step_complete("Building engine", step):
                    return None
            monitor.phase_finish("Building engine")
        if how.waits_for is not None:
            assert how.waits_for.wait(30)
        how.built.append(seen)
        profile = config._profiles[0]._shapes if config._profiles else {}
        head = json.dumps({"version": self.trt.__version__, "gpu": how.gpu, "profile": profile}).encode()  # type: ignore[attr-defined]
        model = network._model.SerializeToString()
        return self.trt.IHostMemory(MAGIC + len(head).to_bytes(4, "little") + head + model)  # type: ignore[attr-defined]


class _Runtime:
    def __init__(self, logger: Any) -> None:
        _demand_start(self.trt)  # type: ignore[attr-defined]
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
        how = self.trt.behaviour  # type: ignore[attr-defined]
        if serialized_engine[:4] != MAGIC:
            self._logger.log(Severity.ERROR, "Magic tag does not match")
            return None
        size = int.from_bytes(serialized_engine[4:8], "little")
        head = json.loads(serialized_engine[8 : 8 + size])
        if head["version"] != self.trt.__version__ or how.refuses_plans:  # type: ignore[attr-defined]
            self._logger.log(Severity.ERROR, "Version tag does not match. Current 239, serialized 232")
            return None
        if head["gpu"] != how.gpu and not hasattr(self.trt, "ComputeCapability"):  # type: ignore[attr-defined]
            self._logger.log(Severity.ERROR, "The engine plan file is generated on an incompatible device")
            return None
        if self._diagnostics():
            self._logger.log(Severity.ERROR, "Target GPU SM is not supported by this TensorRT RTX release")
            return None
        return self.trt.ICudaEngine(serialized_engine[8 + size :], head["profile"], self._logger)  # type: ignore[attr-defined]

    def _diagnostics(self) -> int:
        """RTX: whether the GPU is one of those that it names."""
        trt = self.trt  # type: ignore[attr-defined]
        named = getattr(trt, "ComputeCapability", None)
        unsupported = named is not None and trt.behaviour.capability not in {int(member) for member in named}
        return int(trt.EngineInvalidityDiagnostics.UNSUPPORTED_CC) if unsupported else 0

    def get_engine_validity(self, buffer: bytes) -> tuple[Any, int]:  # noqa: ARG002 (its real name)
        validity, bits = self.trt.EngineValidity, self._diagnostics()  # type: ignore[attr-defined]
        return (validity.INVALID if bits else validity.VALID), bits


class _Engine:
    def __init__(self, model: bytes, profile: dict[str, Any], logger: Any) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 4
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._profile, self._logger = profile, logger
        self._contexts = 0
        self._inputs, self._outputs = (
            {t.name: t for t in ts} for ts in (self._session.get_inputs(), self._session.get_outputs())
        )

    @property
    def num_io_tensors(self) -> int:
        return len(self._inputs) + len(self._outputs)

    def get_tensor_name(self, index: int) -> str:
        return [*self._inputs, *self._outputs][index]

    def get_tensor_mode(self, name: str) -> Any:
        modes = self.trt.TensorIOMode  # type: ignore[attr-defined]
        return modes.INPUT if name in self._inputs else modes.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        kinds = self.trt.DataType  # type: ignore[attr-defined]
        return {"tensor(float)": kinds.FLOAT, "tensor(float16)": kinds.HALF}.get(
            (self._inputs | self._outputs)[name].type, kinds.INT32
        )

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(n if isinstance(n, int) else -1 for n in (self._inputs | self._outputs)[name].shape)

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Any]:
        assert profile_index == 0
        assert name in self._inputs
        shape = self.get_tensor_shape(name)
        return [tuple(s) for s in self._profile[name]] if name in self._profile else [shape] * 3

    def create_runtime_config(self) -> Any:
        return self.trt.IRuntimeConfig()  # type: ignore[attr-defined]

    def create_execution_context(self, runtime_config: Any = None) -> Any:
        if self.trt.behaviour.out_of_memory:  # type: ignore[attr-defined]
            self._logger.log(Severity.ERROR, "cudaErrorMemoryAllocation: out of memory")
            return None
        # Up to 9 contexts cannot share an optimisation profile; the one profile has gone to the first.
        assert not (self._contexts and self.trt.__version__.startswith("8")), "no profile is left"  # type: ignore[attr-defined]
        self._contexts += 1
        return self.trt.IExecutionContext(self, runtime_config)  # type: ignore[attr-defined]


class _RuntimeCache:
    """Kernels by name; its file is of one GPU and version, and anything else is refused."""

    def __init__(self) -> None:
        self._kernels: set[str] = set()

    def _environment(self) -> str:
        return f"{self.trt.__version__} {self.trt.behaviour.gpu}"  # type: ignore[attr-defined]

    def serialize(self) -> Any:
        told = {"environment": self._environment(), "kernels": sorted(self._kernels)}
        return self.trt.IHostMemory(MAGIC + json.dumps(told).encode())  # type: ignore[attr-defined]

    def deserialize(self, blob: bytes) -> bool:
        try:
            told = json.loads(bytes(blob).removeprefix(MAGIC))
        except ValueError:
            return False
        if told["environment"] != self._environment():
            return False
        self._kernels = set(told["kernels"])
        return True


class _RuntimeConfig:
    def __init__(self) -> None:
        self.cuda_graph_strategy = self.trt.CudaGraphStrategy.DISABLED  # type: ignore[attr-defined]
        self._cache: Any = None

    def create_runtime_cache(self) -> Any:
        return self.trt.IRuntimeCache()  # type: ignore[attr-defined]

    def set_runtime_cache(self, cache: Any) -> bool:
        self._cache = cache
        return True

    def get_runtime_cache(self) -> Any:
        return self._cache


class _Context:
    def __init__(self, engine: Any, config: Any = None) -> None:
        self._engine, self._config = engine, config
        self._runs: dict[str, int] = {}  # RTX: by shape
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._settled = False  # by a run since the last change: only then can a run be captured

    def set_input_shape(self, name: str, shape: Any) -> bool:
        low, _, high = self._engine.get_tensor_profile_shape(name, 0)
        if not all(a <= n <= b for a, n, b in zip(low, shape, high, strict=True)):
            self._engine._logger.log(Severity.ERROR, "the shape is not in the profile")
            return False
        self._shapes[name] = tuple(shape)
        self._settled = False
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self._shapes:
            return self._shapes[name]
        count = next(iter(self._shapes.values()))[0]
        return tuple(
            count if n == -1 and i == 0 else n for i, n in enumerate(self._engine.get_tensor_shape(name))
        )

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        how = self.trt.behaviour  # type: ignore[attr-defined]
        if how.fails_to_run or not stream_handle:
            self._engine._logger.log(
                Severity.ERROR, "CUDA error 700: an illegal memory access was encountered"
            )
            return False
        capturing = how.streams.is_capturing(stream_handle)
        if capturing and (how.refuses_capture or not self._settled):
            self._engine._logger.log(Severity.ERROR, "CUDA error 900: not permitted when stream is capturing")
            return False
        self._settled = True
        shapes = dict(self._shapes)
        how.streams.ask(stream_handle, lambda: self._run(shapes))
        return True

    def _run(self, shapes: dict[str, tuple[int, ...]]) -> None:
        how = self.trt.behaviour  # type: ignore[attr-defined]
        assert shapes == self._shapes, "the context was changed before its run was over, or after its capture"
        addresses = self._addresses
        feed = {name: _array_at(addresses[name], shapes[name]).copy() for name in self._engine._inputs}
        how.runs.append(shapes)
        if hasattr(self.trt, "CudaGraphStrategy"):  # type: ignore[attr-defined]
            self._compile(str(sorted(shapes.items())))
        results = self._engine._session.run(list(self._engine._outputs), feed)
        for name, result in zip(self._engine._outputs, results, strict=True):
            _array_at(addresses[name], result.shape)[...] = how.gives(result)

    def _compile(self, shape: str) -> None:
        how, cache = self.trt.behaviour, self._config and self._config.get_runtime_cache()  # type: ignore[attr-defined]
        known = cache._kernels if cache is not None else set()
        if shape not in known and shape not in self._runs:
            how.compiled.append(shape)
            known.add(shape)
        self._runs[shape] = self._runs.get(shape, 0) + 1
        captures = self.trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE  # type: ignore[attr-defined]
        if self._config and self._config.cuda_graph_strategy == captures and self._runs[shape] > 2:
            how.replayed += 1


def _array_at(address: int, shape: tuple[int, ...]) -> Any:
    memory = (ctypes.c_float * math.prod(shape)).from_address(address)
    return np.frombuffer(memory, np.float32).reshape(shape)

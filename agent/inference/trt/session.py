"""A loaded plan with named tensors at fixed addresses; nothing is allocated afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agent.core.types import Floats
from agent.errors import EngineError, ModelError
from agent.inference.engine import Shape
from agent.inference.trt.device import Array, Device, Memory
from agent.inference.trt.graphs import RunGraphs
from agent.inference.trt.library import Library, created
from agent.inference.trt.runtime_kernels import RuntimeKernels
from agent.inference.trt.trt_log import TrtLogger

FLOAT_BYTES = 4


class PlanRefusedError(ModelError):
    """Raised when TensorRT refuses a plan: built for another GPU or version, or damaged."""


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """An input or output with host and device buffers for the largest batch."""

    name: str
    shape: Shape
    device: Memory
    host: Array  # pinned, float32

    @property
    def sizes(self) -> tuple[int, ...]:
        """Shape of one image."""
        return tuple(int(n) for n in self.shape[1:])


class Session:
    """A plan with one execution context and one stream. For one thread at a time."""

    def __init__(
        self,
        library: Library,
        device: Device,
        plan: bytes,
        name: str,
        *,
        kernels: Path | None = None,
        graphs: bool = True,
    ) -> None:
        """Load a plan. Raises `PlanRefusedError`; `ModelError` when it does not fit into the GPU's memory.

        `kernels` is a file for what the library compiles at run time, where it does. `graphs`: runs that come
        again are captured as CUDA graphs where that can be.
        """
        self.name, self.device = name, device
        self._journal = TrtLogger(library)
        self._runtime: Any = created(lambda: library.trt.Runtime(self._journal.logger))
        if self._runtime is None:
            raise ModelError(
                f"{name}: {library.label} cannot start on this GPU ({self._journal.last()}); see nvidia-smi"
            )
        self._engine: Any = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise self._refusal(library, plan)
        self._kernels = RuntimeKernels(kernels) if library.compiles_at_run_time else None
        self._context: Any = self._new_context(library, graphs=graphs)
        if self._context is None:
            raise self._no_room(library)
        self.stream = device.stream()
        self._graphs: RunGraphs | None = None
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}
        try:
            self.max_batch = self._find_batch(library)
            self._bind(library)
        except BaseException:
            self.close()
            raise
        self._count = 0  # pictures that the context is set for
        if graphs and not library.compiles_at_run_time:  # TensorRT for RTX captures whole runs itself
            self._graphs = RunGraphs(device, self.stream, lambda count: self._context_of(library, count))

    def start(self, count: int, kind: Hashable, uploads: Callable[[], None]) -> None:
        """Start a run over `count` pictures: `uploads`, the network, the outputs' way to the host.

        `uploads` fills the inputs' device memory on the session's stream. For one `kind` it asks for the
        same, from and to the same memory, each time: runs that are replayed as a CUDA graph do not call it.
        Raises `EngineError`.
        """

        def work(context: Any) -> None:
            uploads()
            self._demand(context.execute_async_v3(self.stream.handle))
            for tensor in self.outputs.values():
                self.device.download(tensor.host[:count], tensor.device, self.stream)

        if self._graphs is None or not self._graphs.run((count, kind), work):
            if count != self._count:
                self._set_count(self._context, count)
                self._count = count
            work(self._context)

    @property
    def captured(self) -> int:
        """How many kinds of runs are replayed as CUDA graphs."""
        return 0 if self._graphs is None else self._graphs.captured

    def wait(self) -> None:
        """Wait until the run is over. Raises `EngineError`."""
        self.stream.synchronize()

    def keep_kernels(self) -> None:
        """Write what was compiled for this GPU so far, where the library compiles at run time."""
        if self._kernels is not None:
            self._kernels.keep()

    def _new_context(self, library: Library, *, graphs: bool) -> Any:
        """New execution context. TensorRT for RTX compiles kernels as runs need them, and captures runs."""
        if self._kernels is None:
            return self._engine.create_execution_context()
        config = self._engine.create_runtime_config()
        self._kernels.load_into(config)
        if graphs:
            config.cuda_graph_strategy = library.trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        return self._engine.create_execution_context(config)

    def run_once(self, feeds: Mapping[str, Floats]) -> dict[str, Floats]:
        """One run of one picture, waited for: what a self-test needs. Raises `EngineError`."""

        def uploads() -> None:
            for name, array in feeds.items():
                host = self.inputs[name].host[: len(array)]
                np.copyto(host, array)
                self.device.upload(self.inputs[name].device, host, self.stream)

        self.start(1, "once", uploads)
        self.wait()
        return {name: tensor.host[:1].copy() for name, tensor in self.outputs.items()}

    def close(self) -> None:
        """Give all memory back."""
        self.keep_kernels()  # also those for numbers of pictures that came later
        if self._graphs is not None:
            self._graphs.close()
        for tensor in (*self.inputs.values(), *self.outputs.values()):
            tensor.device.free()
        self._context = self._engine = self._runtime = self._kernels = None

    def _context_of(self, library: Library, count: int) -> Any | None:
        """A context whose runs may be captured: nothing changes in it afterwards. None where there is none.

        Up to TensorRT 9 contexts cannot share an optimisation profile, and our plans have one.
        """
        if not any(isinstance(tensor.shape[0], str) for tensor in self.inputs.values()):
            return self._context
        if library.major < 10:
            return None
        context = self._engine.create_execution_context()
        if context is None:
            self._journal.forget()
            return None
        for tensor in (*self.inputs.values(), *self.outputs.values()):
            self._demand(context.set_tensor_address(tensor.name, tensor.device.address))
        self._set_count(context, count)
        return context

    def _set_count(self, context: Any, count: int) -> None:
        for tensor in self.inputs.values():
            batch = tensor.shape[0] if isinstance(tensor.shape[0], int) else count
            self._demand(context.set_input_shape(tensor.name, (batch, *tensor.sizes)))

    def _find_batch(self, library: Library) -> int:
        """Maximum images per run; sets the inputs to it."""
        largest = []
        for name in self._names(library, "INPUT"):
            shape = tuple(int(n) for n in self._engine.get_tensor_shape(name))
            most = tuple(int(n) for n in self._engine.get_tensor_profile_shape(name, 0)[2])
            fixed = -1 not in shape
            self._demand(self._context.set_input_shape(name, shape if fixed else most))
            largest.append(shape[0] if fixed else most[0])
        return max(largest, default=1)

    def _bind(self, library: Library) -> None:
        """Allocate every tensor at its maximum, and set its address once."""
        for mode, tensors in (("INPUT", self.inputs), ("OUTPUT", self.outputs)):
            for name in self._names(library, mode):
                if self._engine.get_tensor_dtype(name) != library.trt.DataType.FLOAT:
                    raise ModelError(
                        f'{self.name}: {mode.lower()} "{name}" is {self._engine.get_tensor_dtype(name)}, the '
                        "agent works with float32; export the network with float32 inputs and outputs"
                    )
                most = tuple(int(n) for n in self._context.get_tensor_shape(name))
                if any(n < 1 for n in most):
                    raise ModelError(
                        f'{self.name}: the size of "{name}" is not known before a run ({most}); export the '
                        "network with outputs of fixed size"
                    )
                free = int(self._engine.get_tensor_shape(name)[0]) == -1
                memory = self.device.memory(math.prod(most) * FLOAT_BYTES)
                shape: Shape = ("N" if free else most[0], *most[1:])
                tensors[name] = Tensor(name, shape, memory, self.device.pinned(most, np.float32))
                self._demand(self._context.set_tensor_address(name, memory.address))

    def _names(self, library: Library, mode: str) -> list[str]:
        wanted = getattr(library.trt.TensorIOMode, mode)
        names = [str(self._engine.get_tensor_name(number)) for number in range(self._engine.num_io_tensors)]
        return [name for name in names if self._engine.get_tensor_mode(name) == wanted]

    def _demand(self, done: bool) -> None:
        if not done:
            said = self._journal.last()
            self._journal.forget()
            raise EngineError(f"{self.name}: TensorRT failed ({said})")

    def _refusal(self, library: Library, plan: bytes) -> ModelError:
        if self._journal.out_of_memory:
            return self._no_room(library)
        why = self._journal.last("it says nothing about the reason")
        ask = getattr(self._runtime, "get_engine_validity", None)  # TensorRT for RTX gives flags
        if ask is not None:
            _, bits = ask(plan)
            words = [
                m.name.lower().replace("_", " ")
                for m in library.trt.EngineInvalidityDiagnostics.__members__.values()
                if int(m) & int(bits)
            ]
            why = f"{', '.join(words)}: {why}" if words else why
        if doubt := library.doubt(self.device.gpu.capability):  # to build it again is of no use
            return ModelError(f"{self.name}: {doubt} ({why})")
        return PlanRefusedError(
            f"{self.name}: {library.label} on {self.device.gpu.label} does not take this plan ({why})"
        )

    def _no_room(self, library: Library) -> ModelError:
        free = self.device.free_bytes()
        return ModelError(
            f"{self.name}: the GPU's memory is full, {free / 1e6:,.0f} MB are free ({library.label}: "
            f"{self._journal.last()}); close what else uses it, or lower recognition.tensorrt.batch"
        )

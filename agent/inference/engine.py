"""A loaded network behind one small interface, whichever library runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import structlog

from agent.config.settings import TensorRtSettings, TritonSettings
from agent.core.types import Box, Floats, Image
from agent.errors import EngineError, ModelError
from agent.inference.manifest import Input, Manifest
from agent.inference.onnxruntime_trial import must_work
from agent.inference.trt.availability import Availability, tensorrt_availability
from agent.supervision import Threads

Shape: TypeAlias = tuple[int | str, ...]  # a text is a dimension of any size, such as the batch "N"
Piece: TypeAlias = tuple[Image, Box]  # a square of a picture (BGR)

BACKENDS = {
    "onnxruntime": "agent.inference.onnxruntime_engine:OnnxRuntimeEngine",
    "tensorrt": "agent.inference.trt.engine:TensorRtEngine",
}
"""Name -> dotted path; imported on choice, so that no other library has to be installed."""

REMOTE_BACKENDS = {
    "triton": "agent.inference.triton.engine:TritonEngine",
}
"""The same for networks that run on another machine: those have no file here, and may be away."""

log = structlog.get_logger(__name__)


class Engine(Protocol):
    """One loaded network: float32 arrays in, float32 arrays out. Knows no gestures."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def inputs(self) -> Mapping[str, Shape]:
        """What `run` wants."""

    @property
    def outputs(self) -> Mapping[str, Shape]:
        """What `run` gives."""

    def run(self, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        """All outputs. Raises `EngineError`; never a backend's own exception."""

    def close(self) -> None:
        """Free what it holds; running it afterwards is an `EngineError`. Closing twice does nothing."""


class RemoteEngine(Engine, Protocol):
    """An engine that may be away; then `run` raises `EngineAway`."""

    @property
    def address(self) -> str:
        """Where it runs."""

    @property
    def away(self) -> str | None:
        """Why it cannot be used now; None while it can."""

    @property
    def version(self) -> str | None:
        """Of the network, as its server counts; None before it was ever there."""


class RunningInference(Protocol):
    """A run that goes on by itself."""

    def result(self) -> dict[str, Floats]:
        """All outputs, once they are there. Raises `EngineError`."""


@runtime_checkable
class DeviceCropEngine(Engine, Protocol):
    """An engine that cuts its input out of pictures by itself, where they lie: on the GPU."""

    @property
    def crops_on_device(self) -> bool:
        """Whether it does so now."""

    def run_pieces(
        self, pieces: Sequence[Piece], spec: Input, more: Mapping[str, Floats], fill: int = 0
    ) -> dict[str, Floats]:
        """As `run`, with the pieces as input `spec`, `fill` beyond the picture; `more` holds other inputs."""

    @property
    def max_batch(self) -> int:
        """Pieces that `start_pieces` takes."""

    def start_pieces(
        self, pieces: Sequence[Piece], spec: Input, more: Mapping[str, Floats], fill: int = 0
    ) -> RunningInference:
        """Begin what `run_pieces` does, and come back at once."""

    def new_frames(self) -> None:
        """Pictures shown before are old: their arrays may hold others now."""


def _nobody(_line: str, _seconds: float) -> None:
    """Nobody waits."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What loading a network may need to know besides its file.

    `waiting` hears, while something takes long, what it is and how many seconds to wait at least.
    """

    cache_dir: Path | None = None  # None: the user's own
    settings: TensorRtSettings = field(default_factory=TensorRtSettings)
    manifest: Manifest | None = None
    waiting: Callable[[str, float], None] = _nobody


def choose_backend(
    backend: str, judge: Callable[[], Availability] = tensorrt_availability
) -> tuple[str, str]:
    """The backend that `auto` or a name stands for, and why. Raises `ModelError` for an unknown name."""
    if backend == "auto":
        tensorrt = judge()
        return ("tensorrt" if tensorrt.usable else "onnxruntime"), tensorrt.why
    if backend not in (*BACKENDS, *REMOTE_BACKENDS):
        known = ", ".join((*BACKENDS, *REMOTE_BACKENDS))
        raise ModelError(f'backend "{backend}" is not known; there are: auto, {known}')
    return backend, "set in recognition.backend"


def unused_gpu(
    backend: str, backends: Mapping[str, str], judge: Callable[[], Availability] = tensorrt_availability
) -> str | None:
    """A sentence where `auto` leaves an NVIDIA GPU unused, with the step that mends it; None: all is well.

    `backends` says what runs each loaded network (name -> backend).
    """
    if backend != "auto":
        return None
    here = judge()
    if here.unused is not None:
        return f"an NVIDIA GPU goes unused: {here.why}; {here.todo}"
    on_cpu = sorted(name for name, used in backends.items() if used == "onnxruntime")
    if here.usable and on_cpu:
        return (
            f"an NVIDIA GPU goes unused for {', '.join(on_cpu)}: TensorRT could not run them; "
            "`gesture-agent engines build` says why"
        )
    return None


def load_engine(
    name: str,
    path: Path,
    *,
    backend: str = "auto",
    threads: int = 2,
    options: EngineOptions | None = None,
    judge: Callable[[], Availability] = tensorrt_availability,
) -> Engine:
    """The network in `path`, ready to run. Raises `ModelError` when it cannot be loaded.

    A network that TensorRT cannot run goes to ONNX Runtime with "auto", which is the best that works, and
    where the settings say so (`fallback`); else it is an error.
    """
    chosen, _ = choose_backend(backend, judge)
    if chosen in REMOTE_BACKENDS:
        raise ModelError(
            f'{name}: backend "{chosen}" has no files here; `connect_engine` leads to its server'
        )
    if chosen == "onnxruntime":
        must_work(options.cache_dir if options else None)
        return _made(name, path, chosen, threads=threads)
    options = options or EngineOptions()
    try:
        return _made(name, path, chosen, options=options)
    except ModelError as exc:
        if backend != "auto" and not options.settings.fallback:
            raise
        log.warning("backend_fell_back", engine=name, wanted=chosen, used="onnxruntime", reason=str(exc))
        must_work(options.cache_dir)
        return _made(name, path, "onnxruntime", threads=threads)


def _made(name: str, path: Path, backend: str, **more: int | EngineOptions) -> Engine:
    module, _, cls = BACKENDS[backend].partition(":")
    try:
        make = getattr(import_module(module), cls)
    except ImportError as exc:
        raise ModelError(f'{name}: backend "{backend}" is not installed here ({exc})') from exc
    engine: Engine = make(name, path, **more)
    return engine


def connect_engine(
    manifest: Manifest,
    settings: TritonSettings,
    *,
    backend: str = "triton",
    threads: Threads | None = None,
) -> RemoteEngine:
    """The network of that name on its server, there or away. Raises `ModelError` when it is another one."""
    module, _, cls = REMOTE_BACKENDS[backend].partition(":")
    try:
        make = getattr(import_module(module), cls)
    except ImportError as exc:
        raise ModelError(
            f'{manifest.name}: backend "{backend}" is not installed here ({exc}); '
            f"pip install 'gesture-agent[{backend}]'"
        ) from exc
    engine: RemoteEngine = make(manifest, settings, threads=threads)
    return engine


def backend_of(engine: Engine) -> str:
    """The name of the backend that runs a network."""
    path = f"{type(engine).__module__}:{type(engine).__qualname__}"
    return next((name for name, cls in (BACKENDS | REMOTE_BACKENDS).items() if cls == path), "another")


def check_inputs(name: str, specs: Mapping[str, Shape], given: Mapping[str, Floats]) -> None:
    """Raises `EngineError` naming the input that is missing, unknown, or of a wrong shape or type."""
    if set(given) != set(specs):
        raise EngineError(f"{name}: inputs are {sorted(given)}, the network wants {sorted(specs)}")
    for key, spec in specs.items():
        array = given[key]
        fits = len(array.shape) == len(spec) and all(
            isinstance(want, str) or want == have for want, have in zip(spec, array.shape, strict=True)
        )
        if not fits or array.dtype != "float32":
            wanted = ", ".join(map(str, spec))
            raise EngineError(
                f'{name}: input "{key}" is {array.dtype} {array.shape}, the network wants float32 ({wanted})'
            )

"""Inference engines: one protocol for a loaded network, independent of the backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import structlog

from agent.config.settings import TensorRtSettings, TritonSettings
from agent.core.frame_memory import FrameMemory
from agent.core.types import Box, Floats, Pixels
from agent.errors import EngineError, ModelError
from agent.inference.manifest import Input, Manifest
from agent.inference.onnxruntime_trial import check_onnxruntime
from agent.inference.trt.availability import Availability, tensorrt_availability
from agent.supervision import Threads

Shape: TypeAlias = tuple[int | str, ...]  # a text is a dynamic dimension, such as the batch "N"
Piece: TypeAlias = tuple[Pixels, Box]  # a square of an image

BACKENDS = {
    "onnxruntime": "agent.inference.onnxruntime_engine:OnnxRuntimeEngine",
    "tensorrt": "agent.inference.trt.engine:TensorRtEngine",
}
"""Backend name -> dotted path; imported when selected, so that only its library must be installed."""

REMOTE_BACKENDS = {
    "triton": "agent.inference.triton.engine:TritonEngine",
}
"""Remote backend name -> dotted path; such networks have no local file and may be offline."""

log = structlog.get_logger(__name__)


class Engine(Protocol):
    """Protocol of a loaded network: float32 arrays in, float32 arrays out. Independent of gestures."""

    @property
    def name(self) -> str:
        """Name of the network, for messages."""

    @property
    def inputs(self) -> Mapping[str, Shape]:
        """Names and shapes of the inputs of `run`."""

    @property
    def outputs(self) -> Mapping[str, Shape]:
        """Names and shapes of the outputs of `run`."""

    def run(self, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        """Run the network; return all outputs. Raises `EngineError`, never a backend's own exception."""

    def close(self) -> None:
        """Free all resources; `run` then raises `EngineError`. May be called twice."""


class RemoteEngine(Engine, Protocol):
    """Protocol of an engine on another machine; while that is offline, `run` raises `EngineAway`."""

    @property
    def address(self) -> str:
        """Address of the server."""

    @property
    def away(self) -> str | None:
        """Reason why the network is unavailable; None while it is available."""

    @property
    def version(self) -> str | None:
        """Version of the network, as its server reports it; None before the first contact."""


class RunningInference(Protocol):
    """Protocol of an inference that runs asynchronously."""

    def result(self) -> dict[str, Floats]:
        """Wait for and return all outputs. Raises `EngineError`."""


@runtime_checkable
class DeviceCropEngine(Engine, Protocol):
    """Protocol of an engine that crops its input from images on its device, the GPU."""

    @property
    def crops_on_device(self) -> bool:
        """Whether it crops on the device now."""

    def run_pieces(
        self, pieces: Sequence[Piece], spec: Input, more: Mapping[str, Floats], fill: int = 0
    ) -> dict[str, Floats]:
        """Run on crops of images as input `spec`, `fill` outside the image; `more` holds other inputs.

        Raises `EngineError`.
        """

    @property
    def max_batch(self) -> int:
        """Largest number of pieces that `start_pieces` accepts."""

    def start_pieces(
        self, pieces: Sequence[Piece], spec: Input, more: Mapping[str, Floats], fill: int = 0
    ) -> RunningInference:
        """Start an inference on crops, as `run_pieces` does, and return at once."""

    @property
    def frame_memory(self) -> FrameMemory:
        """Memory from which images reach the device without another copy."""

    def new_frames(self) -> None:
        """Invalidate uploaded images, because their arrays may hold new frames."""


def _ignore_wait(_line: str, _seconds: float) -> None:
    """Default callback: ignore progress."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Options for loading a network.

    `waiting` is called during slow steps with their description and the least number of seconds to wait.
    """

    cache_dir: Path | None = None  # None: the user's cache folder
    settings: TensorRtSettings = field(default_factory=TensorRtSettings)
    manifest: Manifest | None = None
    waiting: Callable[[str, float], None] = _ignore_wait


def choose_backend(
    backend: str, judge: Callable[[], Availability] = tensorrt_availability
) -> tuple[str, str]:
    """Return the backend for `auto` or a name, and the reason. Raises `ModelError` for an unknown name."""
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
    """Return a warning, with its remedy, where `auto` leaves an NVIDIA GPU unused; else None.

    `backends` maps each loaded network to its backend.
    """
    if backend != "auto":
        return None
    here = judge()
    if here.unused is not None or here.broken:
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
    """Load the network in `path`. Raises `ModelError` where it cannot be loaded.

    With "auto", or where `fallback` is set, a network that TensorRT cannot run is loaded with ONNX Runtime.
    """
    chosen, _ = choose_backend(backend, judge)
    if chosen in REMOTE_BACKENDS:
        raise ModelError(
            f'{name}: backend "{chosen}" has no files here; `connect_engine` leads to its server'
        )
    if chosen == "onnxruntime":
        check_onnxruntime(options.cache_dir if options else None)
        return _made(name, path, chosen, threads=threads)
    options = options or EngineOptions()
    try:
        return _made(name, path, chosen, options=options)
    except (ModelError, EngineError) as exc:  # it does not load, or a GPU that fails while it loads
        if backend != "auto" and not options.settings.fallback:
            raise
        log.warning("backend_fell_back", engine=name, wanted=chosen, used="onnxruntime", reason=str(exc))
        check_onnxruntime(options.cache_dir)
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
    """Connect to a manifest's network on its server, online or not.

    Raises `ModelError` for another network.
    """
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
    """Return the name of the backend that runs a network."""
    path = f"{type(engine).__module__}:{type(engine).__qualname__}"
    return next((name for name, cls in (BACKENDS | REMOTE_BACKENDS).items() if cls == path), "another")


def check_inputs(name: str, specs: Mapping[str, Shape], given: Mapping[str, Floats]) -> None:
    """Raise `EngineError` that names the input which is missing, unknown, or of a wrong shape or type."""
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

"""A loaded network behind one small interface, whichever library runs it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from agent.core.types import Floats
from agent.errors import EngineError, ModelError

if TYPE_CHECKING:
    from agent.config.settings import TritonSettings
    from agent.inference.manifest import Manifest

Shape: TypeAlias = tuple[int | str, ...]  # a text is a dimension of any size, such as the batch "N"

BACKENDS = {
    "onnxruntime": "agent.inference.onnxruntime_engine:OnnxRuntimeEngine",
}
"""Name -> dotted path; imported on choice, so that no other library has to be installed."""

REMOTE_BACKENDS = {
    "triton": "agent.inference.triton_engine:TritonEngine",
}
"""The same for networks that run on another machine: those have no file here, and may be away."""


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


def choose_backend(backend: str) -> tuple[str, str]:
    """The backend that `auto` or a name stands for, and why. Raises `ModelError` for an unknown name."""
    if backend == "auto":
        return "onnxruntime", "the only backend of this version, it runs on every machine"
    if backend not in (*BACKENDS, *REMOTE_BACKENDS):
        known = ", ".join((*BACKENDS, *REMOTE_BACKENDS))
        raise ModelError(f'backend "{backend}" is not known; there are: auto, {known}')
    return backend, "set in recognition.backend"


def load_engine(name: str, path: Path, *, backend: str = "auto", threads: int = 2) -> Engine:
    """The network in `path`, ready to run. Raises `ModelError` when it cannot be loaded."""
    chosen, _ = choose_backend(backend)
    module, _, cls = BACKENDS[chosen].partition(":")
    try:
        make = getattr(import_module(module), cls)
    except ImportError as exc:
        raise ModelError(f'{name}: backend "{chosen}" is not installed here ({exc})') from exc
    engine: Engine = make(name, path, threads=threads)
    return engine


def connect_engine(manifest: Manifest, settings: TritonSettings, *, backend: str = "triton") -> RemoteEngine:
    """The network of that name on its server, there or away. Raises `ModelError` when it is another one."""
    module, _, cls = REMOTE_BACKENDS[backend].partition(":")
    try:
        make = getattr(import_module(module), cls)
    except ImportError as exc:
        raise ModelError(
            f'{manifest.name}: backend "{backend}" is not installed here ({exc}); '
            f"pip install 'gesture-agent[{backend}]'"
        ) from exc
    engine: RemoteEngine = make(manifest, settings)
    return engine


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

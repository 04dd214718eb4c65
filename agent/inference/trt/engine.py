"""`Engine` on TensorRT; a missing plan is built.

Nothing is allocated on the device after loading. Crops are cut on the device from uploaded frames,
unless `recognition.tensorrt.frames` is "cpu".
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path

import numpy as np

from agent.core.frame_memory import FrameMemory
from agent.core.types import Floats
from agent.errors import EngineError, ModelError
from agent.inference.engine import EngineOptions, Piece, Shape, check_inputs
from agent.inference.manifest import Input
from agent.inference.trt.device import Device
from agent.inference.trt.gpu_context import GpuContext, default_context
from agent.inference.trt.gpu_cropper import GpuCropper
from agent.inference.trt.plan_builder import load_session
from agent.inference.trt.session import Session


class TensorRtEngine:
    """A network on TensorRT. Implements `Engine`, and crops on the device."""

    def __init__(
        self,
        name: str,
        path: Path,
        *,
        options: EngineOptions | None = None,
        context: GpuContext | None = None,
    ) -> None:
        """Load the network and build its plan if needed. Raises `ModelError`.

        `context` is shared by the engines of one GPU; None: the default of this process.
        """
        self.name = name
        options = options or EngineOptions()
        self._room = context or default_context(options.cache_dir)
        self._device: Device = self._room.device
        self._cutter: GpuCropper | None = None
        self._waiting: Pending | None = None
        with self._device.current():
            self._session: Session | None = load_session(self._room, name, path, options)
            try:
                if options.settings.frames == "gpu":
                    self._cutter = GpuCropper(self._device, self._session.max_batch)
            except BaseException:
                self._session.close()
                raise
        self.inputs: dict[str, Shape] = {t.name: t.shape for t in self._session.inputs.values()}
        self.outputs: dict[str, Shape] = {t.name: t.shape for t in self._session.outputs.values()}

    @property
    def crops_on_device(self) -> bool:
        """Whether `run_pieces` is available."""
        return self._cutter is not None

    @property
    def max_batch(self) -> int:
        """Maximum images per run; more are run in several batches."""
        return self._open().max_batch

    def run(self, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        """Run the network on a batch of inputs; return all outputs. Raises `EngineError`."""
        session = self._open()
        check_inputs(self.name, self.inputs, inputs)
        count = self._count_of(inputs)
        parts = []
        for first in range(0, count, session.max_batch):
            part = {name: array[first : first + session.max_batch] for name, array in inputs.items()}
            parts.append(self.start(part).result())
        return _joined(parts, self.outputs)

    def start(self, inputs: Mapping[str, Floats]) -> Pending:
        """Start a run of at most `max_batch` images; `result` of the returned `Pending` waits for it."""
        session = self._ready()
        for name, array in inputs.items():
            np.copyto(session.inputs[name].host[: len(array)], array)
        lengths = {name: len(array) for name, array in inputs.items()}
        with self._device.current():
            return self._launch(
                session,
                max(lengths.values()),
                tuple(sorted(lengths.items())),
                lambda: self._upload(session, lengths),
            )

    def run_pieces(
        self, pieces: Sequence[Piece], spec: Input, more: Mapping[str, Floats], fill: int = 0
    ) -> dict[str, Floats]:
        """Run the network on crops that are cut on the device. Raises `EngineError`."""
        session = self._open()
        parts = []
        for first in range(0, len(pieces), session.max_batch):
            last = first + session.max_batch
            rest = {name: array[first:last] for name, array in more.items()}
            parts.append(self.start_pieces(pieces[first:last], spec, rest, fill).result())
        return _joined(parts, self.outputs)

    def start_pieces(
        self, pieces: Sequence[Piece], spec: Input, more: Mapping[str, Floats], fill: int = 0
    ) -> Pending:
        """Like `start`, but the device crops the images. Raises `EngineError` where it cannot."""
        session, cutter = self._ready(), self._cutter
        if cutter is None:
            raise EngineError(f"{self.name}: cuts on the CPU (recognition.tensorrt.frames)")
        self._check_pieces(session, spec, more)
        target = session.inputs[spec.name].device
        with self._device.current():
            for first, last in _runs(pieces):
                image = pieces[first][0]
                upload = self._room.uploads.upload(image, session.stream)
                boxes = [box for _, box in pieces[first:last]]
                cutter.write(first, upload, boxes, spec)
            for name, array in more.items():
                np.copyto(session.inputs[name].host[: len(array)], array)
            lengths = {name: len(array) for name, array in more.items()}

            def uploads() -> None:
                cutter.launch(len(pieces), spec, target=target, stream=session.stream, fill=fill)
                self._upload(session, lengths)

            kind = (cutter.kind(spec, fill), *sorted(lengths.items()))
            return self._launch(session, len(pieces), kind, uploads)

    @property
    def frame_memory(self) -> FrameMemory:
        """Page-locked memory, from which frames are uploaded directly."""
        return self._room.uploads.frames

    def new_frames(self) -> None:
        """Forget uploaded frames, because new ones follow."""
        self._room.uploads.new_frames()

    def close(self) -> None:
        """Free the memory of the network."""
        if self._session is None:
            return
        with self._device.current():
            if self._cutter is not None:
                self._cutter.close()
            self._session.close()
        self._session = None

    def _upload(self, session: Session, lengths: Mapping[str, int]) -> None:
        """Start to copy the first pictures of inputs, which lie in pinned memory."""
        for name, length in lengths.items():
            tensor = session.inputs[name]
            self._device.upload(tensor.device, tensor.host[:length], session.stream)

    def _launch(self, session: Session, count: int, kind: Hashable, uploads: Callable[[], None]) -> Pending:
        session.start(count, kind, uploads)
        self._waiting = Pending(session, self._device, count)
        return self._waiting

    def _open(self) -> Session:
        if self._session is None:
            raise EngineError(f"{self.name}: is closed")
        return self._session

    def _ready(self) -> Session:
        """The session, after any pending run: its buffers hold one."""
        if self._waiting is not None:
            self._waiting.wait()
        return self._open()

    def _count_of(self, inputs: Mapping[str, Floats]) -> int:
        counts = {len(array) for name, array in inputs.items() if isinstance(self.inputs[name][0], str)}
        if len(counts) > 1:
            lengths = {name: len(array) for name, array in inputs.items()}
            raise EngineError(
                f"{self.name}: inputs have {lengths} pictures, the network wants as many of each"
            )
        return counts.pop() if counts else max(len(array) for array in inputs.values())

    def _check_pieces(self, session: Session, spec: Input, more: Mapping[str, Floats]) -> None:
        if {spec.name, *more} != set(session.inputs):
            raise EngineError(
                f"{self.name}: inputs are {sorted({spec.name, *more})}, the network wants "
                f"{sorted(session.inputs)}"
            )
        sizes = session.inputs[spec.name].sizes
        have = ", ".join(map(str, sizes))
        if sizes != tuple(spec.shape[1:]):
            raise EngineError(
                f'{self.name}: input "{spec.name}" is (N, {have}), the manifest says {spec.shape}; '
                f"fix engines/{self.name}/manifest.toml"
            )


class Pending:
    """A started run. `result` may be called once or never."""

    def __init__(self, session: Session, device: Device, count: int) -> None:
        self._session, self._device, self._count = session, device, count
        self._done: dict[str, Floats] | None = None

    def wait(self) -> None:
        """Copy the result, so that the buffers can be reused. Raises `EngineError`."""
        if self._done is None:
            with self._device.current():
                self._session.wait()
            self._done = {
                name: tensor.host[: self._count].copy() for name, tensor in self._session.outputs.items()
            }

    def result(self) -> dict[str, Floats]:
        """Wait and return all outputs. Raises `EngineError`."""
        self.wait()
        assert self._done is not None  # noqa: S101 (just waited for)
        return self._done


def _runs(pieces: Sequence[Piece]) -> list[tuple[int, int]]:
    """Ranges of consecutive pieces from one frame, as first and last + 1."""
    starts = [i for i, (image, _) in enumerate(pieces) if i == 0 or image is not pieces[i - 1][0]]
    return list(zip(starts, [*starts[1:], len(pieces)], strict=True))


def _joined(parts: Sequence[dict[str, Floats]], outputs: Mapping[str, Shape]) -> dict[str, Floats]:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        raise ModelError("a run of no pictures")
    return {name: np.concatenate([part[name] for part in parts]) for name in outputs}

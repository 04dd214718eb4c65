"""Loading of plans: from the cache where valid, else built and cached."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from agent.errors import EngineError, ModelError
from agent.inference.engine import EngineOptions, Shape
from agent.inference.files.store import sha256_of
from agent.inference.manifest import Manifest
from agent.inference.trt.build import Recipe, build_plan
from agent.inference.trt.device import Device
from agent.inference.trt.gpu_context import GpuContext
from agent.inference.trt.library import Library
from agent.inference.trt.plans import (
    FOLDER,
    CorruptPlanError,
    PlanKey,
    keep_plan,
    last_build_s,
    look_up,
    read_plan,
    remove_plan,
    timing_file,
)
from agent.inference.trt.progress import Progress
from agent.inference.trt.self_test import SelfTestError, sample_for, self_test
from agent.inference.trt.session import PlanRefusedError, Session
from agent.inference.trt.trt_log import Tell

PATIENCE_S = 60.0  # seconds added to a known build time for systemd's start timeout

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class PlanRequest:
    """A plan to load or build. `device` is None on a machine without a GPU (TensorRT for RTX only)."""

    library: Library
    device: Device | None
    cache_dir: Path
    name: str
    path: Path
    options: EngineOptions

    @property
    def folder(self) -> Path:
        """Folder of the plans."""
        return self.cache_dir / FOLDER

    @property
    def sample_path(self) -> Path:
        """Path of the self-test sample of the plan."""
        return (self.folder / self.key.file_name).with_suffix(".npz")

    @property
    def runtime_cache_path(self) -> Path:
        """Path of the kernels that TensorRT for RTX compiled for this GPU at the first run."""
        return (self.folder / self.key.file_name).with_suffix(".kernels")

    @property
    def key(self) -> PlanKey:
        """Key of the plan: everything it depends on."""
        settings, library = self.options.settings, self.library
        calibration = ""
        if settings.precision == "int8":
            from agent.inference.trt.calibration import fingerprint  # noqa: PLC0415 (cv2)

            calibration = fingerprint(settings.calibration)
        gpu = "any" if library.builds_without_gpu or self.device is None else self.device.gpu.build_label
        return PlanKey(
            self.name,
            sha256_of(self.path),
            gpu,
            library.label,
            settings.precision,
            settings.batch,
            calibration,
        )


def load_session(context: GpuContext, name: str, path: Path, options: EngineOptions) -> Session:
    """Load the network. A missing, stale, corrupt or refused plan is built once.

    Raises `ModelError` when the new plan does not work either.
    """
    request = PlanRequest(context.library, context.device, context.cache_dir, name, path, options)
    plan, built = plan_for(request)
    try:
        session = load_checked(context, request, plan)
    except PlanRefusedError as exc:
        if built:
            raise
        log.warning("plan_refused", engine=name, reason=str(exc))
        remove_plan(request.folder / request.key.file_name)
        session = load_checked(context, request, build(request))
    log.info(
        "engine_loaded", engine=name, backend="tensorrt", library=context.library.label,
        gpu=context.device.gpu.name, precision=options.settings.precision, batch=session.max_batch,
    )  # fmt: skip
    return session


def load_checked(context: GpuContext, request: PlanRequest, plan: bytes) -> Session:
    """A plan, loaded, and its self-test passed. Raises `PlanRefusedError`, `SelfTestError`, `ModelError`."""
    settings = request.options.settings
    session = Session(
        context.library, context.device, plan, request.name,
        kernels=request.runtime_cache_path, graphs=settings.graphs,
    )  # fmt: skip
    try:
        self_test(session, sample_for(session, request.path, request.sample_path), settings.precision)
        session.keep_kernels()
    except EngineError as exc:
        session.close()
        raise SelfTestError(f"{exc}; the plan loads and its first run fails") from exc
    except BaseException:
        session.close()
        raise
    return session


def plan_for(request: PlanRequest) -> tuple[bytes, bool]:
    """Return the plan, and whether it was built just now."""
    found = look_up(request.folder, request.key)
    if found.state == "ready":
        try:
            return read_plan(request.folder, request.key), False
        except CorruptPlanError as exc:
            log.warning("plan_corrupt", engine=request.name, reason=str(exc))
            remove_plan(found.path)
    elif found.state == "stale":
        log.info("plan_stale", engine=request.name, reason=found.detail)
    return build(request), True


def build(
    request: PlanRequest,
    watch: Callable[[Progress], None] | None = None,
    tell: Tell = lambda _level, _text: None,
) -> bytes:
    """Build a plan, store it and return it. Raises `ModelError`."""
    key, settings = request.key, request.options.settings
    expected = last_build_s(request.folder, key)
    began = time.monotonic()
    log.info("plan_building", engine=request.name, library=key.library, gpu=key.gpu, precision=key.precision)
    onnx, calibrator = build_inputs(request)
    recipe = Recipe(
        name=request.name,
        precision=settings.precision,
        batch=settings.batch,
        workspace_bytes=settings.workspace_bytes,
        shapes=_shapes(request.options.manifest),
        calibrator=calibrator,
        expected_s=expected,
        timing=None if request.device is None else request.folder / timing_file(key),
    )
    watch = watch or _told_to(request.options.waiting)
    plan = build_plan(request.library, onnx, recipe, watch, tell)
    took = time.monotonic() - began
    path = keep_plan(request.folder, key, plan, took)
    log.info("plan_built", engine=request.name, took_s=round(took, 1), size_bytes=len(plan), file=str(path))
    return plan


def build_inputs(request: PlanRequest) -> tuple[bytes, Any]:
    """Return the ONNX file for TensorRT and the calibrator.

    Which of the two sets the precision depends on it.
    """
    library, settings = request.library, request.options.settings
    onnx = request.path.read_bytes()
    from agent.inference.trt import precision  # noqa: PLC0415 (onnx and onnxruntime's tools: for builds only)

    if library.has_precision_flags:
        if settings.precision == "fp32":  # without the flag for FP16, tensors of half precision do not build
            return precision.in_full(onnx, request.name), None
        return onnx, _calibrator(request) if settings.precision == "int8" else None
    if settings.precision == "fp16":
        return precision.in_half(onnx, request.name), None
    if settings.precision == "int8":
        return precision.in_int8(onnx, _feeds(request), request.name), None
    return precision.in_full(onnx, request.name), None


def _calibrator(request: PlanRequest) -> Any:
    from agent.inference.trt.calibration import calibrator_of  # noqa: PLC0415 (cv2)

    if request.device is None:
        raise ModelError(
            f"{request.name}: INT8 on {request.library.label} is calibrated on the GPU, none is here"
        )
    source = request.options.settings.calibration
    if source is not None and source.is_file():
        return calibrator_of(request.library, request.device, [], source.read_bytes())
    return calibrator_of(request.library, request.device, _feeds(request), None)


def _feeds(request: PlanRequest) -> list[Any]:
    from agent.inference.trt.calibration import feeds_of  # noqa: PLC0415 (cv2)

    source, manifest = request.options.settings.calibration, request.options.manifest
    if manifest is None:
        raise ModelError(f"{request.name}: INT8 needs the network's manifest, to make inputs of pictures")
    if source is not None and not source.exists():
        raise ModelError(
            f"{request.name}: recognition.tensorrt.calibration is {source}, which does not exist"
        )
    if source is not None and source.is_file():
        raise ModelError(
            f"{request.name}: {source} is a calibration file, {request.library.label} does not read those "
            "(TensorRT up to 10 does); set recognition.tensorrt.calibration to a folder of pictures"
        )
    return feeds_of(manifest, source)


def _shapes(manifest: Manifest | None) -> dict[str, Shape]:
    return {manifest.input.name: manifest.input.shape} if manifest else {}


LIMIT_S = 3600.0  # a longer build counts as hung: systemd may end it


def _told_to(waiting: Callable[[str, float], None]) -> Callable[[Progress], None]:
    """Report progress to systemd, and extend the start timeout by the time needed."""

    def watch(progress: Progress) -> None:
        if progress.elapsed_s > LIMIT_S:
            return
        share = f", {progress.share:.0%}" if progress.share is not None else ""
        left = f", about {progress.left_s:.0f} s left" if progress.left_s else ""
        waiting(f"building the plan of {progress.name}{share}{left}", (progress.left_s or 0.0) + PATIENCE_S)

    return watch

"""Building of plans from ONNX files, on TensorRT 8.6 to 11 and TensorRT for RTX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agent.errors import ModelError
from agent.inference.engine import Shape
from agent.inference.files.disk import write_whole
from agent.inference.trt.library import Library, created
from agent.inference.trt.plans import Batch
from agent.inference.trt.progress import Phases, Progress, monitor
from agent.inference.trt.trt_log import Tell, TrtLogger

TICK_S = 0.5  # seconds between progress reports

Precision = str  # "fp32", "fp16", "int8"

# Calibration runs at the profile's OPT, whatever the calibrator's own batch size says: with the profile of
# the plan TensorRT would read past the end of the single image that the calibrator holds.
ONE_PICTURE: Batch = (1, 1, 1)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Parameters of a build.

    `shapes` are known input shapes for networks with more open dimensions than the batch.
    `calibrator` is TensorRT's own object, only for INT8 on versions that take one.
    """

    name: str
    precision: Precision
    batch: Batch
    workspace_bytes: int
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    calibrator: Any = None
    expected_s: float | None = None
    timing: Path | None = (
        None  # cache of kernel timings of earlier builds, for this GPU and version; None: none
    )


def build_plan(
    library: Library,
    onnx: bytes,
    recipe: Recipe,
    watch: Callable[[Progress], None] = lambda _progress: None,
    tell: Tell = lambda _level, _text: None,
) -> bytes:
    """Build a plan in a thread, calling `watch` twice a second; Ctrl-C works meanwhile.

    Raises `ModelError`: an unsupported operator, an open dimension, not enough memory.
    """
    phases = Phases(recipe.name, recipe.expected_s)
    with ThreadPoolExecutor(1, thread_name_prefix="build") as pool:
        job = pool.submit(_build, library, onnx, recipe, phases, tell)
        try:
            while not wait([job], TICK_S).done:
                watch(phases.now())
        except BaseException:
            phases.cancelled = True  # TensorRT stops at its next step; versions without progress finish first
            raise
        return job.result()


def _build(library: Library, onnx: bytes, recipe: Recipe, phases: Phases, tell: Tell) -> bytes:
    trt_log = TrtLogger(library, tell)
    builder = created(lambda: library.trt.Builder(trt_log.logger))
    if builder is None:
        raise ModelError(f"{recipe.name}: {library.label} cannot start ({trt_log.last()})")
    network = _parsed(library, builder, trt_log, onnx, recipe.name)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(library.trt.MemoryPoolType.WORKSPACE, recipe.workspace_bytes)
    _set_precision(library, config, recipe)
    profile = _profile(builder, network, recipe)
    if profile is not None:
        config.add_optimization_profile(profile)
        if recipe.calibrator is not None:
            config.set_calibration_profile(_profile(builder, network, replace(recipe, batch=ONE_PICTURE)))
    _use_timing_cache(config, recipe)
    watcher = monitor(library, phases)
    if watcher is not None:
        config.progress_monitor = watcher
    plan = builder.build_serialized_network(network, config)
    if (refused := getattr(recipe.calibrator, "refused", None)) is not None:
        raise ModelError(
            f"{recipe.name}: {library.label} does not take the calibration file, which begins with "
            f'"{refused}"; '
            "set recognition.tensorrt.calibration to a folder of pictures"
        )
    if plan is None:
        raise _failure(library, trt_log, recipe)
    _keep_timing_cache(config, recipe)
    return bytes(plan)


def _use_timing_cache(config: Any, recipe: Recipe) -> None:
    """Load the timing cache; TensorRT itself refuses one of another GPU or version."""
    if recipe.timing is None or not hasattr(config, "create_timing_cache"):
        return
    kept = recipe.timing.read_bytes() if recipe.timing.is_file() else b""
    cache = config.create_timing_cache(kept) or config.create_timing_cache(b"")
    if cache is not None:
        config.set_timing_cache(cache, False)


def _keep_timing_cache(config: Any, recipe: Recipe) -> None:
    cache = config.get_timing_cache() if recipe.timing and hasattr(config, "get_timing_cache") else None
    if recipe.timing is not None and cache is not None:
        write_whole(recipe.timing, bytes(cache.serialize()))


def _parsed(library: Library, builder: Any, trt_log: TrtLogger, onnx: bytes, name: str) -> Any:
    flags = library.trt.NetworkDefinitionCreationFlag
    explicit = 1 << int(flags.EXPLICIT_BATCH) if hasattr(flags, "EXPLICIT_BATCH") else 0  # 8.6 wants it said
    network = builder.create_network(explicit)
    parser = created(lambda: library.trt.OnnxParser(network, trt_log.logger))
    if parser is None:
        raise ModelError(f"{name}: the ONNX parser of {library.label} cannot start ({trt_log.last()})")
    if not parser.parse(onnx):
        errors = [_parser_error(parser.get_error(number)) for number in range(parser.num_errors)]
        raise ModelError(
            f"{name}: {library.label} cannot take this network: {'; '.join(errors) or trt_log.last()}; "
            'set recognition.backend to "onnxruntime", or export it with operators that TensorRT knows'
        )
    return network


def _parser_error(error: Any) -> str:
    text = " ".join(str(error.desc()).split())
    if not hasattr(error, "node_name"):  # 8.6 has no operator name
        return f"node {error.node()}: {text}"
    return f'node "{error.node_name()}" ({error.node_operator() or "?"}): {text}'


def _set_precision(library: Library, config: Any, recipe: Recipe) -> None:
    """Set the precision flags. TF32 is off, so FP32 is exact. Without flags the network states its types."""
    flags = library.trt.BuilderFlag
    if hasattr(flags, "TF32"):
        config.clear_flag(flags.TF32)
    if not library.has_precision_flags or recipe.precision == "fp32":
        return
    config.set_flag(flags.FP16)
    if recipe.precision == "int8":
        config.set_flag(flags.INT8)
        config.int8_calibrator = recipe.calibrator


def _profile(builder: Any, network: Any, recipe: Recipe) -> Any | None:
    """Batch sizes of all inputs with an open batch; None where no dimension is open."""
    profile, is_open = builder.create_optimization_profile(), False
    for number in range(network.num_inputs):
        tensor = network.get_input(number)
        shape = _closed(recipe, str(tensor.name), tuple(int(n) for n in tensor.shape))
        if -1 not in tuple(tensor.shape):
            continue
        is_open = True
        sizes = [(n if shape[0] == -1 else shape[0], *shape[1:]) for n in recipe.batch]
        profile.set_shape(tensor.name, *sizes)
    return profile if is_open else None


def _closed(recipe: Recipe, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape without open dimensions but the batch, from the manifest where the network leaves them open."""
    known = recipe.shapes.get(name, ())
    if len(known) == len(shape):
        shape = tuple(
            k if n == -1 and place and isinstance(k, int) else n
            for place, (n, k) in enumerate(zip(shape, known, strict=True))
        )
    if -1 in shape[1:]:
        seen = ", ".join("?" if n == -1 else str(n) for n in shape)
        raise ModelError(
            f'{recipe.name}: input "{name}" is ({seen}), only the first size may be open; '
            f"write the full shape into engines/{recipe.name}/manifest.toml, or export it with fixed sizes"
        )
    return shape


def _failure(library: Library, trt_log: TrtLogger, recipe: Recipe) -> ModelError:
    said = f"{recipe.name}: {library.label} could not build the plan ({trt_log.last()})"
    if trt_log.out_of_memory:
        return ModelError(
            f"{said}: not enough memory on the GPU; close what else uses it, lower "
            "recognition.tensorrt.workspace_bytes, or ask for smaller batches in recognition.tensorrt.batch"
        )
    return ModelError(f'{said}; set recognition.backend to "onnxruntime" if this network cannot be mended')

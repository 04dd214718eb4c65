"""On a real GPU, with the TensorRT that is here. `bench/gpu.py` runs these and measures more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_gpu_cropper import MEAN, MOST, noise

from agent.config.settings import TensorRtSettings
from agent.core.types import Box
from agent.errors import ModelError
from agent.inference.crops import cut, fill_batch, letterbox
from agent.inference.engine import EngineOptions, load_engine
from agent.inference.manifest import Input, load_manifest
from agent.inference.models import locate
from agent.inference.trt.availability import tensorrt_availability
from agent.inference.trt.engine import TensorRtEngine
from agent.inference.trt.gpu_context import GpuContext, default_context
from agent.inference.trt.gpu_cropper import GpuCropper


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> GpuContext:
    here = tensorrt_availability()
    if not here.usable:
        pytest.skip(f"no GPU to run on: {here.why}")
    return default_context(tmp_path_factory.mktemp("gpu"))


def engine(context: GpuContext, name: str, cache: Path, **settings: object) -> TensorRtEngine:
    options = EngineOptions(context.cache_dir, TensorRtSettings.model_validate(settings), load_manifest(name))
    return TensorRtEngine(name, locate(name, cache), options=options, context=context)


@pytest.mark.parametrize(("precision", "limit"), [("fp32", 0.002), ("fp16", 0.02)])
@pytest.mark.parametrize(
    "name", ["pose-detector", "pose-landmark", "palm-detector", "hand-landmark", "gesturenet"]
)
def test_it_gives_what_onnx_runtime_gives(
    context: GpuContext, cache_dir: Path, name: str, precision: str, limit: float
) -> None:
    spec = load_manifest(name).input
    feed = {
        spec.name: fill_batch(
            [cut(noise(640, 480, s), letterbox(noise(640, 480)), spec.size) for s in range(3)], spec
        )
    }
    expected = load_engine(name, locate(name, cache_dir), backend="onnxruntime").run(feed)
    made = engine(context, name, cache_dir, precision=precision)
    found = made.run(feed)
    made.close()
    for output, array in expected.items():
        assert np.abs(found[output] - array).max() <= limit * max(float(np.abs(array).max()), 1.0), output


def test_kernels_cut_as_opencv_does(context: GpuContext) -> None:
    spec = Input(name="x", shape=("N", 3, 224, 224), offset=0.0, scale=1.0)
    image = noise(1280, 720)
    boxes = [letterbox(image), Box(300, 200, 150, 1.0), Box(900, 500, 700, -2.0), Box(-20, 10, 90)]
    with context.device.current():
        result = np.zeros((len(boxes), 3, 224, 224), np.float32)
        target, stream = context.device.memory(result.nbytes), context.device.stream()
        cutter = GpuCropper(context.device, len(boxes))
        cutter.write(0, context.uploads.upload(image, stream), boxes, spec)
        cutter.launch(len(boxes), spec, target=target, stream=stream)
        context.device.download(result, target, stream)
        stream.synchronize()
        cutter.close()
        target.free()
    apart = np.abs(result - fill_batch([cut(image, box, spec.size) for box in boxes], spec))
    assert apart.max() <= MOST
    assert apart.mean() <= MEAN


def test_a_thousand_runs_take_no_more_memory(context: GpuContext, cache_dir: Path) -> None:
    made = engine(context, "gesturenet", cache_dir)
    feed = {"input_1": np.zeros((2, 3, 160, 160), np.float32)}
    made.run(feed)
    with context.device.current():
        before = context.device.free_bytes()
    for _ in range(1000):
        made.run(feed)
    with context.device.current():
        assert before - context.device.free_bytes() < 4_000_000
    made.close()


def test_more_memory_than_there_is_is_reported(context: GpuContext) -> None:
    with context.device.current(), pytest.raises(ModelError, match="the GPU's memory is full"):
        context.device.memory(context.device.gpu.memory_bytes * 2)

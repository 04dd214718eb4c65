"""Runs that come again are replayed as CUDA graphs, and see what they saw without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from heads import random_head
from host_device import HostDevice
from tensorrt_double import API, Behaviour, double

from agent.config.settings import TensorRtSettings
from agent.core.types import Box, Floats, Image
from agent.errors import EngineError
from agent.inference.engine import EngineOptions, load_engine
from agent.inference.manifest import engines_folder, load_manifest
from agent.inference.trt.engine import TensorRtEngine
from agent.inference.trt.gpu_context import GpuContext
from agent.inference.trt.library import Library
from agent.inference.trt.upload_cache import FrameUploadCache

SHARE_NO_PROFILE = ("8.6.1",)
GESTURES = engines_folder() / "gesturenet" / load_manifest("gesturenet").source.file  # type: ignore[union-attr]


class Gpu:
    """One device with one network on one version of TensorRT."""

    def __init__(self, version: str, folder: Path) -> None:
        self.version, self.folder = version, folder
        self.device, self.behaviour = HostDevice(strict=True), Behaviour()
        self.behaviour.streams = self.device
        self.network = folder / "head.onnx"
        self.network.write_bytes(random_head(("presence", "handedness")))

    def engine(self, path: Path | None = None, **settings: Any) -> TensorRtEngine:
        given = {"frames": "gpu" if path else "cpu", "precision": "fp32"} | settings
        name = "gesturenet" if path else "head"
        manifest = load_manifest(name) if path else None
        options = EngineOptions(self.folder, TensorRtSettings.model_validate(given), manifest)
        library = Library(double(self.version, self.behaviour), rtx=False)
        with self.device.current():
            context = GpuContext(library, self.device, FrameUploadCache(self.device), self.folder)
        return TensorRtEngine(name, path or self.network, options=options, context=context)

    @property
    def replayed(self) -> int:
        return sum(graph.launched for graph in self.device.graphs)


@pytest.fixture(params=[v for v in API if not v.startswith("rtx")])  # which captures runs itself
def gpu(request: pytest.FixtureRequest, tmp_path: Path) -> Gpu:
    return Gpu(request.param, tmp_path)


def crops(count: int, seed: int) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    return {name: rng.random((count, 1), np.float32) for name in ("presence", "handedness")}


def scores(engine: Any, count: int, seed: int) -> Floats:
    found: Floats = engine.run(crops(count, seed))["activation_18"]
    return found


def picture(seed: int) -> Image:
    return np.asarray(np.random.default_rng(seed).integers(0, 256, (240, 320, 3)), np.uint8)


def test_a_run_that_comes_again_is_replayed_and_gives_what_onnx_runtime_gives(gpu: Gpu) -> None:
    engine = gpu.engine()
    reference = load_engine("head", gpu.network, backend="onnxruntime", threads=1)
    for seed in range(5):
        np.testing.assert_array_equal(scores(engine, 2, seed), scores(reference, 2, seed))
    assert gpu.replayed == (0 if gpu.version in SHARE_NO_PROFILE else 3)  # the second run captures


def test_runs_of_other_numbers_of_pictures_do_not_spoil_a_graph(gpu: Gpu) -> None:
    engine = gpu.engine()
    reference = load_engine("head", gpu.network, backend="onnxruntime", threads=1)
    for seed, count in enumerate((1, 1, 2, 1, 2, 3, 1, 2, 3, 1, 2, 3, 5, 7, 1)):
        np.testing.assert_array_equal(scores(engine, count, seed), scores(reference, count, seed))
    captured = 0 if gpu.version in SHARE_NO_PROFILE else 3  # 1, 2 and 3 pictures
    assert len(gpu.device.graphs) == captured


def test_only_so_many_numbers_of_pictures_take_memory_of_their_own(gpu: Gpu) -> None:
    engine = gpu.engine()
    for count in (*range(1, 9), *range(1, 9), *range(1, 9)):
        scores(engine, count, 0)
    assert len(gpu.device.graphs) == (0 if gpu.version in SHARE_NO_PROFILE else 4)


def test_replayed_hands_are_cut_from_the_frame_of_now_wherever_it_lies(gpu: Gpu) -> None:
    on_gpu, spec = gpu.engine(GESTURES), load_manifest("gesturenet").input
    plain = Gpu(gpu.version, gpu.folder)
    without = plain.engine(GESTURES, graphs=False)
    for seed in range(6):
        pieces = [(picture(seed), Box(150 + seed, 120, 90, seed / 4)), (picture(90 + seed), Box(80, 60, 70))]
        on_gpu.new_frames()
        without.new_frames()
        found = on_gpu.run_pieces(pieces, spec, {})["activation_18"]
        np.testing.assert_array_equal(found, without.run_pieces(pieces, spec, {})["activation_18"])
    assert plain.replayed == 0
    assert gpu.replayed == (0 if gpu.version in SHARE_NO_PROFILE else 4)


def no_graphs(gpu: Gpu) -> None:
    gpu.device.has_graphs = False


def no_second_context(gpu: Gpu) -> None:
    gpu.behaviour.out_of_memory = True


def no_run_under_capture(gpu: Gpu) -> None:
    gpu.behaviour.refuses_capture = True


@pytest.mark.parametrize("refuses", [no_graphs, no_second_context, no_run_under_capture])
def test_what_refuses_a_capture_runs_as_ever(gpu: Gpu, refuses: Callable[[Gpu], None]) -> None:
    engine = gpu.engine()
    reference = load_engine("head", gpu.network, backend="onnxruntime", threads=1)
    refuses(gpu)
    for seed in range(5):
        np.testing.assert_array_equal(scores(engine, 2, seed), scores(reference, 2, seed))
    assert gpu.replayed == 0


def test_a_gpu_that_fails_after_a_replay_is_an_engine_error(tmp_path: Path) -> None:
    gpu = Gpu("10.13.0", tmp_path)
    engine = gpu.engine()
    for seed in range(3):
        scores(engine, 1, seed)
    gpu.device.streams[-1].broken = "the GPU failed (launch timed out)"
    with pytest.raises(EngineError, match="the GPU failed"):
        scores(engine, 1, 3)
    assert gpu.replayed == 2


def test_a_network_of_a_fixed_batch_is_captured_on_every_version(gpu: Gpu) -> None:
    network = onnx.load_from_string(gpu.network.read_bytes())
    for value in (*network.graph.input, *network.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    gpu.network.write_bytes(network.SerializeToString())
    engine = gpu.engine()
    reference = load_engine("head", gpu.network, backend="onnxruntime", threads=1)
    for seed in range(4):
        np.testing.assert_array_equal(scores(engine, 1, seed), scores(reference, 1, seed))
    assert gpu.replayed == 2

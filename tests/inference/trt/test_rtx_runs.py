"""TensorRT for RTX at run time: kernels that first runs compile, runs it captures, GPUs it is made for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from heads import random_head
from host_device import GPU, HostDevice
from tensorrt_double import Behaviour, double

from agent.config.settings import TensorRtSettings
from agent.core.types import Floats
from agent.errors import ModelError
from agent.inference.engine import EngineOptions
from agent.inference.trt.engine import TensorRtEngine
from agent.inference.trt.gpu_context import GpuContext
from agent.inference.trt.library import Library
from agent.inference.trt.plans import FOLDER
from agent.inference.trt.upload_cache import FrameUploadCache


class Card:
    """A GPU on which networks run again and again, each time as in a process of its own."""

    def __init__(self, folder: Path, capability: tuple[int, int] = (8, 9)) -> None:
        self.folder, self.behaviour = folder, Behaviour()
        self.behaviour.capability = capability[0] * 10 + capability[1]
        self.gpu = replace(GPU, capability=capability)
        (folder / "head.onnx").write_bytes(random_head(("presence",)))

    def engine(self, **settings: Any) -> TensorRtEngine:
        device = self.behaviour.streams = HostDevice(strict=True)
        device.gpu = self.gpu
        library = Library(double("rtx-1.7.1", self.behaviour), rtx=True)
        with device.current():
            context = GpuContext(library, device, FrameUploadCache(device), self.folder)
        options = EngineOptions(self.folder, TensorRtSettings(frames="cpu", **settings))
        return TensorRtEngine("head", self.folder / "head.onnx", options=options, context=context)

    def compiled_by(self, *counts: int) -> int:
        """How many kernels are compiled from a start to the end of runs over so many pictures."""
        before = len(self.behaviour.compiled)
        engine = self.engine()
        for count in counts:
            engine.run(crops(count))
        engine.close()
        return len(self.behaviour.compiled) - before

    @property
    def kernels(self) -> Path:
        (found,) = (self.folder / FOLDER).glob("*.kernels")
        return found


def crops(count: int) -> dict[str, Floats]:
    return {"presence": np.linspace(0, 1, count, dtype=np.float32)[:, None]}


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card(tmp_path)


def test_kernels_that_a_run_compiled_are_there_at_the_next_start(card: Card) -> None:
    assert card.compiled_by(1, 2, 5) == 3
    assert card.compiled_by(1, 2, 5) == 0
    assert card.compiled_by(2, 8) == 1  # and those of other numbers of pictures are added
    assert card.compiled_by(1, 2, 5, 8) == 0


def test_kernels_of_another_gpu_are_dropped_and_those_of_this_one_kept(card: Card) -> None:
    assert card.compiled_by(1, 2) == 2
    card.behaviour.capability, card.gpu = 120, replace(GPU, capability=(12, 0))
    card.behaviour.gpu = "NVIDIA Other"
    with structlog.testing.capture_logs() as logs:
        assert card.compiled_by(1, 2) == 2
    assert "kernels_stale" in [entry["event"] for entry in logs]
    assert card.compiled_by(1, 2) == 0


@pytest.mark.parametrize("damage", [b"", b"rubbish"])
def test_a_damaged_file_of_kernels_costs_their_compilation(card: Card, damage: bytes) -> None:
    assert card.compiled_by(1) == 1
    card.kernels.write_bytes(damage)
    assert card.compiled_by(1) == 1
    assert card.compiled_by(1) == 0


def test_kernels_that_cannot_be_written_keep_no_network_from_running(card: Card) -> None:
    assert card.compiled_by(1) == 1
    file = card.kernels
    file.unlink()
    file.with_suffix(".kernels.part").mkdir()  # what the new file is first written to
    with structlog.testing.capture_logs() as logs:
        assert card.compiled_by(1) == 1
    assert "kernels_not_kept" in [entry["event"] for entry in logs]


@pytest.mark.parametrize(("graphs", "replayed"), [(True, 3), (False, 0)])
def test_it_captures_whole_runs_itself_where_the_settings_ask_for_graphs(
    card: Card, graphs: bool, replayed: int
) -> None:
    engine = card.engine(graphs=graphs)
    first = engine.run(crops(2))["activation_18"]
    for _ in range(4):
        np.testing.assert_array_equal(engine.run(crops(2))["activation_18"], first)
    assert card.behaviour.replayed == replayed
    assert not card.behaviour.streams.graphs  # the agent captures none over it


def test_a_gpu_that_it_does_not_name_is_told_and_its_plan_is_built_once(tmp_path: Path) -> None:
    orin = Card(tmp_path, (8, 7))
    for _ in range(2):
        with pytest.raises(
            ModelError,
            match=r"head: TensorRT for RTX 1.7.1 is made for compute capability 7.5, 8.0, 8.6, 8.9, 12.0, "
            r"12.1, this GPU has 8.7; .* install tensorrt instead \(unsupported cc: Target GPU SM is not sup",
        ):
            orin.engine()
    assert len(orin.behaviour.built) == 1


def test_other_libraries_are_made_for_every_gpu() -> None:
    assert Library(double("10.13.0"), rtx=False).doubt((8, 7)) is None
    assert Library(double("rtx-1.7.1"), rtx=True).doubt((12, 0)) is None

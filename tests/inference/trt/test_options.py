"""INT8 by calibration up to TensorRT 10, falling back where it is allowed, pieces that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import structlog
from heads import random_head
from host_device import GPU as HOST_GPU
from host_device import HostDevice
from tensorrt_double import Behaviour, double

from agent.config.settings import TensorRtSettings
from agent.core.types import Box
from agent.errors import EngineError, ModelError
from agent.inference import engine as engines_module
from agent.inference.engine import EngineOptions, backend_of, load_engine, unused_gpu
from agent.inference.manifest import Input, engines_folder, load_manifest
from agent.inference.trt.availability import Availability
from agent.inference.trt.engine import TensorRtEngine
from agent.inference.trt.gpu_context import GpuContext
from agent.inference.trt.library import Library
from agent.inference.trt.upload_cache import FrameUploadCache

WITH_CALIBRATORS = ("8.6.1", "10.13.0")
GESTURES = engines_folder() / "gesturenet" / load_manifest("gesturenet").source.file  # type: ignore[union-attr]
NVIDIAS_FILE = b"TRT-8501-EntropyCalibration2\ninput_1: 3c010a14\n"


class Broken(TensorRtEngine):
    """A GPU on which nothing can be loaded."""

    error: type[Exception] = ModelError

    def __init__(self, name: str, *_: Any, **__: Any) -> None:
        raise self.error(f"{name}: the GPU's memory is full")


class Failing(Broken):
    """A GPU that fails while a network is loaded."""

    error = EngineError


def usable() -> Availability:
    return Availability(True, "TensorRT 10.3.0 on Orin")


def made(
    version: str, folder: Path, manifest: str = "gesturenet", *, skips: bool = False, **settings: Any
) -> tuple[TensorRtEngine, Behaviour]:
    behaviour, device = Behaviour(), HostDevice(strict=True)
    behaviour.skips_calibration_files = skips
    behaviour.bytes_at, behaviour.streams = device.bytes_at, device
    with device.current():
        context = GpuContext(
            Library(double(version, behaviour), rtx=False), device, FrameUploadCache(device), folder
        )
    options = EngineOptions(folder, TensorRtSettings(**settings), load_manifest(manifest))
    return TensorRtEngine(manifest, GESTURES, options=options, context=context), behaviour


@pytest.mark.parametrize("version", WITH_CALIBRATORS)
def test_int8_is_calibrated_over_a_folder_of_pictures(tmp_path: Path, version: str) -> None:
    pictures = tmp_path / "pictures" / "more"
    pictures.mkdir(parents=True)
    for number in range(3):
        cv2.imwrite(str(pictures / f"{number}.png"), np.full((90, 120, 3), 60 * number, np.uint8))
    (pictures / "notes.txt").write_text("no picture")
    _, seen = made(version, tmp_path, precision="int8", calibration=tmp_path / "pictures")
    assert {"FP16", "INT8"} <= set(seen.built[0]["flags"])
    assert seen.built[0]["calibrated_with"] == 3  # the double reads as many pictures as the profile's OPT


@pytest.mark.parametrize("version", WITH_CALIBRATORS)
def test_int8_takes_nvidias_calibration_file(tmp_path: Path, version: str) -> None:
    file = tmp_path / "int8_calibration.txt"
    file.write_bytes(NVIDIAS_FILE)
    _, seen = made(version, tmp_path, precision="int8", calibration=file)
    assert seen.built[0]["calibration_file"] == NVIDIAS_FILE
    assert seen.built[0]["calibrated_with"] == 0


@pytest.mark.parametrize("version", WITH_CALIBRATORS)
def test_a_calibration_file_that_tensorrt_skips_is_reported_by_its_header(
    tmp_path: Path, version: str
) -> None:
    """It asks for pictures instead, gets none, and would fail at an address or build wrong ranges."""
    file = tmp_path / "int8_calibration.txt"
    file.write_bytes(NVIDIAS_FILE.replace(b"8501", b"7103"))
    said = 'does not take the calibration file, which begins with "TRT-7103-EntropyCalibration2"; set'
    with pytest.raises(ModelError, match=said):
        made(version, tmp_path, skips=True, precision="int8", calibration=file)


def test_a_calibration_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"recognition.tensorrt.calibration is .*gone, which does not exist"):
        made("10.13.0", tmp_path, precision="int8", calibration=tmp_path / "gone")


def test_what_tensorrt_cannot_run_stops_the_start_unless_the_settings_say_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engines_module.BACKENDS, "tensorrt", f"{__name__}:Broken")
    path = tmp_path / "head.onnx"
    path.write_bytes(random_head(("presence",)))
    with pytest.raises(ModelError, match="head: the GPU's memory is full"):
        load_engine("head", path, backend="tensorrt", options=EngineOptions(tmp_path))
    options = EngineOptions(tmp_path, TensorRtSettings(fallback=True))
    with structlog.testing.capture_logs() as logs:
        engine = load_engine("head", path, backend="tensorrt", options=options)
    assert backend_of(engine) == "onnxruntime"
    assert [(e["event"], e["reason"]) for e in logs] == [
        ("backend_fell_back", "head: the GPU's memory is full")
    ]


@pytest.mark.parametrize("gpu", ["Broken", "Failing"])
def test_auto_is_the_best_that_works_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: str
) -> None:
    monkeypatch.setitem(engines_module.BACKENDS, "tensorrt", f"{__name__}:{gpu}")
    path = tmp_path / "head.onnx"
    path.write_bytes(random_head(("presence",)))
    with structlog.testing.capture_logs() as logs:
        engine = load_engine("head", path, options=EngineOptions(tmp_path), judge=usable)
    assert backend_of(engine) == "onnxruntime"
    assert [(e["event"], e["log_level"]) for e in logs] == [("backend_fell_back", "warning")]
    told = unused_gpu("auto", {"head": backend_of(engine)}, usable)
    assert told == (
        "an NVIDIA GPU goes unused for head: TensorRT could not run them; "
        "`gesture-agent engines build` says why"
    )


def test_a_gpu_that_goes_unused_is_reported_with_the_step_that_fixes_it() -> None:
    def without_pycuda() -> Availability:
        return Availability(
            False, "Orin is here, but PyCUDA is not installed", "pip install pycuda", HOST_GPU
        )

    told = unused_gpu("auto", {"head": "onnxruntime"}, without_pycuda)
    assert told == "an NVIDIA GPU goes unused: Orin is here, but PyCUDA is not installed; pip install pycuda"
    assert unused_gpu("onnxruntime", {"head": "onnxruntime"}, without_pycuda) is None  # asked for
    no_gpu = Availability(False, "no NVIDIA driver here")
    assert unused_gpu("auto", {"head": "onnxruntime"}, lambda: no_gpu) is None
    assert unused_gpu("auto", {"head": "tensorrt"}, usable) is None


def test_more_hands_than_the_largest_batch_are_cut_and_run_in_turns(tmp_path: Path) -> None:
    engine, seen = made("11.4.0", tmp_path, precision="fp32", batch=(1, 2, 4))
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 256, (120, 160, 3), dtype=np.uint8) for _ in range(2)]
    pieces = [(frames[i % 2], Box(60 + 5 * i, 60, 50, i / 5)) for i in range(9)]
    spec = load_manifest("gesturenet").input
    together = engine.run_pieces(pieces, spec, {})["activation_18"]
    alone = [engine.run_pieces([piece], spec, {})["activation_18"] for piece in pieces]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-3)
    assert [run["input_1"][0] for run in seen.runs[1:4]] == [4, 4, 1]  # after the self-test


def test_pieces_for_a_network_of_another_shape_are_reported(tmp_path: Path) -> None:
    engine, _ = made("10.13.0", tmp_path)
    frame = np.zeros((48, 64, 3), np.uint8)
    spec = Input(name="input_1", shape=("N", 3, 128, 128))
    with pytest.raises(
        EngineError, match=r'input "input_1" is \(N, 3, 160, 160\), the manifest says \(.N., 3, 128'
    ):
        engine.run_pieces([(frame, Box(20, 20, 10))], spec, {})
    with pytest.raises(
        EngineError, match=r"inputs are \['angle', 'input_1'\], the network wants \['input_1'\]"
    ):
        engine.run_pieces(
            [(frame, Box(20, 20, 10))],
            load_manifest("gesturenet").input,
            {"angle": np.zeros((1, 1), np.float32)},
        )

"""`bench/gpu.py` from one end to the other, on the tests' own driver and TensorRT: what a user would send."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from driver_double import DriverDouble

from agent.errors import ModelError
from agent.inference.trt.bindings import BINDINGS
from agent.inference.trt.driver import Gpu

ROOT = Path(__file__).parents[3]
PARTS = [
    "machine", "tests", "agreement with ONNX Runtime", "kernels against OpenCV", "uploads", "networks",
    "whole loop", "CUDA graphs", "soak",
]  # fmt: skip


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> DriverDouble:
    try:
        BINDINGS[0].check(Gpu("any", (8, 7), 0, (12, 6)))
    except ModelError as exc:
        if "not installed" in str(exc):
            pytest.skip(f"{exc}: pip install 'gesture-agent[test]'")
    return DriverDouble(tmp_path_factory.mktemp("driver"))


class Report:
    """What a run leaves."""

    def __init__(self, folder: Path, environment: dict[str, str], *words: str) -> None:
        command = [sys.executable, str(ROOT / "bench" / "gpu.py"), "--out", str(folder), *words]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=1500, env=environment
        )
        self.code, self.errors = done.returncode, done.stderr
        written = folder / "report.md"
        self.text = written.read_text(encoding="utf-8") if written.exists() else ""
        self.data: dict[str, Any] = json.loads((folder / "report.json").read_text()) if self.text else {}
        found = re.findall(r"^## (.+?) \(\d+ s\): (\w+)$", self.text, re.MULTILINE)
        self.parts = dict(found)

    def of(self, part: str) -> str:
        """The text of one part."""
        return self.text.partition(f"## {part} (")[2].partition("\n## ")[0]


SHORT = (  # and time enough for a machine that is busy
    "--seconds", "0.05", "--minutes", "0.2", "--limit", "20",
    "--gestures", "gesturenet", "--networks", "gesturenet,palm-detector",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_whole_of_it_says_versions_and_figures_of_every_part(
    driver: DriverDouble, own_cache: Path, tmp_path: Path
) -> None:
    report = Report(
        tmp_path / "report", driver.with_tensorrt(tmp_path) | {"CACHE_DIRECTORY": str(own_cache)}, *SHORT
    )
    assert report.parts == dict.fromkeys(PARTS, "ok"), report.text[-3000:]
    assert report.code == 0, report.errors
    assert "FAILED" not in report.text
    for fact in (
        "gpu: Orin (compute capability 8.7)", "library: TensorRT 10.13.0", "power mode: none",
        "Jetson Linux: ",
        "through: BindingsDevice", "cuda-bindings: ", "onnxruntime: ", "driver speaks CUDA: 12.6",
    ):  # fmt: skip
        assert f"- {fact}" in report.of("machine")
    assert {row[0] for row in report.data["agreement with ONNX Runtime"]} == {"gesturenet", "palm-detector"}
    assert max(row[3] for row in report.data["agreement with ONNX Runtime"]) < 1e-3
    measured = {
        (row["what"], row["backend"], row["precision"], row["batch"]) for row in report.data["networks"]
    }
    assert {("gesturenet", "tensorrt", p, n) for p in ("fp32", "fp16", "int8") for n in (1, 2, 8)} <= measured
    assert "images/s of GestureNet FP16 batch 1: " in report.of("networks")
    assert "Aim of 2.0 ms a frame at 1280 x 720: " in report.of("whole loop")
    assert [row[:2] for row in report.data["CUDA graphs"]][:2] == [
        ["gesturenet", True],
        ["gesturenet", False],
    ]
    assert report.data["CUDA graphs"][0][2] > report.data["CUDA graphs"][1][2] == 0  # runs captured
    assert [title for title, _ in report.data["uploads"]] == [
        "BGR, ordinary", "BGRx, page-locked", "NV12, page-locked",
    ]  # fmt: skip
    assert [row[0] for row in report.data["kernels against OpenCV"]] == ["scene", "noise", "scene in NV12"]
    assert "| tensorrt | gpu, NV12 |" in report.of("whole loop")
    assert "device memory in use grew by 0.00 MB" in report.of("soak")


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_what_fails_is_told_and_the_other_parts_are_done(
    driver: DriverDouble, own_cache: Path, tmp_path: Path
) -> None:
    environment = driver.with_tensorrt(tmp_path) | {"CACHE_DIRECTORY": str(own_cache), "NAN": "1"}
    report = Report(tmp_path / "report", environment, *SHORT)
    assert report.code == 1
    failed = {part for part, state in report.parts.items() if state == "failed"}
    assert list(report.parts) == PARTS
    assert failed == set(PARTS) - {"machine", "kernels against OpenCV", "uploads"}
    for part in failed - {"tests"}:
        assert "holds NaN in fp" in report.of(part)
    for network in ("gesturenet", "palm-detector"):  # each on its own
        assert f"FAILED: {network} fp32: {network}: output " in report.of("agreement with ONNX Runtime")


def test_without_a_gpu_it_says_what_is_missing(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "LD_LIBRARY_PATH": str(tmp_path)}
    report = Report(tmp_path / "report", environment)
    if report.code != 3:
        pytest.skip("a GPU is here")
    assert "No GPU to run on: no NVIDIA driver here (libcuda.so.1: cannot open" in report.errors
    assert report.text == ""

"""Which GPU and which TensorRT are here; a driver of the test's own answers where there is none."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tensorrt_double import double

from agent.errors import ModelError
from agent.inference.engine import unused_gpu
from agent.inference.trt.availability import check_driver, judge
from agent.inference.trt.bindings import find_binding
from agent.inference.trt.driver import Gpu, NoGpuError, find_gpu, gpu_is_here, power_mode
from agent.inference.trt.library import Library, find_library

ORIN = Gpu("Orin", (8, 7), 8_000_000_000, (12, 6))


@pytest.fixture(scope="module")
def libcuda(tmp_path_factory: pytest.TempPathFactory) -> str:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here to make a driver of")
    made = tmp_path_factory.mktemp("driver") / "libcuda.so.1"
    source = Path(__file__).parent / "libcuda_double.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-o", str(made), str(source)], check=True)
    return str(made)


def no_gpu() -> Gpu:
    raise NoGpuError("no NVIDIA driver here; install it")


def loads(_gpu: Gpu) -> None:
    """A binding that loads."""


def trt() -> Library:
    return Library(double("10.13.0"), rtx=False)


class ForCuda13(Library):
    @property
    def made_for_cuda(self) -> int | None:
        return 13


def test_the_driver_names_the_gpu_and_the_cuda_that_it_speaks(libcuda: str) -> None:
    found = find_gpu(libcuda)
    assert replace(found, multiprocessors=0, integrated=False) == ORIN
    assert found.label == "Orin (compute capability 8.7)"


def test_plans_of_an_orin_nano_are_not_those_of_an_agx_orin(
    libcuda: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    status = tmp_path / "status"
    status.write_text("pmode:0002 fmode:fanNull")
    labels = set()
    for sms, mode in (("16", ""), ("8", ""), ("8", power_mode(status))):
        monkeypatch.setenv("DOUBLE_SMS", sms)
        labels.add(replace(find_gpu(libcuda), power_mode=mode).build_label)
    assert labels == {
        "Orin (compute capability 8.7), 16 multiprocessors",
        "Orin (compute capability 8.7), 8 multiprocessors",
        "Orin (compute capability 8.7), 8 multiprocessors, power mode 2",
    }
    assert power_mode(tmp_path / "none") == ""


def test_no_driver_is_reported(tmp_path: Path) -> None:
    with pytest.raises(
        NoGpuError, match=r"no NVIDIA driver here \(.*libcuda.so.1.*\); install it, or set recogn"
    ):
        find_gpu(str(tmp_path / "libcuda.so.1"))


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (35, "insufficient driver; the driver is older"),
        (100, "hidden by CUDA_VISIBLE_DEVICES"),
        (803, "reboot"),
        (7, "nvidia-smi"),
    ],
)
def test_a_driver_that_fails_is_reported_with_what_to_do(
    libcuda: str, monkeypatch: pytest.MonkeyPatch, code: int, hint: str
) -> None:
    monkeypatch.setenv("DOUBLE_INIT", str(code))
    with pytest.raises(NoGpuError, match=rf"the NVIDIA driver fails: cuInit says {code}, .*{hint}"):
        find_gpu(libcuda)


def test_a_driver_without_gpu_is_reported(libcuda: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOUBLE_COUNT", "0")
    with pytest.raises(NoGpuError, match="the NVIDIA driver answers, yet no GPU is visible"):
        find_gpu(libcuda)


def test_a_gpu_whose_nodes_are_there_is_here_unless_somebody_hides_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = tmp_path / "nvidia0"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert not gpu_is_here([str(node)])
    node.touch()
    assert gpu_is_here([str(node)])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not gpu_is_here([str(node)])


@pytest.mark.parametrize(("code", "broken"), [("999", True), ("803", True), ("100", False)])
def test_a_driver_that_fails_leaves_a_gpu_unused(
    libcuda: str, monkeypatch: pytest.MonkeyPatch, code: str, broken: bool
) -> None:
    monkeypatch.setenv("DOUBLE_INIT", code)
    found = judge(lambda: find_gpu(libcuda), trt, loads)
    assert (found.usable, found.broken) == (False, broken)
    assert (unused_gpu("auto", {}, lambda: found) is not None) == broken


def test_a_driver_older_than_the_library_is_reported() -> None:
    check_driver(ORIN, trt())
    with pytest.raises(
        ModelError, match=r"driver is too old: it speaks CUDA 12.6, TensorRT 10.13.0 was made for CUDA 13"
    ):
        check_driver(ORIN, ForCuda13(double("10.13.0"), rtx=False))


def test_tensorrt_is_chosen_where_all_of_it_is_here() -> None:
    chosen = judge(lambda: ORIN, trt, loads)
    assert chosen.usable
    assert chosen.why == "TensorRT 10.13.0 on Orin (compute capability 8.7)"


def test_what_is_missing_is_said_and_how_to_get_it() -> None:
    nothing = judge(no_gpu, trt, loads)
    assert (nothing.why, nothing.todo, nothing.unused) == ("no NVIDIA driver here", "install it", None)
    missing = judge(lambda: ORIN, lambda: find_library(("no_tensorrt_here",)), loads)
    assert "Orin (compute capability 8.7) is here, but TensorRT is not installed here" in missing.why
    assert missing.unused == ORIN


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where a test writes the packages that are imported as if they were installed."""
    for name in [n for n in sys.modules if n.partition(".")[0] in ("cuda", "pycuda")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("cuda", "cuda/bindings", "pycuda"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    return tmp_path


def test_a_package_that_is_installed_and_does_not_load_is_reported_with_the_step_that_fixes_it(
    packages: Path,
) -> None:
    (packages / "pycuda" / "driver.py").write_text("raise ImportError('libcurand.so.10: cannot open')\n")
    found = judge(lambda: ORIN, trt, find_binding)
    assert not found.usable
    assert found.unused == ORIN
    assert found.why.endswith(
        "is here, but cuda-bindings is not installed (No module named 'cuda.bindings.driver'), "
        "PyCUDA does not load (libcurand.so.10: cannot open)"
    )
    assert found.todo == "pip install 'cuda-bindings<13'"


@pytest.mark.parametrize(
    ("version", "driver", "told"),
    [
        ("13.1.0", "", r"cuda-bindings 13.1.0 is newer than the driver \(CUDA 12.6\)"),
        ("12.9.1", "raise OSError('libcuda.so.1: wrong ELF class')", r"does not load \(libcuda.so.1: wrong"),
        (
            "12.9.1",
            "def cuInit(_): raise RuntimeError('Function cuInit not found')",
            r"does not load \(Function",
        ),
    ],
)
def test_cuda_bindings_that_cannot_be_used_make_way_for_pycuda(
    packages: Path, version: str, driver: str, told: str
) -> None:
    (packages / "cuda" / "bindings" / "__init__.py").write_text(f"__version__ = '{version}'\n")
    (packages / "cuda" / "bindings" / "driver.py").write_text(driver + "\n")
    with pytest.raises(ModelError, match=told):
        find_binding(ORIN)
    (packages / "pycuda" / "driver.py").touch()
    assert find_binding(ORIN).name == "PyCUDA"


def test_the_first_library_that_can_be_loaded_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        "class ICudaEngine:", "    num_io_tensors = 0", "class IExecutionContext:",
        "    def execute_async_v3(self): ...",
    ]  # fmt: skip
    (tmp_path / "first_trt_here.py").write_text("raise OSError('libnvinfer.so.10: cannot open')\n")
    (tmp_path / "second_trt_here.py").write_text("\n".join(["__version__ = '10.3.0'", *lines, ""]))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_library(("first_trt_here", "second_trt_here")).label == "TensorRT 10.3.0"
    with pytest.raises(
        ModelError, match=r"not installed here \(first_trt_here: libnvinfer.so.10: cannot open\)"
    ):
        find_library(("first_trt_here",))

"""What `gesture-agent check` says where a GPU is not used: the real command on a driver of the tests' own."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from driver_double import DriverDouble

from agent.errors import ModelError
from agent.inference.trt.bindings import BINDINGS
from agent.inference.trt.driver import Gpu

ON = "TensorRT 10.13.0 on Orin (compute capability 8.7)"
SETTINGS = """
[agent]
cache_dir = "{folder}/cache"
state_dir = "{folder}/state"
rules = "{folder}"
[camera.front]
source = "{folder}"
[recognition]
backend = "{backend}"
gestures = "gesturenet"
proposal = "palm"
"""


@dataclass
class Machine:
    """A machine with a driver, TensorRT and cuda-bindings, from which a test takes something."""

    folder: Path
    driver: DriverDouble
    without: list[str] = field(default_factory=list)  # packages
    library: tuple[str, str] = ("tensorrt", "10.13.0")  # module, version

    def command(self, *words: str, backend: str = "auto", **environment: str) -> str:
        """What `gesture-agent` prints."""
        settings = self.folder / "config.toml"
        settings.write_text(SETTINGS.format(folder=self.folder, backend=backend))
        for name in self.without:
            (self.folder / name).mkdir(exist_ok=True)
            (self.folder / name / "__init__.py").touch()
        given = self.driver.with_tensorrt(self.folder, *self.library) | {"XDG_CACHE_HOME": str(self.folder)}
        called = [sys.executable, "-m", "agent", *words, "--config", str(settings)]
        done = subprocess.run(
            called, capture_output=True, text=True, check=False, timeout=300, env=given | environment
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr

    def check(self, kind: str = "backend", backend: str = "auto", **environment: str) -> str:
        """The lines of a kind that `check` prints."""
        said = self.command("check", backend=backend, **environment).splitlines()
        return "\n".join(line for line in said if re.match(rf"(ok|warn|fail) +{kind} ", line))


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> DriverDouble:
    return DriverDouble(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def machine(driver: DriverDouble, tmp_path: Path) -> Machine:
    try:
        BINDINGS[0].check(Gpu("any", (8, 7), 0, (12, 6)))
    except ModelError as exc:
        if "not installed" in str(exc):
            pytest.skip(f"{exc}: pip install 'gesture-agent[test]'")
    return Machine(tmp_path, driver)


def test_no_driver(machine: Machine) -> None:
    assert machine.check(LD_LIBRARY_PATH="").endswith("; no GPU is used: no NVIDIA driver here")
    asked_for = machine.check(backend="tensorrt", LD_LIBRARY_PATH="")
    assert asked_for.startswith("fail backend tensorrt: no NVIDIA driver here (libcuda.so.1: cannot open")
    assert asked_for.endswith("; install it, or set recognition.backend to onnxruntime")


def test_a_driver_that_may_not_open_the_device(machine: Machine) -> None:
    assert machine.check(backend="tensorrt", DOUBLE_INIT="999") == (
        "fail backend tensorrt: the NVIDIA driver fails: cuInit says 999, an error; see "
        "`dmesg | grep -i nvrm`; may the agent open /dev/nvidia* or /dev/nvhost* (group video, render)"
    )


def test_a_gpu_that_the_driver_does_not_give_is_a_warning_with_the_remedy_too(machine: Machine) -> None:
    """The service of a Jetson whose devices are closed to it: it would run on the CPU without a word."""
    said = machine.check(DOUBLE_INIT="999")
    assert said.startswith("warn backend onnxruntime: ")
    assert said.endswith(
        "an NVIDIA GPU goes unused: the NVIDIA driver fails: cuInit says 999, an error; see `dmesg | grep -i "
        "nvrm`; may the agent open /dev/nvidia* or /dev/nvhost* (group video, render)"
    )


def test_a_driver_on_a_machine_without_a_gpu_is_no_warning(machine: Machine) -> None:
    assert machine.check(DOUBLE_INIT="100").startswith("ok   backend onnxruntime: ")


def test_no_package_for_cuda(machine: Machine) -> None:
    machine.without = ["cuda", "pycuda"]
    assert machine.check().endswith(
        "an NVIDIA GPU goes unused: Orin (compute capability 8.7) is here, but cuda-bindings is not "
        "installed (No module named 'cuda.bindings'), PyCUDA is not installed (No module named "
        "'pycuda.driver'); pip install 'cuda-bindings<13'"
    )


def test_all_is_well(machine: Machine) -> None:
    assert machine.check() == f"ok   backend tensorrt: {ON}"
    assert machine.check("gpu") == ""


def test_no_compiler_for_kernels(machine: Machine) -> None:
    nothing = machine.folder / "nothing"
    nothing.mkdir()
    said = machine.check("gpu", PATH=str(nothing), CUDA_HOME=str(nothing))
    assert said.startswith(f"warn gpu {ON}: cutting frames on the GPU needs NVRTC or nvcc: ")
    assert said.endswith(
        '; apt install cuda-nvrtc-12-6, or set recognition.tensorrt.frames to "cpu"; '
        "until then on the CPU: all networks"
    )


def test_a_plan_that_tensorrt_refuses_and_one_that_gives_nan(machine: Machine) -> None:
    built = machine.command("engines", "build", "gesturenet")
    assert machine.check("gpu") == "", built
    refused = machine.check("gpu", REFUSES="1")
    assert refused.startswith(f"warn gpu {ON}: gesturenet: TensorRT")
    assert refused.endswith("it is built again at the start, which takes minutes")
    assert "does not take this plan (Version tag does not match. Current 239, serialized 232)" in refused
    assert machine.check("gpu", backend="tensorrt", REFUSES="1") == refused  # the agent starts all the same
    assert machine.check("gpu", NAN="1").endswith('to "onnxruntime"; until then on the CPU: gesturenet')
    wrong = machine.check("gpu", backend="tensorrt", NAN="1")
    assert wrong.startswith(f"fail gpu {ON}: gesturenet: output ")
    assert wrong.endswith(
        'holds NaN in fp16; set recognition.tensorrt.precision to "fp32", or recognition.backend '
        'to "onnxruntime"'
    )


def test_a_gpu_that_tensorrt_for_rtx_is_not_made_for(machine: Machine) -> None:
    machine.library = ("tensorrt_rtx", "rtx-1.7.1")
    on = "TensorRT for RTX 1.7.1 on Orin (compute capability 8.7)"
    doubt = (
        f"warn gpu {on}: TensorRT for RTX 1.7.1 is made for compute capability 7.5, 8.0, 8.6, 8.9, 12.0, "
        "12.1, this GPU has 8.7; where networks do not run, install tensorrt instead"
    )
    assert machine.check("backend") == f"ok   backend tensorrt: {on}"
    assert machine.check("gpu") == machine.check("gpu", backend="tensorrt") == doubt
    machine.command("engines", "build", "gesturenet")
    doubted, refused = machine.check("gpu", backend="tensorrt").splitlines()
    assert doubted == doubt
    assert refused.startswith(f"fail gpu {on}: gesturenet: TensorRT for RTX 1.7.1 is made for compute")
    assert refused.endswith("(unsupported cc: Target GPU SM is not supported by this TensorRT RTX release)")


def test_a_network_that_is_missing_does_not_keep_the_others_from_being_built(machine: Machine) -> None:
    said = machine.command("engines", "build", "palm-detector", "gesturenet", "--precision", "int8")
    assert "gesturenet: built in" in said
    assert "palm-detector.onnx does not exist; run `gesture-agent models fetch`" in said
    listed = machine.command("engines", "list", backend="tensorrt")
    assert "not all plans can be used or built here: palm-detector: " in listed
    assert re.search(r"gesturenet +fp16 ", listed)  # as the settings ask for it, not built yet

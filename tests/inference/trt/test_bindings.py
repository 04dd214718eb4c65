"""The real cuda-bindings and PyCUDA, where they are installed, on a driver of the tests' own."""

from __future__ import annotations

from pathlib import Path

import pytest
from driver_double import DriverDouble, Ran

from agent.errors import ModelError
from agent.inference.trt.bindings import BINDINGS, CudaBinding, find_binding
from agent.inference.trt.driver import Gpu

ALL = {binding.name: binding for binding in BINDINGS}
# PyCUDA makes the context current to let go of it at exit, and leaves it on the stack of that thread.
ON_STACKS = {"cuda-bindings": 0, "PyCUDA": 1}
OPENED = """
device = next(b for b in BINDINGS if b.name == "{name}").open(Path("{cache}"))
"""
# One of everything: memory, pinned memory, copies, a kernel that cuts, a graph, waiting.
WHOLE = """
from agent.core.types import Box
from agent.inference.crops import cut, fill_batch
from agent.inference.manifest import Input
from agent.inference.trt.gpu_cropper import GpuCropper
from agent.inference.trt.upload_cache import FrameUploadCache

spec = Input(name="x", shape=("N", 3, 64, 64), offset=0.0, scale=1.0)
image = np.random.default_rng(1).integers(0, 256, (120, 161, 3), dtype=np.uint8)
boxes = [Box(80, 60, 70, 0.4), Box(-10, 20, 50), Box(1e6, 0, 9)]

def whole():
    with device.current():
        stream, result = device.stream(), device.pinned((3, 3, 64, 64), np.float32)
        target, uploads = device.memory(result.nbytes), FrameUploadCache(device)
        cutter = GpuCropper(device, 3)
        cutter.write(0, uploads.upload(image, stream), boxes, spec)
        def work():
            cutter.launch(3, spec, target=target, stream=stream)
            device.download(result, target, stream)
        work()
        stream.synchronize()
        graph = device.capture(stream, work)
        if graph is not None:
            result[:] = -1
            graph.launch(stream)
            stream.synchronize()
        apart = np.abs(result - fill_batch([cut(image, box, spec.size) for box in boxes], spec))
        target.free(), cutter.close(), uploads.close()
        return f"{'replayed' if graph else 'plain'} {apart.max() <= 9.0 and apart.mean() <= 1.6}"
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> DriverDouble:
    return DriverDouble(tmp_path_factory.mktemp("driver"))


@pytest.fixture(params=list(ALL))
def binding(request: pytest.FixtureRequest, driver: DriverDouble) -> CudaBinding:
    found = ALL[request.param]
    told = driver.run(f"""
try:
    next(b for b in BINDINGS if b.name == "{found.name}").check(find_gpu())
except ModelError as exc:
    print(exc)
""")
    assert told.code == 0, told.errors
    if told.said:
        pytest.skip(f"{told.said.strip()}: pip install 'gesture-agent[test]' or pycuda")
    return found


def run(driver: DriverDouble, binding: CudaBinding, program: str, **environment: str) -> Ran:
    opened = OPENED.format(name=binding.name, cache=driver.folder / "cache")
    ran = driver.run(opened + program, **environment)
    assert ran.fell or ran.code == 0, ran.errors
    return ran


def test_a_gpu_is_opened_through_the_first_package_that_loads(
    driver: DriverDouble, binding: CudaBinding
) -> None:
    ran = run(driver, binding, "print(device.gpu.label, '-', find_binding(find_gpu(), BINDINGS).name)")
    assert ran.said.startswith("Orin (compute capability 8.7) - ")
    assert binding.name == "PyCUDA" or ran.said.endswith("cuda-bindings\n")


def test_copies_and_kernels_work_and_all_is_given_back(driver: DriverDouble, binding: CudaBinding) -> None:
    ran = run(driver, binding, WHOLE + "print(whole())\ngc.collect()\ndevice._kernels.clear()\ngc.collect()")
    assert ran.said == f"{'replayed' if binding.name == 'cuda-bindings' else 'plain'} True\n"
    assert ran.left.pop("contexts on stacks") == ON_STACKS[binding.name]
    assert not any(ran.left.values()), ran.left
    assert ran.calls["events that sleep"] > 0  # a board of few cores does not spin while it waits


def test_frames_of_a_camera_thread_are_uploaded_from_where_its_pipe_put_them(
    driver: DriverDouble, binding: CudaBinding
) -> None:
    program = """
frames = []
with device.current():
    uploads = FrameUploadCache(device)
def camera():
    memory = uploads.frames.new(120 * 161 * 4).reshape(120, 161, 4)
    memory[..., :3] = image
    frames.append(memory[..., :3])
thread = threading.Thread(target=camera)
thread.start(), thread.join()
with device.current():
    stream, target, cutter = device.stream(), device.memory(3 * 3 * 64 * 64 * 4), GpuCropper(device, 3)
    results = [device.pinned((3, 3, 64, 64), np.float32) for _ in range(2)]
    for result, frame in zip(results, (frames[0], image)):
        upload = uploads.upload(frame, stream)
        cutter.write(0, upload, boxes, spec)
        cutter.launch(3, spec, target=target, stream=stream)
        device.download(result, target, stream)
        stream.synchronize()
        print(upload.step, upload.staging is None)
    print(np.array_equal(*results))
"""
    assert run(driver, binding, WHOLE + program).said == "4 True\n3 False\nTrue\n"


def test_what_was_not_closed_goes_with_the_context_at_exit(
    driver: DriverDouble, binding: CudaBinding
) -> None:
    ran = run(driver, binding, WHOLE + "whole()\nkept = [device, threading.local()]")
    assert ran.left["contexts"] == 0
    assert ran.left["contexts on stacks"] == ON_STACKS[binding.name]


def test_a_stream_works_when_somebody_waits_and_pageable_memory_is_read_at_once(
    driver: DriverDouble, binding: CudaBinding
) -> None:
    ran = run(
        driver,
        binding,
        """
with device.current():
    stream, memory = device.stream(), [device.memory(16), device.memory(16)]
    pinned, pageable = device.pinned((4,), np.float32), np.full(4, 1, np.float32)
    pinned[:] = 1
    device.upload(memory[0], pinned, stream)
    device.upload(memory[1], pageable, stream)
    pinned[:] = pageable[:] = 2  # too early for the pinned one: the copy has not begun
    back = [device.pinned((4,), np.float32) for _ in range(2)]
    other = device.stream()
    other.after(stream)
    for target, source in zip(back, memory):
        device.download(target, source, other)
    other.synchronize()
    print(back[0][0], back[1][0])
""",
    )
    assert ran.said == "2.0 1.0\n"


def test_device_memory_is_not_the_hosts(driver: DriverDouble, binding: CudaBinding) -> None:
    program = """
import ctypes
with device.current():
    print(device.memory(64).address > 0, flush=True)
    ctypes.string_at(device.memory(64).address, 1)
"""
    ran = run(driver, binding, program)
    assert (ran.said, ran.fell) == ("True\n", True)


def test_a_thread_where_the_device_is_not_current_is_reported(
    driver: DriverDouble, binding: CudaBinding
) -> None:
    program = """
with device.current():
    stream, memory, array = device.stream(), device.memory(16), device.pinned((4,), np.float32)

def elsewhere(inside):
    try:
        if inside:
            with device.current():
                device.upload(memory, array, stream), stream.synchronize()
        else:
            device.upload(memory, array, stream)
        print("works")
    except EngineError as exc:
        print(exc)

for inside in (False, True):
    thread = threading.Thread(target=elsewhere, args=(inside,))
    thread.start(), thread.join()
"""
    first, second = run(driver, binding, program).said.splitlines()
    assert first.startswith("16 bytes could not be uploaded (")
    assert second == "works"


def test_a_camera_that_still_reads_when_the_program_ends_gets_ordinary_memory(
    driver: DriverDouble, binding: CudaBinding
) -> None:
    program = """
import atexit
with device.current():
    uploads = FrameUploadCache(device)
atexit._run_exitfuncs()
print(uploads.frames.new(100).nbytes)
try:
    with device.current():
        pass
except EngineError as exc:
    print(exc)
"""
    *log, size, error = run(driver, binding, WHOLE + program).said.splitlines()
    assert size == "100"
    assert "frames_not_pinned" in "".join(log)
    assert error.startswith("the GPU's context is gone (")


FAILURES = {
    "cuMemAlloc_v2=2": "ModelError the GPU's memory is full: ",
    "cuMemHostAlloc=2": "ModelError no pinned memory for ",
    "cuMemcpyHtoDAsync_v2=700": "EngineError 57,960 bytes could not be uploaded (",
    "cuMemcpyDtoHAsync_v2=700": "EngineError 147,456 bytes could not be downloaded (",
    "cuLaunchKernel=719": "EngineError a kernel could not be started (",
    "cuEventSynchronize=700": "EngineError the GPU failed (",
    "cuEventRecord=700": "EngineError the GPU failed (",
    "cuStreamWaitEvent=700": "EngineError the GPU failed (",
    "cuModuleLoadData=209": "ModelError cutting frames on the GPU needs NVRTC or nvcc: ",
}


def test_whatever_call_fails_is_an_error_of_the_agents(driver: DriverDouble, binding: CudaBinding) -> None:
    program = f"""
for fails in {list(FAILURES)}:
    device._kernels.clear()
    os.environ["DOUBLE_FAIL"] = fails
    try:
        whole()
    except (EngineError, ModelError) as exc:
        print(type(exc).__name__, exc)
    del os.environ["DOUBLE_FAIL"]
    gc.collect()
print(whole())
"""
    ran = run(driver, binding, WHOLE + program)
    *told, at_last = ran.said.splitlines()
    for line, expected in zip(told, FAILURES.values(), strict=True):
        assert line.startswith(expected)
    assert at_last.endswith("True")  # nothing of it stays
    assert ran.left["contexts"] == 0
    assert ran.left["contexts on stacks"] == ON_STACKS[binding.name]


@pytest.mark.parametrize(
    "fails",
    [
        "cuStreamBeginCapture_v2=801@1",
        "cuStreamEndCapture=901@1",
        "cuGraphInstantiateWithFlags=2@1",
        "cuLaunchKernel=900@2",  # something in the run may not be captured
    ],
)
def test_a_capture_that_is_refused_leaves_all_as_it_was(driver: DriverDouble, fails: str) -> None:
    found = ALL["cuda-bindings"]
    try:
        found.check(Gpu("any", (8, 7), 0, (12, 6)))
    except ModelError as exc:
        if "not installed" in str(exc):
            pytest.skip(str(exc))
    assert run(driver, found, WHOLE + "print(whole())", DOUBLE_FAIL=fails).said == "plain True\n"


def test_a_graph_that_does_not_start_is_an_engine_error(driver: DriverDouble, binding: CudaBinding) -> None:
    if binding.name != "cuda-bindings":
        pytest.skip("PyCUDA has no CUDA graphs")
    program = "\ntry:\n    whole()\nexcept EngineError as exc:\n    print(exc)"
    ran = run(driver, binding, WHOLE + program, DOUBLE_FAIL="cuGraphLaunch=700@1")
    assert ran.said.startswith(
        "a CUDA graph could not be started (CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory"
    )


def test_a_driver_that_loads_and_does_not_open_the_gpu_is_reported(
    driver: DriverDouble, binding: CudaBinding
) -> None:
    program = f"""
try:
    next(b for b in BINDINGS if b.name == "{binding.name}").open(Path("."))
except ModelError as exc:
    print(exc)
"""
    ran = driver.run(program, DOUBLE_FAIL="cuDevicePrimaryCtxRetain=46@1")
    assert ran.said.startswith(f"Orin (compute capability 8.7): {binding.name} cannot use it ("), ran.errors
    assert "; see nvidia-smi" in ran.said


NETWORK = """
from driver_double import Streams
from heads import random_head
from tensorrt_double import Behaviour, double
from agent.config.settings import TensorRtSettings
from agent.inference.engine import EngineOptions, load_engine
from agent.inference.trt.engine import TensorRtEngine
from agent.inference.trt.gpu_context import GpuContext
from agent.inference.trt.library import Library
from agent.inference.trt.upload_cache import FrameUploadCache

behaviour = Behaviour()
behaviour.streams = Streams()
library, folder = Library(double("10.13.0", behaviour), rtx=False), Path("{folder}")
(folder / "head.onnx").write_bytes(random_head(("presence", "handedness")))
with device.current():
    context = GpuContext(library, device, FrameUploadCache(device), folder)
options = EngineOptions(folder, TensorRtSettings(frames="cpu", precision="fp32"))
engine = TensorRtEngine("head", folder / "head.onnx", options=options, context=context)
reference = load_engine("head", folder / "head.onnx", backend="onnxruntime", threads=1)
apart = 0.0
for seed, count in enumerate((1, 2, 1, 2, 1, 2, 1, 2, 9)):
    rng = np.random.default_rng(seed)
    feed = {{name: rng.random((count, 1), np.float32) for name in ("presence", "handedness")}}
    found, right = (e.run(feed)["activation_18"] for e in (engine, reference))
    apart = max(apart, float(np.abs(found - right).max()))
print(apart)
engine.close()
"""


def test_a_network_runs_through_it_and_what_comes_again_is_replayed(
    driver: DriverDouble, binding: CudaBinding, tmp_path: Path
) -> None:
    ran = run(driver, binding, NETWORK.format(folder=tmp_path))
    assert float(ran.said.splitlines()[-1]) < 1e-6  # below the log
    replayed = ran.calls.get("cuGraphLaunch", 0)
    assert replayed == (5 if binding.name == "cuda-bindings" else 0)  # once more for one of the last nine
    assert ran.left["memory"] == 0


def test_where_no_package_loads_each_ones_reason_and_the_step_are_reported() -> None:
    def missing(_gpu: Gpu) -> None:
        raise ModelError("no such package")

    neither = [CudaBinding(name, "none:None", missing) for name in ("one", "other")]
    with pytest.raises(
        ModelError, match=r"^no such package, no such package; pip install 'cuda-bindings<13'$"
    ):
        find_binding(Gpu("Orin", (8, 7), 0, (12, 6)), neither)

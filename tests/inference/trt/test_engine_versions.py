"""The `tensorrt` backend on the APIs of 8.6, 10 and 11, with doubles that run the network on the CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import structlog
from heads import random_head
from host_device import GPU, HostDevice
from onnx import TensorProto, helper, numpy_helper
from tensorrt_double import API, Behaviour, double

from agent.config.settings import TensorRtSettings
from agent.core.types import Floats
from agent.errors import EngineError, ModelError
from agent.inference.engine import EngineOptions, load_engine
from agent.inference.trt import plans
from agent.inference.trt.engine import TensorRtEngine
from agent.inference.trt.gpu_context import GpuContext
from agent.inference.trt.library import Library, checked, created
from agent.inference.trt.upload_cache import FrameUploadCache

PROFILES = (1, 2, 8)


class Bench:
    """One GPU of a double, a folder for plans, and a network."""

    def __init__(self, version: str, folder: Path, limit: int = GPU.memory_bytes) -> None:
        self.behaviour = Behaviour()
        self.library = Library(double(version, self.behaviour), rtx=version.startswith("rtx"))
        self.device = self.behaviour.streams = HostDevice(limit, strict=True)
        if self.library.rtx:
            self.device.gpu = replace(GPU, capability=(8, 9))  # Orin's is none of those that it names
        self.folder = folder
        self.path = folder / "head.onnx"
        self.path.write_bytes(random_head(("presence", "handedness")))

    @property
    def room(self) -> GpuContext:
        with self.device.current():
            return GpuContext(self.library, self.device, FrameUploadCache(self.device), self.folder)

    def engine(self, **settings: Any) -> TensorRtEngine:
        options = EngineOptions(self.folder, TensorRtSettings(frames="cpu", **settings))
        return TensorRtEngine("head", self.path, options=options, context=self.room)

    @property
    def plans(self) -> list[Path]:
        return sorted((self.folder / plans.FOLDER).glob("*.plan"))


@pytest.fixture(params=list(API))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(request.param, tmp_path)


def crops(count: int, seed: int = 0) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    return {name: rng.random((count, 1), np.float32) for name in ("presence", "handedness")}


def test_the_doubles_have_no_name_that_the_real_bindings_lack() -> None:
    for version, classes in API.items():
        module = double(version)
        for cls, names in classes.items():
            if hasattr(module, cls) and isinstance(getattr(module, cls), type):
                own = {n for n in vars(getattr(module, cls)) if not n.startswith("_")} - {"trt"}
                assert own <= set(names), (version, cls, own - set(names))


def test_it_gives_what_onnx_runtime_gives(bench: Bench) -> None:
    reference = load_engine("head", bench.path, backend="onnxruntime", threads=1)
    engine = bench.engine(precision="fp32")
    for count in (1, 2, 5, 8, 1):
        feed = crops(count, seed=count)
        np.testing.assert_array_equal(engine.run(feed)["activation_18"], reference.run(feed)["activation_18"])


def test_it_names_inputs_and_outputs_with_an_open_batch(bench: Bench) -> None:
    engine = bench.engine()
    assert engine.inputs == {"presence": ("N", 1), "handedness": ("N", 1)}
    assert engine.outputs == {"activation_18": ("N", 6)}
    assert engine.max_batch == 8


def test_more_pictures_than_the_largest_batch_go_through_in_several_runs(bench: Bench) -> None:
    engine = bench.engine(precision="fp32")
    reference = load_engine("head", bench.path, backend="onnxruntime", threads=1)
    feed = crops(19)
    np.testing.assert_allclose(
        engine.run(feed)["activation_18"], reference.run(feed)["activation_18"], atol=1e-6
    )
    assert [run["presence"][0] for run in bench.behaviour.runs] == [1, 8, 8, 3]  # the self-test first


def test_nothing_is_allocated_after_loading(bench: Bench) -> None:
    engine = bench.engine()
    before = bench.device.allocations
    for count in (1, 8, 3, 2, 8) * 4:
        engine.run(crops(count))
    assert bench.device.allocations == before


def test_results_stay_when_the_next_run_comes(bench: Bench) -> None:
    engine = bench.engine()
    first = engine.run(crops(2, seed=1))["activation_18"]
    kept = first.copy()
    engine.run(crops(2, seed=2))
    np.testing.assert_array_equal(first, kept)


def test_a_started_run_may_be_asked_for_later(bench: Bench) -> None:
    engine = bench.engine(precision="fp32")
    one = engine.start(crops(2, seed=1))
    two = engine.start(crops(1, seed=2))  # waits for the first: there is memory for one
    expected = [engine.run(crops(2, seed=1)), engine.run(crops(1, seed=2))]
    np.testing.assert_array_equal(one.result()["activation_18"], expected[0]["activation_18"])
    np.testing.assert_array_equal(two.result()["activation_18"], expected[1]["activation_18"])


def test_closing_gives_all_memory_back(bench: Bench) -> None:
    engine = bench.engine()
    engine.run(crops(1))
    engine.close()
    engine.close()
    assert bench.device.live == 0
    with pytest.raises(EngineError, match="head: is closed"):
        engine.run(crops(1))


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_precision_is_a_flag_up_to_10_and_in_the_network_from_11_on(bench: Bench, precision: Any) -> None:
    bench.engine(precision=precision)
    flags = bench.behaviour.built[-1]["flags"]
    assert "TF32" not in flags
    assert ("FP16" in flags) == (precision == "fp16" and bench.library.has_precision_flags)
    network = onnx.load_from_string(bench.plans[0].read_bytes().partition(b"}}")[2] or b"")
    kinds = {tensor.data_type for tensor in network.graph.initializer}
    in_network = precision == "fp16" and not bench.library.has_precision_flags
    assert (TensorProto.FLOAT16 in kinds) == in_network


def test_a_plan_is_built_once(bench: Bench) -> None:
    bench.engine().close()
    bench.engine().close()
    assert len(bench.behaviour.built) == 1


def test_what_a_plan_depends_on_makes_another_one(bench: Bench) -> None:
    bench.engine()
    bench.engine(precision="fp32")
    bench.engine(batch=(1, 1, 4))
    assert len(bench.plans) == 3
    bench.path.write_bytes(random_head(("presence", "handedness"), opset=13))
    with structlog.testing.capture_logs() as logs:
        bench.engine()
    (stale,) = [entry for entry in logs if entry["event"] == "plan_stale"]
    assert "model is" in stale["reason"]
    assert len(bench.behaviour.built) == 4
    assert len(bench.plans) == 3  # the plan of the old model is of no use any more


def test_a_damaged_plan_is_reported_and_built_again_never_loaded(bench: Bench) -> None:
    bench.engine()
    (plan,) = bench.plans
    plan.write_bytes(plan.read_bytes()[:-20])
    with structlog.testing.capture_logs() as logs:
        bench.engine().run(crops(1))
    assert [e["event"] for e in logs if e["log_level"] == "warning"] == ["plan_corrupt"]
    assert len(bench.behaviour.built) == 2


def test_a_plan_without_receipt_is_not_believed(bench: Bench) -> None:
    bench.engine()
    bench.plans[0].with_suffix(".json").unlink()
    bench.engine()
    assert len(bench.behaviour.built) == 2


def test_a_plan_that_is_refused_is_built_again_once(bench: Bench) -> None:
    if bench.library.rtx:
        pytest.skip("its plans are of no GPU")
    bench.engine()
    bench.behaviour.gpu = "NVIDIA Other"  # as after a card was exchanged for one of the same name
    with structlog.testing.capture_logs() as logs:
        bench.engine().run(crops(1))
    (refused,) = [entry for entry in logs if entry["event"] == "plan_refused"]
    assert "incompatible device" in refused["reason"]
    bench.behaviour.refuses_plans = True
    with pytest.raises(
        ModelError, match=r"head: TensorRT .* on NVIDIA Test .* does not take this plan \(Version"
    ):
        bench.engine()
    assert len(bench.behaviour.built) == 3


def test_a_library_that_cannot_start_is_reported_not_a_traceback(bench: Bench) -> None:
    bench.behaviour.cannot_start = True  # every factory raises TypeError, as pybind11 does
    with pytest.raises(ModelError, match=r"head: TensorRT .* cannot start"):
        bench.engine()
    bench.behaviour.cannot_start = False
    bench.engine().close()
    bench.behaviour.cannot_start = True
    with pytest.raises(ModelError, match=r"head: TensorRT .* cannot start on this GPU .*nvidia-smi"):
        bench.engine()


def test_a_type_error_of_our_own_is_not_taken_for_a_factory_that_failed() -> None:
    with pytest.raises(TypeError, match="missing 2 required"):
        created(Bench)  # type: ignore[arg-type]


def test_fp32_builds_from_a_network_whose_weights_are_half_precision(bench: Bench) -> None:
    network = onnx.load_from_string(random_head(("presence", "handedness")))
    weights = network.graph.initializer[0]
    half = numpy_helper.to_array(weights).astype(np.float16)
    weights.CopyFrom(numpy_helper.from_array(half, "half"))
    cast = helper.make_node("Cast", ["half"], ["weights"], to=TensorProto.FLOAT)
    network.graph.node.insert(0, cast)
    bench.path.write_bytes(network.SerializeToString())
    reference = load_engine("head", bench.path, backend="onnxruntime", threads=1)
    engine = bench.engine(precision="fp32")
    assert "FP16" not in bench.behaviour.built[-1]["flags"]
    np.testing.assert_allclose(
        engine.run(crops(2))["activation_18"], reference.run(crops(2))["activation_18"], atol=1e-6
    )


@pytest.mark.parametrize(
    ("gives", "told"),
    [
        (lambda array: array * np.float32(np.nan), "holds NaN in fp16"),
        (lambda array: array + np.float32(np.inf), "holds infinity in fp16"),
        (lambda array: array + np.float32(0.3), "is 0.3 away from ONNX Runtime's in fp16 .at most 0.1"),
    ],
)
def test_a_plan_that_loads_and_gives_wrong_numbers_is_reported_and_not_used(
    bench: Bench, gives: Any, told: str
) -> None:
    bench.behaviour.gives = gives
    with pytest.raises(ModelError, match=rf'head: output "activation_18" {told}.*precision to "fp32"'):
        bench.engine(precision="fp16")
    assert bench.device.live == 0
    bench.behaviour.gives = lambda array: array
    bench.engine(precision="fp16").run(crops(1))


def test_a_first_run_that_fails_is_reported_while_loading(bench: Bench) -> None:
    bench.behaviour.fails_to_run = True
    with pytest.raises(ModelError, match=r"head: TensorRT failed .*the plan loads and its first run fails"):
        bench.engine()
    assert bench.device.live == 0


def test_a_damaged_sample_of_the_self_test_is_computed_again(bench: Bench) -> None:
    bench.engine().close()
    (sample,) = (bench.folder / plans.FOLDER).glob("*.npz")
    for damage in (b"", b"rubbish", sample.read_bytes()[:100]):
        sample.write_bytes(damage)
        bench.engine().close()
        assert len(sample.read_bytes()) > 100


def test_kernels_that_were_timed_once_are_not_timed_again(bench: Bench) -> None:
    bench.engine(precision="fp32").close()
    bench.engine(precision="fp16").close()
    assert [built["timed_before"] for built in bench.behaviour.built] == [False, True]
    (kept,) = (bench.folder / plans.FOLDER).glob("timing-*.cache")
    kept.write_bytes(b"rubbish")
    bench.engine(batch=(1, 1, 4)).close()
    assert not bench.behaviour.built[-1]["timed_before"]


def test_an_operator_that_tensorrt_does_not_know_is_named(bench: Bench) -> None:
    graph = helper.make_graph(
        [helper.make_node("NonZero", ["x"], ["y"], "strange")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, [2, "M"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    bench.path.write_bytes(model.SerializeToString())
    where = "node 0" if bench.library.version.startswith("8") else r'node "strange" \(NonZero\)'
    with pytest.raises(ModelError, match=f"head: TensorRT .* cannot take this network: {where}: no importer"):
        bench.engine(precision="fp32")


def test_an_open_size_besides_the_batch_is_reported(bench: Bench) -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", "H", "W", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    bench.path.write_bytes(model.SerializeToString())
    with pytest.raises(
        ModelError, match=r'head: input "x" is \(\?, \?, \?, 3\), only the first size may be open'
    ):
        bench.engine()


def test_a_file_that_is_no_network_is_reported(bench: Bench) -> None:
    bench.path.write_bytes(b"rubbish")
    with pytest.raises(ModelError, match=r"head: .*(cannot take this network|is no ONNX file)"):
        bench.engine()


def test_too_little_memory_to_build_says_what_to_lower(bench: Bench) -> None:
    bench.behaviour.out_of_memory = True
    with pytest.raises(
        ModelError, match=r"not enough memory on the GPU; .* lower recognition.tensorrt.workspace"
    ):
        bench.engine()
    assert bench.plans == []


def test_too_little_memory_to_load_says_what_to_lower(bench: Bench) -> None:
    bench.engine().close()
    bench.behaviour.out_of_memory = True
    with pytest.raises(
        ModelError, match=r"the GPU's memory is full, 8,000 MB are free .* recognition.tensorrt.batch"
    ):
        bench.engine()


def test_too_little_memory_for_the_tensors_leaves_none_taken(tmp_path: Path) -> None:
    bench = Bench("10.13.0", tmp_path, limit=100)  # room for the inputs, not for the output
    with pytest.raises(ModelError, match="the GPU's memory is full"):
        bench.engine()
    assert bench.device.live == 0


def test_a_run_that_fails_is_an_engine_error_with_tensorrts_words(bench: Bench) -> None:
    engine = bench.engine()
    bench.behaviour.fails_to_run = True
    with pytest.raises(
        EngineError, match=r"head: TensorRT failed \(CUDA error 700: an illegal memory access"
    ):
        engine.run(crops(1))
    bench.behaviour.fails_to_run = False
    engine.run(crops(1))


def test_a_gpu_that_fails_while_it_is_waited_for_is_an_engine_error(bench: Bench) -> None:
    engine = bench.engine()
    bench.device.streams[-1].broken = "the GPU failed (launch timed out)"
    with pytest.raises(EngineError, match="the GPU failed"):
        engine.run(crops(1))


def test_inputs_of_unlike_lengths_are_an_engine_error(bench: Bench) -> None:
    with pytest.raises(
        EngineError, match=r"head: inputs have .* pictures, the network wants as many of each"
    ):
        bench.engine().run(crops(2) | {"presence": np.ones((3, 1), np.float32)})


def test_a_version_without_named_tensors_is_too_old() -> None:
    old = double("8.6.1")
    del old.IExecutionContext.execute_async_v3
    old.__version__ = "8.4.1"
    with pytest.raises(
        ModelError, match=r"TensorRT 8.4.1 is too old, it has no IExecutionContext.execute_async_v3"
    ):
        checked(old, rtx=False)


def test_those_who_wait_hear_what_is_built(bench: Bench) -> None:
    heard: list[tuple[str, float]] = []
    options = EngineOptions(
        bench.folder, TensorRtSettings(frames="cpu"), waiting=lambda *told: heard.append(told)
    )
    TensorRtEngine("head", bench.path, options=options, context=bench.room)
    assert all("building the plan of head" in line and seconds >= 60 for line, seconds in heard)

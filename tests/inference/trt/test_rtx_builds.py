"""Real plans by TensorRT for RTX, which builds without a GPU: all our networks, all precisions."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import pytest
from bodypose_like import bodyposenet
from onnx import TensorProto, helper

from agent.config.settings import TensorRtSettings
from agent.errors import ModelError
from agent.inference.engine import EngineOptions
from agent.inference.gestures.background import pictures
from agent.inference.manifest import Input, Manifest, load_manifest
from agent.inference.models import locate
from agent.inference.trt.build import Recipe, build_plan
from agent.inference.trt.library import Library, find_library
from agent.inference.trt.plan_builder import PlanRequest, build
from agent.inference.trt.plans import look_up, read_plan
from agent.inference.trt.progress import Progress
from agent.inference.trt.trt_log import TrtLogger

NETWORKS = (
    "pose-detector",
    "pose-landmark",
    "palm-detector",
    "hand-landmark",
    "gesturenet",
    "gesturenet-landmark",
    "gesturenet-ensemble",
)


@pytest.fixture(scope="session")
def rtx() -> Library:
    try:
        return find_library(("tensorrt_rtx", "tensorrt_rtx_bindings"))
    except ModelError as exc:
        pytest.skip(f"{exc} (make test-tensorrt installs it)")


def order(
    rtx: Library, name: str, path: Path, folder: Path, manifest: Manifest | None, **settings: object
) -> PlanRequest:
    options = EngineOptions(folder, TensorRtSettings.model_validate(settings), manifest)
    return PlanRequest(rtx, None, folder, name, path, options)


def recipe(name: str = "net", **more: object) -> Recipe:
    return Recipe(name, "fp32", (1, 2, 8), 1_000_000_000, **more)  # type: ignore[arg-type]


def network(*nodes: object, shape: tuple[object, ...] = ("N", 3)) -> bytes:
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("x", "y")]
    graph = helper.make_graph(list(nodes), "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def test_gesturenet_is_built_kept_and_found_again(rtx: Library, tmp_path: Path) -> None:
    manifest = load_manifest("gesturenet")
    wanted = order(rtx, "gesturenet", locate("gesturenet", tmp_path), tmp_path, manifest)
    assert look_up(wanted.folder, wanted.key).state == "missing"
    seen: list[Progress] = []
    plan = build(wanted, seen.append)
    assert look_up(wanted.folder, wanted.key).state == "ready"
    assert read_plan(wanted.folder, wanted.key) == plan
    assert wanted.key.gpu == "any"
    assert len(plan) > 1_000_000


def test_bodyposenets_tensors_with_sizes_left_open_are_closed_by_the_manifest(rtx: Library) -> None:
    onnx = bodyposenet(open_sizes=True)
    spec = Input(name="input_1:0", shape=("N", 288, 384, 3), layout="NHWC")
    assert build_plan(rtx, onnx, recipe(shapes={spec.name: spec.shape}))
    with pytest.raises(ModelError, match=r'net: input "input_1:0" is \(\?, \?, \?, 3\), only the first size'):
        build_plan(rtx, onnx, recipe())


def test_an_operator_that_does_not_exist_is_named_with_its_node(rtx: Library) -> None:
    onnx = network(
        helper.make_node("Relu", ["x"], ["z"], "fine"), helper.make_node("Gesture", ["z"], ["y"], "odd")
    )
    with pytest.raises(
        ModelError, match=r'net: TensorRT for RTX .* cannot take this network: .*"odd" \(Gesture\)'
    ):
        build_plan(rtx, onnx, recipe())


def test_a_file_that_is_no_network_is_reported(rtx: Library) -> None:
    with pytest.raises(ModelError, match=r"net: TensorRT for RTX .* cannot take this network"):
        build_plan(rtx, b"rubbish", recipe())


def test_a_build_can_be_given_up(rtx: Library, tmp_path: Path) -> None:
    class EnoughError(Exception):
        pass

    def watch(_progress: Progress) -> None:
        raise EnoughError

    # Large enough to take longer than the first look at it.
    onnx = locate("gesturenet", tmp_path).read_bytes()
    try:
        build_plan(rtx, onnx, recipe(), watch)
    except EnoughError:
        return
    pytest.skip("this machine built it before the first look")


def test_without_a_driver_a_plan_is_not_loaded_and_the_reason_is_reported(rtx: Library) -> None:
    plan = build_plan(rtx, network(helper.make_node("Relu", ["x"], ["y"])), recipe())
    trt_log = TrtLogger(rtx)
    engine = rtx.trt.Runtime(trt_log.logger).deserialize_cuda_engine(plan)
    if engine is not None:
        pytest.skip("there is a GPU here")
    assert "CUDA" in trt_log.last()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_builds(
    rtx: Library, cache_dir: Path, tmp_path: Path, name: str, precision: str
) -> None:
    manifest = load_manifest(name)
    try:
        path = locate(name, cache_dir)
    except ModelError as exc:
        pytest.skip(str(exc))
    assert build(order(rtx, name, path, tmp_path, manifest, precision=precision))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_bodyposenet_builds(rtx: Library, tmp_path: Path, precision: str) -> None:
    path = tmp_path / "bodyposenet.onnx"
    path.write_bytes(bodyposenet())
    assert build(order(rtx, "bodyposenet", path, tmp_path, None, precision=precision))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_build_in_int8_from_a_folder_of_pictures(
    rtx: Library, cache_dir: Path, tmp_path: Path, name: str
) -> None:
    for number, (image, _) in enumerate(itertools.islice(pictures(), 8)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    manifest = load_manifest(name)
    try:
        path = locate(name, cache_dir)
    except ModelError as exc:
        pytest.skip(str(exc))
    assert build(order(rtx, name, path, tmp_path, manifest, precision="int8", calibration=tmp_path))


def test_nvidias_calibration_file_is_refused_where_it_cannot_be_read(rtx: Library, tmp_path: Path) -> None:
    file = tmp_path / "calibration.txt"
    file.write_text("TRT-8501-EntropyCalibration2\ninput_1: 3c010a14\n")
    wanted = order(
        rtx, "gesturenet", locate("gesturenet", tmp_path), tmp_path, load_manifest("gesturenet"),
        precision="int8", calibration=file,
    )  # fmt: skip
    with pytest.raises(ModelError, match=r"is a calibration file, TensorRT for RTX .* does not read those"):
        build(wanted)

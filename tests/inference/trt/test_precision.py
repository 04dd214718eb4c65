"""Other number formats of the same network, judged on the CPU: what is lost, before any GPU sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from bodypose_like import BODYPOSE, bodyposenet
from onnx import TensorProto

from agent.core.types import Floats
from agent.errors import ModelError
from agent.inference.engine import load_engine
from agent.inference.manifest import engines_folder, load_manifest
from agent.inference.models import fetch, locate
from agent.inference.trt import precision
from agent.inference.trt.calibration import feeds_of, fingerprint

GESTURES = engines_folder() / "gesturenet" / load_manifest("gesturenet").source.file  # type: ignore[union-attr]


def run(model: bytes, feed: dict[str, Floats], folder: Path) -> dict[str, Floats]:
    path = folder / f"{len(list(folder.iterdir()))}.onnx"
    path.write_bytes(model)
    engine = load_engine("net", path, backend="onnxruntime", threads=1)
    return engine.run(feed)


def types_in(model: bytes) -> set[int]:
    return {tensor.data_type for tensor in onnx.load_from_string(model).graph.initializer}


def test_half_precision_keeps_float32_outside_and_nearly_the_same_numbers(tmp_path: Path) -> None:
    full = bodyposenet()
    half = precision.in_half(full, "net")
    feed = {
        "input_1:0": np.random.default_rng(1)
        .uniform(-0.5, 0.5, (2, *BODYPOSE["input_1:0"]))
        .astype(np.float32)
    }
    expected, found = run(full, feed, tmp_path), run(half, feed, tmp_path)
    assert TensorProto.FLOAT16 in types_in(half)
    for name, array in expected.items():
        assert found[name].dtype == np.float32
        assert found[name].shape == (2, *BODYPOSE[name])
        assert np.abs(found[name] - array).max() < 0.005 * np.abs(array).max()


def test_hands_are_read_alike_in_half_precision(cache_dir: Path, tmp_path: Path) -> None:
    full = locate("hand-landmark", cache_dir).read_bytes()
    feeds = feeds_of(load_manifest("hand-landmark"), None)[:6]
    feed = {"input_1": np.concatenate([feed["input_1"] for feed in feeds])}
    half = precision.in_half(full, "net")
    assert TensorProto.FLOAT16 in types_in(half)
    expected, found = run(full, feed, tmp_path), run(half, feed, tmp_path)
    assert np.abs(found["landmarks"] - expected["landmarks"]).max() < 1.0  # pixels of 224
    assert np.abs(found["presence"] - expected["presence"]).max() < 0.01


def test_an_ensemble_of_half_and_full_precision_is_halved_as_a_whole(cache_dir: Path, tmp_path: Path) -> None:
    fetch(["gesturenet-ensemble"], cache_dir)
    full = locate("gesturenet-ensemble", cache_dir).read_bytes()
    feeds = feeds_of(load_manifest("gesturenet-ensemble"), None)[:12]
    feed = {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
    expected, found = (run(model, feed, tmp_path) for model in (full, precision.in_half(full, "net")))
    assert np.abs(found["activation_18"] - expected["activation_18"]).max() < 0.03


def test_a_network_in_half_precision_stays_as_it_is_and_can_be_widened(tmp_path: Path) -> None:
    half = GESTURES.read_bytes()
    assert precision.in_half(half, "gesturenet") == half
    full = precision.in_full(half, "gesturenet")
    assert TensorProto.FLOAT16 not in types_in(full)
    assert precision.in_full(full, "gesturenet") == full
    feed = {"input_1": feeds_of(load_manifest("gesturenet"), None)[0]["input_1"]}
    difference = run(full, feed, tmp_path)["activation_18"] - run(half, feed, tmp_path)["activation_18"]
    assert np.abs(difference).max() < 0.01


def test_int8_has_symmetric_ranges_for_weights_and_values_and_still_sees_the_same(tmp_path: Path) -> None:
    full = precision.in_full(GESTURES.read_bytes(), "gesturenet")
    feeds = feeds_of(load_manifest("gesturenet"), None)[:24]
    quantized = precision.in_int8(full, feeds[:12], "gesturenet")
    network = onnx.load_from_string(quantized)
    kinds = [node.op_type for node in network.graph.node]
    assert kinds.count("QuantizeLinear") > 20
    zeros = [t for t in network.graph.initializer if "zero_point" in t.name]
    assert zeros
    assert all(not np.any(onnx.numpy_helper.to_array(t)) for t in zeros)
    assert TensorProto.INT32 not in {t.data_type for t in network.graph.initializer if "quantized" in t.name}
    feed = {"input_1": np.concatenate([feed["input_1"] for feed in feeds])}
    expected, found = (run(model, feed, tmp_path)["activation_18"] for model in (full, quantized))
    assert np.abs(found - expected).mean() < 0.1
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.75


def test_int8_without_pictures_is_reported() -> None:
    with pytest.raises(ModelError, match="net: INT8 needs pictures to calibrate with"):
        precision.in_int8(bodyposenet(), [], "net")


def test_networks_of_bodies_need_pictures_of_the_users_own(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"pose-detector: INT8 needs pictures .* recognition.tensorrt.calibration"
    ):
        feeds_of(load_manifest("pose-detector"), None)
    with pytest.raises(ModelError, match=r"pose-detector: .* has no pictures to calibrate with"):
        feeds_of(load_manifest("pose-detector"), tmp_path)


def test_other_pictures_make_another_calibration(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"1")
    first = fingerprint(tmp_path)
    (tmp_path / "b.png").write_bytes(b"22")
    assert fingerprint(tmp_path) != first
    assert fingerprint(None) not in {first, fingerprint(tmp_path)}


def test_what_is_no_network_is_reported() -> None:
    with pytest.raises(ModelError, match="net: is no ONNX file"):
        precision.in_half(b"rubbish", "net")
    with pytest.raises(ModelError, match="net: there is no network in this ONNX file"):
        precision.in_half(b"", "net")

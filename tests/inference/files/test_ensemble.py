from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, checker, helper

from agent.core.types import LABELS, Floats
from agent.errors import ModelError
from agent.inference import models
from agent.inference.engine import load_engine
from agent.inference.files.compose import in_order
from agent.inference.gestures.background import pictures
from agent.inference.gestures.classifier import HandClassifier, Readout
from agent.inference.gestures.second import SecondClassifier
from agent.inference.manifest import EnsembleSource, engines_folder, load_manifest

ENSEMBLE, JOINTS, PIXELS = "gesturenet-ensemble", "gesturenet-landmark", "gesturenet"
IMAGE = "gesturenet-image"
HANDS = list(pictures())[::12]


@pytest.fixture
def engines(engines: Path) -> Path:
    for name in (ENSEMBLE, JOINTS, PIXELS, IMAGE):
        shutil.copytree(engines_folder() / name, engines / name)
    return engines


def change(engines: Path, name: str, old: str, new: str) -> None:
    path = engines / name / "manifest.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def readouts(name: str, cache: Path, engines: Path, light: float = 1.0) -> list[Readout]:
    (path,) = models.fetch([name], cache, engines=engines)
    reader = HandClassifier(load_engine(name, path), load_manifest(name, engines))
    return [reader.read((image * light).astype(np.uint8), [box])[0] for image, box in HANDS]


def scores(read: list[Readout]) -> Floats:
    return np.array([readout.scores for readout in read])


def mean(joints: Floats, pixels: Floats, source: EnsembleSource) -> Floats:
    bias = np.array([source.bias.get(label, 0.0) for label in LABELS])
    both = joints ** (1 - source.weight) * np.maximum(pixels, 1e-6) ** source.weight * np.exp(bias)
    return np.asarray(both / both.sum(axis=1, keepdims=True), np.float32)


def test_it_says_what_its_members_say_on_average(own_cache: Path, engines: Path) -> None:
    source = load_manifest(ENSEMBLE, engines).source
    assert isinstance(source, EnsembleSource)
    assert np.ptp([box.angle for _, box in HANDS]) > 2  # radians: hands that point everywhere
    whole, joints = (readouts(name, own_cache, engines) for name in (ENSEMBLE, JOINTS))
    expected = mean(scores(joints), scores(readouts(PIXELS, own_cache, engines)), source)
    # Not the same to the last digit: the second's picture is cut from one that was cut already.
    apart = np.abs(scores(whole) - expected).max(axis=1)
    assert np.median(apart) < 0.005
    assert apart.max() < 0.1
    np.testing.assert_allclose(scores(whole).sum(axis=1), 1, atol=1e-5)
    for one, other in zip(whole, joints, strict=True):
        np.testing.assert_array_equal(one.landmarks, other.landmarks)
        np.testing.assert_array_equal(one.embedding, other.embedding)
        assert (one.presence, one.right) == (other.presence, other.right)


def test_its_two_parts_one_by_one_say_what_it_says(own_cache: Path, engines: Path) -> None:
    whole = readouts(ENSEMBLE, own_cache, engines)
    manifest, parts = load_manifest(ENSEMBLE, engines), [JOINTS, IMAGE]
    assert isinstance(manifest.source, EnsembleSource)
    assert [manifest.source.first, manifest.second] == parts
    first, second = (load_engine(name, models.locate(name, own_cache, engines)) for name in parts)
    image = SecondClassifier(second, load_manifest(IMAGE, engines), manifest.source)
    reader = HandClassifier(first, manifest, second=image)
    apart = [reader.read(picture, [box])[0] for picture, box in HANDS]
    np.testing.assert_allclose(scores(apart), scores(whole), atol=2e-4)
    assert set(image.asked) == {"new"}  # photographs have no past: each is read by both
    assert all(readout.image_result is not None for readout in apart)


def test_a_bias_makes_a_label_dearer_and_leaves_the_others_their_odds(own_cache: Path, engines: Path) -> None:
    change(engines, ENSEMBLE, "bias = { ok = -0.7 }", "bias = {}")
    plain = scores(readouts(ENSEMBLE, own_cache, engines))
    change(engines, ENSEMBLE, "bias = {}", "bias = { ok = -2.0 }")
    dearer = scores(readouts(ENSEMBLE, own_cache, engines))
    ok, rest = LABELS.index("ok"), [i for i, label in enumerate(LABELS) if label != "ok"]
    odds = plain[:, ok] / plain[:, rest].sum(axis=1)
    np.testing.assert_allclose(dearer[:, ok] / dearer[:, rest].sum(axis=1), odds * np.exp(-2), rtol=1e-3)
    shares = [said[:, rest] / said[:, rest].sum(axis=1, keepdims=True) for said in (plain, dearer)]
    np.testing.assert_allclose(*shares, atol=1e-5)


def test_dark_hands_are_brightened_for_both(own_cache: Path, engines: Path) -> None:
    bright = scores(readouts(ENSEMBLE, own_cache, engines)).argmax(axis=1)
    exposed = scores(readouts(ENSEMBLE, own_cache, engines, light=0.15)).argmax(axis=1)
    change(engines, ENSEMBLE, "auto_exposure = true", "auto_exposure = false")
    dark = scores(readouts(ENSEMBLE, own_cache, engines, light=0.15)).argmax(axis=1)
    assert (exposed == bright).sum() > (dark == bright).sum()


def test_a_member_that_changes_makes_it_anew(own_cache: Path, engines: Path) -> None:
    (path,) = models.fetch([ENSEMBLE], own_cache, engines=engines)
    before = path.read_bytes()
    change(engines, PIXELS, "margin = 0.85", "margin = 0.9")
    with pytest.raises(ModelError, match=r"gesturenet-ensemble: .* was made by another recipe"):
        models.locate(ENSEMBLE, own_cache, engines)
    assert models.fetch([ENSEMBLE], own_cache, engines=engines)[0].read_bytes() != before


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ((ENSEMBLE, "{ ok =", "{ okay ="), "bias names okay; its labels are thumbs_up, fist, stop, ok"),
        ((ENSEMBLE, "margin = 1.0", "margin = 1.1"), "crop differ from those of gesturenet-landmark"),
        ((PIXELS, '"ok", "two"', '"two", "ok"'), "gesturenet has the labels thumbs_up, fist, stop, two, ok"),
        ((PIXELS, "rotate = false", "rotate = true"), "gesturenet must be cut upright"),
        ((PIXELS, 'color = "RGB"', 'color = "BGR"'), "gesturenet is not NCHW RGB"),
    ],
)
def test_members_that_do_not_go_together_are_refused(
    own_cache: Path, engines: Path, changed: tuple[str, str, str], told: str
) -> None:
    change(engines, *changed)
    with pytest.raises(ModelError, match=told):
        models.fetch([ENSEMBLE], own_cache, engines=engines)


def test_nodes_are_put_after_what_feeds_them() -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in "xy")
    nodes = [helper.make_node("Relu", ["a"], ["y"]), helper.make_node("Neg", ["x"], ["a"])]
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y]))
    with pytest.raises(checker.ValidationError):
        checker.check_model(model)
    checker.check_model(in_order(model))

"""A file of the user's becomes an engine that can be selected, or is refused with the reason."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import HAND_INPUT, bodyposenet, gesturenet

from agent.errors import ModelError
from agent.inference.bodies.bodyposenet import BodyPoseNet
from agent.inference.engine import load_engine
from agent.inference.files.store import find, locate, manifest_of, statuses
from agent.inference.gestures.classifier import HandClassifier
from agent.inference.manifest import FileSource, Manifest, load_manifest
from agent.inference.nvidia.importing import Given, Imported, import_model, read_given
from agent.inference.nvidia.manifest_text import Origin, as_toml
from agent.inference.nvidia.model_matching import Choices


def brought(
    content: bytes, cache: Path, choices: Choices | None = None, file: str = "model.onnx"
) -> Imported:
    return import_model(Given(content, file, "/home/me/" + file), cache, choices or Choices())


def test_gesturenet_becomes_selectable(tmp_path: Path) -> None:
    content = gesturenet()
    made = brought(content, tmp_path)
    assert (made.name, made.task, made.notes) == ("gesturenet-nvidia", "gesture", ())
    manifest = manifest_of(made.name, tmp_path)
    assert isinstance(manifest.source, FileSource)
    assert manifest.source.sha256 == hashlib.sha256(content).hexdigest() == find(made.name, tmp_path).sha256
    assert manifest.source.origin == "/home/me/model.onnx"
    assert (manifest.input.offset, manifest.input.scale) == (128.0, 1 / 256)
    engine = load_engine(made.name, made.path, backend="onnxruntime", threads=1)
    reader = HandClassifier(engine, manifest)
    assert reader.labels == ("thumbs_up", "fist", "stop", "ok", "two", "random")
    engine.close()


def test_bodyposenet_becomes_selectable_at_any_size(tmp_path: Path) -> None:
    made = brought(bodyposenet(size=(224, 320)), tmp_path)
    manifest = manifest_of("bodyposenet", tmp_path)
    assert manifest.input.shape == ("N", 224, 320, 3)
    assert made.notes == ("its input is (N, 224, 320, 3), NVIDIA's (N, 288, 384, 3)",)
    engine = load_engine("bodyposenet", made.path, backend="onnxruntime", threads=1)
    assert BodyPoseNet(engine, manifest).size == (224, 320)
    engine.close()


def test_a_size_left_open_is_the_shipped_manifests(tmp_path: Path) -> None:
    brought(bodyposenet(size=("H", "W")), tmp_path)
    assert manifest_of("bodyposenet", tmp_path).input.shape == ("N", 288, 384, 3)


def test_a_fixed_batch_is_kept(tmp_path: Path) -> None:
    brought(bodyposenet(batch=2), tmp_path)
    assert manifest_of("bodyposenet", tmp_path).input.batch == 2


def test_both_normalisations_can_be_chosen_and_the_margin(tmp_path: Path) -> None:
    brought(gesturenet(), tmp_path, Choices(normalisation="older", margin=1.1))
    manifest = manifest_of("gesturenet-nvidia", tmp_path)
    assert (manifest.input.offset, manifest.input.scale, manifest.crop.margin) == (0.0, 1 / 255, 1.1)


def test_importing_again_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    brought(gesturenet(), tmp_path)
    brought(gesturenet(opset=12), tmp_path, Choices(margin=1.5))
    assert manifest_of("gesturenet-nvidia", tmp_path).crop.margin == 1.5
    locate("gesturenet-nvidia", tmp_path)


def test_a_network_trained_again_keeps_its_own_names_and_is_listed(tmp_path: Path) -> None:
    labels = ("left", "right", "random")
    content = gesturenet(labels=3, side=224, name="input_7", output="predictions/Softmax")
    made = brought(content, tmp_path, Choices(name="my-gestures", labels=labels))
    manifest = manifest_of("my-gestures", tmp_path)
    assert manifest.labels == labels
    assert (manifest.input.name, manifest.output.scores) == ("input_7", "predictions/Softmax")
    assert len(made.notes) == 3
    assert "my-gestures" in [status.name for status in statuses(tmp_path) if status.state == "ready"]


def test_a_damaged_import_is_noticed(tmp_path: Path) -> None:
    made = brought(gesturenet(), tmp_path)
    made.path.write_bytes(made.path.read_bytes()[:-1])
    with pytest.raises(ModelError, match="has sha256"):
        locate("gesturenet-nvidia", tmp_path)
    assert [s.state for s in statuses(tmp_path) if s.name == "gesturenet-nvidia"] == ["broken"]


def test_what_was_not_brought_says_how_to_bring_it(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"bodyposenet: is not here; it is NVIDIA's: read its licence at https"
    ):
        locate("bodyposenet", tmp_path)


def test_an_import_never_replaces_an_engine_of_the_agent(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='"gesturenet" is an engine that comes with the agent'):
        brought(gesturenet(), tmp_path, Choices(name="gesturenet"))
    (tmp_path / "engines" / "gesturenet").mkdir(parents=True)
    (tmp_path / "engines" / "gesturenet" / "manifest.toml").write_text("name = 'evil'")
    assert manifest_of("gesturenet", tmp_path) == load_manifest("gesturenet")


@pytest.mark.parametrize("name", ["../up", "Große", "", "a b", "x" * 65, "-x"])
def test_a_name_is_safe_as_a_folder(tmp_path: Path, name: str) -> None:
    if not name:
        return
    with pytest.raises(ModelError, match="is no name for an engine"):
        brought(gesturenet(), tmp_path, Choices(name=name))


def test_a_network_of_neither_kind_is_reported_by_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        brought(bodyposenet(channels=25), tmp_path)
    said = str(caught.value)
    assert 'input "input_1:0" (N, 288, 384, 3)' in said
    assert 'output "heatmap_out/BiasAdd:0" (N, 36, 48, 25)' in said
    assert "no bodyposenet: not one output has 19 channels" in said
    assert "no gesturenet-nvidia: its input is" in said
    assert "opset 13" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gesturenet(labels=7), r"no output is \(N, 6\)"),
        (gesturenet(side="S"), r"wanted \(N, 3, height, width\)"),
        (b"", "is no ONNX file; it begins with nothing"),
        (b"PK\x03\x04 something else", "is no ONNX file; it begins with 50 4b"),
        (gesturenet()[:-50], r"is truncated, \d+ bytes are missing"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_kept(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        brought(content, tmp_path)
    assert not list(tmp_path.rglob("manifest.toml"))


def edited(change: str) -> bytes:
    model = onnx.load_from_string(gesturenet())
    if change == "opset":
        model.opset_import[0].version = 99
    elif change == "external":
        model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    elif change == "operator":
        model.graph.node[1].op_type = "Relyou"
    elif change == "nan":
        model.graph.initializer[1].raw_data = np.full((8, 6), np.nan, np.float32).tobytes()
    else:
        del model.graph.node[:]
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("opset", "is of ONNX opset 99; 7 to"),
        ("external", "its weights lie in files beside it"),
        ("operator", "cannot be loaded by onnxruntime .*Relyou"),
        ("nan", r"outputs \['activation_18'\] that are not finite"),
        ("empty", "holds no network"),
    ],
)
def test_a_network_that_cannot_run_is_refused_before_it_is_kept(
    tmp_path: Path, change: str, said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        brought(edited(change), tmp_path)
    assert not list(tmp_path.rglob("model.onnx"))


@pytest.mark.parametrize("suffix", [".tlt", ".hdf5", ".uff", ".engine", ".plan", ".pth"])
def test_other_kinds_of_files_are_known_by_name(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(ModelError, match=r"export it|bring the ONNX file"):
        brought(b"whatever", tmp_path, file=f"model{suffix}")


def test_ngcs_zip_of_one_model_will_do(tmp_path: Path) -> None:
    path = tmp_path / "files.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bodyposenet_v1/model.onnx", bodyposenet())
        archive.writestr("bodyposenet_v1/int8_calibration.txt", "TRT-8016")
    given = read_given(path, "nvidia_tlt")
    assert import_model(given, tmp_path / "cache", Choices()).name == "bodyposenet"
    path.write_bytes(path.read_bytes()[:-80])
    with pytest.raises(ModelError, match=r"files.zip: is a damaged or truncated .zip"):
        read_given(path, "nvidia_tlt")


def test_a_zip_of_several_models_must_be_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "files.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.onnx", b"")
        archive.writestr("b.etlt", b"")
    with pytest.raises(ModelError, match=r"wanted one .onnx or .etlt file in it, there are: a.onnx, b.etlt"):
        read_given(path, "nvidia_tlt")


def test_a_file_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"No such file or directory; expected an .onnx or .etlt file"):
        read_given(tmp_path / "gone.onnx", "nvidia_tlt")


@settings(max_examples=30)
@given(
    names=st.tuples(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30)),
    labels=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=9),
    margin=st.floats(0.1, 10),
    offset=st.floats(0, 255),
)
def test_any_manifest_is_read_back_as_it_was_written(
    names: tuple[str, str], labels: list[str], margin: float, offset: float
) -> None:
    name, output = names
    shipped = load_manifest("gesturenet-nvidia")
    changed = shipped.model_copy(
        update={
            "labels": tuple(labels),
            "input": shipped.input.model_copy(update={"name": name, "offset": offset}),
            "output": shipped.output.model_copy(update={"scores": output}),
            "crop": shipped.crop.model_copy(update={"margin": margin}),
        }
    )
    text = as_toml(changed, "0" * 64, Origin('C:\\models\\"x".etlt', "1" * 64))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / shipped.name).mkdir()
        (Path(folder) / shipped.name / "manifest.toml").write_text(text, encoding="utf-8")
        read: Manifest = load_manifest(shipped.name, Path(folder))
    assert (read.labels, read.input, read.output, read.crop) == (
        changed.labels,
        changed.input,
        changed.output,
        changed.crop,
    )


def test_the_two_samples_normalise_as_they_say(tmp_path: Path) -> None:
    """255 becomes 127/256 in one, 1 in the other, at the input that NVIDIA's file has."""
    for which, white in (("deepstream", 127 / 256), ("older", 1.0)):
        brought(gesturenet(), tmp_path, Choices(normalisation=which))  # type: ignore[arg-type]
        spec = manifest_of("gesturenet-nvidia", tmp_path).input
        assert spec.name == HAND_INPUT
        assert (255 - spec.offset) * spec.scale == pytest.approx(white)

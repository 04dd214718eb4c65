"""nvinfer's configuration says what the manifest says, and the network beside it is the one that we run."""

from __future__ import annotations

import configparser
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from networks import bodyposenet, gesturenet

from agent.errors import ModelError
from agent.inference.manifest import load_manifest
from agent.inference.nvidia.deepstream import Exported, export, with_one_output
from agent.inference.nvidia.importing import Given, import_model
from agent.inference.nvidia.model_matching import Choices


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our GestureNet and a brought BodyPoseNet of another size."""
    folder = tmp_path_factory.mktemp("deepstream")
    import_model(Given(bodyposenet(size=(224, 320)), "m.onnx", "here"), folder / "cache", Choices())
    done: Exported = export(folder / "out", folder / "cache", "gesturenet")
    assert done.left_out == ()
    assert all(path.is_file() for path in done.files)
    return folder / "out"


def read(path: Path) -> configparser.SectionProxy:
    """As GLib's key files are read: comments begin with #."""
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes=("#",), delimiters=("=",))
    parser.read_string(path.read_text(encoding="utf-8"))
    assert parser.sections() == ["property"]
    return parser["property"]


def test_the_gesture_engine_normalises_as_the_manifest_does(written: Path) -> None:
    said, spec = read(written / "gesturenet_sgie.txt"), load_manifest("gesturenet").input
    offsets = [float(part) for part in said["offsets"].split(";")]
    assert offsets == [spec.offset] * 3 == [128.0] * 3
    assert said.getfloat("net-scale-factor") == spec.scale == 1 / 256
    assert said["model-color-format"] == "0"
    assert said["infer-dims"] == "3;160;160"
    assert said["network-input-order"] == "0"


def test_the_gesture_engine_is_a_classifier_of_hands(written: Path) -> None:
    said = read(written / "gesturenet_sgie.txt")
    assert (said["network-type"], said["process-mode"]) == ("1", "2")
    assert said["operate-on-gie-id"] == read(written / "bodyposenet_pgie.txt")["gie-unique-id"]
    assert said["output-blob-names"] == "activation_18"


def test_labels_are_one_line_in_the_order_of_the_scores(written: Path) -> None:
    text = (written / read(written / "gesturenet_sgie.txt")["labelfile-path"]).read_text()
    assert text == "thumbs_up;fist;stop;ok;two;random\n"


def test_bodyposenet_is_nhwc_rgb_and_hands_its_maps_on(written: Path) -> None:
    said = read(written / "bodyposenet_pgie.txt")
    assert said["infer-dims"] == "224;320;3"
    assert said["network-input-order"] == "1"
    assert said["offsets"] == "128;128;128"
    assert said.getfloat("net-scale-factor") == 1 / 256
    assert (said["network-type"], said["output-tensor-meta"], said["process-mode"]) == ("100", "1", "1")
    assert (said["maintain-aspect-ratio"], said["symmetric-padding"]) == ("1", "1")
    assert (written / said["onnx-file"]).read_bytes() == bodyposenet(size=(224, 320))


def test_the_exported_network_has_one_output_and_says_the_same(written: Path) -> None:
    manifest = load_manifest("gesturenet")
    ours = onnxruntime.InferenceSession(str(manifest.folder / manifest.source.file))  # type: ignore[union-attr]
    theirs = onnxruntime.InferenceSession(str(written / "gesturenet.onnx"))
    assert [output.name for output in theirs.get_outputs()] == ["activation_18"]
    pictures = np.random.default_rng(2).uniform(-0.5, 0.5, (2, 3, 160, 160)).astype(np.float32)
    (one,) = ours.run(["activation_18"], {"input_1": pictures})
    (other,) = theirs.run(None, {"input_1": pictures})
    np.testing.assert_array_equal(one, other)


def test_the_notes_tell_what_a_parser_must_know(written: Path) -> None:
    text = (written / "README.md").read_text()
    for needed in ("4 right_wrist", "7 left_wrist", "(1,8) (8,9)", "19 heatmaps", "38\nfields", "semicolons"):
        assert needed in text or needed.replace("\n", " ") in text


def test_without_bodyposenet_its_configuration_is_written_and_the_rest_is_reported(tmp_path: Path) -> None:
    done = export(tmp_path / "out", tmp_path / "cache", "gesturenet")
    assert (tmp_path / "out" / "bodyposenet_pgie.txt").is_file()
    assert not (tmp_path / "out" / "bodyposenet.onnx").exists()
    assert "models fetch bodyposenet --accept-nvidia-licence" in done.left_out[0]


def test_nvidias_gesturenet_can_be_exported_too(tmp_path: Path) -> None:
    choices = Choices(normalisation="older")
    import_model(Given(gesturenet(), "m.onnx", "here"), tmp_path / "cache", choices)
    export(tmp_path / "out", tmp_path / "cache", "gesturenet-nvidia")
    said = read(tmp_path / "out" / "gesturenet-nvidia_sgie.txt")
    assert said["offsets"] == "0;0;0"
    assert said.getfloat("net-scale-factor") == 1 / 255


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gesturenet-landmark", "wants its hands turned upright"),
        ("palm-detector", "is of task palm-detector"),
    ],
)
def test_what_nvinfer_cannot_run_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        export(tmp_path / "out", tmp_path / "cache", name)
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_not_there_is_reported() -> None:
    with pytest.raises(ModelError, match='has no output "scores"'):
        with_one_output(gesturenet(), "scores", "gesturenet")

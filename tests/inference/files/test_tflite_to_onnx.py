from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from engine_kit import FETCHED, picture

from agent.errors import ModelError
from agent.inference import models
from agent.inference.crops import cut, fill_batch, letterbox
from agent.inference.engine import load_engine
from agent.inference.files.tflite_to_onnx import convert
from agent.inference.manifest import WheelSource, load_manifest

LARGEST_ERROR = {  # in the output's own unit; measured on 20 photographs: a quarter of this or less
    "pose-detector": {"boxes": 0.02, "scores": 0.02},  # px of 224; log-odds
    "pose-landmark": {"landmarks": 0.05, "presence": 1e-4},  # px of 256; probability
    "palm-detector": {"boxes": 0.02, "scores": 0.02},  # px of 192; log-odds
    "hand-landmark": {"landmarks": 0.02, "world": 1e-4, "presence": 1e-4, "handedness": 1e-4},  # px of 224; m
}
PHOTOGRAPHS = (
    "photos/emrecandir/palm_077.jpg",
    "photos/emrecandir/closer_004.jpg",
    "sequences/desk/stop/{first}",
)


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the networks come from, as `models fetch` gets it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = load_manifest("hand-landmark").source
    assert isinstance(source, WheelSource)
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary=:all:",
        "-d",
        str(folder),
    ]
    command += ["--platform", source.platform, "--python-version", source.python]
    done = subprocess.run(
        [*command, f"{source.package}=={source.version}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(
            f"the originals cannot be fetched to compare with: {done.stderr.strip().splitlines()[-1]}"
        )
    return next(folder.glob("*.whl"))


@pytest.mark.parametrize("name", FETCHED)
def test_a_converted_network_says_what_the_original_says(
    name: str, originals: Path, cache_dir: Path, shared_data: Path
) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is not installed")
    manifest = load_manifest(name)
    assert isinstance(manifest.source, WheelSource)
    content = zipfile.ZipFile(originals).read(manifest.source.member)
    reference = interpreter.Interpreter(model_content=content)
    reference.allocate_tensors()
    tensors = {d["name"]: d["index"] for d in reference.get_output_details()}
    engine = load_engine(name, models.locate(name, cache_dir))
    first = min(p.name for p in (shared_data / "sequences/desk/stop").iterdir())
    images = [picture(shared_data / path.format(first=first)) for path in PHOTOGRAPHS]
    batch = fill_batch(
        [cut(image, letterbox(image), manifest.input.size) for image in images], manifest.input
    )

    ours = engine.run({"input_1": batch})

    for row in range(len(images)):
        reference.set_tensor(
            reference.get_input_details()[0]["index"], batch[row : row + 1].transpose(0, 2, 3, 1)
        )
        reference.invoke()
        for output, limit in LARGEST_ERROR[name].items():
            theirs = reference.get_tensor(tensors[manifest.source.outputs[output]])[0]
            assert np.abs(ours[output][row] - theirs).max() < limit, (output, row)


def test_an_output_that_nobody_asks_for_costs_nothing(originals: Path) -> None:
    source = load_manifest("pose-landmark").source
    assert isinstance(source, WheelSource)
    content = zipfile.ZipFile(originals).read(source.member)
    with_mask = convert(content, {**source.outputs, "mask": "Identity_2"})
    without = convert(content, source.outputs)
    assert len(without.graph.node) < 0.9 * len(with_mask.graph.node)
    assert [o.name for o in without.graph.output] == ["landmarks", "presence"]


def test_conversion_gives_the_same_bytes_every_time(originals: Path) -> None:
    source = load_manifest("palm-detector").source
    assert isinstance(source, WheelSource)
    content = zipfile.ZipFile(originals).read(source.member)
    first, second = (convert(content, source.outputs).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_only_operators_that_tensorrt_knows_are_used(cache_dir: Path) -> None:
    known = {
        "Add", "AveragePool", "Clip", "Concat", "Conv", "DepthToSpace", "Div", "Gemm", "Identity", "Max",
        "MaxPool", "Min", "Mul", "PRelu", "Pad", "ReduceMean", "Relu", "Reshape", "Resize", "Sigmoid",
        "Slice", "Sub", "Transpose",
    }  # fmt: skip
    used = {n.op_type for name in FETCHED for n in onnx.load(models.locate(name, cache_dir)).graph.node}
    assert used <= known


def test_an_unknown_output_is_named(originals: Path) -> None:
    source = load_manifest("palm-detector").source
    assert isinstance(source, WheelSource)
    content = zipfile.ZipFile(originals).read(source.member)
    with pytest.raises(ModelError, match="palm-detector: output tensor 'Identity_9' is not in the network"):
        convert(content, {"boxes": "Identity_9"}, "palm-detector")


def test_other_bytes_than_tflite_are_refused() -> None:
    with pytest.raises(ModelError, match="not a TFLite file"):
        convert(b"\x00" * 64, {"boxes": "Identity"})

"""GestureNet proper keeps the tensor contract of NVIDIA's."""

from __future__ import annotations

import hashlib

import numpy as np
import onnxruntime
import pytest

from agent.inference.manifest import FileSource, load_manifest

MANIFEST = load_manifest("gesturenet")


def test_the_manifest_names_the_very_file_beside_it() -> None:
    assert isinstance(MANIFEST.source, FileSource)
    file = MANIFEST.folder / MANIFEST.source.file
    assert hashlib.sha256(file.read_bytes()).hexdigest() == MANIFEST.source.sha256


@pytest.mark.parametrize("count", [1, 3, 8])
def test_any_number_of_crops_gets_six_probabilities_each(count: int) -> None:
    assert isinstance(MANIFEST.source, FileSource)
    network = onnxruntime.InferenceSession(
        str(MANIFEST.folder / MANIFEST.source.file), providers=["CPUExecutionProvider"]
    )
    assert [(i.name, i.shape[1:], i.type) for i in network.get_inputs()] == [
        ("input_1", [3, 160, 160], "tensor(float)")
    ]
    crops = np.random.default_rng(0).uniform(-0.5, 0.5, (count, 3, 160, 160)).astype(np.float32)
    scores = network.run(["activation_18"], {"input_1": crops})[0]
    assert scores.shape == (count, 6)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-3)


def test_all_weights_of_ours_together_stay_under_25_megabytes() -> None:
    files = [*MANIFEST.folder.parent.glob("gesturenet*/*.onnx")]
    assert sum(file.stat().st_size for file in files) < 25_000_000

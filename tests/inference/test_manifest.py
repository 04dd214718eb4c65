from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import ModelError
from agent.inference.manifest import engine_names, load_manifest


def change(engines: Path, name: str, old: str, new: str) -> None:
    path = engines / name / "manifest.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_an_unknown_engine_is_answered_with_those_there_are(engines: Path) -> None:
    with pytest.raises(
        ModelError, match=r"gesturnet: no such engine.*there are: hand-landmark, joined, palm-"
    ):
        load_manifest("gesturnet", engines)


def test_every_problem_of_a_manifest_is_reported_at_once(engines: Path) -> None:
    change(engines, "joined", 'kind = "join"', 'kind = "join"\nhaed = "x"')
    change(engines, "joined", 'angle = "crop_angle"', "scale = true\nlayuot = 1")
    with pytest.raises(ModelError) as caught:
        load_manifest("joined", engines)
    assert "haed" in str(caught.value)
    assert "layuot" in str(caught.value)


def test_a_task_asks_for_what_it_needs(engines: Path) -> None:
    change(engines, "joined", 'scores = "activation_18"', "")
    with pytest.raises(ModelError, match=r"a gesture engine needs output.scores"):
        load_manifest("joined", engines)


def test_a_name_that_is_not_its_folders_is_refused(engines: Path) -> None:
    change(engines, "joined", 'name = "joined"', 'name = "other"')
    with pytest.raises(ModelError, match="name is 'other', its folder says 'joined'"):
        load_manifest("joined", engines)


def test_a_manifest_knows_its_folder_and_sizes(engines: Path) -> None:
    manifest = load_manifest("pose-landmark", engines)
    assert manifest.folder == engines / "pose-landmark"
    assert manifest.input.size == (256, 256)
    assert manifest.input.batch is None
    assert "right_wrist" in manifest.joints


def test_engines_are_listed_by_name(engines: Path) -> None:
    assert engine_names(engines) == (
        "hand-landmark",
        "joined",
        "palm-detector",
        "pose-detector",
        "pose-landmark",
    )

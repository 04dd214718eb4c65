"""Plans on disk: states, receipts, and what is thrown away."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import ModelError
from agent.inference.trt.plans import (
    CorruptPlanError,
    PlanKey,
    keep_plan,
    kept_plans,
    last_build_s,
    look_up,
    read_plan,
)
from agent.inference.trt.progress import Phases

KEY = PlanKey("net", "a" * 64, "Orin (8.7)", "TensorRT 10.3.0", "fp16", (1, 2, 8))


def test_every_part_of_the_key_makes_another_plan() -> None:
    others = [
        replace(KEY, **{name: value})
        for name, value in {
            "name": "other", "model": "b" * 64, "gpu": "Xavier (7.2)", "library": "TensorRT 10.7.0",
            "precision": "fp32", "batch": (1, 1, 1), "calibration": "c" * 64, "recipe": KEY.recipe + 1,
        }.items()
    ]  # fmt: skip
    assert len({key.fingerprint for key in [KEY, *others]}) == len(others) + 1
    assert len({key.file_name for key in [KEY, *others]}) == len(others) + 1


def test_a_plan_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    assert look_up(tmp_path, KEY).state == "missing"
    keep_plan(tmp_path, KEY, b"plan", took_s=12.5)
    assert look_up(tmp_path, KEY).state == "ready"
    assert read_plan(tmp_path, KEY) == b"plan"
    (kept,) = kept_plans(tmp_path)
    assert (kept.key, kept.took_s, kept.size_bytes) == (KEY, 12.5, 4)
    assert last_build_s(tmp_path, replace(KEY, model="b" * 64)) == 12.5


def test_a_stale_plan_says_what_has_changed(tmp_path: Path) -> None:
    keep_plan(tmp_path, KEY, b"plan", 1.0)
    found = look_up(tmp_path, replace(KEY, library="TensorRT 10.7.0"))
    assert found.state == "stale"
    assert found.detail == "library is TensorRT 10.3.0, wanted is TensorRT 10.7.0"


def test_a_new_version_replaces_the_old_plan_and_leaves_that_of_another_gpu(tmp_path: Path) -> None:
    keep_plan(tmp_path, KEY, b"old", 1.0)
    keep_plan(tmp_path, replace(KEY, gpu="Xavier (7.2)"), b"other", 1.0)
    keep_plan(tmp_path, replace(KEY, library="TensorRT 10.7.0"), b"new", 1.0)
    assert sorted(path.read_bytes() for path in tmp_path.glob("*.plan")) == [b"new", b"other"]
    assert len(list(tmp_path.glob("*.json"))) == 2


@pytest.mark.parametrize("damage", [b"", b"plam", b"plan and more"])
def test_a_damaged_plan_is_never_given_out(tmp_path: Path, damage: bytes) -> None:
    path = keep_plan(tmp_path, KEY, b"plan", 1.0)
    path.write_bytes(damage)
    with pytest.raises(CorruptPlanError, match=r"is damaged: its sha256 is [0-9a-f]{64}, its receipt says"):
        read_plan(tmp_path, KEY)


@pytest.mark.parametrize("receipt", ["", "[]", "{}", '{"key": {"name": 3}}', '{"key": null, "sha256": 7}'])
def test_a_receipt_of_any_kind_is_no_crash(tmp_path: Path, receipt: str) -> None:
    path = keep_plan(tmp_path, KEY, b"plan", 1.0)
    path.with_suffix(".json").write_text(receipt)
    assert [kept.key for kept in kept_plans(tmp_path)] == [None]
    with pytest.raises(CorruptPlanError, match="is damaged"):
        read_plan(tmp_path, KEY)


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"cannot be written .* set agent.cache_dir"):
        keep_plan(tmp_path / "file", KEY, b"plan", 1.0)


def test_the_receipt_says_what_the_plan_is_for(tmp_path: Path) -> None:
    receipt = json.loads(keep_plan(tmp_path, KEY, b"plan", 1.0).with_suffix(".json").read_text())
    assert receipt["key"]["gpu"] == "Orin (8.7)"


def test_progress_counts_phases_inside_phases_and_never_goes_back() -> None:
    now = [0.0]
    phases = Phases("net", clock=lambda: now[0])
    assert phases.now().share is None  # 8.6 tells nothing
    phases.start("build", None, 4)
    phases.step("build", 0)
    phases.start("timing", "build", 10)
    phases.step("timing", 4)
    now[0] = 30.0
    seen = phases.now()
    assert (seen.phase, seen.share) == ("timing", pytest.approx(0.25 + 0.25 * 0.5))
    assert seen.left_s == pytest.approx(30 * (1 - 0.375) / 0.375)
    phases.finish("timing")
    assert phases.now().share == seen.share


def test_time_left_comes_from_the_last_build_where_there_was_one() -> None:
    now = [0.0]
    phases = Phases("net", expected_s=100.0, clock=lambda: now[0])
    now[0] = 40.0
    assert phases.now().left_s == 60.0
    now[0] = 140.0
    assert phases.now().left_s is None

"""`engines` and `bench` as a user runs them, with whatever is on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.errors import ModelError
from agent.inference.trt.availability import tensorrt_availability
from agent.inference.trt.plan_requests import find_build_target

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(own_cache: Path, tmp_path: Path) -> Run:
    def start(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("GESTURE_AGENT")}
        environ |= {
            "GESTURE_AGENT__AGENT__CACHE_DIR": str(own_cache),
            "GESTURE_AGENT__RECOGNITION__GESTURES": "gesturenet",
            "GESTURE_AGENT__RECOGNITION__PROPOSAL": "palm",
        }
        return subprocess.run(
            [sys.executable, "-m", "agent", *arguments],
            env=environ | more, cwd=tmp_path, capture_output=True, text=True, timeout=170, check=False,
        )  # fmt: skip

    return start


def documents(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def missing(cache: Path) -> str:
    """What keeps plans from being built on this machine; empty where they can be."""
    try:
        find_build_target(cache)
    except ModelError as exc:
        return str(exc).split("; ", maxsplit=1)[0]
    return ""


def test_bench_measures_a_network_beside_what_was_published(run: Run) -> None:
    found = documents(
        run("bench", "gesturenet", "--backend", "onnxruntime", "--batch", "2", "--seconds", "0.1", "--json")
    )
    (row,) = found["rows"]
    assert (row["what"], row["backend"], row["batch"]) == ("gesturenet", "onnxruntime", 2)
    assert row["precision"] == "fp16 weights"  # as its file is
    assert row["runs"] >= 20
    assert 0 < row["p50_ms"] <= row["p99_ms"]
    assert row["per_second"] > 0
    assert [p["per_second"] for p in found["published"]] == [79, 111, 481, 1227]
    assert "onnxruntime" in found["devices"]


def test_bench_on_a_backend_that_is_not_here_says_why(run: Run) -> None:
    here = tensorrt_availability()
    if here.usable:
        pytest.skip("TensorRT works here")
    done = run("bench", "gesturenet", "--backend", "tensorrt", "--seconds", "0.1")
    assert done.returncode == 3
    assert here.why in done.stderr


def test_list_says_which_backend_and_why(run: Run) -> None:
    found = documents(run("engines", "list", "--json"))
    assert found["why"] == tensorrt_availability().why
    assert found["backend"] == ("tensorrt" if tensorrt_availability().usable else "onnxruntime")
    assert found["plans"] == []
    assert found["trouble"] or {row["state"] for row in found["wanted"]} == {"missing"}


def test_build_keeps_a_plan_and_mends_a_damaged_one_or_says_what_is_missing(
    run: Run, own_cache: Path
) -> None:
    why = missing(own_cache)
    if why:
        done = run("engines", "build", "gesturenet")
        assert done.returncode == 3
        assert why in done.stderr
        return
    assert [row["state"] for row in documents(run("engines", "build", "gesturenet", "--json"))] == ["built"]
    assert [row["state"] for row in documents(run("engines", "build", "gesturenet", "--json"))] == ["ready"]
    (plan,) = (own_cache / "plans").glob("*.plan")
    plan.write_bytes(b"damaged")
    done = run("engines", "build", "gesturenet")
    assert "gesturenet: corrupt, " in done.stderr
    assert "gesturenet: built in" in done.stdout


def test_a_network_that_cannot_be_built_does_not_keep_the_others_from_it(run: Run, own_cache: Path) -> None:
    if why := missing(own_cache):
        pytest.skip(why)
    done = run("engines", "build", "palm-detector", "gesturenet", "--precision", "int8", "--json")
    assert done.returncode == 3
    assert "palm-detector: INT8 needs pictures to calibrate with" in done.stderr
    states = {row["name"]: row["state"] for row in json.loads(done.stdout)}
    assert states == {"palm-detector": "failed", "gesturenet": "built"}


def test_clean_removes_what_is_damaged_and_only_says_so_first(run: Run, own_cache: Path) -> None:
    plan = own_cache / "plans" / "gesturenet-fp16-b8-0123456789abcdef.plan"
    plan.parent.mkdir()
    plan.write_bytes(b"whatever")
    found = documents(run("engines", "clean", "--dry-run", "--json"))
    assert [row["reason"] for row in found["removed"]] == ["its receipt is missing or damaged"]
    assert plan.exists()
    documents(run("engines", "clean", "--json"))
    assert not plan.exists()


def test_a_batch_that_makes_no_sense_is_wrong_usage(run: Run) -> None:
    if why := missing(Path()):
        pytest.skip(why)
    done = run("engines", "build", "--batch", "8,2,1")
    assert done.returncode == 2
    assert "smallest, usual, largest" in done.stderr

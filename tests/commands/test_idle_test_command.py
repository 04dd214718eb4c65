"""`gesture-agent idle-test`, on a camera with the real networks and on traces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from command import Run

from agent.core.thresholds import Thresholds
from agent.core.trace import TraceHeader, TraceRecord
from agent.core.types import LABELS, HandObservation, HandPosture, Place
from agent.service.trace_files import TraceFile

ROOT = Path(__file__).parents[2]
CLIP, TRUTH = ROOT / "tests/data/demo.mp4", ROOT / "tests/data/demo.json"
FILM = json.loads(TRUTH.read_text(encoding="utf-8"))


def write_trace(path: Path, facing: float, *, minutes: float = 0.1) -> None:
    """A fist, held for a second every six seconds by somebody whose head is turned by `facing` degrees."""
    with TraceFile(path, TraceHeader(0.0, LABELS, 0.1, Thresholds())) as trace:
        for number in range(round(minutes * 600)):
            at, scores = number / 10, np.full(len(LABELS), 0.01, np.float32)
            scores[LABELS.index("fist" if number % 60 < 10 else "random")] = 0.96
            posture = HandPosture(raised=1.1, lean=4.0, facing=facing, forearm=9.0, upright=1.0)
            seen = HandObservation(at, "sofa", 0, "right", scores, Place(0.5, 0.4, 0.2), 1, posture)
            trace.record(TraceRecord("frame", at, "sofa", (seen,)))


def test_a_camera_is_watched_and_what_fires_is_counted(run: Run, home: Path, cache_dir: Path) -> None:
    (home / "config.toml").write_text(
        f'[agent]\nstate_dir = "state"\n[camera.front]\nsource = "{CLIP}"\nfps = {FILM["fps"]}\n'
    )
    (home / "rules").mkdir()
    words = ("idle-test", "--for", "7s", "--out", "idle.jsonl", "--json")
    done = run(*words, CACHE_DIRECTORY=str(cache_dir))
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    shown = {span["gesture"] for span in FILM["gestures"]}
    assert {start["gesture"] for start in facts["starts"]} <= shown
    assert facts["starts"], "the clip shows gestures, and all count as false here"
    assert all(start["ts"].endswith("Z") for start in facts["starts"])
    again = json.loads(run("idle-test", "idle.jsonl", "--json").stdout)
    assert again["starts"] == facts["starts"], "the trace of the camera says the same"
    assert not (home / "state").exists(), "nothing is published or stored"


def test_it_says_what_would_have_helped_and_what_it_costs(run: Run, home: Path) -> None:
    write_trace(home / "idle.jsonl", facing=30.0, minutes=15)
    write_trace(home / "meant.jsonl", facing=3.0)
    (home / "meant.csv").write_text("gesture,from_s,to_s\nfist,0,1\n")
    alone = run("idle-test", "idle.jsonl", COLUMNS="80").stdout
    assert "150 starts in 15.0 min" in alone
    assert "600.1 an hour (95 %" in alone
    assert "What a setting costs is not known" in alone
    assert max(map(len, alone.splitlines())) <= 80
    told = run("idle-test", "idle.jsonl", "--meant", "meant.jsonl", "--truth", "meant.csv").stdout
    assert "0 instead of 150 starts" in told
    assert told.endswith("[debounce.intent]\nfacing = 25\n")


def test_no_start_is_no_proof(run: Run, home: Path) -> None:
    write_trace(home / "idle.jsonl", facing=80.0, minutes=15)
    assert "0 starts in 15.0 min" in (told := run("idle-test", "idle.jsonl").stdout)
    assert "fewer than 14.8 an hour (95 %)" in told
    write_trace(home / "short.jsonl", facing=80.0)
    assert "Watch for an hour or more to know a rate." in run("idle-test", "short.jsonl").stdout


def test_a_camera_that_is_away_is_said_at_once(run: Run, home: Path, cache_dir: Path) -> None:
    (home / "config.toml").write_text(
        '[agent]\nstate_dir = "state"\n[camera.front]\nsource = "v4l2:/dev/video99"\n'
    )
    (home / "rules").mkdir()
    for command in ("idle-test", "record"):
        said = run(command, "--for", "2s", "--out", "out.jsonl", CACHE_DIRECTORY=str(cache_dir)).stderr
        assert "front: v4l2:/dev/video99: no such device" in said


def test_what_is_missing_is_named_before_hours_have_passed(run: Run, home: Path) -> None:
    assert "no camera is set" in run("idle-test").stderr
    write_trace(home / "idle.jsonl", facing=0.0)
    alone = run("idle-test", "idle.jsonl", "--meant", "idle.jsonl")
    assert alone.returncode == 2
    assert "belong together" in " ".join(alone.stderr.replace("│", " ").split())
    gone = run("idle-test", "idle.jsonl", "--meant", "gone.jsonl", "--truth", "gone.csv")
    assert (gone.returncode, "gone.jsonl: No such file" in gone.stderr) == (3, True)
    assert "is no trace" in run("idle-test", str(CLIP)).stderr

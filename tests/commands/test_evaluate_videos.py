"""`gesture-agent evaluate --videos`, on the rendered clip and the real networks."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
from command import Run

ROOT = Path(__file__).parents[2]
CLIP, TRUTH = ROOT / "tests/data/demo.mp4", ROOT / "tests/data/demo.json"


def test_what_is_meant_and_what_is_idle_is_counted_and_traced(run: Run, home: Path, cache_dir: Path) -> None:
    empty = home / "empty"
    empty.mkdir()
    for number in range(30):
        cv2.imwrite(str(empty / f"{number:03d}.png"), np.full((120, 160, 3), 90, np.uint8))
    with (home / "list.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "gesture", "from_s", "to_s", "kind"))
        rows.writerow(("empty", "idle", "", "", "nobody"))
        for span in json.loads(TRUTH.read_text(encoding="utf-8"))["gestures"]:
            rows.writerow((CLIP, span["gesture"], span["from_s"], span["to_s"], "meant"))
    words = ("evaluate", "--videos", "list.csv", "--report", "report", "--traces", "traces", "--json")
    done = run(*words, CACHE_DIRECTORY=str(cache_dir))
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["clips"], facts["meant"], facts["missed"]) == (2, 5, 0)
    assert (facts["false"], facts["wrong"], facts["doubled"]) == (0, 0, 0)
    assert (home / "report" / "index.html").is_file()
    traces = sorted(path.name for path in (home / "traces").glob("*.jsonl"))
    tuned = run("tune", *(f"traces/{name}" for name in traces), "--truth", "traces/truth.csv", "--json")
    assert tuned.returncode == 0, tuned.stderr
    now = next(one for one in json.loads(tuned.stdout)["outcomes"] if one["now"])
    assert (now["gestures"], now["missed"], now["false"]) == (5, 0, 0)
    words = (*(f"traces/{name}" for name in traces), "--truth", "traces/truth.csv", "--intent", "--json")
    tried = json.loads(run("tune", *words).stdout)
    of = {one["setting"]: one for one in tried["settings"]}
    assert (tried["gestures"], of["facing"]["now"]) == (5, {"value": 45.0, "unmeant": 0, "missed": 0})
    assert of["raised"]["strict"]["missed"] == 0, "the rendered hands are held at the shoulders or higher"
    assert of["doubtful_hold"]["off"]["value"] == 0.0


def test_photographs_and_videos_are_not_judged_together(run: Run) -> None:
    for words in (("evaluate",), ("evaluate", "--manifest", "a.csv", "--videos", "b.csv")):
        done = run(*words)
        assert done.returncode == 2
        assert "give one of --manifest (photographs) and --videos" in " ".join(
            done.stderr.replace("│", " ").split()
        )

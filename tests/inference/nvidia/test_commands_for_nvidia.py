"""The commands as a user runs them: import, fetch from NGC, export, and seeing with what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from files_server import Served, serving
from networks import bodyposenet, gesturenet, telling
from rendered import maps, person

Run = Callable[..., "subprocess.CompletedProcess[str]"]
RAISED = {"right_elbow": (-0.2, 0.16), "right_wrist": (-0.27, 0.02)}
SETTINGS = """
[agent]
cache_dir = "cache"
state_dir = "state"
rules = "rules"
[recognition]
backend = "onnxruntime"
pose = "bodyposenet"
gestures = "gesturenet-nvidia"
proposal = "arm"
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """In a folder of its own, with nothing of the developer's own settings."""
    (tmp_path / "config.toml").write_text(SETTINGS)
    (tmp_path / "rules").mkdir()
    strange = ("GESTURE_AGENT", "XDG_", "CACHE_", "STATE_", "HTTP_PROXY", "ALL_PROXY")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(strange)}

    def start(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "agent", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**kept, "HOME": str(tmp_path), "COLUMNS": "100", "PYTHONUTF8": "1"},
            timeout=150,
            check=False,
        )

    return start


def test_a_file_is_imported_chosen_and_seen_with(run: Run, tmp_path: Path, cache_dir: Path) -> None:
    """A hand is cut out of every frame of a clip, from a body that BodyPoseNet's maps show."""
    somebody = person(190, 90, 170, **RAISED)
    (tmp_path / "body.onnx").write_bytes(telling(*maps([somebody])))
    (tmp_path / "hand.onnx").write_bytes(gesturenet())
    done = run("models", "import", "body.onnx")
    assert done.returncode == 0, done.stderr
    assert 'choose it with pose = "bodyposenet" in [recognition]' in done.stdout
    made = json.loads(run("models", "import", "hand.onnx", "--normalisation", "older", "--json").stdout)
    assert (made["name"], made["task"]) == ("gesturenet-nvidia", "gesture")
    for kind in ("onnx", "json"):
        name = f"palm-detector.{kind}"
        (tmp_path / "cache" / "engines" / name).symlink_to(cache_dir / "engines" / name)
    (tmp_path / "frames").mkdir()
    for i in range(3):
        cv2.imwrite(str(tmp_path / "frames" / f"{i:03}.jpg"), np.full((480, 640, 3), 90, np.uint8))
    played = run("replay", "frames")
    assert played.returncode == 0, played.stderr
    assert "3 frames" in played.stdout


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        (gesturenet()[:-99], (), "is truncated"),
        (b"noise", (), "is no ONNX file"),
        (gesturenet(), ("--normalisation", "newest"), "there are deepstream, older"),
        (gesturenet(), ("--name", "Mine!"), "is no name for an engine"),
        (bodyposenet(), ("--margin", "2"), "--margin and --labels are for classifiers"),
    ],
)
def test_what_cannot_be_imported_is_one_sentence_on_stderr(
    run: Run, tmp_path: Path, content: bytes, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "file.onnx").write_bytes(content)
    done = run("models", "import", "file.onnx", *arguments)
    assert done.returncode in {2, 3}
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_nvidias_licence_comes_first_and_then_the_file(run: Run, tmp_path: Path) -> None:
    served = Served(bodyposenet(), cuts=[3000])
    with serving(served) as url:
        refused = run("models", "fetch", "bodyposenet", "--url", f"{url}/model.onnx")
        assert refused.returncode == 3
        assert "--accept-nvidia-licence" in refused.stderr
        assert served.requests == []
        got = run("models", "fetch", "bodyposenet", "--accept-nvidia-license", "--url", f"{url}/model.onnx")
    assert got.returncode == 0, got.stderr
    assert "bodyposenet: ready" in got.stdout
    assert served.requests == [None, "bytes=3000-"]
    again = run("models", "fetch", "bodyposenet", "--json")
    assert json.loads(again.stdout) == {"bodyposenet": str(tmp_path / "cache/engines/bodyposenet/model.onnx")}


def test_the_export_is_reported_as_json(run: Run, tmp_path: Path) -> None:
    done = run("engines", "export", "--deepstream", "out", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert "out/gesturenet_sgie.txt" in said["files"]
    assert said["left_out"][0].startswith("bodyposenet: is not here")
    assert (tmp_path / "out" / "gesturenet.onnx").is_file()

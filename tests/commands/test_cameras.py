"""`gesture-agent cameras` on the machine as it is, and on a clip."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import pytest
from command import Run

from agent.capture.camera_list import list_cameras

CLIP = Path(__file__).parents[1] / "data" / "demo.mp4"


def test_the_list_is_that_of_this_machine_and_its_exit_code_says_whether_one_can_be_opened(run: Run):
    found = list_cameras()
    done = run("cameras", "list", "--json")
    said = json.loads(done.stdout)
    assert [camera["device"] for camera in said["cameras"]] == [camera.device for camera in found]
    assert (said["problem"] is None) == bool(found)
    assert done.returncode == int(all(camera.problem for camera in found))


def test_without_cameras_a_pipe_is_reported_why_in_lines_of_eighty_columns(run: Run):
    if list_cameras():
        pytest.skip("this machine has cameras")
    done = run("cameras", "list", COLUMNS="80")
    assert done.stdout.startswith("fail ")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stdout.isascii()


def test_a_picture_of_a_source_lands_in_a_file_that_only_its_owner_reads(run: Run, home: Path):
    done = run("cameras", "show", str(CLIP), "--picture", "seen.png", "--json")
    assert json.loads(done.stdout) == {
        "source": str(CLIP),
        "width": 640,
        "height": 480,
        "picture": "seen.png",
    }
    assert cv2.imread(str(home / "seen.png")).shape == (480, 640, 3)
    assert (home / "seen.png").stat().st_mode & 0o777 == 0o600


def test_a_pipe_gets_no_picture_in_colours(run: Run):
    done = run("cameras", "show", str(CLIP), COLORTERM="truecolor")
    assert done.stdout.startswith(f"{CLIP}: 640 x 480 pixels\n")
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([str(CLIP), "--picture", "seen.gif"], "pictures are written as .jpeg, .jpg, .png"),
        (["v4l2:/dev/video-none"], "no such device"),
        (["rtsp://ann:s3cretWord@127.0.0.1:9/1"], "rtsp://ann:***@127.0.0.1:9/1"),
    ],
)
def test_what_cannot_be_shown_says_why(run: Run, arguments: list[str], said: str):
    done = run("cameras", "show", *arguments)
    assert said in done.stderr
    assert "s3cretWord" not in done.stdout + done.stderr
    assert done.returncode == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_reported(run: Run, home: Path):
    locked = home / "locked"
    locked.mkdir(mode=0o500)
    done = run("cameras", "show", str(CLIP), "--picture", "locked/seen.png")
    assert (done.returncode, "Permission denied" in done.stderr) == (3, True)

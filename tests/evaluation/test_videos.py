"""Videos judged whole: the list of them, real frames through the real networks, the page."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from agent.commands.evaluate_videos import frames_of
from agent.core.trace_tune import TruthSpan
from agent.core.types import LABELS, HandObservation, HandPosture, Place
from agent.errors import ConfigError
from agent.evaluation.clip_judge import Judged, Missed, Start, _tell_apart
from agent.evaluation.video_report import picture, write_video_report
from agent.evaluation.video_result import VideoResult, as_json
from agent.evaluation.videos import WHOLE_S, Clip, read_videos

DEMO = Path(__file__).parents[1] / "data" / "demo.mp4"


def listed(tmp_path: Path, text: str) -> list[Clip]:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    manifest = tmp_path / "list.csv"
    manifest.write_text(text, encoding="utf-8")
    return read_videos(manifest, tmp_path, LABELS)


def test_a_list_without_gestures_is_idle_whatever_else_it_says(tmp_path: Path) -> None:
    clips = listed(tmp_path, 'file,seconds,what,kind\na.mp4,4.7,"one, two people",desk\nb.mp4,2,walk,walk\n')
    assert [(clip.path.name, clip.kind, clip.idle) for clip in clips] == [
        ("a.mp4", "desk", True),
        ("b.mp4", "walk", True),
    ]


def test_rows_of_one_path_are_one_clip(tmp_path: Path) -> None:
    text = "path,gesture,from_s,to_s\na.mp4,stop,1,2.5\na.mp4,ok,4,5\nb.mp4,fist,,\n"
    first, second = listed(tmp_path, text)
    assert first.spans == (TruthSpan("stop", 1.0, 2.5), TruthSpan("ok", 4.0, 5.0))
    assert second.spans == (TruthSpan("fist", 0.0, WHOLE_S),)
    assert not first.idle


def test_every_bad_row_is_named_with_its_line(tmp_path: Path) -> None:
    text = "path,gesture,from_s,to_s\nc.mp4,idle,,\na.mp4,wave,1,2\nb.mp4,ok,later,9\nb.mp4,ok,5,2\n"
    with pytest.raises(ConfigError) as caught:
        listed(tmp_path, text)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0].rsplit(":", 1)[1] for line in lines] == ["2", "3", "4", "5"]
    assert "no such file" in lines[0]
    assert "expected one of thumbs_up, fist, stop, ok, two, idle" in lines[1]
    assert "expected seconds" in lines[2]
    assert "from 5 s to 2 s" in lines[3]


@pytest.mark.parametrize("text", ["", "clip,label\na.mp4,stop\n", "path\n"])
def test_a_list_that_says_nothing_shows_its_form(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="expected a column path"):
        listed(tmp_path, text)


def start(clip: Clip, at_s: float, gesture: str) -> Start:
    observation = HandObservation(
        at_s, "clip", 0, "right", None, Place(0.5, 0.5, 0.2), posture=HandPosture(1.1, facing=12.0)
    )
    return Start(clip, at_s, gesture, 0.9, observation, picture=np.zeros((90, 160, 3), np.uint8))


def test_starts_are_right_doubled_wrong_or_false() -> None:
    clip = Clip(Path("a.mp4"), "", (TruthSpan("stop", 1.0, 3.0), TruthSpan("ok", 5.0, 6.0)))
    shown = [(0.2, "fist"), (1.4, "stop"), (2.5, "stop"), (2.9, "fist"), (6.3, "ok"), (9.0, "ok")]
    done = Judged(clip, starts=[start(clip, at_s, gesture) for at_s, gesture in shown])
    assert _tell_apart(done) == {0, 1}
    assert [s.kind for s in done.starts] == ["false", "right", "doubled", "wrong", "right", "false"]


def test_the_figures_and_the_page_show_every_start_that_nobody_meant(tmp_path: Path) -> None:
    idle, meant = Clip(Path("idle <1>.mp4"), "desk"), Clip(Path("b.mp4"), "", (TruthSpan("ok", 0.0, 2.0),))
    wrong = start(idle, 3.0, "fist")
    judged = [
        Judged(idle, 1800.0, 1800.0, [wrong]),
        Judged(meant, 2.0, 0.0, missed=[Missed(meant, meant.spans[0], "facing", "not facing the camera")]),
    ]
    result = VideoResult(judged, "net", 10.0)
    facts = json.loads(json.dumps(as_json(result)))
    assert (facts["false"], facts["false_per_hour"], facts["meant"], facts["missed"]) == (1, 2.0, 1, 1)
    assert facts["interval"] == pytest.approx([0.0506, 11.143], abs=0.01)
    assert facts["by_reason"] == {"facing": {"held back while idle": 0, "missed": 1}}
    assert facts["kinds"]["desk"]["false"] == 1
    page = write_video_report(tmp_path, result).read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 1
    assert "idle &lt;1&gt;.mp4" in page
    assert "facing 12°" in page


def test_the_picture_of_a_start_is_small_and_shows_where_the_hand_is() -> None:
    seen = picture(np.zeros((1080, 1920, 3), np.uint8), start(Clip(Path("a")), 0.0, "fist"))
    assert seen.shape == (270, 480, 3)
    assert seen[135 - 27, 240].tolist() != [0, 0, 0]
    assert seen[135, 240].tolist() == [0, 0, 0]


def test_frames_come_at_the_rate_that_is_asked_for() -> None:
    every = list(frames_of(DEMO, 240.0))
    ten = list(frames_of(DEMO, 10.0))
    length_s = every[-1].at - every[0].at
    assert len(ten) == pytest.approx(length_s * 10, abs=2)
    assert min(b.at - a.at for a, b in itertools.pairwise(ten)) > 0.05


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(ConfigError, match=r"a\.mp4: not a video"):
        list(frames_of(tmp_path / "a.mp4", 10.0))

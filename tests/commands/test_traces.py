"""record, replay, explain and tune, on a trace of the rendered clip and on a camera."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import pytest
from command import Run
from support.ports import free_port

ROOT = Path(__file__).parents[2]
CLIP, TRUTH = ROOT / "tests/data/demo.mp4", ROOT / "tests/data/demo.json"
FILM = json.loads(TRUTH.read_text(encoding="utf-8"))
SHOWN = FILM["gestures"]
LENGTH_S = (FILM["frames"] - 1) / FILM["fps"]

RULES = """
[zone.right]
box = [0.6, 0.0, 1.0, 1.0]

[[rule]]
id = "lamp"
when = { gesture = "stop" }
publish = { topic = "lamp", payload = "on" }

[[rule]]
id = "sofa"
when = { gesture = "ok", zone = "right" }
publish = { topic = "lamp", payload = "off" }
"""


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Path:
    """What the real networks say of the rendered clip."""
    path = tmp_path_factory.mktemp("trace") / "demo.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "agent", "record", "--source", str(CLIP), "--out", str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "CACHE_DIRECTORY": str(cache_dir)},
        cwd=path.parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"{FILM['frames']} frames, {LENGTH_S:.1f} s" in done.stdout
    return path


@pytest.fixture
def rules(home: Path) -> Path:
    path = home / "lamp.toml"
    path.write_text(RULES)
    return path


def test_a_trace_holds_numbers_and_no_picture(trace: Path) -> None:
    lines = [json.loads(line) for line in trace.read_text(encoding="utf-8").splitlines()]
    assert lines[0]["gesture_agent_trace"] == 1
    assert sum(line.get("is") == "frame" for line in lines) == FILM["frames"]
    assert trace.stat().st_size < 260 * FILM["frames"]
    assert {key for line in lines[1:] for key in line} == {"is", "at", "camera", "hands"}


def test_a_replayed_trace_is_the_same_to_the_byte(run: Run, trace: Path, rules: Path) -> None:
    words = ("replay", str(trace), "--rules", str(rules))
    first, again = run(*words, "--json"), run(*words, "--json")
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == again.stdout
    assert run(*words).stdout == run(*words).stdout
    events = [json.loads(line) for line in first.stdout.splitlines()]
    assert [e["event_type"] for e in events if e["phase"] == "started"] == [s["gesture"] for s in SHOWN]
    assert len({e["event_id"] for e in events}) == len(events)
    assert {(e["ts"], e["latency_ms"]) for e in events} == {(None, None)}


def test_rules_act_on_a_trace(run: Run, trace: Path, rules: Path) -> None:
    done = run("replay", str(trace), "--rules", str(rules))
    assert done.stdout.count("rule lamp: publish lamp on") == 1
    assert "rule sofa" not in done.stdout


def test_a_gesture_that_was_stopped_is_explained(run: Run, trace: Path, rules: Path) -> None:
    span = next(s for s in SHOWN if s["gesture"] == "ok")
    at = f"{span['from_s'] + 0.8:.1f}s"
    done = run("explain", str(trace), "--at", at, "--rules", str(rules))
    assert done.returncode == 0, done.stderr
    assert "ok started" in done.stdout
    assert "rule sofa was stopped by its zone" in done.stdout
    said = json.loads(run("explain", str(trace), "--at", at, "--rules", str(rules), "--json").stdout)
    assert said["at_s"] == pytest.approx(span["from_s"] + 0.8)
    assert "\n".join(said["says"]) in done.stdout


def test_settings_that_are_others_than_those_of_the_recording_are_said(run: Run, trace: Path) -> None:
    done = run("explain", str(trace), "--at", "2s", GESTURE_AGENT__DEBOUNCE__HOLD="3s")
    assert "recorded with other [debounce] settings" in done.stderr
    assert "of the hold of 3s were over" in done.stdout


@pytest.mark.parametrize(
    ("at", "said"),
    [("90s", f"the trace goes from 0s to {LENGTH_S:.1f}s"), ("soon", "is not a duration")],
)
def test_a_time_that_is_none_is_wrong_usage(run: Run, trace: Path, at: str, said: str) -> None:
    done = run("explain", str(trace), "--at", at)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_the_trade_is_shown_as_a_table_and_a_plot(run: Run, trace: Path) -> None:
    done = run("tune", str(trace), "--truth", str(TRUTH), "--hold", "300ms,2.5s", "--all")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].split()[:2] == ["X", "0.65-0.9"]
    assert "0 of 5" in lines[1]
    assert any("5 of 5" in line for line in lines), "a hold that is longer than the gestures misses all"
    assert "X settings in force" in lines[-1]
    assert any(line.rstrip().endswith("100") and "missed" in line for line in lines)


def test_tune_tries_how_high_a_hand_must_be(run: Run, trace: Path) -> None:
    words = ("tune", str(trace), "--truth", str(TRUTH), "--confidence", "0.75", "--hold", "300ms")
    done = run(*words, "--release", "350ms", "--raised", "0.5,1.9", "--json")
    by_height = {o["thresholds"]["raised"]: o["missed"] for o in json.loads(done.stdout)["outcomes"]}
    assert by_height == {0.5: 0, 1.9: 5}  # nobody in the clip holds a hand as high as that
    refused = run(*words, "--raised", "55%")
    assert refused.returncode == 2
    assert "numbers with commas between" in " ".join(refused.stderr.split())


def test_tune_tries_one_gesture_alone(run: Run, trace: Path) -> None:
    words = ("tune", str(trace), "--truth", str(TRUTH), "--hold", "300ms", "--release", "350ms")
    done = run(*words, "--of", "fist", "--confidence", "0.7,1", "--json")
    now, *tried = json.loads(done.stdout)["outcomes"]
    assert [o["thresholds"]["confidence_of"]["fist"] for o in (now, *tried)] == [0.75, 0.7, 1.0]
    assert {o["thresholds"]["confidence_of"]["stop"] for o in (now, *tried)} == {0.9}
    assert [o["missed"] for o in (now, *tried)] == [
        0,
        0,
        1,
    ]  # nothing is as sure as 1: the fist alone is missed
    refused = run(*words, "--of", "fits")
    assert refused.returncode == 2
    assert "the traces know thumbs_up, fist" in " ".join(refused.stderr.replace("│", " ").split())


def test_tune_suggests_lines_that_the_settings_take(run: Run, trace: Path, home: Path) -> None:
    words = ("tune", str(trace), "--truth", str(TRUTH), "--suggest")
    strict = {"GESTURE_AGENT__DEBOUNCE__CONFIDENCE": "1"}  # nothing is as sure as that
    [now, found] = json.loads(run(*words, "--json", **strict).stdout)["outcomes"]
    assert (now["missed"], found["missed"], found["false"]) == (5, 0, 0)
    done = run(*words, **strict)
    lines = done.stdout.partition("in config.toml\n\n")[2].partition("\n\n")[0]
    (home / "config.toml").write_text(lines)
    [again, *_] = json.loads(run("tune", str(trace), "--truth", str(TRUTH), "--json").stdout)["outcomes"]
    assert again["missed"] == 0
    assert again["thresholds"]["confidence_of"] == found["thresholds"]["confidence_of"]
    assert "Nothing was found that does better" in run(*words).stdout


def test_the_plot_can_be_a_file_and_the_figures_data(run: Run, trace: Path, home: Path) -> None:
    words = ("tune", str(trace), "--truth", str(TRUTH), "--confidence", "0.6,0.9")
    assert run(*words, "--out", "trade.svg").returncode == 0
    points = ET.parse(home / "trade.svg").getroot().iter("{http://www.w3.org/2000/svg}circle")  # noqa: S314
    outcomes = json.loads(run(*words, "--json").stdout)["outcomes"]
    assert len(list(points)) == len(outcomes) + 3  # of the legend
    assert outcomes[0]["now"]
    assert {o["gestures"] for o in outcomes} == {5}
    assert {o["thresholds"]["confidence"] for o in outcomes} == {0.6, 0.85, 0.9}


def test_without_truth_every_start_is_one_too_many(run: Run, trace: Path) -> None:
    [now, *_] = json.loads(run("tune", str(trace), "--json").stdout)["outcomes"]
    assert (now["gestures"], now["false"], now["wrong"]) == (0, 5, 0)
    assert now["false_per_hour"] == pytest.approx(5 * 3600 / LENGTH_S, rel=0.01)


def test_truth_as_csv_names_the_trace_of_each_span(run: Run, trace: Path, home: Path) -> None:
    rows = [f"demo,{s['gesture']},{s['from_s']},{s['to_s']}" for s in SHOWN]
    (home / "shown.csv").write_text("\n".join(["trace,gesture,from_s,to_s", *rows]))
    (home / "idle.jsonl").write_bytes(trace.read_bytes())
    done = run("tune", str(trace), "idle.jsonl", "--truth", "shown.csv", "--json")
    [now, *_] = json.loads(done.stdout)["outcomes"]
    assert (now["gestures"], now["missed"], now["false"]) == (5, 0, 5)


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        ("{", "is no JSON"),
        ("[1]", "span 1 lacks or garbles"),
        ('{"spans": []}', "expected"),
        ("gesture,from_s,to_s\nwave,1,2", "line 2: no gesture 'wave'; known are thumbs_up"),
        ("gesture,from_s,to_s\nfist,2,1", "line 2 goes from 2 s to 1 s"),
        ("gesture,from_s\nfist,2", "line 2 lacks or garbles 'to_s'"),
        ("trace,gesture,from_s,to_s\nother,fist,1,2", "speaks of the trace 'other', which is not given"),
    ],
)
def test_truth_that_makes_no_sense_is_refused(
    run: Run, trace: Path, home: Path, truth: str, said: str
) -> None:
    (home / "truth").write_text(truth)
    done = run("tune", str(trace), "--truth", "truth")
    assert done.returncode == 3
    assert said in done.stderr


@pytest.mark.parametrize("command", [("explain", "--at", "1s"), ("tune",)])
def test_a_clip_is_no_trace_and_it_is_said_how_to_make_one(run: Run, command: tuple[str, ...]) -> None:
    done = run(command[0], str(CLIP), *command[1:])
    assert done.returncode == 3
    assert "is no trace; make one with `gesture-agent record" in done.stderr


# --- cameras --------------------------------------------------------------------------------------


@pytest.fixture
def film(home: Path) -> Path:
    """The first gesture of the clip, as a camera would give it."""
    folder = home / "film"
    folder.mkdir()
    video = cv2.VideoCapture(str(CLIP))
    start = round(SHOWN[0]["from_s"] * FILM["fps"])
    for number in range(start + 20):
        there, image = video.read()
        assert there
        if number >= start:
            cv2.imwrite(str(folder / f"{number:03}.jpg"), image)
    video.release()
    return folder


def settings(home: Path, film: Path, more: str = "") -> None:
    (home / "config.toml").write_text(
        f"""
        [agent]
        state_dir = "state"
        [camera.front]
        source = "{film}"
        fps = {FILM["fps"]}
        {more}
        """
    )
    (home / "rules").mkdir()


def test_a_camera_is_recorded_until_it_ends(run: Run, home: Path, film: Path, cache_dir: Path) -> None:
    settings(home, film)
    done = run("record", "--camera", "front", "--out", "front.jsonl", CACHE_DIRECTORY=str(cache_dir))
    assert done.returncode == 0, done.stderr
    assert "frames of front" in done.stdout
    header, *lines = [json.loads(line) for line in (home / "front.jsonl").read_text().splitlines()]
    assert header["started"].endswith("Z")
    assert lines[0]["is"] == "world"
    assert {line["camera"] for line in lines if line["is"] == "frame"} == {"front"}
    replayed = [json.loads(line) for line in run("replay", "front.jsonl", "--json").stdout.splitlines()]
    assert {e["event_type"] for e in replayed} <= {SHOWN[0]["gesture"]}
    assert all(e["ts"][:10] == header["started"][:10] for e in replayed)


def test_the_daemon_keeps_a_ring_where_the_settings_say_so(
    run: Run, home: Path, film: Path, cache_dir: Path
) -> None:
    settings(home, film, f'[mqtt]\nurl = "mqtt://localhost:{free_port()}"\n[trace]\nenabled = true')
    done = run("run", CACHE_DIRECTORY=str(cache_dir))
    assert done.returncode == 0, done.stderr
    [part] = (home / "state" / "trace").iterdir()
    kinds = [json.loads(line).get("is", "header") for line in part.read_text().splitlines()]
    assert kinds[0] == "header"
    assert kinds.count("frame") > 3
    assert kinds[-1] == "stop"


def test_a_camera_that_nobody_set_cannot_be_recorded(run: Run, home: Path, film: Path) -> None:
    assert "no camera is set" in run("record").stderr
    settings(home, film)
    done = run("record", "--camera", "back")
    assert (done.returncode, done.stderr) == (3, "no camera 'back'; the settings have front\n")

"""What a trace keeps: all that the core needs, nothing that shows a face."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import FPS, HEADER, pipeline, records, write

from agent.core.rules import RuleContext
from agent.core.trace import TraceDecoder, TraceEncoder, TraceRecord, is_header, read_header, replay_record
from agent.core.types import GestureHeld, HandObservation, HandPosture, Place
from agent.errors import ConfigError
from agent.service.trace_files import PARTS, RotatingTraceWriter, is_trace, open_trace

SCENE = records("???SSSSSSSSSSSS......FFFFFFFFFFFF........?")


def events(scene: list[TraceRecord]) -> list[dict[str, object]]:
    core = pipeline()
    found = [e for m in scene for e in replay_record(m, core).events if not isinstance(e, GestureHeld)]
    return [{"kind": type(e).__name__, "gesture": e.gesture, "at": e.at, "score": e.score} for e in found]


def there_and_back(scene: list[TraceRecord]) -> list[TraceRecord]:
    encoder, decoder = TraceEncoder(), TraceDecoder(HEADER)
    return [m for one in scene for line in encoder.lines(one) for m in decoder.records(line)]


def test_a_trace_makes_the_same_gestures_as_the_hand_did(tmp_path: Path) -> None:
    trace = open_trace(write(tmp_path / "t.jsonl", SCENE))
    found = events(list(trace.records()))
    assert found == [pytest.approx(was, abs=1e-5) for was in events(SCENE)]
    assert len(found) == 4


def test_what_is_written_twice_is_the_same_to_the_byte(tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", SCENE)
    again = write(tmp_path / "b.jsonl", list(open_trace(first).records()))
    assert first.read_bytes() == again.read_bytes()


def test_the_first_line_tells_a_trace_from_a_clip(tmp_path: Path) -> None:
    path = write(tmp_path / "t.mp4", SCENE)
    assert is_trace(str(path))
    assert open_trace(path).header == HEADER
    path.write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)))
    assert not is_trace(str(path))
    assert not is_trace(str(tmp_path))
    assert not is_trace("rtsp://nowhere/1")


def test_other_people_cannot_read_it(tmp_path: Path) -> None:
    assert stat.S_IMODE(write(tmp_path / "t.jsonl", SCENE).stat().st_mode) == 0o600


def test_the_world_is_written_when_it_changes_and_comes_back_with_every_moment() -> None:
    evening = RuleContext(dt.time(20, 15, 42), {"tv/state": "on"})
    scene = [*records("SS", context=evening), *records("SS", start=1, context=RuleContext(dt.time(20, 16)))]
    lines = [line for encoder in [TraceEncoder()] for m in scene for line in encoder.lines(m)]
    assert [json.loads(line)["is"] for line in lines] == [
        "world",
        "frame",
        "frame",
        "world",
        "frame",
        "frame",
    ]
    back = there_and_back(scene)
    assert [m.context.time for m in back] == [dt.time(20, 15)] * 2 + [dt.time(20, 16)] * 2
    assert back[0].context.values == {"tv/state": "on"}
    assert back[3].context.values == {}


def test_a_silence_without_hands_says_nothing_and_is_not_written() -> None:
    assert there_and_back([TraceRecord("silence", 1.0, "front")]) == []
    observation = HandObservation(1.0, "front", 0, "left", None)
    assert [m.kind for m in there_and_back([TraceRecord("silence", 1.0, "front", (observation,))])] == [
        "silence"
    ]


@given(
    st.lists(
        st.builds(
            HandObservation,
            at=st.just(3.25),
            camera=st.just("door"),
            person=st.integers(0, 9),
            hand=st.sampled_from(["left", "right"]),
            scores=st.none()
            | st.lists(st.integers(0, 10_000), min_size=6, max_size=6).map(
                lambda s: np.array(s, np.float32) / np.float32(10_000)
            ),
            place=st.none() | st.builds(Place, *[st.integers(0, 1000).map(lambda n: n / 1000)] * 4),
            track=st.none() | st.integers(1, 1 << 40),
            posture=st.builds(
                HandPosture,
                raised=st.none() | st.integers(-1000, 3000).map(lambda n: n / 1000),
                lean=st.none() | st.integers(0, 1800).map(lambda n: n / 10),
                at_face=st.booleans(),
            ),
        ),
        max_size=4,
    )
)
def test_whatever_is_read_of_hands_comes_back_as_it_was(observations: list[HandObservation]) -> None:
    [back] = there_and_back([TraceRecord("frame", 3.25, "door", tuple(observations))])
    assert len(back.observations) == len(observations)
    for was, now in zip(observations, back.observations, strict=True):
        assert (now.person, now.hand, now.place, now.track) == (was.person, was.hand, was.place, was.track)
        assert (now.key, now.posture) == (was.key, was.posture)
        if was.scores is None:
            assert now.scores is None
        else:
            np.testing.assert_allclose(now.scores, was.scores, atol=1e-7)  # type: ignore[arg-type]


# --- damage ---------------------------------------------------------------------------------------


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", SCENE)
    path.write_bytes(path.read_bytes()[:-30])
    assert len(list(open_trace(path).records())) == len(SCENE) - 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "no JSON"),
        ("[1]", "a JSON object is expected, this is list"),
        ("[" * 100_000, "no JSON"),
        ('{"is":"frame","camera":"front"}', "lacks or garbles 'at'"),
        ('{"is":"dance","at":1,"camera":"front"}', "a line of kind 'dance'"),
        ('{"is":"frame","at":1,"camera":"a","hands":[{"person":0,"hand":"paw"}]}', "a hand 'paw'"),
        (
            '{"is":"frame","at":1,"camera":"a","hands":[{"person":0,"hand":"left","scores":[1]}]}',
            "1 scores for 6 labels",
        ),
        ('{"is":"frame","at":1,"camera":"a","hands":[7]}', "lacks or garbles"),
        ('{"is":"world","at":1,"time":"25:99","values":{}}', "hour must be in 0..23"),
    ],
)
def test_a_damaged_line_is_named_with_its_number(tmp_path: Path, line: str, said: str) -> None:
    path = write(tmp_path / "t.jsonl", SCENE[:3])
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ConfigError) as caught:
        list(open_trace(path).records())
    assert f"{path}:5: " in str(caught.value)
    assert said in str(caught.value)


def test_a_trace_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(TraceEncoder().header(HEADER).replace('trace":1', 'trace":7') + "\n")
    assert is_header(path.read_text())
    with pytest.raises(ConfigError, match="version 7 of traces; this agent reads version 1"):
        open_trace(path)


@pytest.mark.parametrize("header", ["{}", '{"gesture_agent_trace":1}', "", "no trace"])
def test_what_is_no_trace_is_said_to_be_none(tmp_path: Path, header: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(header)
    with pytest.raises(ConfigError, match=r"is no trace|lacks or garbles"):
        open_trace(path)


def test_a_header_remembers_all_its_numbers() -> None:
    limits = dataclasses.replace(HEADER.thresholds, confidence_of=(("fist", 0.6), ("stop", 0.9)))
    header = dataclasses.replace(
        HEADER, at=12345.678901, started="2026-11-22T20:15:30.123Z", thresholds=limits
    )
    assert read_header(TraceEncoder().header(header)) == header


def test_a_trace_of_before_gestures_had_a_confidence_of_their_own_can_be_read() -> None:
    line = json.loads(TraceEncoder().header(HEADER))
    del line["thresholds"]["confidence_of"]
    assert read_header(json.dumps(line)) == HEADER


# --- the ring -------------------------------------------------------------------------------------


class Wall:
    """A wall clock that follows the trace."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


def ring(
    folder: Path, wall: Wall, *, size_bytes: int = 40_000, keep_s: float = 3600.0
) -> RotatingTraceWriter:
    return RotatingTraceWriter(folder, HEADER, size_bytes=size_bytes, keep_s=keep_s, wall=wall)


def test_a_ring_never_outgrows_its_size_and_keeps_the_newest(tmp_path: Path) -> None:
    wall, folder, largest = Wall(), tmp_path / "trace", 0
    kept = ring(folder, wall)
    for record in records("S" * 3000):
        kept.record(record)
        largest = max(largest, sum(path.stat().st_size for path in folder.iterdir()))
    kept.close()
    files = sorted(folder.iterdir())
    assert len(files) in {PARTS - 1, PARTS}
    assert 20_000 < largest <= 40_000 + 1000  # the last line of a part may stick out
    parts = [list(open_trace(path).records()) for path in files]
    stamps = [record.at for part in parts for record in part]
    assert stamps[-1] == pytest.approx(2999 / FPS, abs=1e-5)
    assert np.diff(stamps).max() == pytest.approx(1 / FPS, abs=1e-5), "no gap between two parts"


def test_each_part_of_a_ring_stands_for_itself(tmp_path: Path) -> None:
    kept = ring(tmp_path, Wall())
    for record in records("S" * 100, start=5000.0, context=RuleContext(dt.time(9, 30), {"tv": "on"})):
        kept.record(record)
    kept.close()
    for path in tmp_path.iterdir():
        trace = open_trace(path)
        first = next(trace.records())
        assert trace.header.at == pytest.approx(first.at, abs=1e-5)
        assert trace.header.started is not None
        assert trace.header.started.startswith("2023-11-14T22:13:20.")
        assert first.context.values == {"tv": "on"}


def test_what_is_older_than_wanted_goes(tmp_path: Path) -> None:
    old = write(tmp_path / "20200101T000000000000.jsonl", SCENE)
    os.utime(old, (1_000_000_000, 1_000_000_000))
    kept = ring(tmp_path, Wall())
    kept.record(SCENE[0])
    kept.close()
    assert [path.name[:8] for path in tmp_path.iterdir()] == ["20231114"]


def test_a_place_that_cannot_be_written_stops_the_trace_and_not_the_agent(tmp_path: Path) -> None:
    blocked = tmp_path / "trace"
    blocked.write_text("a file where the folder should be")
    kept = ring(blocked, Wall(), size_bytes=80_000)
    for record in records("S" * 30):
        kept.record(record)
    blocked.unlink()
    for record in records("S" * 30, start=30.0):
        kept.record(record)
    assert not blocked.exists(), "it does not try with every frame"
    for record in records("S" * 30, start=90.0):
        kept.record(record)
    kept.close()
    [file] = blocked.iterdir()
    assert len(list(open_trace(file).records())) == 30

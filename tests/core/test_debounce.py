from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timelines import brief, events, observations, scores, starts_and_ends

from agent.core.debounce import Debouncer
from agent.core.smoothing import GAP_S
from agent.core.thresholds import Thresholds
from agent.core.types import (
    LABELS,
    GestureEnded,
    GestureEvent,
    GestureHeld,
    GestureStarted,
    HandObservation,
    HandPosture,
    Place,
)

NEVER = 2.0  # no probability is as high
NO_COOLDOWN = Thresholds(cooldown_s=0)


def test_a_gesture_starts_when_it_was_held() -> None:
    assert starts_and_ends("..SSS") == []
    assert starts_and_ends("..SSSS") == [(0.5, "started", "stop")]


def test_each_gesture_is_asked_for_its_own_confidence() -> None:
    own = Thresholds(confidence_of=(("fist", 0.5), ("stop", NEVER)))
    assert starts_and_ends("SSSSFFFF", own) == [(0.7, "started", "fist")]
    assert starts_and_ends("SSSSFFFF", dataclasses.replace(own, confidence=NEVER)) == [
        (0.7, "started", "fist")
    ]
    assert starts_and_ends("SSSSFFFF", Thresholds(confidence=NEVER, confidence_of=(("stop", 0.5),))) == [
        (0.3, "started", "stop")
    ]


def test_a_gesture_ends_when_it_was_away_for_the_release() -> None:
    assert starts_and_ends("SSSS.....") == [(0.3, "started", "stop"), (0.8, "ended", "stop")]


def test_a_gap_shorter_than_the_release_does_not_end_it() -> None:
    assert starts_and_ends("SSSS....SSSS") == [(0.3, "started", "stop")]


def held_at(*heights: float | None) -> list[tuple[float, str, str]]:
    """A stop in every frame, at these heights: 0 hips, 1 shoulders."""
    return held("S" * len(heights), *map(HandPosture, heights))


def held(shown: str, *how: HandPosture) -> list[tuple[float, str, str]]:
    """What is shown in each frame, held so."""
    return brief(
        events(dataclasses.replace(r, posture=h) for r, h in zip(observations(shown), how, strict=True))
    )


def test_a_hand_that_is_held_low_starts_nothing() -> None:
    assert held_at(*[0.3] * 20) == []


def test_a_gesture_forms_from_the_moment_the_hand_is_raised() -> None:
    assert held_at(0.2, 0.4, *[0.9] * 10) == [(0.5, "started", "stop")]


def test_a_gesture_that_is_on_goes_on_when_the_hand_sinks() -> None:
    assert held_at(*[0.9] * 4, *[0.1] * 20) == [(0.3, "started", "stop")]


def test_a_hand_that_sinks_while_its_gesture_forms_starts_it_once_it_is_back() -> None:
    assert held_at(0.9, 0.9, 0.9, 0.4, 0.4, 0.9) == [(0.5, "started", "stop")]


def test_a_hand_whose_body_is_unknown_is_raised() -> None:
    assert held_at(*[None] * 4) == [(0.3, "started", "stop")]


LYING, UPRIGHT = HandPosture(raised=1.0, lean=80.0), HandPosture(raised=1.0, lean=20.0)


def test_a_hand_that_points_sideways_starts_nothing() -> None:
    assert held("S" * 20, *[LYING] * 20) == []
    assert held("S" * 4, *[UPRIGHT] * 4) == [(0.3, "started", "stop")]


def test_a_thumb_is_up_on_a_hand_that_lies() -> None:
    assert held("T" * 4, *[LYING] * 4) == [(0.3, "started", "thumbs_up")]


def test_a_gesture_that_is_on_goes_on_when_the_hand_tips_over() -> None:
    assert held("S" * 24, *[UPRIGHT] * 4, *[LYING] * 20) == [(0.3, "started", "stop")]


def test_a_closed_hand_at_the_face_starts_nothing_until_it_leaves_it() -> None:
    chin = HandPosture(raised=1.3, lean=10.0, at_face=True)
    assert held("F" * 20, *[chin] * 20) == []
    assert held("F" * 8, *[chin] * 4, *[UPRIGHT] * 4) == [(0.7, "started", "fist")]


@pytest.mark.parametrize(
    "touch", [{"at_face": True}, {"to_face": 0.05}, {"to_hand": 0.05}], ids=lambda touch: next(iter(touch))
)
def test_a_hand_that_touches_something_during_the_hold_begins_it_again(touch: dict[str, Any]) -> None:
    free, touching = HandPosture(raised=1.3), HandPosture(raised=1.3, **touch)
    assert held("S" * 8, free, free, touching, *[free] * 5) == [(0.6, "started", "stop")]
    on_and_off = [free, free, touching] * 6
    assert held("S" * 18, *on_and_off) == []


def test_how_a_hand_must_be_held_can_be_set() -> None:
    anyhow = Thresholds(raised=-1.0, lean=180.0, at_face=True)
    worst = dataclasses.replace(
        observations("S")[0], posture=HandPosture(raised=-0.9, lean=179.0, at_face=True)
    )
    shown = [dataclasses.replace(worst, at=n / 10) for n in range(4)]
    assert brief(events(shown, anyhow)) == [(0.3, "started", "stop")]


def test_no_hand_and_a_hand_with_no_gesture_are_the_same() -> None:
    assert starts_and_ends("SSSS?.?.?") == starts_and_ends("SSSS.....")


def test_a_glimpse_of_another_gesture_changes_nothing() -> None:
    assert starts_and_ends("SSSSSSFSSSS") == [(0.3, "started", "stop")]


def test_a_direct_change_ends_the_first_before_the_second_starts() -> None:
    assert starts_and_ends("SSSSFFFFF") == [
        (0.3, "started", "stop"),
        (0.7, "ended", "stop"),
        (0.7, "started", "fist"),
    ]


def test_with_a_long_hold_the_release_ends_the_first_while_the_second_forms() -> None:
    assert starts_and_ends("S" * 8 + "F" * 8, Thresholds(hold_s=0.6)) == [
        (0.6, "started", "stop"),
        (1.2, "ended", "stop"),
        (1.4, "started", "fist"),
    ]


def test_the_same_gesture_starts_again_only_after_the_cooldown() -> None:
    timeline = "SSSS" + "....." + "S" * 12
    assert starts_and_ends(timeline, NO_COOLDOWN)[2:] == [(1.2, "started", "stop")]
    assert starts_and_ends(timeline, Thresholds(cooldown_s=1.0))[2:] == [(1.8, "started", "stop")]


def test_the_cooldown_does_not_hold_back_another_gesture() -> None:
    assert starts_and_ends("SSSS.....FFFF", Thresholds(cooldown_s=9.0))[2:] == [(1.2, "started", "fist")]


def test_between_keep_and_confidence_nothing_starts_but_what_is_on_stays_on() -> None:
    def at(score: float, start: int, count: int) -> list[HandObservation]:
        return [
            HandObservation(i / 10, "front", 0, "right", scores("stop", score))
            for i in range(start, start + count)
        ]

    assert brief(events(at(0.5, 0, 20))) == []
    assert brief(events([*at(0.9, 0, 4), *at(0.5, 4, 20)])) == [(0.3, "started", "stop")]
    assert brief(events([*at(0.9, 0, 4), *at(0.3, 4, 5)])) == [
        (0.3, "started", "stop"),
        (0.8, "ended", "stop"),
    ]


def test_a_dip_while_forming_delays_the_start_until_the_score_is_back() -> None:
    marks = [0.9, 0.9, 0.9, 0.6, 0.6, 0.9]
    steps = [
        HandObservation(i / 10, "front", 0, "right", scores("stop", mark)) for i, mark in enumerate(marks)
    ]
    assert brief(events(steps)) == [(0.5, "started", "stop")]


def test_events_say_how_long_how_sure_and_where() -> None:
    place = Place(0.1, 0.2, 0.3)
    steps = [
        dataclasses.replace(observation, place=place if observation.scores is not None else None)
        for observation in observations("SSSSSS.....")
    ]
    started, held, *_, ended = events(steps)
    assert started == GestureStarted(
        pytest.approx(0.3), "front", 0, "right", "stop", 1.0, pytest.approx(0.3), place
    )
    assert held == GestureHeld(
        pytest.approx(0.4), "front", 0, "right", "stop", 1.0, pytest.approx(0.4), place
    )
    assert isinstance(ended, GestureEnded)
    assert ended.held_s == pytest.approx(0.5), "the release is no part of the gesture"
    assert ended.place == place, "where it was seen last"


def test_nothing_is_held_while_the_hand_is_away() -> None:
    assert [e.at for e in events(observations("SSSSS..S")) if isinstance(e, GestureHeld)] == pytest.approx(
        [0.4, 0.7]
    )


def test_hands_are_distinguished() -> None:
    both = [r for pair in zip(observations("SSSS"), observations("TTTT", "left"), strict=True) for r in pair]
    found = events(both)
    assert [(e.hand, e.gesture) for e in found] == [("right", "stop"), ("left", "thumbs_up")]


def test_a_hand_that_is_renamed_for_a_moment_neither_ends_nor_starts_again() -> None:
    names = [(0, "right")] * 5 + [(3, "left")] * 6 + [(0, "right")] * 5
    steps = [
        dataclasses.replace(observation, person=person, hand=hand, track=7)
        for observation, (person, hand) in zip(observations("S" * 16), names, strict=True)
    ]
    found = events(
        [*steps, *[HandObservation(1.6 + i / 10, "front", 3, "left", None, track=7) for i in range(5)]]
    )
    assert brief(found) == [(0.3, "started", "stop"), (2.0, "ended", "stop")]
    assert {(e.person, e.hand) for e in found} == {(0, "right")}, "a gesture keeps the name it started with"


def test_a_late_observation_is_ignored() -> None:
    steps = observations("SSSSSSSS")
    assert brief(events([*steps[:3], steps[1], steps[0], *steps[3:]])) == [(0.3, "started", "stop")]


def test_two_readings_around_a_long_gap_are_no_hold() -> None:
    a, b = (HandObservation(at, "front", 0, "right", scores("stop")) for at in (0.0, GAP_S + 0.5))
    assert events([a, b]) == []


def test_a_gap_ends_what_was_on_although_it_is_still_there_afterwards() -> None:
    later = [dataclasses.replace(r, at=r.at + 60) for r in observations("SSSSSS")]
    assert brief(events([*observations("SSSS"), *later])) == [
        (0.3, "started", "stop"),
        (60.0, "ended", "stop"),
        (60.5, "started", "stop"),
    ]


def test_a_clock_that_jumps_back_ends_what_was_on_and_goes_on_from_there() -> None:
    first = [dataclasses.replace(r, at=r.at + 60) for r in observations("SSSS")]
    assert brief(events([*first, *observations("SSSSSS")])) == [
        (60.3, "started", "stop"),
        (0.0, "ended", "stop"),
        (0.5, "started", "stop"),
    ]


def test_pausing_a_camera_ends_what_is_on_in_its_view_only() -> None:
    debouncer = Debouncer(Thresholds(), LABELS)
    for observation in [*observations("SSSS"), *observations("TTTT", camera="door")]:
        debouncer.feed(observation)
    assert brief(debouncer.end("front", 0.35)) == [(0.35, "ended", "stop")]
    assert brief(debouncer.end("front", 0.4)) == []
    assert brief(debouncer.end("door", 0.4)) == [(0.4, "ended", "thumbs_up")]


def test_the_ring_of_a_forming_gesture_fills_to_one() -> None:
    debouncer = Debouncer(Thresholds(hold_s=0.4), LABELS)
    rings = []
    for observation in observations(".SSSSS"):
        debouncer.feed(observation)
        rings.append([(ring.gesture, round(ring.progress, 3)) for ring in debouncer.pending()])
    assert rings == [[], [("stop", 0)], [("stop", 0.25)], [("stop", 0.5)], [("stop", 0.75)], []]


def test_the_ring_waits_for_the_cooldown() -> None:
    debouncer = Debouncer(Thresholds(cooldown_s=2.0), LABELS)
    for observation in observations("SSSS.....SSSSSSSSSS"):
        debouncer.feed(observation)
    [ring] = debouncer.pending()
    assert ring.progress == pytest.approx(0.5), "one of two seconds of cooldown"


def test_hands_that_are_long_idle_take_no_memory() -> None:
    debouncer = Debouncer(Thresholds(), LABELS)
    for track in range(50):
        for observation in observations("SSSS.........."):
            debouncer.feed(dataclasses.replace(observation, at=observation.at + 2 * track, track=track))
    assert len(debouncer._hands) < 10


# properties


@st.composite
def _walks(draw: st.DrawFn) -> list[HandObservation]:
    """Readings of two hands with any scores, frame rates, gaps and jumps of the clock."""
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from([0.02, 0.033, 0.05, 0.1, 0.1, 0.1, 0.27, 0.9, 3.0, 0.0, -0.05, -5.0]),
                st.sampled_from(["left", "right"]),
                st.none()
                | st.tuples(st.sampled_from(LABELS), st.sampled_from([0.3, 0.5, 0.6, 0.75, 0.9, 1.0])),
            ),
            max_size=80,
        )
    )
    at, walk = 100.0, []
    for dt, hand, seen in steps:
        at += dt
        walk.append(HandObservation(at, "front", 0, hand, None if seen is None else scores(*seen)))
    return walk


_THRESHOLDS = st.builds(
    lambda a, b, hold, release, cooldown: Thresholds(max(a, b), min(a, b), hold, release, cooldown),
    st.sampled_from([0.4, 0.5, 0.75, 0.9]),
    st.sampled_from([0.3, 0.5, 0.75]),
    st.sampled_from([0.0, 0.1, 0.3, 1.0]),
    st.sampled_from([0.0, 0.2, 0.4, 2.0]),
    st.sampled_from([0.0, 0.5, 3.0]),
)


@settings(max_examples=300)
@given(_walks(), _THRESHOLDS)
def test_starts_and_ends_of_a_hand_take_turns(walk: list[HandObservation], thresholds: Thresholds) -> None:
    on: dict[str, GestureEvent] = {}
    for event in events(walk, thresholds):
        if isinstance(event, GestureStarted):
            assert event.hand not in on
            on[event.hand] = event
        else:
            assert on[event.hand].gesture == event.gesture
        if isinstance(event, GestureEnded):
            del on[event.hand]
        assert event.held_s >= 0


@settings(max_examples=300)
@given(_walks(), _THRESHOLDS)
def test_nothing_starts_without_hold_seconds_of_evidence(
    walk: list[HandObservation], thresholds: Thresholds
) -> None:
    """Before a start, the hand's newer readings reach back `hold` without a score under `keep` or a gap."""
    debouncer = Debouncer(thresholds, LABELS)
    heard: dict[str, list[HandObservation]] = {"left": [], "right": []}
    for observation in walk:
        past = heard[observation.hand]
        if past and abs(observation.at - past[-1].at) > GAP_S:
            past.clear()
        if not past or observation.at > past[-1].at:
            past.append(observation)
        for event in debouncer.feed(observation):
            if isinstance(event, GestureStarted):
                label = LABELS.index(event.gesture)
                evidence = [r for r in past if r.at >= event.at - event.held_s - 1e-9]
                assert all(r.scores is not None and r.scores[label] >= thresholds.keep for r in evidence)
                assert evidence[0].scores is not None
                assert evidence[0].scores[label] >= thresholds.confidence
                assert evidence[-1].at - evidence[0].at >= thresholds.hold_s - 1e-5


@settings(max_examples=100)
@given(_walks(), _THRESHOLDS)
def test_silence_ends_everything(walk: list[HandObservation], thresholds: Thresholds) -> None:
    at = walk[-1].at if walk else 0.0
    quiet = [HandObservation(at + i / 5, "front", 0, h, None) for i in range(60) for h in ("left", "right")]
    found = events([*walk, *quiet], thresholds)
    starts = sum(isinstance(event, GestureStarted) for event in found)
    assert starts == sum(isinstance(event, GestureEnded) for event in found)


@settings(max_examples=50)
@given(_walks(), _THRESHOLDS)
def test_the_same_readings_give_the_same_events(walk: list[HandObservation], thresholds: Thresholds) -> None:
    assert events(walk, thresholds) == events(walk, thresholds)


def progress(timeline: str, thresholds: Thresholds | None = None) -> list[tuple[str, str | None, float]]:
    """(phase, gesture, ring) after every reading."""
    debouncer = Debouncer(thresholds or Thresholds(), LABELS)
    found = []
    for observation in observations(timeline):
        debouncer.feed(observation)
        told = debouncer.progress(observation)
        found.append((told.phase, told.gesture, round(told.ring, 2)))
    return found


def test_a_ring_fills_while_a_gesture_forms_and_stays_full_while_it_is_on() -> None:
    assert progress("?SSSSS", Thresholds(hold_s=0.4)) == [
        ("idle", None, 0.0),
        ("forming", "stop", 0.0),
        ("forming", "stop", 0.25),
        ("forming", "stop", 0.5),
        ("forming", "stop", 0.75),
        ("on", "stop", 1.0),
    ]


def test_a_ring_empties_when_the_gesture_is_broken_off() -> None:
    assert progress("SS??") == [
        ("forming", "stop", 0.0),
        ("forming", "stop", 0.33),
        ("idle", None, 0.0),
        ("idle", None, 0.0),
    ]


def test_a_gesture_that_is_on_and_not_seen_is_releasing_until_it_ends() -> None:
    assert [phase for phase, _, _ in progress("SSSS.....")][3:] == ["on", *["releasing"] * 4, "idle"]


def test_the_ring_is_that_of_the_gesture_that_forms_while_another_is_still_on() -> None:
    debouncer = Debouncer(Thresholds(), LABELS)
    steps = observations("SSSSFF")
    for observation in steps:
        debouncer.feed(observation)
    told = debouncer.progress(steps[-1])
    assert (told.phase, told.gesture, told.on) == ("forming", "fist", "stop")
    assert told.held_s == pytest.approx(0.1)


@given(st.text("SFTO2?.", max_size=60))
def test_asking_how_far_a_hand_is_changes_nothing(timeline: str) -> None:
    asked = Debouncer(Thresholds(), LABELS)
    found = []
    for observation in observations(timeline):
        asked.progress(observation)
        found += asked.feed(observation)
        asked.progress(observation)
    assert brief(found) == starts_and_ends(timeline)

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.frames import black_frame
from timelines import brief, scores

from agent.core.gesture_pipeline import GesturePipeline
from agent.core.rules import ActionTemplate, Conditions, Rule, RuleSet, WakeGesture
from agent.core.thresholds import Thresholds
from agent.core.types import LABELS, Box, Detections, GestureEvent, Hand, HandDetection

GESTURES = ("fist", "stop", "thumbs_up", "ok")
FORGIVING = Thresholds(confidence=0.65, keep=0.4, release_s=0.35)
FAST = Thresholds(hold_s=0.2)


def detections(at: float, *hands: HandDetection, camera: str = "desk") -> Detections:
    return Detections(black_frame(camera, at), len(hands), hands)


def hand(
    label: str, score: float = 1.0, *, person: int = 0, side: Hand = "right", x: float = 320, y: float = 240
) -> HandDetection:
    return HandDetection(person, side, Box(x, y, 100), scores(label, score))


def webcam(
    gestures: tuple[str, ...],
    *,
    fps: float = 15,
    gap_s: float = 0.5,
    seed: int = 0,
    wrong: float = 0.05,
    missed: float = 0.05,
    renamed: float = 0.05,
) -> list[Detections]:
    """Three seconds of each gesture with pauses between, as a real classifier sees them: some frames
    wrong, some without a hand, some with the hand under another name; the hand drifts and trembles.
    """
    dice = random.Random(seed)  # noqa: S311 (the same every time)
    all_detections, at = [], 0.0
    for gesture in gestures:
        x, y = dice.uniform(100, 500), dice.uniform(100, 400)
        for _ in range(round(3 * fps)):
            label = dice.choice(LABELS) if dice.random() < wrong else gesture
            x, y = x + dice.uniform(-8, 8), y + dice.uniform(-8, 8)
            other = dice.random() < renamed
            seen = hand(
                label, dice.uniform(0.7, 1), person=int(other), side="left" if other else "right", x=x, y=y
            )
            all_detections.append(detections(at, *([] if dice.random() < missed else [seen])))
            at += dice.uniform(0.7, 1.3) / fps
        for _ in range(round(gap_s * fps) + 1):
            all_detections.append(detections(at))
            at += 1 / fps
    return [*all_detections, *[detections(at + i / fps) for i in range(round(2 * fps))]]


def events(all_detections: list[Detections], pipeline: GesturePipeline | None = None) -> list[GestureEvent]:
    pipeline = pipeline or GesturePipeline(LABELS)
    return [event for one in all_detections for event in pipeline.process(one).events]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("fps", [10, 15, 30])
def test_each_gesture_of_a_trembling_webcam_starts_once_and_ends_once(seed: int, fps: float) -> None:
    dice = random.Random(seed)  # noqa: S311 (the same every time)
    shown = tuple(dice.sample(GESTURES, 4))
    found = brief(events(webcam(shown, fps=fps, seed=seed), GesturePipeline(LABELS, thresholds=FORGIVING)))
    assert [(phase, gesture) for _, phase, gesture in found] == [
        (phase, gesture) for gesture in shown for phase in ("started", "ended")
    ]


def test_a_hand_under_another_name_for_a_second_does_not_fire_twice() -> None:
    names: list[tuple[int, Hand]] = [(0, "right")] * 20 + [(3, "left")] * 15 + [(0, "right")] * 20
    all_detections = [
        detections(i / 15, hand("stop", person=p, side=side, x=300 + i)) for i, (p, side) in enumerate(names)
    ]
    found = events([*all_detections, *[detections(4 + i / 15) for i in range(20)]])
    assert [phase for _, phase, _ in brief(found)] == ["started", "ended"]
    assert {(event.person, event.hand) for event in found} == {(0, "right")}


def test_a_hand_that_shows_no_gesture_starts_nothing() -> None:
    assert brief(events(webcam(("random",) * 4, wrong=0.3))) == []


def test_a_covered_camera_ends_a_gesture_through_silence() -> None:
    pipeline = GesturePipeline(LABELS)
    found = events([detections(i / 15, hand("stop")) for i in range(15)], pipeline)
    assert [phase for _, phase, _ in brief(found)] == ["started"]
    quiet = [event for i in range(1, 12) for event in pipeline.process_silence("desk", 0.94 + i / 10).events]
    assert [(phase, gesture) for _, phase, gesture in brief(quiet)] == [("ended", "stop")]


def test_a_frozen_process_ends_what_was_on() -> None:
    found = events(
        [*[detections(i / 15, hand("stop")) for i in range(15)], detections(60.0), detections(60.1)]
    )
    assert [phase for _, phase, _ in brief(found)] == ["started", "ended"]


def test_stopping_a_camera_ends_its_gestures_and_its_repeats() -> None:
    rule = Rule(
        "louder",
        Conditions("gesture", ("two",)),
        (ActionTemplate("key", "KEY_VOLUMEUP"),),
        Thresholds(),
        repeat_s=0.1,
    )
    pipeline = GesturePipeline(LABELS, rule_set=RuleSet((rule,)))
    fired = [a for i in range(30) for a in pipeline.process(detections(i / 15, hand("two"))).actions]
    assert len(fired) > 5
    stopped = pipeline.stop("desk", 2.0)
    assert [phase for _, phase, _ in brief(stopped.events)] == ["ended"]
    assert pipeline.stop("desk", 2.1).events == ()
    again = [a for i in range(31, 36) for a in pipeline.process(detections(i / 15, hand("two"))).actions]
    assert again == [], "it must be held anew"


def test_what_is_reported_is_judged_by_the_general_thresholds_whatever_the_rules_say() -> None:
    slow = Thresholds(hold_s=1.0)
    rule = Rule("a", Conditions("gesture", ("stop",)), (ActionTemplate("publish", "t"),), slow)
    pipeline = GesturePipeline(
        LABELS, smoothing_s=0, thresholds=FAST, rule_set=RuleSet((rule,), wake=WakeGesture("ok", 5, slow))
    )
    told, fired = [], []
    for i in range(20):
        result = pipeline.process(detections(i / 10, hand("stop")))
        told += brief(result.events)
        fired += [(round(a.at, 3), a.rule) for a in result.actions]
    assert told == [(0.3, "started", "stop")]  # the first observation is from no gesture
    assert fired == [(1.1, "a")]


def test_two_cameras_and_two_people_at_once() -> None:
    pipeline = GesturePipeline(LABELS)
    found: list[GestureEvent] = []
    for i in range(15):
        two = [hand("stop", person=0, x=100), hand("fist", person=1, side="left", x=500)]
        found += pipeline.process(detections(i / 15, *two)).events
        found += pipeline.process(detections(i / 15, hand("ok"), camera="door")).events
    assert sorted(
        (e.camera, e.person, e.hand, e.gesture) for e in found if type(e).__name__ == "GestureStarted"
    ) == [
        ("desk", 0, "right", "stop"),
        ("desk", 1, "left", "fist"),
        ("door", 0, "right", "ok"),
    ]


def test_the_ring_and_the_smoothed_scores_are_there_for_the_screen() -> None:
    pipeline = GesturePipeline(LABELS)
    for i in range(7):
        result = pipeline.process(detections(i / 15, hand("stop")))
    [ring] = pipeline.pending()
    assert (ring.gesture, ring.hand) == ("stop", "right")
    assert 0 < ring.progress < 1
    [observation] = result.smoothed
    assert observation.scores is not None
    assert 0.75 < observation.scores[LABELS.index("stop")] < 1


def test_a_reload_with_a_longer_release_does_not_lose_the_end() -> None:
    slow = Thresholds(release_s=8.0)
    pipeline = GesturePipeline(LABELS)
    pipeline.reload(
        RuleSet(
            (
                Rule(
                    "a",
                    Conditions("gesture", ("two",)),
                    (ActionTemplate("key", "KEY_A"),),
                    slow,
                    repeat_s=0.1,
                ),
            )
        )
    )
    for i in range(15):
        pipeline.process(detections(i / 15, hand("two")))
    for i in range(150):
        pipeline.process(detections(1 + i / 15))
    assert pipeline.rules._repeats == {}


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.03, 0.07, 0.1, 0.3, 2.0, 7.0, -0.1, -20.0]),
            st.lists(
                st.tuples(
                    st.sampled_from(LABELS),
                    st.integers(0, 2),
                    st.sampled_from(["left", "right"]),
                    st.sampled_from([50.0, 120.0, 500.0]),
                ),
                max_size=3,
            ),
        ),
        max_size=60,
    )
)
def test_whatever_is_seen_every_start_of_a_hand_has_its_end(
    frames: list[tuple[float, list[tuple[str, int, Hand, float]]]],
) -> None:
    pipeline, at, found = GesturePipeline(LABELS), 1000.0, []
    for dt, hands in frames:
        at += dt
        seen = [hand(label, person=person, side=side, x=x) for label, person, side, x in hands]
        found += pipeline.process(detections(at, *seen)).events
    for i in range(60):
        found += pipeline.process(detections(at + i / 5)).events
    phases = [phase for _, phase, _ in brief(found)]
    assert phases.count("started") == phases.count("ended")


def test_the_same_frames_give_the_same_events_to_the_last_bit() -> None:
    all_detections = webcam(GESTURES, seed=3)
    assert events(all_detections) == events(all_detections)


def test_strange_scores_do_no_harm() -> None:
    bad = [np.full(len(LABELS), value, np.float32) for value in (np.nan, np.inf, -1.0, 1e30)]
    all_detections = [
        detections(i / 15, HandDetection(0, "right", Box(320, 240, 100), bad[i % 4])) for i in range(40)
    ]
    pipeline = GesturePipeline(LABELS)
    events(all_detections, pipeline)
    later = [detections(4 + i / 15, hand("stop")) for i in range(30)]
    assert brief(events(later, pipeline))[-1][1:] == ("started", "stop")

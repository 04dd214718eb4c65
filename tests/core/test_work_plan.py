from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.core.types import LABELS, Box, Floats, Hand, Pose
from agent.core.work_plan import EVERY_FRAME, HandMemory, ImagePlan, ImageResult, Rates, WorkPlan

RATES = Rates()
FPS = 30
JOINTS = ("left_shoulder", "right_shoulder", "left_wrist", "right_wrist")
BOTH: frozenset[tuple[int, Hand]] = frozenset({(0, "left"), (0, "right")})
BOX = Box(100, 100, 80)


def said(label: str, sure: float = 0.99) -> Floats:
    scores = np.full(len(LABELS), (1 - sure) / (len(LABELS) - 1), np.float32)
    scores[LABELS.index(label)] = sure
    return scores


def body(right_wrist: float = 200.0) -> Pose:
    """Shoulders 100 px apart; the right wrist at that height."""
    points = [(300, 100), (200, 100), (320, 300), (180, right_wrist)]
    return Pose(np.array([(*point, 1) for point in points], np.float32), JOINTS, 1.0)


def read(plan: WorkPlan, label: str, seconds: float, sure: float = 0.99, drift: float = 0.0) -> HandMemory:
    """A hand that says the same for so long, read in every frame; `drift` in px a frame."""
    memory, before = None, None
    for frame in range(round(seconds * FPS) + 1):
        box = Box(BOX.cx + drift * frame, BOX.cy, BOX.side)
        memory = plan.remember(memory, box, before, said(label, sure), frame / FPS)
        before = box
    assert memory
    return memory


def looks(plan: WorkPlan, seconds: float, people: list[tuple[int, Pose]], followed: frozenset = BOTH) -> int:
    count = 0
    for frame in range(round(seconds * FPS)):
        if plan.poses(frame / FPS, followed).do:
            plan.record_poses(frame / FPS, people)
            count += 1
    return count


def test_bodies_that_keep_still_are_looked_at_six_times_a_second() -> None:
    assert looks(WorkPlan(LABELS), 2, [(0, body())]) == pytest.approx(2 * 6, abs=1)


def test_nobody_is_searched_for_eight_times_a_second() -> None:
    assert looks(WorkPlan(LABELS), 2, [], frozenset()) == pytest.approx(2 * 8, abs=1)


def test_the_body_of_a_hand_that_is_followed_is_searched_for_twice_a_second() -> None:
    assert looks(WorkPlan(LABELS), 2, [], BOTH) == pytest.approx(2 * 2, abs=1)


def test_a_body_that_keeps_still_and_shows_no_hand_is_looked_at_four_times_a_second() -> None:
    assert looks(WorkPlan(LABELS), 2, [(0, body())], frozenset()) == pytest.approx(2 * 4, abs=1)


def test_an_arm_whose_wrist_jitters_on_and_on_is_looked_at_six_times_a_second_until_it_has_rested() -> None:
    plan, x = WorkPlan(LABELS), 300
    posed: list[float] = []
    for frame in range(6 * FPS):
        at = frame / FPS
        if plan.poses(at, frozenset()).do:
            x += (40, -40, 40, -40, 40, -40, 0)[len(posed) % 7]  # still in every seventh pose
            plan.record_poses(at, [(0, body(x))])
            posed.append(at)
    assert sum(at < 0.5 for at in posed) > 0.25 * FPS
    assert sum(4 <= at < 6 for at in posed) == pytest.approx(2 * 6, abs=2)
    at = 8.0
    for still in (at, at + 1.5):
        plan.record_poses(still, [(0, body(x))])
    plan.record_poses(at + 1.7, [(0, body(x - 40))])
    assert plan.poses(at + 1.7 + 1 / FPS, frozenset()).why == "moves"


def test_an_arm_on_its_way_is_looked_at_in_every_frame_until_its_hand_is_followed() -> None:
    plan = WorkPlan(LABELS)
    plan.record_poses(0.0, [(0, body(300))])
    plan.record_poses(0.2, [(0, body(280))])
    assert plan.poses(0.2 + 1 / FPS, frozenset()).why == "moves"
    assert plan.poses(0.2 + 1 / FPS, BOTH).why == "calm"
    plan.record_poses(0.4, [(0, body(279))])
    assert not plan.poses(0.4 + 1 / FPS, frozenset()).do


def test_a_resting_wrist_that_jitters_from_pose_to_pose_is_no_arm_on_its_way() -> None:
    plan = WorkPlan(LABELS)
    for frame in range(10):
        plan.record_poses(frame / FPS, [(0, body(300 + 6 * (frame % 2)))])
    assert plan.poses(10 / FPS, frozenset()).why == "calm"


def test_a_clip_that_begins_anew_is_looked_at() -> None:
    plan = WorkPlan(LABELS)
    plan.record_poses(10.0, [(0, body())])
    assert plan.poses(0.0, BOTH).do


@pytest.mark.parametrize(
    ("label", "seconds", "sure", "drift", "why"),
    [
        ("random", 0.2, 0.99, 0, "calm"),  # it means nothing and keeps still
        ("random", 0.2, 0.7, 0, "changes"),  # perhaps it begins to
        ("stop", 0.2, 0.99, 0, "changes"),  # it forms: every frame
        ("stop", 1.0, 0.99, 0, "calm"),  # it is shown for long
        ("stop", 1.0, 0.5, 0, "changes"),  # shown for long, but not surely
        ("stop", 1.0, 0.99, 4, "moves"),  # 1.5 sides of its box a second
    ],
)  # fmt: skip
def test_a_hand_is_read_in_every_frame_unless_it_is_sure_and_still(
    label: str, seconds: float, sure: float, drift: float, why: str
) -> None:
    plan = WorkPlan(LABELS)
    memory = read(plan, label, seconds, sure, drift)
    assert plan.hand(memory, memory.read_at + 1 / FPS).why == why


def test_no_hand_goes_unread_for_longer_than_a_tenth_of_a_second() -> None:
    plan = WorkPlan(LABELS)
    memory = read(plan, "random", 3)
    assert not plan.hand(memory, memory.read_at + 2 / FPS).do
    assert plan.hand(memory, memory.read_at + 3 / FPS).do


def test_a_hand_that_means_nothing_by_its_landmarks_is_not_shown_to_the_image_classifier() -> None:
    plan = ImagePlan(LABELS)
    assert plan.should_run(None, said("random"), 0.0).why == "random"
    assert plan.should_run(None, said("random", 0.7), 0.0).do
    assert plan.should_run(None, said("stop"), 0.0).do


@pytest.mark.parametrize(
    ("image_says", "every_s"), [("stop", RATES.recheck_s), ("fist", RATES.recheck_s / 2)]
)
def test_a_settled_gesture_is_asked_about_once_a_second_and_twice_where_the_two_contradict_each_other(
    image_says: str, every_s: float
) -> None:
    plan, last, asked = ImagePlan(LABELS), None, []
    for frame in range(4 * FPS):
        at = frame / FPS
        do = plan.should_run(last, said("stop"), at).do
        if at > RATES.settled_s:
            assert plan.settled(last, at) is not do  # the smaller network runs where no recheck is due
        if do:
            asked.append(at)
            last = plan.remember(last, said("stop"), said(image_says), at)
    early = [at for at in asked if at < RATES.settled_s]
    assert len(early) == round(RATES.settled_s * FPS)  # every frame, until any usual hold is over
    assert np.diff(asked[len(early) + 1 :]) == pytest.approx(every_s, abs=1 / FPS)


def test_another_word_of_the_landmarks_is_judged_by_the_image_classifier_at_once() -> None:
    last = ImageResult(said("stop"), 5.0, LABELS.index("stop"), 0.0, said("stop"))
    assert not ImagePlan(LABELS).should_run(last, said("stop"), 5.1).do
    assert ImagePlan(LABELS).should_run(last, said("two"), 5.1).why == "changes"


def faltering(plan: WorkPlan, label: str, sure: float, later_s: float) -> HandMemory:
    """A hand that was sure of `label` and is so no more, `later_s` afterwards."""
    memory = read(plan, label, 1.0)
    return plan.remember(memory, BOX, BOX, said(label, sure), memory.read_at + later_s)


@pytest.mark.parametrize(
    ("label", "sure", "later_s", "do"),
    [
        ("stop", 0.99, 1 / FPS, False),  # as clear as before
        ("stop", 0.6, 1 / FPS, True),
        ("stop", 0.6, 0.5, True),  # the frames between were late
        ("stop", 0.6, RATES.falter_s + 1 / FPS, False),  # long ago
        ("random", 0.6, 1 / FPS, False),  # it never was a gesture
    ],
)
@pytest.mark.parametrize("rates", [RATES, EVERY_FRAME])
def test_a_hand_is_located_again_when_its_gesture_falters(
    label: str, sure: float, later_s: float, do: bool, rates: Rates
) -> None:
    plan = WorkPlan(LABELS, rates)
    memory = faltering(plan, label, sure, later_s)
    assert plan.relocate(memory, memory.read_at).do is do


def test_a_gesture_that_stays_doubtful_is_located_a_few_times_at_most() -> None:
    plan, located = WorkPlan(LABELS), []
    memory = faltering(plan, "stop", 0.6, 1 / FPS)
    start = memory.read_at
    for frame in range(1, 5 * FPS):
        at = start + frame / FPS
        if plan.relocate(memory, at).do:
            located.append(at - start)
            memory = replace(memory, relocated_at=at)
        memory = plan.remember(memory, BOX, BOX, said("stop", 0.6), at)
    assert len(located) <= 1 + RATES.falter_s / RATES.relocate_s
    assert np.diff(located).min() >= RATES.relocate_s - 1e-3


def test_with_every_frame_nothing_is_left_out() -> None:
    plan = WorkPlan(LABELS, EVERY_FRAME)
    assert looks(plan, 1, [(0, body())]) == FPS
    memory = read(plan, "random", 3)
    assert plan.hand(memory, memory.read_at + 1 / FPS).do
    last = ImageResult(said("stop"), 5.0, LABELS.index("stop"), 0.0, said("stop"))
    assert ImagePlan(LABELS, EVERY_FRAME).should_run(last, said("stop"), 5.0).do
    assert ImagePlan(LABELS, EVERY_FRAME).should_run(None, said("random", 1.0), 5.0).do

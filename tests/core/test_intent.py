"""Whether a hand is shown: people as they are, and what speaks against their gestures, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from timelines import brief, events, observations, scores

from agent.core.intent import HandHistories, doubt_of, intent_of, obstacle_of, speed_obstacle
from agent.core.posture import posture_of, sure_hands
from agent.core.thresholds import Thresholds
from agent.core.types import LABELS, Box, Floats, HandObservation, HandPosture, Place, Pose

FRAME = (640, 480)
LIMITS = Thresholds()
Joints = dict[str, tuple[float, float]]

# A person who faces the camera and shows the right hand beside the head; the left arm hangs. Pixels.
PERSON: Joints = {
    "nose": (320, 122), "left_eye": (333, 108), "right_eye": (307, 108), "left_ear": (350, 114),
    "right_ear": (290, 114), "mouth_left": (331, 142), "mouth_right": (309, 142),
    "left_shoulder": (395, 200), "right_shoulder": (245, 200), "left_elbow": (410, 300),
    "right_elbow": (200, 270), "left_wrist": (410, 390), "right_wrist": (205, 170),
    "left_index": (408, 420), "right_index": (208, 140), "left_pinky": (414, 420), "right_pinky": (195, 142),
    "left_thumb": (402, 410), "right_thumb": (216, 150), "left_hip": (365, 410), "right_hip": (275, 410),
}  # fmt: skip
SHOWN = (205.0, 135.0)  # where the right hand is


def pose(joints: Joints, scores: Mapping[str, float] | None = None) -> Pose:
    rows = [(x, y, (scores or {}).get(name, 1.0)) for name, (x, y) in joints.items()]
    return Pose(np.array(rows, np.float32), tuple(joints), 1.0)


def landmarks(at: tuple[float, float], side: float = 70.0, way: float = 0.0) -> Floats:
    """The points of a hand whose box has this middle and side; it points so many degrees from up."""
    points = np.zeros((21, 2), np.float32)
    points[0], points[9] = (0, 0.5), (0, -0.02)  # wrist, middle knuckle
    points[5], points[13], points[17] = (-0.15, 0.0), (0.12, 0.02), (0.22, 0.08)
    points[4], points[12] = (-0.4, 0.0), (0, -0.5)  # tips of thumb and middle finger
    cos, sin = math.cos(math.radians(way)), math.sin(math.radians(way))
    return np.asarray(points @ np.array([(cos, sin), (-sin, cos)]) * side + at, np.float32)


def held(
    body: Pose | None, at: tuple[float, float] = SHOWN, side: float = 70.0, others: tuple[Floats, ...] = ()
) -> HandPosture:
    return posture_of(body, Box(*at, side), landmarks(at, side), others, FRAME)


def why_not(posture: HandPosture, gesture: str = "fist") -> str:
    found = obstacle_of(posture, gesture, LIMITS)
    return found.words if found else ""


def doubt(posture: HandPosture, gesture: str = "fist") -> str:
    return doubt_of(replace(observations("F")[0], posture=posture), gesture, LIMITS)


def without(*names: str) -> Joints:
    return {name: at for name, at in PERSON.items() if name not in names}


def has_changed(joints: Joints, by: tuple[float, float], *names: str) -> Joints:
    return {n: (x + by[0], y + by[1]) if n in names or not names else (x, y) for n, (x, y) in joints.items()}


def turned(joints: Joints, degrees: float, about: tuple[float, float] = (320, 240)) -> Joints:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return {
        name: (about[0] + cos * (x - about[0]) - sin * (y - about[1]),
               about[1] + sin * (x - about[0]) + cos * (y - about[1]))
        for name, (x, y) in joints.items()
    }  # fmt: skip


def test_a_hand_that_is_shown_to_the_camera_is_meant_without_doubt() -> None:
    posture = held(pose(PERSON))
    assert why_not(posture) == ""
    assert doubt(posture) == ""
    assert (
        intent_of(HandObservation(0, "front", 0, "right", None, posture=posture), "fist", LIMITS).hold_s
        == 0.3
    )


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        (("left_ear",), ""),
        (("left_ear", "right_ear", "nose"), ""),
        (("left_hip", "right_hip"), ""),
        (("right_elbow",), "the elbow is not in view"),
        (("left_shoulder", "right_shoulder"), ""),
    ],
    ids=["one ear", "a face turned into a hood", "behind a desk", "a sleeve out of view", "no shoulders"],
)
def test_missing_joints_speak_against_nothing(lost: tuple[str, ...], told: str) -> None:
    gone, guessed = held(pose(without(*lost))), held(pose(PERSON, dict.fromkeys(lost, 0.2)))
    assert (why_not(gone), why_not(guessed)) == ("", "")
    assert doubt(gone) == doubt(guessed) == told


def test_a_back_does_not_face_the_camera() -> None:
    back = {
        name.replace("left", "?").replace("right", "left").replace("?", "right"): at
        for name, at in PERSON.items()
    }
    assert why_not(held(pose(back))) == "not facing the camera (180 degrees, limit 45)"


def test_who_looks_aside_does_not_face_the_camera() -> None:
    aside = {**PERSON, "nose": (364.0, 122.0)}
    assert why_not(held(pose(aside))) == "not facing the camera (48 degrees, limit 45)"
    assert why_not(held(pose({**PERSON, "nose": (350.0, 122.0)}))) == ""
    assert doubt(held(pose({**PERSON, "nose": (350.0, 122.0)}))).startswith("nearly: not facing")


def test_a_head_that_the_border_cuts_says_nothing() -> None:
    """Its joints are squeezed into the picture, wherever they are."""
    cut = {**PERSON, "nose": (364.0, 3.0), "left_ear": (350.0, 2.0), "right_ear": (290.0, 2.0)}
    assert held(pose(cut)).facing is None
    assert why_not(held(pose(cut))) == ""


@pytest.mark.parametrize(
    "hidden",
    [("mouth_left", "mouth_right"), ("left_eye", "right_eye", "left_ear", "right_ear")],
    ids=["a mask", "a cap"],
)
def test_a_covered_face_is_no_obstacle(hidden: tuple[str, ...]) -> None:
    assert why_not(held(pose(PERSON, dict.fromkeys(hidden, 0.1)))) == ""


def test_a_mask_or_a_cap_hides_no_hand_at_the_face() -> None:
    for hidden in (("mouth_left", "mouth_right"), ("left_eye", "right_eye", "left_ear", "right_ear")):
        covered = pose(PERSON, dict.fromkeys(hidden, 0.1))
        assert "touches the face" in why_not(held(covered, (320, 155), 66.0), "two")


@pytest.mark.parametrize("squeezed", [True, False], ids=["at the border", "beyond it"])
def test_a_person_whom_the_border_halves_may_show_a_hand(squeezed: bool) -> None:
    """The left shoulder, arm and ear are out of view; the networks place them at the border or beyond it."""
    by = 318.0, 0.0
    halved = has_changed(PERSON, by)
    if squeezed:
        halved = {name: (min(x, FRAME[0] - 2.0), y) for name, (x, y) in halved.items()}
    hand = SHOWN[0] + by[0], SHOWN[1]
    out_of_view = {name: 0.2 for name, (x, _y) in halved.items() if x > FRAME[0] - 3}
    for seen in (pose(halved), pose(halved, out_of_view)):
        posture = held(seen, hand)
        assert (why_not(posture), doubt(posture)) == ("", "")
        assert posture.facing is None
    lowered = held(pose(halved), (halved["right_hip"][0], 400))
    assert why_not(lowered).startswith("the hand is too low")


def test_who_sits_in_a_wheelchair_may_show_a_hand() -> None:
    """The knees hide the hips, and the torso leans on the chair's back."""
    seated = turned(PERSON, 15)
    cos, sin = math.cos(math.radians(15)), math.sin(math.radians(15))
    x, y = SHOWN[0] - 320, SHOWN[1] - 240
    hand = 320 + cos * x - sin * y, 240 + sin * x + cos * y
    assert why_not(held(pose(seated, {"left_hip": 0.3, "right_hip": 0.3}), hand)) == ""
    assert why_not(held(pose(seated), hand)) == ""


def test_a_child_far_away_is_measured_by_its_own_size() -> None:
    small = {name: (300 + 0.2 * x, 200 + 0.2 * y) for name, (x, y) in PERSON.items()}
    at = 300 + 0.2 * SHOWN[0], 200 + 0.2 * SHOWN[1]
    assert why_not(held(pose(small), at, 14.0)) == ""
    low = (300 + 0.2 * 300, 200 + 0.2 * 360)
    assert why_not(held(pose(small), low, 14.0)).startswith("the hand is too low")


def test_who_lies_is_not_upright() -> None:
    lying = turned(PERSON, 80)
    cos, sin = math.cos(math.radians(80)), math.sin(math.radians(80))
    x, y = SHOWN[0] - 320, SHOWN[1] - 240
    hand = 320 + cos * x - sin * y, 240 + sin * x + cos * y
    assert why_not(held(pose(lying), hand)) == "the body is not upright (80 degrees, limit 50)"


def test_a_hand_at_the_nose_or_the_ear_touches_the_face() -> None:
    assert "touches the face" in why_not(held(pose(PERSON), (320, 140), 75.0), "two")
    assert "the face" in why_not(held(pose(PERSON), (282, 118), 66.0))


def test_a_hand_held_out_before_the_face_does_not_touch_it() -> None:
    """It is larger than the face is: nearer to the camera."""
    before = held(pose({**PERSON, "nose": (364.0, 122.0)}), (320, 150), 150.0)
    assert before.to_face is None
    assert before.facing is None, "it hides where the face looks"


def test_a_forearm_held_to_the_camera_or_beyond_the_picture_points_nowhere() -> None:
    reached = held(pose({**PERSON, "right_elbow": (180, 190)}))
    assert (reached.forearm, reached.elbow_hidden) == (None, False)
    beyond = held(pose({**PERSON, "right_elbow": (-30, 180)}))
    assert (beyond.forearm, beyond.elbow_hidden) == (None, True)
    assert doubt(beyond) == "the elbow is not in view"


def test_clasped_hands_touch_each_other() -> None:
    clasped = {
        **PERSON, "right_elbow": (215, 290), "right_wrist": (295, 240), "right_index": (315, 225),
        "right_pinky": (312, 235), "right_thumb": (318, 215), "left_elbow": (425, 290),
        "left_wrist": (345, 240), "left_index": (325, 225), "left_pinky": (328, 235),
        "left_thumb": (322, 215),
    }  # fmt: skip
    assert "touches another one" in why_not(held(pose(clasped), (315, 225), 60.0), "thumbs_up")


def test_an_other_hand_that_is_merely_guessed_is_not_touched() -> None:
    """Out of view, it is often guessed to be where the hand in view is."""
    guessed = {**PERSON, "left_wrist": (210, 150), "left_index": (208, 140), "left_elbow": (300, 300)}
    assert why_not(held(pose(guessed, {"left_wrist": 0.8, "left_elbow": 0.8}))) == ""


def test_hands_of_two_people_that_cross_touch() -> None:
    other = has_changed(PERSON, (-195.0, 0.0))
    others = tuple(sure_hands(pose({**other, "left_elbow": (190, 240), "left_wrist": (207, 160),
                                    "left_index": (205, 130), "left_pinky": (210, 135)})))  # fmt: skip
    assert "touches another one" in why_not(held(pose(PERSON), others=others))
    assert why_not(held(pose(PERSON), others=(landmarks((60, 135)),))) == ""


def test_a_forearm_that_lies_is_no_raised_fist_but_may_carry_a_thumb() -> None:
    lying = {**PERSON, "right_elbow": (120, 180)}
    assert why_not(held(pose(lying))) == "the forearm does not point up (83 degrees, limit 75)"
    assert why_not(held(pose(lying)), "thumbs_up") == ""


def test_a_body_that_is_no_larger_than_a_hand_is_that_hand() -> None:
    hand = Box(320, 240, 300)
    tiny = {name: (240 + x / 4, 180 + y / 4) for name, (x, y) in turned(PERSON, 90).items()}
    posture = posture_of(pose(tiny), hand, landmarks((320, 240), 300.0), (), FRAME)
    assert posture.bodiless
    assert why_not(posture) == ""


def test_a_hand_alone_in_the_picture_asks_for_more() -> None:
    alone = [replace(r, posture=held(None)) for r in observations("FFFFFFFF")]
    assert brief(events(alone)) == [(0.4, "started", "fist")]
    assert doubt(held(None)) == "no body is in view"
    unsure = [replace(r, scores=None if r.scores is None else r.scores * np.float32(0.75)) for r in alone]
    own = Thresholds(confidence=0.7)
    assert brief(events(unsure, own)) == []
    assert brief(events([replace(r, posture=HandPosture()) for r in unsure], own)) == [
        (0.3, "started", "fist")
    ]


def moving(widths_a_second: float, frames: int = 12) -> list[HandObservation]:
    shown = observations("F" * frames)
    histories = HandHistories(LABELS)
    return [
        histories.feed(replace(r, place=Place(0.1 + 0.2 * widths_a_second * r.at * 3 / 4, 0.5, 0.2)))
        for r in shown
    ]


def test_a_hand_that_moves_starts_when_it_is_still() -> None:
    assert moving(2.0)[-1].speed == pytest.approx(2.0)
    assert brief(events(moving(2.0))) == []
    found = speed_obstacle(moving(2.0)[-1], LIMITS)
    assert found is not None
    assert found.words == "the hand moves (2.0 of its widths a second, limit 1.5)"
    assert brief(events(moving(1.0))) == [(0.3, "started", "fist")]
    stopping = [*moving(2.0, 8), *(replace(r, speed=0.1) for r in observations("F" * 12)[8:])]
    assert brief(events(stopping)) == [(0.8, "started", "fist")]


def test_speed_is_not_known_at_first_nor_after_a_gap() -> None:
    histories = HandHistories(LABELS)
    first, later = (replace(observations("F")[0], at=at) for at in (0.0, 5.0))
    assert histories.feed(first).speed is None
    assert histories.feed(later).speed is None
    unseen = replace(later, at=5.1, place=None)
    assert histories.feed(unseen).speed is None


def test_a_shape_that_became_clear_slowly_is_in_doubt() -> None:
    """A hand that holds a thing looks like a fist for long, and now and then clearly so."""

    def seen(likely: float, unclear: int) -> list[HandObservation]:
        shares = [0.5] * unclear + [likely] * 10
        shown = zip(observations("F" * len(shares)), shares, strict=True)
        histories = HandHistories(LABELS)
        return [histories.feed(replace(r, scores=scores("fist", share))) for r, share in shown]

    own = Thresholds(confidence=0.75)
    assert brief(events(seen(0.8, unclear=5), own)) == [(0.8, "started", "fist")]
    assert brief(events(seen(0.8, unclear=20), own)) == []
    assert brief(events(seen(0.95, unclear=20), own)) == [(2.4, "started", "fist")]
    assert doubt_of(seen(0.8, 20)[-1], "fist", own) == "it took shape slowly (2.9 s, limit 1.5)"


def test_a_long_hold_is_no_slow_shape() -> None:
    histories = HandHistories(LABELS)
    shown = [histories.feed(replace(r, scores=scores("fist", 0.8))) for r in observations("F" * 40)]
    assert brief(events(shown, Thresholds(confidence=0.75, hold_s=3.0))) == [(3.0, "started", "fist")]


def test_every_limit_can_be_turned_off() -> None:
    off = Thresholds(
        raised=-1.0, lean=180.0, at_face=True, facing=180.0, forearm=180.0, upright=180.0, face_gap=0.0,
        hand_gap=0.0, still=100.0, onset_s=1e9, doubtful_confidence=0.0, doubtful_hold_s=0.0,
    )  # fmt: skip
    worst = HandPosture(
        -1.0, 180.0, at_face=True, facing=180.0, forearm=180.0, upright=180.0, to_face=0.0, to_hand=0.0
    )
    observation = replace(observations("F")[0], posture=worst)
    intent = intent_of(observation, "fist", off)
    assert (intent.meant, intent.doubt, intent.confidence, intent.hold_s) == (True, "", 0.85, 0.3)
    assert speed_obstacle(replace(observation, speed=40.0), off) is None

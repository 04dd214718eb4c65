"""Hands of rendered lives as training data: what they are called, and that their joints are the net's own."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.types import Box, HandDetection
from agent.inference.crops import points_in_picture
from training.gestures.hands.living import DISSOLVING_S, INPUT, Truth, in_crop, picture_of
from training.synthetic.scenes.scene import Film
from training.synthetic.scenes.script import Beat

SCORES = np.zeros(6, np.float32)


class Stage:
    """A scene of one person: the right hand's palm is at the middle, the left one's at the left edge."""

    def __init__(self, shown: str = "", gestures: tuple[Beat, ...] = ()) -> None:
        self.film = Film(seconds=4)
        self.times = np.arange(40) / 10
        self.actors = ["somebody"]
        self.scripts = [self]
        self.gestures = gestures
        self._shown = shown

    def palms(self, _: int, side: str) -> np.ndarray:
        return np.tile([0.5 if side == "R" else 0.05, 0.5, 1.0], (len(self.times), 1))

    def shown_at(self, side: str, times: np.ndarray) -> np.ndarray:
        return np.full(len(times), self._shown if side == "R" else "")

    def doing(self, *_: object) -> str:
        return "talk"


def hand(x: float) -> HandDetection:
    return HandDetection(0, "right", Box(x, 240, 60), SCORES)


def named(stage: Stage, frame: int, x: float = 320) -> tuple[str, str]:
    return Truth(stage).of(hand(x), frame)  # type: ignore[arg-type]


def test_a_hand_that_lives_is_no_gesture() -> None:
    assert named(Stage(), 5) == ("random", "talk")


def test_a_hand_that_passes_through_a_gesture_teaches_nothing() -> None:
    assert named(Stage(shown="fist"), 5) == ("exclude", "talk")
    assert named(Stage(shown="fist"), 5, x=32) == ("random", "talk")


def test_what_was_found_where_no_hand_is_is_no_gesture() -> None:
    assert named(Stage(shown="fist"), 5, x=500) == ("random", "no hand")


@pytest.mark.parametrize(
    ("at", "label"),
    [
        (1.0, "ok"),
        (2.0, "ok"),
        (0.9, "exclude"),
        (1.0 - DISSOLVING_S, "exclude"),
        (0.4, "random"),
        (2.6, "random"),
    ],
)
def test_a_gesture_on_purpose_is_named_between_arriving_and_leaving(at: float, label: str) -> None:
    meant = Stage(gestures=(Beat("ok", 1.0, 2.0, "R"),))
    assert named(meant, round(at * 10))[0] == label
    assert named(meant, round(at * 10), x=32)[0] == "random"


@given(
    angle=st.floats(-math.pi, math.pi), side=st.floats(20, 400), cx=st.floats(0, 640), cy=st.floats(0, 480)
)
def test_joints_come_back_as_the_net_said_them(angle: float, side: float, cx: float, cy: float) -> None:
    said = np.random.default_rng(0).uniform(0, INPUT, (21, 3)).astype(np.float32)
    box = Box(cx, cy, side, angle)
    placed = points_in_picture(said, box, (INPUT, INPUT))
    np.testing.assert_allclose(in_crop(placed, box), said.reshape(-1), atol=0.02)


def test_the_picture_of_a_hand_is_upright_with_its_joints_in_it() -> None:
    frame = np.full((480, 640, 3), 60, np.uint8)
    landmarks = np.full((21, 2), (300.0, 240.0), np.float32)
    landmarks[0], landmarks[9], landmarks[5], landmarks[17] = (300, 260), (300, 225), (290, 226), (312, 230)
    cv2.circle(frame, (300, 225), 3, (0, 0, 255), -1)  # BGR: red
    one = HandDetection(0, "right", Box(300, 240, 60), SCORES, landmarks)
    kept = picture_of(frame, one, {"label": "stop", "original": "stop"})
    image = cv2.imdecode(np.frombuffer(kept["jpeg"], np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    x, y = kept["points"][9].round().astype(int)
    blue, green, red = image[y, x].astype(int)
    assert red > blue + 80
    assert red > green + 80
    assert kept["points"][0][1] > kept["points"][9][1]
    assert (kept["label"], kept["original"]) == ("stop", "stop")

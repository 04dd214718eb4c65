"""Hands where arms end: from joints to NVIDIA's GestureNet, without its sample's bugs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from rendered import JOINTS, person, without

from agent.config.settings import RecognitionSettings
from agent.core.geometry import box_of_arm
from agent.core.types import Box, Floats, Frame, HandDetection, Image, Pose
from agent.inference.bodies.bodyposenet import region_of
from agent.inference.bodies.person import Person
from agent.inference.build import build_recognizer
from agent.inference.detector import Detector
from agent.inference.fake_engine import FakeEngine
from agent.inference.gestures.classifier import HandClassifier
from agent.inference.hands.arms import STEADY_S, steadied
from agent.inference.hands.palm import PalmFinder
from agent.inference.manifest import Manifest, load_manifest
from agent.inference.recognizer import Recognizer
from agent.inference.stopwatch import Stopwatch

WIDTH, HEIGHT = 1280, 720
RAISED = {
    "right_elbow": (-0.2, 0.16),
    "right_wrist": (-0.27, 0.02),
    "left_elbow": (0.2, 0.16),
    "left_wrist": (0.27, 0.02),
}


class Bodies:
    """People who are where the test says."""

    def __init__(self) -> None:
        self.people: list[Floats] = []

    def tracker(self, people: int, look_around_s: float) -> Bodies:  # noqa: ARG002
        return self

    def update(self, image: Image, at: float, watch: Stopwatch) -> list[Person]:  # noqa: ARG002
        poses = [pose_of(joints) for joints in self.people]
        return [Person(i, pose, region_of(pose)) for i, pose in enumerate(poses)]


def pose_of(joints: Floats) -> Pose:
    seen = np.isfinite(joints[:, :1])
    return Pose(np.where(seen, np.hstack([joints, np.ones_like(seen)]), 0).astype(np.float32), JOINTS, 1.0)


class Looker:
    """NVIDIA's GestureNet that says nothing but remembers what it was shown."""

    def __init__(self, manifest: Manifest) -> None:
        self.shown: list[Floats] = []
        self.engine = FakeEngine(
            "gesturenet-nvidia", {"input_1": ("N", 3, 160, 160)}, {"activation_18": ("N", 6)}, self._answer
        )
        self.reader = HandClassifier(self.engine, manifest)

    def _answer(self, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        self.shown += list(inputs["input_1"])
        return {"activation_18": np.full((len(inputs["input_1"]), 6), 1 / 6, np.float32)}


@pytest.fixture
def looker() -> Looker:
    return Looker(load_manifest("gesturenet-nvidia"))


@pytest.fixture
def bodies() -> Bodies:
    return Bodies()


@pytest.fixture
def recognizer(bodies: Bodies, looker: Looker) -> Recognizer:
    """Palms are never asked for: the detector would fail."""
    manifest = load_manifest("palm-detector")
    engine = FakeEngine(
        "palm-detector", {"input_1": ("N", 3, 192, 192)},
        {"boxes": ("N", 2016, 18), "scores": ("N", 2016, 1)}, lambda _: {},
    )  # fmt: skip
    engine.broken = "was asked, with proposal = arm"
    settings = RecognitionSettings(gestures="gesturenet-nvidia", pose="bodyposenet", proposal="arm")
    return Recognizer(settings, bodies, PalmFinder(Detector(engine, manifest)), looker.reader)


def seen(recognizer: Recognizer, number: int = 0, image: Image | None = None) -> Sequence[HandDetection]:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8) if image is None else image
    (detections,) = recognizer.recognize([Frame("front", number, number / 15, picture)])
    return detections.hands


def by_side(hands: Sequence[HandDetection]) -> dict[str, Box]:
    return {hand.hand: hand.box for hand in hands}


def test_both_raised_hands_are_read_where_the_arms_end(recognizer: Recognizer, bodies: Bodies) -> None:
    somebody = person(640, 250, 500, **RAISED)
    bodies.people = [somebody]
    boxes = by_side(seen(recognizer))
    assert set(boxes) == {"left", "right"}
    for side, box in boxes.items():
        wrist = somebody[JOINTS.index(f"{side}_wrist")]
        arm = box_of_arm(pose_of(somebody), side)  # type: ignore[arg-type]
        assert arm is not None
        assert (box.cx, box.cy) == pytest.approx((arm.cx, arm.cy))
        assert abs(box.cx - wrist[0]) < arm.side / 2
        assert abs(box.cy - wrist[1]) < arm.side / 2


def test_the_margin_of_the_manifest_is_the_crops(bodies: Bodies) -> None:
    shipped = load_manifest("gesturenet-nvidia")
    arm = box_of_arm(pose_of(person(640, 250, 500, **RAISED)), "right")
    assert arm is not None
    for margin in (0.8, 1.1, 2.0):
        crop = shipped.crop.model_copy(update={"margin": margin})
        box = Looker(shipped.model_copy(update={"crop": crop})).reader.crop_box(arm)
        assert box == Box(arm.cx, arm.cy, pytest.approx(arm.side * margin), 0.0)


@pytest.mark.parametrize(("offset", "scale", "white"), [(128.0, 1 / 256, 127 / 256), (0.0, 1 / 255, 1.0)])
def test_the_network_sees_rgb_normalised_as_its_manifest_says(
    bodies: Bodies, offset: float, scale: float, white: float
) -> None:
    shipped = load_manifest("gesturenet-nvidia")
    spec = shipped.input.model_copy(update={"offset": offset, "scale": scale})
    looker = Looker(shipped.model_copy(update={"input": spec}))
    red = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    red[:, :, 2] = 255  # BGR
    looker.reader.read(red, [Box(600, 300, 100)])
    (shown,) = looker.shown
    assert shown.shape == (3, 160, 160)
    assert np.allclose(shown[0], white, atol=1e-6)
    assert np.allclose(shown[1:], -offset * scale, atol=1e-6)


# --- the sample's bugs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [("right_wrist",), ("right_elbow",), ("right_wrist", "right_elbow")])
def test_a_right_hand_that_is_not_valid_does_not_cost_the_left_one(
    recognizer: Recognizer, bodies: Bodies, missing: tuple[str, ...]
) -> None:
    """In the sample the first invalid hand ends the round for its person."""
    bodies.people = [without(person(640, 250, 500, **RAISED), *missing)]
    assert set(by_side(seen(recognizer))) == {"left"}


def test_a_person_without_hands_does_not_cost_the_next_ones(recognizer: Recognizer, bodies: Bodies) -> None:
    armless = without(person(300, 250, 400, **RAISED), "right_wrist", "left_wrist")
    bodies.people = [armless, person(900, 250, 400, **RAISED)]
    assert {(hand.person, hand.hand) for hand in seen(recognizer)} == {(1, "left"), (1, "right")}


@pytest.mark.parametrize(("y", "number"), [(60, 2), (700, 2), (-200, 0), (900, 0)])
def test_limits_are_those_of_the_frame_and_not_of_the_padded_input(
    recognizer: Recognizer, bodies: Bodies, y: float, number: int
) -> None:
    """A hand in the lowest rows of a wide frame lies beyond them while the padding is still on."""
    shift = y - (250 + 500 * 0.02)
    bodies.people = [person(640, 250, 500, **RAISED) + np.array([0, shift], np.float32)]
    assert len(seen(recognizer)) == number


def test_a_hand_at_the_border_is_cut_there_and_not_moved_inside(
    recognizer: Recognizer, bodies: Bodies, looker: Looker
) -> None:
    """What lies beyond the frame is black; the sample moves and squeezes such boxes."""
    bodies.people = [without(person(640, 250, 500, **RAISED) + np.array([-480, 0], np.float32), "left_wrist")]
    white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    (hand,) = seen(recognizer, image=white)
    box = box_of_arm(pose_of(bodies.people[0]), "right")
    assert box is not None
    crop = looker.reader.crop_box(box)
    beyond = max(0.0, crop.side / 2 - crop.cx) / crop.side
    assert 0.1 < beyond < 0.6
    dark = (looker.shown[0][0] < 0).all(axis=0).mean()
    assert dark == pytest.approx(beyond, abs=0.02)
    assert hand.box.cx == pytest.approx(box.cx)


def test_the_average_of_a_box_lives_on_from_frame_to_frame(recognizer: Recognizer, bodies: Bodies) -> None:
    """The sample makes its smoother anew in each frame, so it never smooths. A joint trembles by 8 px."""
    rng = np.random.default_rng(4)
    places = []
    trembles = rng.normal(0, 8, 60)
    for i, tremble in enumerate(trembles):
        bodies.people = [person(640, 250, 500, **RAISED) + np.array([tremble, 0], np.float32)]
        places.append(by_side(seen(recognizer, i))["right"].cx)
    assert np.std(places[5:]) < 0.7 * np.std(trembles[5:])


def test_the_average_of_one_hand_is_kept_while_the_other_is_not_always_there(
    recognizer: Recognizer, bodies: Bodies
) -> None:
    steps = []
    for i in range(12):
        body = person(640 + (6 if i % 2 else -6), 250, 500, **RAISED)
        bodies.people = [without(body, "left_wrist") if i % 3 == 0 else body]
        steps.append(by_side(seen(recognizer, i))["right"].cx)
    assert np.abs(np.diff(steps[2:])).max() < 10  # the joints jump by 12


# --- the average itself ------------------------------------------------------------------------------------


def test_a_hand_that_moves_far_is_where_it_is_now() -> None:
    assert steadied(Box(100, 100, 50), Box(160, 100, 50), 1 / 15) == Box(160, 100, 50)


def test_a_hand_that_stands_still_comes_to_its_place() -> None:
    box = Box(100, 100, 50)
    for _ in range(10):
        box = steadied(box, Box(110, 100, 60, 0.3), STEADY_S)
    assert (box.cx, box.side, box.angle) == pytest.approx((110, 60, 0.3), abs=0.01)


def test_no_time_passed_is_no_average() -> None:
    assert steadied(Box(100, 100, 50), Box(101, 100, 50), 0.0) == Box(101, 100, 50)


def test_where_arms_say_where_hands_are_no_palm_detector_is_loaded(cache_dir: Path) -> None:
    settings = RecognitionSettings(backend="onnxruntime", gestures="gesturenet", proposal="arm")
    recognizer = build_recognizer(settings, cache_dir)
    assert set(recognizer.models) == {"gesturenet", "pose-detector", "pose-landmark"}
    recognizer.close()

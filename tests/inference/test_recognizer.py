"""The real networks on real photographs; the classifier knows hands, but nothing of gestures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engine_kit import picture

from agent.config.settings import RecognitionSettings
from agent.core.types import Box, Detections, Frame, Image
from agent.errors import ModelError
from agent.inference.build import build_recognizer
from agent.inference.recognizer import Recognizer

FAR = "photos/emrecandir/palm_077.jpg"  # a man at about two metres, right palm up, left arm down
FAR_PALM = (273, 291)  # px: the middle of that palm
TAKEN_FOR_A_BODY = "photos/tanishka/ok_049.jpg"  # a hand that fills the picture
OTHER = "photos/emrecandir/closer_004.jpg"


def frame(image: Image, seq: int = 0, camera: str = "front") -> Frame:
    return Frame(camera, seq, seq / 15, image)


def desk(shared_data: Path, label: str) -> list[Frame]:
    files = sorted((shared_data / "sequences" / "desk" / label).iterdir())
    return [frame(picture(path), i) for i, path in enumerate(files)]


def inside(box: Box, point: tuple[float, float]) -> bool:
    return abs(box.cx - point[0]) < box.side / 2 and abs(box.cy - point[1]) < box.side / 2


def with_settings(perception: Recognizer, engines: Path, own_cache: Path, **changes: object) -> Recognizer:
    settings = RecognitionSettings.model_validate({"gestures": "joined", **changes})
    return build_recognizer(settings, own_cache, engines)


def test_a_raised_hand_is_seen_and_a_hanging_one_is_not(perception: Recognizer, shared_data: Path) -> None:
    (detections,) = perception.recognize([frame(picture(shared_data / FAR))])
    assert detections.people == 1
    (hand,) = detections.hands
    assert hand.hand == "right"
    assert inside(hand.box, FAR_PALM)
    assert hand.posture.raised is not None
    assert hand.posture.raised > 0.7
    assert hand.scores.sum() == pytest.approx(1, abs=1e-5)
    assert hand.landmarks is not None
    assert hand.landmarks.shape == (21, 2)


def test_a_mirrored_picture_has_a_left_hand(perception: Recognizer, shared_data: Path) -> None:
    mirrored = np.ascontiguousarray(picture(shared_data / FAR)[:, ::-1])
    (detections,) = perception.recognize([frame(mirrored)])
    assert [hand.hand for hand in detections.hands] == ["left"]


@pytest.mark.parametrize("label", ["fist", "stop", "thumbs_up", "ok"])
def test_the_hand_of_a_clip_is_followed_under_one_name(
    perception: Recognizer, shared_data: Path, label: str
) -> None:
    names = [
        tuple((h.person, h.hand) for h in s.hands)
        for f in desk(shared_data, label)
        for s in perception.recognize([f])
    ]
    seen = [name for name in names if name]
    assert len(seen) >= 97
    assert set(seen) == {seen[0]}
    assert seen[0][0][1] == "right"


def test_while_following_neither_detector_runs(perception: Recognizer, shared_data: Path) -> None:
    frames = desk(shared_data, "stop")[:15]
    followed: list[Detections] = [perception.recognize([f])[0] for f in frames][1:]
    assert (
        sum(detections.stage_ms.get("detector", 0.0) > 0.0 for detections in followed) <= 1
    )  # one look around a second


def test_two_people_keep_their_numbers_while_they_move(perception: Recognizer, shared_data: Path) -> None:
    left, right = picture(shared_data / FAR), picture(shared_data / OTHER)
    numbers = []
    for i in range(6):
        both = np.hstack([np.roll(left, 4 * i, axis=1), np.roll(right, -4 * i, axis=1)])
        (detections,) = perception.recognize([frame(both, i)])
        hands = sorted(detections.hands, key=lambda hand: hand.box.cx)
        numbers.append([(hand.person, hand.hand) for hand in hands])
    assert len(numbers[0]) == 2
    assert numbers[0][0][0] != numbers[0][1][0]
    assert {hand for _, hand in numbers[0]} == {"right"}
    assert numbers == [numbers[0]] * 6


def test_cameras_do_not_know_of_each_other(perception: Recognizer, shared_data: Path) -> None:
    here, there = picture(shared_data / FAR), np.zeros((480, 640, 3), np.uint8)
    first, second = perception.recognize([frame(here, 0, "front"), frame(there, 0, "back")])
    assert (first.camera, len(first.hands)) == ("front", 1)
    assert (second.camera, len(second.hands), second.people) == ("back", 0, 0)


def test_hands_of_two_cameras_come_back_to_their_own(perception: Recognizer, shared_data: Path) -> None:
    one, two = picture(shared_data / FAR), np.ascontiguousarray(picture(shared_data / FAR)[:, ::-1])
    first, second = perception.recognize([frame(one, 0, "front"), frame(two, 0, "back")])
    assert first.hands[0].box.cx == pytest.approx(640 - second.hands[0].box.cx, abs=8)


def test_a_hand_that_leaves_is_gone_at_once_and_back_within_a_search(
    perception: Recognizer, shared_data: Path
) -> None:
    here, empty = picture(shared_data / FAR), np.full((480, 640, 3), 90, np.uint8)
    counts = [
        len(perception.recognize([frame(here if i < 2 or i > 3 else empty, i)])[0].hands) for i in range(9)
    ]
    assert counts[:4] == [1, 1, 0, 0]
    assert counts[-1] == 1


@pytest.mark.parametrize("proposal", ["pose", "palm", "both"])
def test_a_man_at_two_metres_is_found_by_either_way(
    perception: Recognizer, engines: Path, own_cache: Path, shared_data: Path, proposal: str
) -> None:
    recognizer = with_settings(perception, engines, own_cache, proposal=proposal)
    (detections,) = recognizer.recognize([frame(picture(shared_data / FAR))])
    assert [inside(hand.box, FAR_PALM) for hand in detections.hands] == [True]


def test_a_close_up_with_no_body_is_found_by_the_palm(perception: Recognizer, shared_data: Path) -> None:
    whole = desk(shared_data, "stop")[0].image
    closeup = np.ascontiguousarray(whole[40:480, 0:330])
    (detections,) = perception.recognize([frame(closeup)])
    assert len(detections.hands) == 1


def test_a_tenth_of_the_light_is_enough(perception: Recognizer, shared_data: Path) -> None:
    noise = np.random.default_rng(0)
    dark = [
        np.clip(f.image * 0.12 + noise.normal(0, 2.5, f.image.shape), 0, 255).astype(np.uint8)
        for f in desk(shared_data, "ok")[:20]
    ]
    assert max(image.mean() for image in dark) < 21
    seen = [len(perception.recognize([frame(image, i)])[0].hands) for i, image in enumerate(dark)]
    assert seen.count(1) >= 15


def test_an_empty_room_shows_nobody(perception: Recognizer) -> None:
    rng = np.random.default_rng(1)
    for dark, bright in ((90, 130), (0, 4)):
        noise = rng.integers(dark, bright, (480, 640, 3)).astype(np.uint8)
        (detections,) = perception.recognize([frame(noise)])
        assert (detections.people, detections.hands, detections.poses) == (0, (), ())


@pytest.mark.parametrize("shape", [(1080, 1920, 3), (480, 200, 3), (64, 64, 3)])
def test_any_size_of_picture_will_do(perception: Recognizer, shape: tuple[int, int, int]) -> None:
    (detections,) = perception.recognize([frame(np.zeros(shape, np.uint8))])
    assert (detections.height, detections.width) == shape[:2]


def test_a_photograph_gives_its_hand_in_one_call(perception: Recognizer, shared_data: Path) -> None:
    (hand,) = perception.recognize_still(picture(shared_data / FAR))
    assert hand.hand == "right"
    assert inside(hand.box, FAR_PALM)
    assert hand.posture.raised is not None
    assert hand.posture.raised > 0.7


def test_photographs_leave_no_trace(perception: Recognizer, shared_data: Path) -> None:
    first = perception.recognize_still(picture(shared_data / FAR))
    perception.recognize_still(picture(shared_data / OTHER))
    again = perception.recognize_still(picture(shared_data / FAR))
    assert [h.box for h in first] == [h.box for h in again]


def test_a_hand_that_fills_the_photograph_is_found(perception: Recognizer, shared_data: Path) -> None:
    x, y = FAR_PALM
    filled = np.ascontiguousarray(picture(shared_data / FAR)[y - 48 : y + 40, x - 40 : x + 48])
    assert len(perception.recognize_still(filled)) == 1


def test_a_close_hand_that_passes_for_a_whole_body_is_found_all_the_same(
    perception: Recognizer, shared_data: Path
) -> None:
    hands = perception.recognize_still(picture(shared_data / TAKEN_FOR_A_BODY))
    assert max(hand.box.side for hand in hands) > 250


def test_a_given_box_is_read_turned_as_its_palm(perception: Recognizer, shared_data: Path) -> None:
    image = picture(shared_data / FAR)
    x, y = FAR_PALM
    (hand,) = perception.hands_in(image, (x - 40, y - 45, x + 40, y + 40))
    (found,) = perception.recognize_still(image)
    assert (hand.box.cx, hand.box.cy, hand.box.side) == pytest.approx(
        (found.box.cx, found.box.cy, found.box.side), abs=6
    )


def test_a_whole_picture_is_cut_around_a_hand_only_if_the_hand_fills_it(
    perception: Recognizer, shared_data: Path
) -> None:
    image = picture(shared_data / FAR)
    (hand,) = perception.hands_in(image, None)
    assert inside(hand.box, FAR_PALM)
    assert hand.posture.raised is not None  # its body was looked for, too
    x, y = FAR_PALM
    (close,) = perception.hands_in(np.ascontiguousarray(image[y - 45 : y + 40, x - 40 : x + 40]), None)
    assert close.box.side > 30
    assert close.posture.raised is None


def test_a_given_box_always_has_an_answer(perception: Recognizer) -> None:
    grey = np.full((120, 120, 3), 128, np.uint8)
    assert len(perception.hands_in(grey, (20, 20, 90, 100))) == 1
    assert len(perception.hands_in(grey, None)) == 1


def test_a_camera_that_was_away_starts_anew(perception: Recognizer, shared_data: Path) -> None:
    (before,) = perception.recognize([frame(picture(shared_data / FAR))])
    perception.forget("front")
    (after,) = perception.recognize([frame(picture(shared_data / FAR), 1)])
    assert after.stage_ms["detector"] > 0
    assert len(before.hands) == len(after.hands) == 1


def test_an_engine_of_another_task_is_no_classifier(
    perception: Recognizer, engines: Path, own_cache: Path
) -> None:
    with pytest.raises(
        ModelError, match=r'recognition.gestures is "palm-detector", an engine of task palm-detector'
    ):
        with_settings(perception, engines, own_cache, gestures="palm-detector")


def test_a_network_that_was_not_fetched_stops_the_start(tmp_path: Path, engines: Path) -> None:
    with pytest.raises(ModelError, match=r"run `gesture-agent models fetch`"):
        build_recognizer(RecognitionSettings(gestures="joined"), tmp_path / "empty", engines)


def test_what_the_classifier_is_called_by_comes_from_its_manifest(
    perception: Recognizer, own_cache: Path
) -> None:
    assert perception.labels == ("thumbs_up", "fist", "stop", "ok", "two", "random")

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from support.frames import black_frame

from agent.core.hand_identity.tracker import FORGET_S, TAKEOVER_S, HandTracker
from agent.core.types import Box, Detections, Hand, HandDetection, HandObservation, HandPosture, Place

SCORES = np.zeros(6, np.float32)


@dataclass(frozen=True)
class Seen:
    person: int
    hand: Hand
    x: float  # px of 640
    side: float = 80.0


def detections(at: float, *hands: Seen, camera: str = "front") -> Detections:
    found = tuple(HandDetection(h.person, h.hand, Box(h.x, 240, h.side), SCORES) for h in hands)
    return Detections(black_frame(camera, at), people=len(hands), hands=found)


def play(*all_detections: Detections) -> list[list[HandObservation]]:
    observations = HandTracker()
    return [observations.update(one) for one in all_detections]


def test_a_hand_that_is_seen_gives_its_scores_and_its_place() -> None:
    [[observation]] = play(detections(1.0, Seen(0, "right", 320)))
    assert (observation.at, observation.camera, observation.person, observation.hand) == (
        1.0,
        "front",
        0,
        "right",
    )
    assert observation.scores is SCORES
    assert observation.place == Place(0.5, 0.5, pytest.approx(1 / 6), pytest.approx(4 / 3))


def test_a_hand_that_is_not_seen_now_gives_an_empty_observation() -> None:
    _, [observation] = play(detections(0.0, Seen(0, "right", 320)), detections(0.1))
    assert (observation.hand, observation.scores, observation.place) == ("right", None, None)


def test_a_hand_unseen_for_long_is_forgotten_after_a_last_empty_observation() -> None:
    found = play(
        detections(0.0, Seen(0, "right", 320)),
        detections(FORGET_S),
        detections(FORGET_S + 0.1),
        detections(FORGET_S + 0.2),
    )
    assert [len(one) for one in found] == [1, 1, 1, 0]


def test_after_a_long_gap_the_old_hand_is_ended_and_a_new_one_begins() -> None:
    [first], [gone, new] = play(
        detections(0.0, Seen(0, "right", 320)), detections(60.0, Seen(0, "right", 320))
    )
    assert (gone.track, gone.scores) == (first.track, None)
    assert new.track != first.track


def test_silence_reads_empty_for_the_hands_of_that_camera() -> None:
    observations = HandTracker()
    observations.update(detections(0.0, Seen(0, "right", 320), Seen(0, "left", 100)))
    observations.update(detections(0.0, Seen(0, "right", 320), camera="door"))
    assert [(r.at, r.camera, r.scores) for r in observations.silence("front", 0.5)] == [
        (0.5, "front", None)
    ] * 2
    assert len(observations.silence("front", 9.0)) == 2, "a last observation each"
    assert observations.silence("front", 9.1) == []
    assert observations.silence("nowhere", 9.1) == []


def test_a_hand_that_moves_keeps_its_track_however_far() -> None:
    found = play(*[detections(i / 15, Seen(0, "right", 60 + 200 * (i % 2))) for i in range(10)])
    assert {observation.track for one in found for observation in one} == {found[0][0].track}


def test_a_hand_called_by_another_name_at_the_same_place_is_the_same_hand() -> None:
    names: list[tuple[int, Hand]] = [(0, "right")] * 9 + [(0, "left"), (4, "right")] + [(0, "right")] * 4
    found = play(*[detections(i / 15, Seen(*name, x=320 + 4 * i)) for i, name in enumerate(names)])
    assert [[(r.track, r.person, r.hand) for r in one] for one in found] == [[(1, 0, "right")]] * len(names)


def test_a_name_that_stays_is_believed() -> None:
    names: list[Hand] = ["right"] * 10 + ["left"] * 30
    found = play(*[detections(i / 15, Seen(0, name, 320)) for i, name in enumerate(names)])
    assert {one[0].track for one in found} == {1}
    assert (found[12][0].hand, found[-1][0].hand) == ("right", "left")


def test_two_hands_whose_names_are_swapped_keep_their_tracks() -> None:
    a, b = (
        detections(0.0, Seen(0, "right", 100), Seen(0, "left", 500)),
        detections(0.1, Seen(0, "left", 102), Seen(0, "right", 498)),
    )
    first, second = play(a, b)
    assert [(r.track, r.hand) for r in first] == [(r.track, r.hand) for r in second]


def test_a_hand_elsewhere_with_another_name_is_another_hand() -> None:
    first, second = play(detections(0.0, Seen(0, "right", 100)), detections(0.1, Seen(0, "left", 500)))
    assert [(r.hand, r.scores is None) for r in second] == [("right", True), ("left", False)]
    assert second[1].track != first[0].track


def test_a_hand_unseen_for_a_while_is_not_continued_under_another_name() -> None:
    _, second = play(
        detections(0.0, Seen(0, "right", 100)), detections(TAKEOVER_S + 0.1, Seen(0, "left", 100))
    )
    assert len(second) == 2


def test_distance_counts_in_hands_so_a_far_hand_is_not_mixed_up() -> None:
    _, near = play(
        detections(0.0, Seen(0, "right", 100, side=120)), detections(0.1, Seen(1, "right", 220, side=120))
    )
    _, far = play(
        detections(0.0, Seen(0, "right", 100, side=30)), detections(0.1, Seen(1, "right", 220, side=30))
    )
    assert (len(near), len(far)) == (1, 2)


def test_cameras_are_followed_apart() -> None:
    [front], [door] = play(
        detections(0.0, Seen(0, "right", 100)), detections(0.0, Seen(0, "right", 100), camera="door")
    )
    assert front.key != door.key


def test_how_a_hand_was_held_is_remembered_while_it_is_not_seen() -> None:
    seen = detections(0.0, Seen(0, "right", 320))
    how = HandPosture(raised=0.8, lean=12.0)
    raised = replace(seen, hands=(replace(seen.hands[0], posture=how),))
    [[first], [then]] = play(raised, detections(0.1))
    assert (first.posture, then.posture, then.scores) == (how, how, None)

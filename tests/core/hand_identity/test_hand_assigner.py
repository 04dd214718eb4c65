from __future__ import annotations

from collections.abc import Sequence

from agent.core.hand_identity.assignment import LOST_S, AssignedHand, HandAssigner, HandEvidence, PersonHand
from agent.core.types import Box

HERE, FAR = Box(100, 200, 80), Box(500, 200, 80)
FRAME_S = 1 / 15


def names(hands: Sequence[AssignedHand]) -> list[PersonHand]:
    return [hand.person_hand for hand in hands]


def tracked(before: AssignedHand, box: Box = HERE, *, right: float | None = None) -> HandEvidence:
    return HandEvidence(box, box, before=before, person=before.person, right=right)


def test_the_arm_of_a_body_names_person_and_side() -> None:
    found = HandAssigner().assign(0.0, [HandEvidence(HERE, HERE, person=4, arm="left")])
    assert names(found) == [(4, "left")]


def test_a_sure_classifier_outvotes_the_arm_and_an_unsure_one_does_not() -> None:
    sure, unsure = (
        HandAssigner().assign(0.0, [HandEvidence(HERE, HERE, person=4, arm="left", right=right)])
        for right in (0.99, 0.7)
    )
    assert (names(sure), names(unsure)) == ([(4, "right")], [(4, "left")])


def test_one_frame_of_the_wrong_side_does_not_rename_a_hand_and_many_do() -> None:
    assigner = HandAssigner()
    [hand] = assigner.assign(0.0, [HandEvidence(HERE, HERE, right=0.999)])
    for i in range(1, 10):
        [hand] = assigner.assign(i * FRAME_S, [tracked(hand, right=0.999)])
    sides = []
    for i in range(10, 40):
        [hand] = assigner.assign(i * FRAME_S, [tracked(hand, right=0.001)])
        sides.append(hand.hand)
    assert (sides[0], sides[-1]) == ("right", "left")


def test_a_result_that_is_used_again_is_no_new_evidence() -> None:
    assigner = HandAssigner()
    [first] = assigner.assign(0.0, [HandEvidence(HERE, HERE, right=0.8)])
    reused = HandEvidence(HERE, HERE, person=first.person, before=first, right=0.8, reused=True)
    [second] = assigner.assign(FRAME_S, [reused])
    assert second.right == first.right


def test_two_hands_of_one_arm_are_two_sides() -> None:
    found = HandAssigner().assign(
        0.0,
        [
            HandEvidence(HERE, HERE, person=0, arm="right", right=0.9),
            HandEvidence(FAR, FAR, person=0, arm="right", right=0.9),
        ],
    )
    assert names(found) == [(0, "right"), (0, "left")]


def test_two_hands_without_a_body_are_one_person_and_a_third_is_another() -> None:
    found = HandAssigner().assign(0.0, [HandEvidence(Box(x, 200, 80), HERE) for x in (100, 300, 500)])
    assert names(found) == [(-1, "right"), (-1, "left"), (-2, "right")]


def test_a_hand_without_a_body_that_is_back_in_time_is_who_it_was() -> None:
    for away_s, expected in ((LOST_S - 0.1, -1), (LOST_S + 0.1, -2)):
        assigner = HandAssigner()
        assigner.assign(0.0, [HandEvidence(HERE, HERE, right=0.9)])
        assigner.assign(away_s - FRAME_S, [])
        [back] = assigner.assign(away_s, [HandEvidence(HERE, HERE, right=0.9)])
        assert back.person_hand == (expected, "right"), away_s


def test_a_hand_that_appears_elsewhere_is_not_the_lost_one() -> None:
    assigner = HandAssigner()
    assigner.assign(0.0, [HandEvidence(HERE, HERE, right=0.9)])
    assigner.assign(FRAME_S, [])
    [other] = assigner.assign(2 * FRAME_S, [HandEvidence(FAR, FAR, right=0.9)])
    assert other.person == -2


def test_the_current_hands_are_those_of_the_last_frame() -> None:
    assigner = HandAssigner()
    assigner.assign(0.0, [HandEvidence(HERE, HERE, person=3, arm="left")])
    assert assigner.current == {(3, "left")}
    assigner.assign(FRAME_S, [])
    assert assigner.current == frozenset()

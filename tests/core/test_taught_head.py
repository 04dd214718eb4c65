"""The arithmetic of taught gestures, on hands that are points in a space of twelve dimensions."""

from __future__ import annotations

import numpy as np
import pytest

from agent.core.taught import HandSamples, StaleTaughtHead, TaughtHead, left_out, train, with_taught
from agent.core.types import LABELS, NO_GESTURE

DIMENSIONS = 12
CENTRES = np.random.default_rng(5).normal(0, 2.0, (40, DIMENSIONS))  # six gestures, then other shapes
RANDOM = LABELS.index(NO_GESTURE)
ROCK, CALL, THREE, TURNED_FIST = 6, 7, 8, 9  # shapes that the classifier calls random


def hands(shape: int, count: int, seed: int) -> HandSamples:
    """The classifier is 90 % sure of a gesture, and of `random` for every other shape."""
    rng = np.random.default_rng([seed, shape])
    embeddings = CENTRES[shape] + rng.normal(0, 0.5, (count, DIMENSIONS))
    scores = np.full((count, len(LABELS)), 0.02, np.float32)
    scores[:, min(shape, RANDOM)] = 0.9
    return HandSamples(embeddings.astype(np.float32), scores)


def all_of(*groups: HandSamples) -> HandSamples:
    whole = groups[0]
    for group in groups[1:]:
        whole = whole.joined(group)
    return whole


BACKGROUND = all_of(*(hands(shape, 20, seed=1) for shape in (*range(len(LABELS)), *range(10, 40))))


def said(head: TaughtHead, seen: HandSamples) -> list[str]:
    pairs = zip(seen.scores, seen.embeddings, strict=True)
    return [head.labels[int(head.scores(base, embedding).argmax())] for base, embedding in pairs]


def taught(*shapes: tuple[str, int]) -> TaughtHead:
    names = [name for name, _ in shapes for _ in range(25)]
    return train(LABELS, BACKGROUND, all_of(*(hands(shape, 25, seed=2) for _, shape in shapes)), names)


def test_a_taught_gesture_is_known_in_hands_that_were_not_shown() -> None:
    assert said(taught(("rock", ROCK)), hands(ROCK, 50, seed=3)) == ["rock"] * 50


@pytest.mark.parametrize("shape", range(len(LABELS)), ids=LABELS)
def test_a_taught_gesture_takes_nothing_from_the_six(shape: int) -> None:
    assert said(taught(("rock", ROCK), ("call", CALL)), hands(shape, 50, seed=3)) == [LABELS[shape]] * 50


def test_a_shape_that_nobody_taught_stays_no_gesture() -> None:
    assert said(taught(("rock", ROCK)), hands(THREE, 50, seed=3)) == [NO_GESTURE] * 50


def test_two_taught_gestures_are_distinguished() -> None:
    head = taught(("rock", ROCK), ("call", CALL))
    assert said(head, hands(ROCK, 50, seed=3)) == ["rock"] * 50
    assert said(head, hands(CALL, 50, seed=3)) == ["call"] * 50


def test_probabilities_sum_to_one_and_the_built_in_ones_keep_their_places() -> None:
    head, seen = taught(("rock", ROCK)), hands(0, 1, seed=3)
    scores = head.scores(seen.scores[0], seen.embeddings[0])
    assert head.labels == (*LABELS, "rock")
    assert scores.dtype == np.float32
    assert scores.sum() == pytest.approx(1, abs=1e-5)
    assert scores[:6] == pytest.approx(seen.scores[0], abs=0.05)


def test_an_improved_gesture_is_known_as_this_person_makes_it_and_as_before() -> None:
    head = taught(("fist", TURNED_FIST))
    assert head.labels == LABELS
    assert said(head, hands(TURNED_FIST, 50, seed=3)) == ["fist"] * 50
    for shape, label in enumerate(LABELS):
        assert said(head, hands(shape, 50, seed=3)) == [label] * 50


def test_what_is_shown_as_no_gesture_is_no_gesture() -> None:
    fist = LABELS.index("fist")
    misread = HandSamples(hands(ROCK, 25, seed=2).embeddings, hands(fist, 25, seed=2).scores)
    head = train(LABELS, BACKGROUND, misread, [NO_GESTURE] * 25)
    unseen = HandSamples(hands(ROCK, 50, seed=3).embeddings, hands(fist, 50, seed=3).scores)
    assert said(head, unseen) == [NO_GESTURE] * 50
    assert said(head, hands(fist, 50, seed=3)) == ["fist"] * 50


def test_forgetting_one_gesture_leaves_the_others() -> None:
    head = taught(("rock", ROCK), ("fist", TURNED_FIST), ("call", CALL)).without("rock", LABELS)
    assert head.labels == (*LABELS, "call")
    assert said(head, hands(CALL, 50, seed=3)) == ["call"] * 50
    assert said(head, hands(TURNED_FIST, 50, seed=3)) == ["fist"] * 50
    assert "fist" in head.without("fist", LABELS).labels
    assert said(head.without("fist", LABELS), hands(TURNED_FIST, 50, seed=3)) == [NO_GESTURE] * 50


def test_the_same_examples_give_the_same_head() -> None:
    assert np.array_equal(taught(("rock", ROCK)).weights, taught(("rock", ROCK)).weights)


def test_left_out_examples_of_a_clear_shape_are_known_and_those_of_no_shape_are_not() -> None:
    clear = hands(ROCK, 24, seed=2)
    assert left_out(LABELS, BACKGROUND, clear, ["rock"] * 24, "rock") == (24, 24)
    every_shape = all_of(*(hands(shape, 4, seed=2) for shape in range(6)))
    right, of = left_out(LABELS, BACKGROUND, every_shape, ["mess"] * 24, "mess")
    assert of == 24
    assert right < 6


def test_labels_are_named_once() -> None:
    assert with_taught(LABELS, ["rock", "fist", "rock"]) == (*LABELS, "rock")


def test_a_dormant_head_keeps_the_names_and_gives_them_nothing() -> None:
    base = hands(0, 1, seed=3).scores[0]
    scores = StaleTaughtHead((*LABELS, "rock")).scores(base, None)
    assert scores.tolist() == [*base.tolist(), 0.0]

import pytest
from verdicts import said, unseen

from agent.core.thresholds import Thresholds
from agent.evaluation.calibration import Bin, calibrate

LABELS = ("ok", "two", "stop", "random")
AT_085 = Thresholds(confidence=0.85)


def test_only_gestures_that_reach_the_confidence_under_their_name_pass():
    result = calibrate(
        [
            said("ok", "ok", 0.85),  # the confidence itself is enough
            said("ok", "ok", 0.84),
            said("ok", "two", 0.9),
            unseen("ok"),
            said("random", "random", 0.99),  # no gesture: neither asked for nor let through
        ],
        LABELS,
        AT_085,
    )
    assert result.passed == pytest.approx(1 / 4)
    assert result.mistaken == pytest.approx(1 / 5)


def test_a_hand_that_means_nothing_and_passes_is_mistaken_but_an_overlooked_gesture_is_not():
    result = calibrate([said("random", "stop", 0.9), said("stop", "random", 0.9)], LABELS, AT_085)
    assert (result.passed, result.mistaken) == (0.0, 0.5)


def test_the_error_is_that_of_guo_2017_equation_3():
    # two bins: |0.75 - 1/2| of two answers, |0.95 - 1| of one; the picture without a hand has no probability
    verdicts = [said("ok", "ok", 0.7), said("ok", "two", 0.79), said("two", "two", 0.95), unseen("ok")]
    result = calibrate(verdicts, LABELS, AT_085)
    assert result.bins == (Bin(pytest.approx(0.745), 0.5, 2), Bin(0.95, 1.0, 1))
    assert result.expected_error == pytest.approx((2 * 0.245 + 0.05) / 3)


def test_probabilities_that_mean_what_they_say_have_no_error():
    verdicts = [said("ok", "ok", 0.75)] * 3 + [said("two", "ok", 0.75)]
    assert calibrate(verdicts, LABELS, AT_085).expected_error == pytest.approx(0)


def test_a_probability_of_one_lies_in_the_last_bin():
    assert calibrate([said("ok", "ok", 1.0), said("ok", "ok", 0.91)], LABELS, AT_085).bins[0].images == 2


def test_nothing_to_judge_is_no_error():
    result = calibrate([], LABELS, AT_085)
    assert (result.passed, result.mistaken, result.expected_error, result.bins) == (0, 0, 0, ())


def test_each_gesture_is_asked_for_its_own_confidence():
    own = Thresholds(confidence=0.85, confidence_of=(("stop", 0.9), ("two", 0.65)))
    result = calibrate([said("two", "two", 0.7), said("stop", "stop", 0.88)], LABELS, own)
    assert result.confidence == {"ok": 0.85, "two": 0.65, "stop": 0.9}
    assert result.passed == 0.5

import pytest

from agent.evaluation.figures import figures

AB = ("a", "b", "c")


def test_precision_recall_and_f1_are_those_of_the_textbook():
    result = figures(AB, [("a", "a"), ("a", "b"), ("b", "b"), ("b", "b")], found=4)
    assert result.per_class["a"].precision == 1.0
    assert result.per_class["a"].recall == 0.5
    assert result.per_class["b"].precision == pytest.approx(2 / 3)
    assert result.per_class["b"].f1 == pytest.approx(0.8)
    assert result.accuracy == 0.75


def test_a_class_that_never_occurs_does_not_count_into_the_mean():
    result = figures(AB, [("a", "a"), ("b", "b")], found=2)
    assert result.per_class["c"].support == 0
    assert result.macro_f1 == 1.0


def test_a_class_that_is_never_met_has_an_f1_of_zero():
    result = figures(AB, [("a", "b"), ("b", "b")], found=2)
    assert result.per_class["a"].f1 == 0.0


def test_the_confusion_holds_every_pair_of_labels():
    result = figures(AB, [("a", "b")], found=0)
    assert result.confusion["a"] == {"a": 0, "b": 1, "c": 0}
    assert set(result.confusion) == set(AB)

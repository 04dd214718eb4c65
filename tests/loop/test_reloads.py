"""Rules are read beside the loop; what goes wrong is told, and the rules of before run on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from agent.core.rules import RuleSet
from agent.errors import ConfigError
from agent.loop.reloads import LIMIT_S, ReloadOutcome, Reloads


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Shelf:
    """A folder of rules that answers when it is let."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.trouble: Exception | None = None
        self.reads = 0

    def changed(self) -> bool:
        return False

    def load(self) -> RuleSet:
        self.reads += 1
        assert self.open.wait(20)
        if self.trouble:
            raise self.trouble
        return RuleSet()


@contextmanager
def reloads(shelf: Shelf, clock: Clock) -> Iterator[Reloads]:
    made = Reloads(shelf, clock)
    try:
        yield made
    finally:
        shelf.open.set()
        made.close()


def result(made: Reloads) -> ReloadOutcome:
    pause = threading.Event()
    for _ in range(2000):
        if loaded := made.ready():
            return loaded
        pause.wait(0.01)
    raise AssertionError("nothing was read")


def test_who_asks_is_answered_when_the_rules_are_read():
    with reloads(Shelf(), Clock()) as made:
        answer = made.ask()
        loaded = result(made)
        assert loaded.rule_set == RuleSet()
        assert not answer.done()
        made.answer(loaded, ({"rules": 0}, ""))
        assert answer.result(0) == ({"rules": 0}, "")


def test_whatever_goes_wrong_is_an_answer():
    shelf = Shelf()
    with reloads(shelf, Clock()) as made:
        for trouble, words in (
            (ConfigError("x.toml: is bad"), "x.toml: is bad"),
            (MemoryError("no room"), "the rules could not be read: MemoryError: no room"),
            (PermissionError(13, "Permission denied"), "PermissionError: [Errno 13] Permission denied"),
        ):
            shelf.trouble = trouble
            made.ask()
            loaded = result(made)
            assert loaded.rule_set is None
            assert words in loaded.error


def test_who_asks_while_rules_are_read_shares_the_next_reading_not_the_one_that_began_before():
    shelf = Shelf()
    shelf.open.clear()
    with reloads(shelf, Clock()) as made:
        first = made.ask()
        pause = threading.Event()
        while not shelf.reads:
            pause.wait(0.01)
        later = [made.ask() for _ in range(300)]
        shelf.open.set()
        made.answer(result(made), ({}, "1"))
        assert first.done()
        assert not any(answer.done() for answer in later)
        made.answer(result(made), ({}, "2"))
        assert {answer.result(0)[1] for answer in later} == {"2"}
        assert shelf.reads == 2


def test_a_folder_that_hangs_keeps_nobody_waiting_and_counts_when_it_is_back():
    shelf, clock = Shelf(), Clock()
    shelf.open.clear()
    with reloads(shelf, clock) as made:
        answer = made.ask()
        assert made.late() == []
        clock.now = LIMIT_S
        assert made.late() == [answer]
        assert made.late() == []
        shelf.open.set()
        assert result(made).rule_set == RuleSet()

"""The threads of a camera are watched like all others; a device that hangs is no trouble of theirs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from real_cameras import PATIENCE_S, Ear
from support.waiting import until

from agent.backoff import Backoff
from agent.capture.mailbox import FrameMailbox
from agent.capture.source import NegotiatedFormat
from agent.capture.supervisor import CameraSupervisor
from agent.config.settings import CameraSettings
from agent.core.types import CameraState, Frame
from agent.errors import EndOfSource
from agent.supervision import Threads

LONG_S = 1000.0  # more than any thread's patience


class Hangs:
    """A source whose read does not return until it is let."""

    live, skipped = True, 0

    def __init__(self, ends: BaseException | None = None) -> None:
        self._ends = ends or SystemExit("the library of this camera wants to end the process")
        self.let, self.reads = threading.Event(), threading.Event()

    def open(self) -> NegotiatedFormat:
        return NegotiatedFormat(160, 120, 30)

    def read(self) -> Frame:
        self.reads.set()
        assert self.let.wait(PATIENCE_S)
        raise self._ends

    def skip(self) -> float:
        return self.read().at

    def close(self) -> None:
        """Nothing is open."""

    def interrupt(self) -> None:
        """It does not listen."""


Begin = Callable[..., CameraSupervisor]


@pytest.fixture
def threads() -> Threads:
    return Threads()


@pytest.fixture
def begin(threads: Threads) -> Iterator[Begin]:
    begun: list[CameraSupervisor] = []

    def make(source: Hangs, tell: Callable[[CameraState], None] = lambda _: None) -> CameraSupervisor:
        made = CameraSupervisor(
            "front",
            CameraSettings(source="usb:0"),
            FrameMailbox(),
            tell,
            make=lambda *_: source,
            backoff=Backoff(0.1, 0.2),
            threads=threads,
        )
        begun.append(made)
        made.start()
        return made

    yield make
    for camera in begun:
        camera.close()


def all_stand_still(threads: Threads) -> str | None:
    """What is wrong when none of them moves for very long."""
    threads._look(0.0)
    threads._look(LONG_S)
    return threads.trouble


def test_both_threads_of_a_camera_are_watched(begin: Begin, threads: Threads):
    source = Hangs()
    begin(source)
    assert source.reads.wait(PATIENCE_S)
    assert set(threads.progress()) == {"watch-front", "camera-front"}


def test_a_watch_that_stands_still_is_trouble_and_a_device_that_hangs_is_none(begin: Begin, threads: Threads):
    source, stuck, told = Hangs(), threading.Event(), threading.Event()

    def tell(_: CameraState) -> None:
        told.set()
        assert stuck.wait(PATIENCE_S)

    begin(source, tell)
    assert told.wait(PATIENCE_S)
    assert all_stand_still(threads) == "the thread watch-front has made no progress for 1000 s"
    stuck.set()
    assert source.reads.wait(PATIENCE_S)
    until(lambda: threads._look(0.0) or threads.trouble is None, "the watch moves again")
    assert {w.name for w in threads._watched if w._allowed_s == float("inf")} == {"camera-front"}


def test_a_camera_that_is_off_waits_and_is_not_stuck(begin: Begin, threads: Threads):
    ear = Ear()
    camera = begin(Hangs(), ear)
    camera.enable(False)
    ear.wait_for("disabled")
    until(lambda: all_stand_still(threads) is None, "it rests")


def test_a_film_that_is_over_waits_and_is_not_stuck(begin: Begin, threads: Threads):
    source = Hangs(EndOfSource("played to its end"))
    source.let.set()
    camera = begin(source)
    until(lambda: camera.finished, "it is over")
    until(lambda: all_stand_still(threads) is None, "it rests")


def test_a_reader_that_dies_takes_the_process_with_it(begin: Begin, threads: Threads):
    ended = threading.Event()
    threads.supervise(ended.set)
    source = Hangs()
    begin(source)
    assert source.reads.wait(PATIENCE_S)
    source.let.set()
    assert ended.wait(PATIENCE_S)
    assert str(threads.trouble).startswith("the thread camera-front has ended: SystemExit")
    assert threads.progress()["camera-front"] == -1
    threads.close()

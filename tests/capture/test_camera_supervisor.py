"""How a watch judges its camera, with a camera that fails on command and a clock that is turned by hand.

Real cameras, servers and files are in test_camera_faults.py.
"""

import threading
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
from real_cameras import PATIENCE_S, Ear, picture
from support.waiting import until

from agent.backoff import Backoff
from agent.capture.mailbox import FrameMailbox
from agent.capture.source import Clock, NegotiatedFormat
from agent.capture.supervisor import MAX_HUNG, CameraSupervisor
from agent.config.settings import CameraSettings
from agent.core.types import CameraState, Frame
from agent.errors import ConfigError, EndOfSource, SourceLost


class Stage:
    """A camera's world: the clock, what the camera does, and what was done to it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.opened = 0
        self.closed = 0
        self.interrupted = 0
        self.skipped = 0
        self.acts: Callable[[int], np.ndarray] = picture
        self.refuses: Exception | None = None
        self.release = threading.Event()  # lets hung reads return
        self.step = threading.Semaphore(0)  # one frame for each

    def clock(self) -> float:
        return self.now

    def show(self, frames: int = 1, after_s: float = 0.1) -> None:
        """Let the camera give some frames, `after_s` apart, each after the one before was taken."""
        for _ in range(frames):
            self.now += after_s
            self.step.release()
            wait_until(lambda: self.step._value == 0)

    def pass_time_until(self, is_so: Callable[[], object]) -> None:
        def a_moment_later() -> object:
            self.now += 0.01
            return is_so()

        wait_until(a_moment_later)


class StagedCamera:
    live = True
    skipped = 0

    def __init__(self, stage: Stage, camera: str) -> None:
        self.stage, self.camera, self.seq = stage, camera, 0

    def open(self) -> NegotiatedFormat:
        if self.stage.refuses:
            raise self.stage.refuses
        self.stage.opened += 1
        return NegotiatedFormat(160, 120, 30)

    def skip(self) -> float:
        self.stage.skipped += 1
        return self.read().at

    def read(self) -> Frame:
        while not self.stage.step.acquire(timeout=0.01):
            if self.stage.refuses:
                raise self.stage.refuses
            if self.stage.release.is_set():
                raise SourceLost("came back from a hang")
        self.seq += 1
        return Frame(self.camera, self.seq - 1, self.stage.now, self.stage.acts(self.seq))

    def close(self) -> None:
        self.stage.closed += 1

    def interrupt(self) -> None:
        self.stage.interrupted += 1


def wait_until(is_so: Callable[[], object]) -> None:
    until(is_so, "what the stage does shows")


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def watch(stage: Stage, mailbox: FrameMailbox, ear: Ear) -> Iterator[CameraSupervisor]:
    def make(settings: CameraSettings, camera: str, clock: Clock) -> StagedCamera:
        return StagedCamera(stage, camera)

    settings = CameraSettings(source="v4l2:/dev/video9", stall_timeout=3)
    made = CameraSupervisor(
        "front", settings, mailbox, ear, clock=stage.clock, make=make, backoff=Backoff(1, 8)
    )
    made.start()
    yield made
    stage.release.set()
    made.close()


def test_it_is_offline_until_the_first_picture_and_then_online(watch, stage, ear, mailbox):
    assert ear.wait_for("offline").reason == "opening v4l2:/dev/video9"
    stage.show()
    assert ear.wait_for("online").reason == ""
    assert [frame.seq for frame in mailbox.take(PATIENCE_S)] == [0]
    assert watch.counters.negotiated == NegotiatedFormat(160, 120, 30)


def test_frames_that_nobody_will_look_at_are_counted_but_not_decoded(watch, stage, ear, mailbox):
    stage.show(2, after_s=0.1)
    ear.wait_for("online")
    mailbox.take(PATIENCE_S)
    watch.rest_until(stage.now + 0.35)
    stage.show(1, after_s=0.1)  # the reader was waiting for this one already
    stage.show(3, after_s=0.1)
    wait_until(lambda: watch.counters.frames == 6)
    assert stage.skipped == 2  # 0.2 and 0.3 s later; the last is beyond the rest
    assert [frame.seq for frame in mailbox.take(PATIENCE_S)] == [5]
    stage.show(2, after_s=0.1)
    wait_until(lambda: watch.counters.frames == 8)
    assert stage.skipped == 2


def test_a_camera_that_hangs_is_left_behind_and_opened_again(watch, stage, ear):
    stage.show(2)
    ear.wait_for("online")
    stage.now += 4.1
    lost = ear.wait_for("offline", "driver or server does not return")
    assert lost.reason.startswith("v4l2:/dev/video9: ")
    assert watch.counters.stalls == 1
    stage.pass_time_until(lambda: stage.opened == 2)


def test_a_slow_start_is_reported_before_it_is_given_up(watch, stage, ear):
    wait_until(lambda: stage.opened == 1)
    stage.now += 4.1
    ear.wait_for("offline", "no picture after 4 s; still waiting")
    stage.now += 11
    ear.wait_for("offline", "does not return")


def test_the_same_picture_again_and_again_is_a_lost_camera(watch, stage, ear, mailbox):
    stage.show(2)
    ear.wait_for("online")
    stage.acts = lambda _: picture(0)
    stage.show(8, after_s=0.5)
    ear.wait_for("offline", "its image does not change")
    assert mailbox.take(0) == []
    assert watch.counters.stalls == 1


def test_a_frozen_camera_is_watched_and_is_back_with_its_first_new_picture(watch, stage, ear, mailbox):
    stage.acts = lambda _: picture(0)
    stage.show(8, after_s=0.5)
    ear.wait_for("offline", "its image does not change")
    wait_until(lambda: stage.opened == 2)  # at once, without a wait
    stage.show(2)
    assert mailbox.take(0) == []  # the frozen picture is no news
    stage.acts = picture
    stage.show()
    ear.wait_for("online")
    assert len(mailbox.take(PATIENCE_S)) == 1


def test_a_loss_tells_its_reason_once_however_often_it_is_tried(watch, stage, ear):
    stage.refuses = SourceLost("v4l2:/dev/video9: no such device; plug it in")
    ear.wait_for("offline", "no such device")
    stage.pass_time_until(lambda: stage.closed == 4)
    assert len(ear.heard) == 2


def test_the_waits_between_tries_grow(watch, stage, ear):
    stage.refuses = SourceLost("gone")
    tries: list[float] = []
    for number in range(1, 5):
        stage.pass_time_until(lambda number=number: stage.closed == number)
        tries.append(stage.now)
    for (one, other), least_s in zip(pairwise(tries), (0.8, 1.6, 3.2), strict=True):
        assert other - one >= least_s  # 1, 2, 4 s, less a fifth


def test_frames_are_numbered_over_all_lives(watch, stage, ear, mailbox):
    stage.show(3)
    ear.wait_for("online")
    stage.refuses = SourceLost("gone")
    ear.wait_for("offline", "gone")
    stage.refuses = None
    stage.pass_time_until(lambda: stage.opened == 2)
    stage.show()
    ear.wait_for("online")
    assert [frame.seq for frame in mailbox.take(PATIENCE_S)] == [3]
    assert watch.counters.frames == 4


def test_off_closes_the_device_and_on_opens_it(watch, stage, ear, mailbox):
    stage.show()
    ear.wait_for("online")
    stage.closed = 0
    watch.enable(False)
    wait_until(lambda: stage.interrupted)
    stage.step.release()  # the read that was waiting returns
    ear.wait_for("disabled")
    assert stage.closed == 1
    assert mailbox.take(0) == []
    watch.enable(True)
    wait_until(lambda: stage.opened == 2)


def test_an_end_is_reported_and_not_tried_again(watch, stage, ear):
    stage.show()
    ear.wait_for("online")
    stage.refuses = EndOfSource("clip.mp4: played to its end (1 frames)")
    ear.wait_for("offline", "played to its end")
    wait_until(lambda: watch.finished)
    stage.now += 100
    assert stage.opened == 1


def test_a_bug_in_a_source_does_not_end_the_watch(watch, stage, ear):
    stage.refuses = ValueError("a bug")
    ear.wait_for("offline", "a bug")
    before = stage.opened
    stage.refuses = None
    stage.pass_time_until(lambda: stage.opened > before)
    stage.show()
    ear.wait_for("online")


def test_readers_that_never_return_are_bounded(stage: Stage, mailbox: FrameMailbox, ear: Ear):
    started: list[int] = []

    class Hung(StagedCamera):
        def read(self) -> Frame:
            started.append(1)
            stage.release.wait(PATIENCE_S)
            raise SourceLost("came back")

    def make(settings: CameraSettings, camera: str, clock: Clock) -> StagedCamera:
        return Hung(stage, camera)

    settings = CameraSettings(source="v4l2:/dev/video9", stall_timeout=3)
    watch = CameraSupervisor(
        "front", settings, mailbox, ear, clock=stage.clock, make=make, backoff=Backoff(0, 0)
    )
    watch.start()
    for number in range(MAX_HUNG):
        wait_until(lambda number=number: len(started) == number + 1)
        stage.now += 20
    ear.wait_for("offline", f"{MAX_HUNG} reads of it never returned")
    assert len(started) == MAX_HUNG
    stage.release.set()
    wait_until(lambda: stage.closed >= MAX_HUNG)
    watch.close()


def test_a_source_that_makes_no_sense_cannot_start(mailbox: FrameMailbox, ear: Ear):
    with pytest.raises(ConfigError, match="no such kind of source"):
        CameraSupervisor("front", CameraSettings(source="usb:0"), mailbox, ear)


def test_a_fault_in_the_watching_thread_is_reported_and_the_camera_begun_anew(
    stage: Stage, mailbox: FrameMailbox, ear
):
    made: list[StagedCamera] = []

    def make(settings: CameraSettings, camera: str, clock: Clock) -> StagedCamera:
        made.append(StagedCamera(stage, camera))
        if len(made) == 2:
            raise ZeroDivisionError("a bug")
        return made[-1]

    settings = CameraSettings(source="v4l2:/dev/video9", stall_timeout=3)
    soon = Backoff(0.1, 0.1)
    watch = CameraSupervisor("front", settings, mailbox, ear, clock=stage.clock, make=make, backoff=soon)
    watch.start()
    ear.wait_for("offline", "a fault in the agent (ZeroDivisionError('a bug'))")
    stage.now += 1
    stage.show()
    ear.wait_for("online")
    stage.release.set()
    watch.close()


def test_a_listener_that_fails_once_does_not_end_the_camera(stage: Stage, mailbox: FrameMailbox, ear):
    told: list[str] = []

    def tell(state: CameraState) -> None:
        told.append(state.state)
        if len(told) == 1:
            raise RuntimeError("a bug of somebody else")
        ear(state)

    def make(settings: CameraSettings, camera: str, clock: Clock) -> StagedCamera:
        return StagedCamera(stage, camera)

    settings = CameraSettings(source="v4l2:/dev/video9", stall_timeout=3)
    soon = Backoff(0.1, 0.1)
    watch = CameraSupervisor("front", settings, mailbox, tell, clock=stage.clock, make=make, backoff=soon)
    watch.start()
    ear.wait_for("offline", "a fault in the agent")
    stage.now += 1
    stage.show()
    ear.wait_for("online")
    stage.release.set()
    watch.close()


def test_a_file_whose_read_never_returns_is_reported(stage: Stage, mailbox: FrameMailbox, ear):
    class StagedFile(StagedCamera):
        live = False

    def make(settings: CameraSettings, camera: str, clock: Clock) -> StagedFile:
        return StagedFile(stage, camera)

    settings = CameraSettings(source="clip.mp4", stall_timeout=3)
    soon = Backoff(0.1, 0.1)
    watch = CameraSupervisor("front", settings, mailbox, ear, clock=stage.clock, make=make, backoff=soon)
    watch.start()
    stage.show()
    ear.wait_for("online")
    stage.now += 3 + 2 / 30 + 1.1
    ear.wait_for("offline", "no picture")
    stage.release.set()
    watch.close()

import threading

import numpy as np

from agent.capture.mailbox import FrameMailbox
from agent.core.types import Frame

IMAGE = np.zeros((2, 2, 3), np.uint8)


def frame(camera: str, seq: int) -> Frame:
    return Frame(camera, seq, seq / 10, IMAGE)


def taken(mailbox: FrameMailbox, timeout_s: float = 0) -> list[tuple[str, int]]:
    return [(frame.camera, frame.seq) for frame in mailbox.take(timeout_s)]


def test_the_newest_frame_wins_and_the_others_are_counted(mailbox: FrameMailbox):
    for seq in range(4):
        mailbox.put(frame("front", seq))
    assert taken(mailbox) == [("front", 3)]
    assert mailbox.dropped("front") == 3


def test_a_frame_is_taken_once(mailbox: FrameMailbox):
    mailbox.put(frame("front", 0))
    assert taken(mailbox) == [("front", 0)]
    assert taken(mailbox) == []
    assert mailbox.dropped("front") == 0


def test_a_fast_camera_does_not_keep_a_slow_one_waiting(mailbox: FrameMailbox):
    mailbox.put(frame("slow", 1))
    for seq in range(2, 50):
        mailbox.put(frame("fast", seq))
    assert taken(mailbox) == [("slow", 1), ("fast", 49)]


def test_a_frame_wakes_the_one_who_waits(mailbox: FrameMailbox):
    threading.Timer(0.05, mailbox.put, [frame("front", 7)]).start()
    assert taken(mailbox, timeout_s=30) == [("front", 7)]


def test_what_a_lost_camera_left_is_no_news(mailbox: FrameMailbox):
    mailbox.put(frame("front", 1))
    mailbox.put(frame("back", 2))
    mailbox.forget("front")
    assert taken(mailbox) == [("back", 2)]


def test_closing_wakes_the_one_who_waits(mailbox: FrameMailbox):
    threading.Timer(0.05, mailbox.close).start()
    assert taken(mailbox, timeout_s=30) == []
    mailbox.put(frame("front", 1))
    assert taken(mailbox, timeout_s=30) == []

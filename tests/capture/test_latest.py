import threading

import numpy as np

from agent.capture.latest import Latest
from agent.core.types import Frame

IMAGE = np.zeros((2, 2, 3), np.uint8)


def frame(camera: str, seq: int) -> Frame:
    return Frame(camera, seq, seq / 10, IMAGE)


def taken(latest: Latest, timeout_s: float = 0) -> list[tuple[str, int]]:
    return [(frame.camera, frame.seq) for frame in latest.take(timeout_s)]


def test_the_newest_frame_wins_and_the_others_are_counted(latest: Latest):
    for seq in range(4):
        latest.put(frame("front", seq))
    assert taken(latest) == [("front", 3)]
    assert latest.dropped("front") == 3


def test_a_frame_is_taken_once(latest: Latest):
    latest.put(frame("front", 0))
    assert taken(latest) == [("front", 0)]
    assert taken(latest) == []
    assert latest.dropped("front") == 0


def test_a_fast_camera_does_not_keep_a_slow_one_waiting(latest: Latest):
    latest.put(frame("slow", 1))
    for seq in range(2, 50):
        latest.put(frame("fast", seq))
    assert taken(latest) == [("slow", 1), ("fast", 49)]


def test_a_frame_wakes_the_one_who_waits(latest: Latest):
    threading.Timer(0.05, latest.put, [frame("front", 7)]).start()
    assert taken(latest, timeout_s=30) == [("front", 7)]


def test_what_a_lost_camera_left_is_no_news(latest: Latest):
    latest.put(frame("front", 1))
    latest.put(frame("back", 2))
    latest.forget("front")
    assert taken(latest) == [("back", 2)]


def test_closing_wakes_the_one_who_waits(latest: Latest):
    threading.Timer(0.05, latest.close).start()
    assert taken(latest, timeout_s=30) == []
    latest.put(frame("front", 1))
    assert taken(latest, timeout_s=30) == []

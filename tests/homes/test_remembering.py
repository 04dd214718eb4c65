from __future__ import annotations

from remembering import RememberingRecognizer

from agent.loop.ports import FrameRecognizer


def test_what_stands_for_the_recognizer_in_the_homes_has_all_that_the_loop_asks_of_one():
    asked = {name for name, what in vars(FrameRecognizer).items() if callable(what) and name[0] != "_"}
    assert asked == {name for name in vars(RememberingRecognizer) if name[0] != "_"}

"""What was recognised belongs to the frame that it was recognised in, however late it comes."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from agent.config.settings import RestSettings
from agent.core.interpreter import Interpreter
from agent.core.rules import World
from agent.core.types import LABELS, Frame, Sight
from agent.loop.loop import Loop
from agent.loop.surroundings import Hooks
from agent.recording import Nobody


class OneFrameLate:
    """Eyes that tell of each frame in the next turn, as a GPU that works one frame ahead does."""

    def __init__(self) -> None:
        self._before: Sequence[Frame] = ()

    def see(self, frames: Sequence[Frame]) -> list[Sight]:
        done, self._before = self._before, list(frames)
        return [Sight(f.camera, f.at, f.width, f.height, 0, frame=f) for f in done]

    def forget(self, camera: str) -> None:
        """Nothing is remembered but the frames."""


class NoFrames:
    def take(self, timeout_s: float) -> list[Frame]:  # noqa: ARG002 (as the mailbox)
        return []


class Camera:
    def enable(self, on: bool) -> None:
        """It has no device."""


def test_frames_of_two_cameras_that_come_in_turn_are_told_with_their_own_results() -> None:
    told: list[tuple[Frame, Sight]] = []
    loop = Loop(
        frames=NoFrames(),
        eyes=OneFrameLate(),
        mind=Interpreter(LABELS),
        out=Nobody(),
        rest=RestSettings(),
        max_age_s=5.0,
        hooks=Hooks(world=World, looked=lambda frame, sight: told.append((frame, sight))),
        clock=time.monotonic,
    )
    loop.watch({"hall": Camera(), "door": Camera()}, enabled=True)
    image = np.zeros((48, 64, 3), np.uint8)
    frames = [Frame(camera, n, n / 10, image) for n in range(4) for camera in ("hall", "door")]
    for frame in frames:  # never both at once
        loop.turn([frame])
    assert [frame for frame, _ in told] == frames[:-1]
    assert all((frame.camera, frame.at) == (sight.camera, sight.at) for frame, sight in told)

"""Pictures for the page, with what was found in them. Only where `web.preview` is on.

A browser asks for the next picture when it has drawn the last: nothing queues, and a slow one sees fewer.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import cv2

from agent.core.types import Frame, Image, Pose, SeenHand, Sight
from agent.web.messages import as_text

MAX_WIDTH = 640  # px
QUALITY = 80  # of the JPEG
MIN_JOINT = 0.5  # surer than this, or a joint is not drawn
BONES = (
    ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"),
    ("left_hip", "right_hip"),
    ("left_hip", "left_knee"),
    ("right_hip", "right_knee"),
)


class Preview:
    """The newest picture of every camera."""

    def __init__(self) -> None:
        self.watchers = 0  # nobody: no picture is kept
        self._newest: dict[str, tuple[Frame, Sight]] = {}
        self._changed: asyncio.Event | None = None

    def looked(self, frame: Frame, sight: Sight) -> None:
        """From the loop's thread: keep it if somebody watches."""
        if self.watchers:
            self._newest[frame.camera] = (frame, sight)
        elif self._newest:
            self._newest.clear()

    def turned(self) -> None:
        """In the web thread: there may be a new picture."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def after(self, camera: str, seq: int) -> tuple[int, bytes]:
        """Number and message of the next picture after `seq`; waits for one."""
        while True:
            found = self._newest.get(camera)
            if found is not None and found[0].seq != seq:
                return found[0].seq, await asyncio.to_thread(packed, *found)
            if self._changed is None:
                self._changed = asyncio.Event()
            await self._changed.wait()


def packed(frame: Frame, sight: Sight) -> bytes:
    """Length of the JSON (uint32, big end first), the JSON of what was found, the JPEG."""
    image: Image = frame.image
    if frame.width > MAX_WIDTH:
        size = (MAX_WIDTH, round(frame.height * MAX_WIDTH / frame.width))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    text = as_text(found_in(sight)).encode()
    return struct.pack(">I", len(text)) + text + jpeg.tobytes()


def found_in(sight: Sight) -> dict[str, Any]:
    """Skeletons as lines, hands as corners and landmarks; all in shares of the picture."""
    return {
        "camera": sight.camera,
        "width": sight.width,
        "height": sight.height,
        "bones": [line for pose in sight.poses for line in _bones(pose, sight)],
        "hands": [_hand(hand, sight) for hand in sight.hands],
    }


def _bones(pose: Pose, sight: Sight) -> list[list[float]]:
    lines = []
    for start, end in BONES:
        a, b = pose.joint(start), pose.joint(end)
        if a and b and min(a[2], b[2]) >= MIN_JOINT:
            lines.append([*_share(a[0], a[1], sight), *_share(b[0], b[1], sight)])
    return lines


def _hand(hand: SeenHand, sight: Sight) -> dict[str, Any]:
    points = [] if hand.landmarks is None else hand.landmarks.tolist()
    return {
        "person": hand.person,
        "hand": hand.hand,
        "corners": [_share(x, y, sight) for x, y in hand.box.corners().tolist()],
        "landmarks": [_share(x, y, sight) for x, y in points],
    }


def _share(x: float, y: float, sight: Sight) -> list[float]:
    return [round(x / sight.width, 4), round(y / sight.height, 4)]

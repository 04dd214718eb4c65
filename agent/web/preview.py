"""Pictures for the page, with what was found in them. Only where `web.preview` is on.

A browser asks for the next picture when it has drawn the last: nothing queues, and a slow one sees fewer.
That a picture is gone is told without being asked.
"""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2

from agent.core.types import CameraState, Detections, HandDetection, Image, Pose
from agent.web.messages import as_text

MAX_WIDTH = 640  # px
QUALITY = 80  # of the JPEG
MAX_WATCHERS = 16  # of all cameras together
STALE_S = 10.0  # an older picture shows what is not so any more
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


@dataclass(frozen=True, slots=True)
class _Picture:
    number: int  # another one for every picture of the agent
    detections: Detections
    kept_at: float


class TooManyWatchers(Exception):  # noqa: N818 (a verdict on the visitor)
    """`MAX_WATCHERS` watch already."""


class Watcher:
    """One viewer of one camera: a picture whenever it wants one, and a word when there is none any more."""

    def __init__(self, preview: Preview, camera: str) -> None:
        self._preview, self._camera = preview, camera
        self._wanted = False
        self._shown: int | None = None  # number of the picture that the viewer has
        self._update = asyncio.Event()

    def want(self) -> None:
        """The viewer has drawn what it was sent."""
        self._wanted = True
        self._update.set()

    def wake(self) -> None:
        """There may be another picture, or none any more."""
        self._update.set()

    async def next(self) -> bytes:
        """The next message for the viewer; waits for one."""
        while True:
            self._update.clear()
            picture = self._preview.newest(self._camera)
            if picture is None and self._shown is not None:
                self._shown = None
                return gone(self._camera)
            if picture is not None and self._wanted and picture.number != self._shown:
                message = await self._preview.packed(picture)
                if self._preview.may_show(picture):  # else it went while it was packed
                    self._wanted, self._shown = False, picture.number
                    return message
            else:
                await self._update.wait()


class Preview:
    """The newest picture of every camera, while somebody watches and the camera is in use.

    A picture is dropped at once when its camera is lost, when the agent is paused and when nobody watches
    any more; one that is older than `STALE_S` is shown to nobody.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._newest: dict[str, _Picture] = {}
        self._watchers: set[Watcher] = set()
        self._packing: dict[str, tuple[int, asyncio.Task[bytes]]] = {}
        self._closed: set[str] = set()  # cameras that are not online
        self._dropped: dict[str, int] = {}  # camera: its pictures up to this number are over
        self._paused = False
        self._count = 0
        self._lock = threading.Lock()  # between the loop's thread and the web thread

    def __len__(self) -> int:
        """How many watch."""
        return len(self._watchers)

    # In the loop's thread.

    def on_detections(self, detections: Detections) -> None:
        """Keep a picture, if somebody watches and may."""
        with self._lock:
            if self._watchers and not self._paused and detections.camera not in self._closed:
                self._count += 1
                self._newest[detections.camera] = _Picture(self._count, detections, self._clock())

    def switched(self, on: bool) -> None:
        """The cameras were switched on or off: off, no picture is left."""
        with self._lock:
            self._paused = not on
            if self._paused:
                self._drop(*self._newest)

    def camera_changed(self, state: CameraState) -> None:
        """A camera came, or went with its picture."""
        with self._lock:
            if state.state == "online":
                self._closed.discard(state.camera)
            else:
                self._closed.add(state.camera)
                self._drop(state.camera)

    # In the web thread.

    def join(self, camera: str) -> Watcher:
        """Somebody watches from now on. Raises `TooManyWatchers`."""
        if len(self._watchers) >= MAX_WATCHERS:
            raise TooManyWatchers
        watcher = Watcher(self, camera)
        with self._lock:
            self._watchers.add(watcher)
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """It is gone; with the last one all pictures go."""
        with self._lock:
            self._watchers.discard(watcher)
            if not self._watchers:
                self._drop(*self._newest)
                self._packing.clear()

    def on_step(self) -> None:
        """There may be new pictures, or some may be gone. Called once a second at least."""
        for watcher in self._watchers:
            watcher.wake()

    def newest(self, camera: str) -> _Picture | None:
        """What may be shown now."""
        with self._lock:
            picture = self._newest.get(camera)
            if picture is not None and self._clock() - picture.kept_at > STALE_S:
                self._drop(camera)
                return None
            return picture

    def may_show(self, picture: _Picture) -> bool:
        """Whether it was not dropped since it was given out."""
        with self._lock:
            return picture.number > self._dropped.get(picture.detections.camera, 0)

    async def packed(self, picture: _Picture) -> bytes:
        """Its message: made once, however many watch."""
        camera = picture.detections.camera
        number, task = self._packing.get(camera, (-1, None))
        if task is None or number != picture.number:
            task = asyncio.ensure_future(asyncio.to_thread(packed, picture.detections))
            self._packing[camera] = picture.number, task
        message = await asyncio.shield(task)
        if self._packing.get(camera) == (picture.number, task):
            del self._packing[camera]
        return message

    def _drop(self, *cameras: str) -> None:
        for camera in cameras:
            self._newest.pop(camera, None)
            self._dropped[camera] = self._count


def gone(camera: str) -> bytes:
    """The message without a picture: what is still shown must go."""
    text = as_text({"camera": camera, "picture": None}).encode()
    return struct.pack(">I", len(text)) + text


def packed(detections: Detections) -> bytes:
    """Length of the JSON (uint32, big end first), the JSON of what was found, the JPEG."""
    frame = detections.frame
    image: Image = frame.image
    if frame.width > MAX_WIDTH:
        size = (MAX_WIDTH, round(frame.height * MAX_WIDTH / frame.width))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    text = as_text(found_in(detections)).encode()
    return struct.pack(">I", len(text)) + text + jpeg.tobytes()


def found_in(detections: Detections) -> dict[str, Any]:
    """Skeletons as lines, hands as corners and landmarks; all in shares of the picture."""
    return {
        "camera": detections.camera,
        "width": detections.width,
        "height": detections.height,
        "bones": [line for pose in detections.poses for line in _bones(pose, detections)],
        "hands": [_hand(hand, detections) for hand in detections.hands],
    }


def _bones(pose: Pose, detections: Detections) -> list[list[float]]:
    lines = []
    for start, end in BONES:
        a, b = pose.joint(start), pose.joint(end)
        if a and b and min(a[2], b[2]) >= MIN_JOINT:
            lines.append([*_share(a[0], a[1], detections), *_share(b[0], b[1], detections)])
    return lines


def _hand(hand: HandDetection, detections: Detections) -> dict[str, Any]:
    points = [] if hand.landmarks is None else hand.landmarks.tolist()
    return {
        "person": hand.person,
        "hand": hand.hand,
        "corners": [_share(x, y, detections) for x, y in hand.box.corners().tolist()],
        "landmarks": [_share(x, y, detections) for x, y in points],
    }


def _share(x: float, y: float, detections: Detections) -> list[float]:
    return [round(x / detections.width, 4), round(y / detections.height, 4)]

"""Preview pictures of cameras with detections drawn on them. Only where `web.preview` is on.

A browser requests the next picture when it has drawn the last: nothing queues, and a slow one gets fewer.
The removal of a picture is sent without a request.
"""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2

from agent.core.frame_memory import packed_bgr
from agent.core.types import CameraState, Detections, HandDetection, Pose
from agent.web.messages import as_text

MAX_WIDTH = 640  # px
QUALITY = 80  # JPEG quality
MAX_WATCHERS = 16  # of all cameras together
STALE_S = 10.0  # seconds; an older picture is not shown
MIN_JOINT = 0.5  # least confidence for a joint to be drawn
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
    """Raised when `MAX_WATCHERS` viewers are connected."""


class Watcher:
    """One viewer of one camera: gets a picture on request, and a message when it is removed."""

    def __init__(self, preview: Preview, camera: str) -> None:
        self._preview, self._camera = preview, camera
        self._wanted = False
        self._shown: int | None = None  # number of the picture that the viewer has
        self._update = asyncio.Event()

    def want(self) -> None:
        """Note that the viewer requests the next picture."""
        self._wanted = True
        self._update.set()

    def wake(self) -> None:
        """Wake the viewer's stream: a picture may be new or removed."""
        self._update.set()

    async def next(self) -> bytes:
        """Wait for the next message for the viewer."""
        while True:
            self._update.clear()
            picture = self._preview.newest(self._camera)
            if picture is None and self._shown is not None:
                self._shown = None
                return cleared(self._camera)
            if picture is not None and self._wanted and picture.number != self._shown:
                message = await self._preview.packed(picture)
                if self._preview.may_show(picture):  # else it was removed while it was encoded
                    self._wanted, self._shown = False, picture.number
                    return message
            else:
                await self._update.wait()


class Preview:
    """Newest picture of every camera, kept while somebody watches and the camera is in use.

    A picture is dropped at once when its camera is lost, when the agent is disabled and when the last viewer
    leaves; one that is older than `STALE_S` is not shown.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._newest: dict[str, _Picture] = {}
        self._watchers: set[Watcher] = set()
        self._packing: dict[str, tuple[int, asyncio.Task[bytes]]] = {}
        self._closed: set[str] = set()  # cameras that are not online
        self._dropped: dict[str, int] = {}  # camera: pictures up to this number are invalid
        self._paused = False
        self._count = 0
        self._lock = threading.Lock()  # guards what the loop's and the web thread share

    def __len__(self) -> int:
        """Number of viewers."""
        return len(self._watchers)

    # Called in the loop's thread.

    def on_detections(self, detections: Detections) -> None:
        """Keep the frame as picture, if it is watched and allowed."""
        with self._lock:
            if self._watchers and not self._paused and detections.camera not in self._closed:
                self._count += 1
                self._newest[detections.camera] = _Picture(self._count, detections, self._clock())

    def switched(self, on: bool) -> None:
        """Enable or disable the cameras; disabling drops all pictures."""
        with self._lock:
            self._paused = not on
            if self._paused:
                self._drop(*self._newest)

    def camera_changed(self, state: CameraState) -> None:
        """Take a camera's state; an offline camera's picture is dropped."""
        with self._lock:
            if state.state == "online":
                self._closed.discard(state.camera)
            else:
                self._closed.add(state.camera)
                self._drop(state.camera)

    # Called in the web thread.

    def join(self, camera: str) -> Watcher:
        """Add a viewer. Raises `TooManyWatchers`."""
        if len(self._watchers) >= MAX_WATCHERS:
            raise TooManyWatchers
        watcher = Watcher(self, camera)
        with self._lock:
            self._watchers.add(watcher)
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Remove a viewer; with the last one all pictures are dropped."""
        with self._lock:
            self._watchers.discard(watcher)
            if not self._watchers:
                self._drop(*self._newest)
                self._packing.clear()

    def on_step(self) -> None:
        """Wake viewers whose picture may be new or removed. Called once a second at least."""
        for watcher in self._watchers:
            watcher.wake()

    def newest(self, camera: str) -> _Picture | None:
        """Return the newest picture that may be shown, else None."""
        with self._lock:
            picture = self._newest.get(camera)
            if picture is not None and self._clock() - picture.kept_at > STALE_S:
                self._drop(camera)
                return None
            return picture

    def may_show(self, picture: _Picture) -> bool:
        """Return whether a picture was not dropped since it was returned."""
        with self._lock:
            return picture.number > self._dropped.get(picture.detections.camera, 0)

    async def packed(self, picture: _Picture) -> bytes:
        """Return the encoded message of a picture: encoded once for all viewers."""
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


def cleared(camera: str) -> bytes:
    """Return the message that makes the viewer clear its picture."""
    text = as_text({"camera": camera, "picture": None}).encode()
    return struct.pack(">I", len(text)) + text


def packed(detections: Detections) -> bytes:
    """Encode a message: length of the JSON (uint32, big endian), JSON of the detections, JPEG."""
    frame = detections.frame
    image = packed_bgr(frame.image)
    if frame.width > MAX_WIDTH:
        size = (MAX_WIDTH, round(frame.height * MAX_WIDTH / frame.width))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    text = as_text(found_in(detections)).encode()
    return struct.pack(">I", len(text)) + text + jpeg.tobytes()


def found_in(detections: Detections) -> dict[str, Any]:
    """Return skeletons as lines, hands as corners and landmarks, in fractions of the frame."""
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

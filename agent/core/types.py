"""Shared data types, from camera frame to rule action.

Coordinates are pixels of the full frame, x to the right and y down, unless a name ends in
`_share`, which is a fraction of the frame's width or height. Times (`at`) are monotonic seconds
stamped at capture. Angles are radians, clockwise as seen in the picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from agent.core.nv12 import Nv12Image

Floats: TypeAlias = npt.NDArray[np.float32]
Image: TypeAlias = npt.NDArray[np.uint8]
Pixels: TypeAlias = Image | Nv12Image
"""An image as it came from the camera: BGR (a view of BGRx, perhaps), or NV12."""

Hand = Literal["left", "right"]
HANDS: tuple[Hand, Hand] = ("left", "right")

BUILT_IN_GESTURES = ("thumbs_up", "fist", "stop", "ok", "two")
NO_GESTURE = "random"  # GestureNet's sixth class: a hand, but none of the gestures
LABELS = (*BUILT_IN_GESTURES, NO_GESTURE)  # the order of GestureNet's outputs (NVIDIA model card)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of one camera.

    `pixels` is uint8 (height, width, 3), BGR, or an `Nv12Image` where a GPU looks at it. `seq` counts the
    frames of this camera from 0, dropped ones included. `at` is the monotonic time of capture in seconds (for
    files: the timestamp in the file).
    """

    camera: str
    seq: int
    at: float
    pixels: Pixels

    @property
    def image(self) -> Image:
        """The image as BGR, uint8 (height, width, 3); NV12 is converted when first asked for."""
        return bgr_of(self.pixels)

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])


def bgr_of(pixels: Pixels) -> Image:
    """Return an image as BGR, uint8 (height, width, 3)."""
    return pixels.bgr if isinstance(pixels, Nv12Image) else pixels


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """One person's body joints.

    `keypoints` is float32 (K, 3): x px, y px, score 0..1, in full-frame pixels; `joints` names its
    rows in the order of the model's manifest ("right_wrist", "left_elbow", ...).
    """

    keypoints: Floats
    joints: tuple[str, ...]
    score: float

    def joint(self, name: str) -> tuple[float, float, float] | None:
        """Return (x px, y px, score) of a joint; None where the model has no such joint."""
        try:
            x, y, score = self.keypoints[self.joints.index(name)]
        except ValueError:
            return None
        return float(x), float(y), float(score)


@dataclass(frozen=True, slots=True)
class Box:
    """A square in full-frame pixels, possibly rotated.

    `angle` is in radians, clockwise in the image; 0 means that the box's own "up" is the image's up. The up
    of a hand's box runs from the wrist to the fingers where the detector knows it.
    """

    cx: float
    cy: float
    side: float
    angle: float = 0.0

    def scaled(self, factor: float) -> Box:
        """Return the box with its side multiplied by `factor`."""
        return Box(self.cx, self.cy, self.side * factor, self.angle)

    def upright(self) -> Box:
        """Return the box without its rotation."""
        return Box(self.cx, self.cy, self.side)

    def corners(self) -> Floats:
        """Return float32 (4, 2) px: top left, top right, bottom right, bottom left in the box's own frame."""
        half = self.side / 2
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        own = np.array([(-half, -half), (half, -half), (half, half), (-half, half)], np.float32)
        turn = np.array([(cos, sin), (-sin, cos)], np.float32)  # row vectors: p @ turn
        return np.asarray(own @ turn + np.array([self.cx, self.cy], np.float32), np.float32)


@dataclass(frozen=True, slots=True)
class Place:
    """Position and height of a hand, as shares of the frame: 0 is left or top, 1 is right or bottom."""

    x_share: float
    y_share: float
    height_share: float  # hand height / frame height: a measure of distance
    aspect: float = 4 / 3  # frame width / frame height: makes the two shares comparable


@dataclass(frozen=True, slots=True)
class HandPosture:
    """Measurements of how a hand is held relative to its body; None where unknown.

    `raised`: 0 at the hips, 1 at the shoulders. `lean`: degrees, 0 to 180, between the hand's direction and
    that from hips to head. `at_face`: the hand is closed, or far away, and touches the face. In degrees too:
    `facing`, how far the head is turned from the camera (180: seen from behind), `forearm` and `upright`, the
    angles of forearm and torso to the image's up. In sides of the hand's box: `to_face` and `to_hand`, the
    distances to the nearest part of the face and of another hand; a hand clearly in front of the face has no
    `to_face`. `bodiless`: the hand belongs to no body in view; `elbow_hidden`: its body's elbow is not seen.
    """

    raised: float | None = None
    lean: float | None = None
    at_face: bool = False
    facing: float | None = None
    forearm: float | None = None
    upright: float | None = None
    to_face: float | None = None
    to_hand: float | None = None
    bodiless: bool = False
    elbow_hidden: bool = False


UNKNOWN = HandPosture()


@dataclass(frozen=True, slots=True, eq=False)
class HandObservation:
    """The classifier's output for one tracked hand at one moment.

    There is one per tracked hand and frame; `scores` is None where the hand is not seen, else float32
    (len(labels),), probabilities in the order of the classifier's labels. `track` identifies the hand, also
    when its person or side is mistaken for a moment; None where only person and side are known. `posture` is
    that of the last time the hand was seen, `speed` its speed in its own widths a second, `onset_s` the
    seconds for which it has resembled its gesture; None where not known.
    """

    at: float
    camera: str
    person: int
    hand: Hand
    scores: Floats | None
    place: Place | None = None
    track: int | None = None
    posture: HandPosture = UNKNOWN
    speed: float | None = None
    onset_s: float | None = None

    @property
    def key(self) -> tuple[str, int, str]:
        """Identity of the hand: camera and track, or camera, person and side."""
        if self.track is not None:
            return self.camera, self.track, "track"
        return self.camera, self.person, self.hand


@dataclass(frozen=True, slots=True)
class Gesture:
    """A gesture of one hand at one moment: the common fields of the three events, and all that rules see."""

    at: float
    camera: str
    person: int
    hand: Hand
    gesture: str
    score: float  # smoothed probability, 0..1
    held_s: float  # since the smoothed gesture first passed the threshold
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class GestureStarted(Gesture):
    """A gesture was held for `hold` seconds and is now active."""


@dataclass(frozen=True, slots=True)
class GestureHeld(Gesture):
    """An active gesture continues; one event for every observation that shows it."""


@dataclass(frozen=True, slots=True)
class GestureEnded(Gesture):
    """An active gesture was gone for `release` seconds and has ended."""


GestureEvent: TypeAlias = GestureStarted | GestureHeld | GestureEnded


@dataclass(frozen=True, slots=True, eq=False)
class HandDetection:
    """A hand that was detected and classified in one frame.

    `box` is the hand itself, without the classifier's margin, and `scores` are float32 (len(labels),).
    `landmarks` is float32 (21, 2) in full-frame pixels where the classifier gives them, `embedding` the
    feature vector that taught gestures are fitted on.
    """

    person: int
    hand: Hand
    box: Box
    scores: Floats
    landmarks: Floats | None = None
    embedding: Floats | None = None
    posture: HandPosture = UNKNOWN


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Everything recognised in one frame of one camera; `stage_ms` is the latency of each stage in ms."""

    frame: Frame
    people: int
    hands: tuple[HandDetection, ...] = ()
    poses: tuple[Pose, ...] = ()
    stage_ms: dict[str, float] = field(default_factory=dict)

    @property
    def camera(self) -> str:
        """Name of the camera that took the frame."""
        return self.frame.camera

    @property
    def at(self) -> float:
        """Monotonic time of the frame, in seconds."""
        return self.frame.at

    @property
    def width(self) -> int:
        """Pixels across."""
        return self.frame.width

    @property
    def height(self) -> int:
        """Pixels down."""
        return self.frame.height


@dataclass(frozen=True, slots=True)
class CameraState:
    """Connection state of one camera; `reason` is empty while it is online."""

    camera: str
    state: Literal["online", "offline", "disabled"]
    reason: str = ""


ActionKind = Literal["publish", "webhook", "command", "key"]


@dataclass(frozen=True, slots=True)
class Action:
    """An action that a firing rule triggers.

    `at` is the monotonic time of the gesture that caused it, in seconds; the action expires `max_age_s`
    seconds later and is then not executed. `payload` is the text to send, with its templates filled in.
    """

    kind: ActionKind
    rule: str
    at: float
    max_age_s: float
    target: str  # topic, URL, program, key name
    payload: str = ""
    retain: bool = False
    options: tuple[tuple[str, str], ...] = ()  # headers of a webhook; ("arg", text) for each of a command
    event: GestureEvent | None = None

"""The things that flow from camera to rule.

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

Floats: TypeAlias = npt.NDArray[np.float32]
Image: TypeAlias = npt.NDArray[np.uint8]

Hand = Literal["left", "right"]
HANDS: tuple[Hand, Hand] = ("left", "right")

BUILT_IN_GESTURES = ("thumbs_up", "fist", "stop", "ok", "two")
NO_GESTURE = "random"  # GestureNet's sixth class: a hand, but none of the gestures
LABELS = (*BUILT_IN_GESTURES, NO_GESTURE)  # the order of GestureNet's outputs (NVIDIA model card)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of one camera.

    `image` is uint8 (height, width, 3), BGR. `seq` counts frames of this camera from 0, dropped
    ones too. `at` is the monotonic time of capture in seconds (for files: the file's own time).
    """

    camera: str
    seq: int
    at: float
    image: Image

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(self.image.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """One person's joints.

    `keypoints` is float32 (K, 3): x px, y px, score 0..1, in full-frame pixels; `joints` names its
    rows in the order of the model's manifest ("right_wrist", "left_elbow", ...).
    """

    keypoints: Floats
    joints: tuple[str, ...]
    score: float

    def joint(self, name: str) -> tuple[float, float, float] | None:
        """(x px, y px, score) of a joint, None where the model has no such joint."""
        try:
            x, y, score = self.keypoints[self.joints.index(name)]
        except ValueError:
            return None
        return float(x), float(y), float(score)


@dataclass(frozen=True, slots=True)
class Box:
    """A square in full-frame pixels, perhaps turned.

    `angle` is clockwise in the picture; 0 means that the box's own "up" is the picture's up. For
    hands the box's up runs from the wrist to the fingers where the finder knows it.
    """

    cx: float
    cy: float
    side: float
    angle: float = 0.0

    def scaled(self, factor: float) -> Box:
        """The same box with its side multiplied."""
        return Box(self.cx, self.cy, self.side * factor, self.angle)

    def upright(self) -> Box:
        """The same square, not turned."""
        return Box(self.cx, self.cy, self.side)

    def corners(self) -> Floats:
        """float32 (4, 2): top left, top right, bottom right, bottom left in the box's own frame."""
        half = self.side / 2
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        own = np.array([(-half, -half), (half, -half), (half, half), (-half, half)], np.float32)
        turn = np.array([(cos, sin), (-sin, cos)], np.float32)  # row vectors: p @ turn
        return np.asarray(own @ turn + np.array([self.cx, self.cy], np.float32), np.float32)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a hand is, as shares of the frame: 0 is left or top, 1 is right or bottom."""

    x_share: float
    y_share: float
    height_share: float  # hand height / frame height: a measure of distance
    aspect: float = 4 / 3  # frame width / frame height: makes the two shares comparable


@dataclass(frozen=True, slots=True)
class HandPosture:
    """How a hand is held on its body; None where the body does not tell.

    `raised`: 0 at the hips, 1 at the shoulders. `lean`: degrees, 0 to 180, between where the hand points and
    where the head is. `at_face`: it is closed, or far away, and touches the face. In degrees too: `facing`,
    how far the head is turned from the camera (180: its back), `forearm` and `upright`, how far the forearm
    and the torso are from the picture's up. In sides of the hand's box: `to_face` and `to_hand`, how far the
    nearest part of the face and of another hand is; a hand that is clearly before the face has no `to_face`.
    `bodiless`: the hand belongs to no body that is in view; `elbow_hidden`: its body's elbow is not.
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
    """What the classifier says of one tracked hand at one moment.

    One per tracked hand and frame, also when the hand is not seen: then `scores` is None.
    `scores` is float32 (len(labels),), probabilities in the order of the classifier's labels.
    `track` is the same number as long as it is the same hand, also when its person or side is
    mistaken for a moment; None: person and side are all that is known. `posture` is how the hand was held
    when it was last seen, `speed` how fast it moves in its own widths a second, `onset_s` for how long it has
    looked like its gesture; None where that is not known.
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
        """What tells this hand from every other."""
        if self.track is not None:
            return self.camera, self.track, "track"
        return self.camera, self.person, self.hand


@dataclass(frozen=True, slots=True)
class Gesture:
    """Shared part of the three events; the only thing that rules see."""

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
    """A gesture was held for `hold` seconds."""


@dataclass(frozen=True, slots=True)
class GestureHeld(Gesture):
    """A started gesture goes on; one for every reading that shows it."""


@dataclass(frozen=True, slots=True)
class GestureEnded(Gesture):
    """A started gesture was away for `release` seconds."""


GestureEvent: TypeAlias = GestureStarted | GestureHeld | GestureEnded


@dataclass(frozen=True, slots=True, eq=False)
class HandDetection:
    """A hand that was found and classified in one frame.

    `box` is the hand itself, without the classifier's margin. `landmarks` is float32 (21, 2) in
    full-frame pixels where the classifier gives them, `embedding` what taught gestures learn from.
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
    """All that was recognised in one frame of one camera, and the frame itself."""

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
    """How a camera is; `reason` says why it is not online, and is empty while it is."""

    camera: str
    state: Literal["online", "offline", "disabled"]
    reason: str = ""


ActionKind = Literal["publish", "webhook", "command", "key"]


@dataclass(frozen=True, slots=True)
class Action:
    """What a rule wants done.

    `at` is the monotonic time of the gesture that caused it; `max_age_s` seconds later it is worth
    nothing and must not be done. `payload` is the text to send, templates already filled in.
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

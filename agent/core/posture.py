"""Hand posture: how a hand is held relative to its body, its face and other hands. Pure.

People who show a gesture to a camera face it, raise a hand that stands free, and hold the forearm up. Hands
of people who talk, work, rest, type or hold a telephone are mostly lower, point elsewhere or touch something,
and their owners look at what they do. Lengths are relative to the body or the hand, so that camera distance
does not matter. Unknown values are None; joints under `MIN_JOINT` count as unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from agent.core.geometry import MIDDLE, MIN_JOINT, WRIST, turn_up
from agent.core.types import HANDS, Box, Floats, Hand, HandPosture, Pose

TORSO = 1.5  # shoulders to hips / width of the shoulders, of people who face the camera
FORESHORTENED = 0.7  # torso / shoulder width under which a body is seen steeply from above or below

# In shoulder widths. A closed hand at the head measures 0.2 to 0.4; one held out between face and camera is
# nearer and so appears larger: 0.5 and more for a man at a desk.
AT_FACE = 0.45  # from the nose to the middle of the hand
CLOSED = 0.44  # side of a hand's box

SURE = 0.95  # score of another hand's joint; hidden ones are often placed at this hand, with lower scores
NOSE_OUT = 1.3  # nose before the ears' axis / half the distance of the ears, of adults
BEHIND = 180.0  # degrees reported for a head seen from behind
CHIN = 0.6  # mouth to chin / eyes to mouth
LARGEST_HAND = 2.5  # side of a hand's box / width of the shoulders: 2.2 where a man at a desk reached out
BORDER = 0.02  # of the shorter side of the image: joints outside the image are placed at its border
REACHED_OUT = 0.6  # forearm / side of the hand's box: 1.3 and more where it is seen from its side
OPEN = 0.7  # side of a hand's box / width of the shoulders: an open hand at the face measures 0.5
NEARER = 1.3  # a hand this many times nearer to the camera than the head cannot touch it
PALM_CM, EARS_CM, EYES_TO_MOUTH_CM = 9.5, 15.0, 7.0  # wrist to middle knuckle; adults
FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "mouth_left", "mouth_right")
HAND_JOINTS = ("wrist", "index", "pinky", "thumb")  # of a pose; BlazePose has all four

Point: TypeAlias = tuple[float, float]
Body: TypeAlias = dict[str, list[float]]
"""Joints of one pose by name: [x px, y px, score]."""


def posture_of(
    pose: Pose | None,
    hand: Box,
    landmarks: Floats | None = None,
    others: Sequence[Floats] = (),
    frame: tuple[int, int] | None = None,
) -> HandPosture:
    """Measure how a hand is held, from body joints and landmarks in full-frame pixels.

    `pose` is None where the hand belongs to no body in view. `landmarks` are (21, 2 or more), `others` the
    points (n, 2) of every other hand in view, `frame` the width and height of the image; a head cut by its
    border gives no `facing`. Hidden hips are estimated from the shoulders. A pose without shoulders, or seen
    so steeply that heights mean nothing, gives neither `raised` nor `upright`.
    """
    points = np.array([(hand.cx, hand.cy)], np.float32) if landmarks is None else landmarks[:, :2]
    body = {} if pose is None else _taken_apart(pose)
    if not body or _is_hand(body, hand):
        return HandPosture(to_hand=_gap(points, others, hand.side), bodiless=True)
    own = _arm_of(body, hand)
    raised, lean, at_face = _on_shoulders(body, hand, landmarks)
    to_face = _to_face(body, points, hand, landmarks)
    level = raised is not None  # otherwise up in the image need not be up in the room
    return HandPosture(
        raised,
        lean,
        at_face,
        facing=None if to_face is None and _hides_face(body, hand) else _facing(body, frame),
        forearm=_forearm(body, own, hand, frame) if own and level else None,
        upright=_upright(body) if level else None,
        to_face=to_face,
        to_hand=_gap(points, [*others, *_other_hand(body, own)], hand.side),
        elbow_hidden=own is None or _elbow(body, own, frame) is None,
    )


def sure_hands(pose: Pose) -> list[Floats]:
    """Return the points of a body's hands whose joints score at least `SURE`, float32 (n, 2) each."""
    body = _taken_apart(pose)
    return [points for side in HANDS if (points := _hand_points(body, side)) is not None]


def _taken_apart(pose: Pose) -> Body:
    return dict(zip(pose.joints, pose.keypoints.tolist(), strict=True))


def _seen(body: Body, name: str) -> Point | None:
    """Position of a joint; None where it is missing or its score is low."""
    joint = body.get(name)
    return (joint[0], joint[1]) if joint and joint[2] >= MIN_JOINT else None


def _on_shoulders(body: Body, hand: Box, landmarks: Floats | None) -> tuple[float | None, float | None, bool]:
    left, right = _seen(body, "left_shoulder"), _seen(body, "right_shoulder")
    if left is None or right is None:
        return None, None, False
    top = (left[0] + right[0]) / 2, (left[1] + right[1]) / 2
    width = math.dist(left, right)
    down = _to_hips(body, top) or (0.0, TORSO * width)
    length = math.hypot(*down)
    if length <= FORESHORTENED * width or not length:
        return None, None, False
    below = (hand.cx - top[0]) * down[0] + (hand.cy - top[1]) * down[1]
    lean = None if landmarks is None else _lean(landmarks, down)
    return 1 - below / length**2, lean, _at_face(body, hand, width)


def _to_hips(body: Body, top: Point) -> Point | None:
    """Vector from the middle of the shoulders to the hips, px. BlazePose places hidden hips rather well."""
    left, right = body.get("left_hip"), body.get("right_hip")
    if left is None or right is None or not left[2] or not right[2]:
        return None
    return (left[0] + right[0]) / 2 - top[0], (left[1] + right[1]) / 2 - top[1]


def _lean(landmarks: Floats, down: Point) -> float:
    pointing = turn_up(*map(float, (*landmarks[WRIST, :2], *landmarks[MIDDLE, :2])))
    return math.degrees(abs(math.remainder(pointing - turn_up(*down, 0.0, 0.0), math.tau)))


def _at_face(body: Body, hand: Box, width: float) -> bool:
    nose = _seen(body, "nose")
    near = nose is not None and math.dist((hand.cx, hand.cy), nose) < AT_FACE * width
    return near and hand.side < CLOSED * width


def _is_hand(body: Body, hand: Box) -> bool:
    """Whether a body is far smaller than its hand: the detector took a hand near the camera for a body."""
    left, right = body.get("left_shoulder"), body.get("right_shoulder")
    return bool(left and right and hand.side > LARGEST_HAND * math.dist(left[:2], right[:2]) > 0)


def _hides_face(body: Body, hand: Box) -> bool:
    """Whether the hand covers the nose, so that nose and ears are guesses."""
    nose = body.get("nose")
    return nose is not None and max(abs(nose[0] - hand.cx), abs(nose[1] - hand.cy)) < hand.side / 2


def _facing(body: Body, frame: tuple[int, int] | None) -> float | None:
    """Degrees that the head is turned from the camera, from the position of the nose between the ears.

    None unless both ears are placed; BlazePose places the hidden ear well enough.
    """
    left, right, nose = (_seen(body, name) for name in ("left_ear", "right_ear", "nose"))
    if left is None or right is None or nose is None:
        return None
    if frame and any(_at_border(joint, frame) for joint in (left, right, nose)):
        return None
    across = left[0] - right[0], left[1] - right[1]
    width = math.hypot(*across)
    if not width:
        return 90.0
    shoulders = _seen(body, "left_shoulder"), _seen(body, "right_shoulder")
    if shoulders[0] and shoulders[1]:
        torso = shoulders[0][0] - shoulders[1][0], shoulders[0][1] - shoulders[1][1]
        if across[0] * torso[0] + across[1] * torso[1] > 0 > torso[0]:  # left is left: seen from behind
            return BEHIND
    middle = (left[0] + right[0]) / 2, (left[1] + right[1]) / 2
    beside = ((nose[0] - middle[0]) * across[0] + (nose[1] - middle[1]) * across[1]) / width
    return math.degrees(math.atan(abs(beside) / (width / 2) / NOSE_OUT))


def _at_border(point: Point, frame: tuple[int, int]) -> bool:
    margin = BORDER * min(frame)
    return not (margin < point[0] < frame[0] - margin and margin < point[1] < frame[1] - margin)


def _forearm(body: Body, side: Hand, hand: Box, frame: tuple[int, int] | None) -> float | None:
    """Degrees between forearm and image up; None where it is hidden or points at the camera."""
    elbow, wrist = _elbow(body, side, frame), _seen(body, f"{side}_wrist")
    if elbow is None or wrist is None or math.dist(elbow, wrist) < REACHED_OUT * hand.side:
        return None
    return math.degrees(abs(turn_up(*elbow, *wrist)))


def _elbow(body: Body, side: Hand, frame: tuple[int, int] | None) -> Point | None:
    """Position of the elbow; None where hidden or at the border, where BlazePose scores guesses high."""
    elbow = _seen(body, f"{side}_elbow")
    if elbow and frame and not (0 < elbow[0] < frame[0] and 0 < elbow[1] < frame[1]):
        return None
    return elbow


def _upright(body: Body) -> float | None:
    """Degrees between torso (hips to shoulders) and image up; None where the hips are not seen."""
    joints = [_seen(body, f"{side}_{part}") for part in ("shoulder", "hip") for side in HANDS]
    if any(joint is None for joint in joints):
        return None
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = (joint for joint in joints if joint)
    return math.degrees(abs(turn_up(x2 + x3, y2 + y3, x0 + x1, y0 + y1)))


def _to_face(body: Body, points: Floats, hand: Box, landmarks: Floats | None) -> float | None:
    """Hand widths between a hand and a face; None where the hand is clearly nearer to the camera."""
    seen = [joint for name in FACE if (joint := _seen(body, name))]
    if not seen:
        return None
    left, right = _seen(body, "left_shoulder"), _seen(body, "right_shoulder")
    if left and right and hand.side > OPEN * math.dist(left, right):
        return None
    eye_middle, mouth = _middle(body, "left_eye", "right_eye"), _middle(body, "mouth_left", "mouth_right")
    if eye_middle and mouth:
        seen.append(
            (mouth[0] + CHIN * (mouth[0] - eye_middle[0]), mouth[1] + CHIN * (mouth[1] - eye_middle[1]))
        )
        ears = _seen(body, "left_ear"), _seen(body, "right_ear")
        wide = math.dist(ears[0], ears[1]) if ears[0] and ears[1] else 0.0
        head = max(wide / EARS_CM, math.dist(mouth, eye_middle) / EYES_TO_MOUTH_CM)
        if landmarks is not None and head > 0:
            palm = math.dist(landmarks[MIDDLE, :2].tolist(), landmarks[WRIST, :2].tolist())
            if palm / PALM_CM > NEARER * head:
                return None
    return _gap(points, [np.array(seen, np.float32)], hand.side)


def _middle(body: Body, a: str, b: str) -> Point | None:
    first, second = _seen(body, a), _seen(body, b)
    return ((first[0] + second[0]) / 2, (first[1] + second[1]) / 2) if first and second else None


def _arm_of(body: Body, hand: Box) -> Hand | None:
    """The arm whose end is nearest to a hand; where both are, the one with higher scores."""
    ends = {side: joint for side in HANDS if (joint := body.get(f"{side}_wrist"))}
    far = {side: math.dist(joint[:2], (hand.cx, hand.cy)) for side, joint in ends.items()}
    if len(ends) == len(HANDS) and max(far.values()) < hand.side:
        return max(HANDS, key=lambda side: _certainty(body, side))
    return min(far, key=far.__getitem__, default=None)


def _certainty(body: Body, side: Hand) -> float:
    return sum(joint[2] for name in ("elbow", "wrist") if (joint := body.get(f"{side}_{name}")))


def _other_hand(body: Body, own: Hand | None) -> Iterable[Floats]:
    if own is not None:
        points = _hand_points(body, "left" if own == "right" else "right")
        if points is not None:
            yield points


def _hand_points(body: Body, side: Hand) -> Floats | None:
    elbow = body.get(f"{side}_elbow")
    joints = [joint for name in HAND_JOINTS if (joint := body.get(f"{side}_{name}"))]
    if elbow is None or not joints or min(elbow[2], joints[0][2]) < SURE:
        return None
    return np.array([joint[:2] for joint in joints], np.float32)


def _gap(points: Floats, others: Sequence[Floats], side: float) -> float | None:
    """Smallest distance between two sets of points, in sides of the hand's box."""
    if not others or side <= 0:
        return None
    apart = points[:, None, :] - np.vstack(others)[None, :, :]
    return float(np.sqrt((apart**2).sum(axis=2).min())) / side

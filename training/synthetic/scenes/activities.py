"""Activities of people, idle or with an intended gesture, as functions that fill a `Script`.

Each function takes the script and its start in seconds, adds keys and returns its end.
Poses are for a right hand: x to the own left (towards the middle), y back, z up, in metres
from the shoulder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from training.synthetic.clip.motion import ARMS, RESTING
from training.synthetic.scenes.hands import SHAPE, Array, arm_vector, unit
from training.synthetic.scenes.rig import SIDES, Side
from training.synthetic.scenes.script import ADULT_ARM, Beat, Script

Act = Callable[[Script, float], float]
DOWN = (-0.5, 0.3, -1.0)  # usual direction of the elbow
TALKING = ("soft", "soft", "wide", "wide", "idle", "idle", "claw", "pinch", "curl", "flat", "point")
COUNTING = ("point", "three", "four", "little", "gun")
RARE = ("rock", "call", "gun", "three", "four", "little", "claw")


def pose(
    wrist: Array, fingers: tuple[float, ...], palm: tuple[float, ...], elbow: tuple[float, ...] = DOWN
) -> Array:
    """Return an arm pose (12,)."""
    return np.concatenate([wrist, elbow, fingers, palm]).astype(float)


def touching(
    s: Script, point: Array, fingers: tuple[float, ...], palm: tuple[float, ...], reach: float = 0.85,
    elbow: tuple[float, ...] = DOWN,
) -> Array:  # fmt: skip
    """Return an arm pose (12,) whose fingertips (`reach` of the hand's length) are at a point."""
    f, p = unit(np.array(fingers)), unit(np.array(palm))
    return pose(point - f * s.measures.hand * reach - p * 0.025, fingers, palm, elbow)


def shaken(s: Script, arm: Array, metres: float, way: float) -> Array:
    """Return the arm pose with small random changes."""
    spread = np.repeat([metres, 0.15, way, way], 3)
    return (
        np.concatenate([arm[:3], unit(arm[3:6]), unit(arm[6:9]), unit(arm[9:12])])
        + s.rng.normal(0, 1, 12) * spread
    )


def loose(s: Script, shape: Array | str, degrees: float) -> Array:
    """Return the hand shape with small random changes; neighbouring fingers alike."""
    shape = SHAPE[shape] if isinstance(shape, str) else shape
    joints = np.tile(s.rng.normal(0, degrees, 4) * (1, 1, 0.5, 0), 4) * 0.7
    own = s.rng.normal(0, degrees, 16) * np.tile([0.7, 0.7, 0.4, 0.35], 4)
    return np.asarray(shape + np.concatenate([s.rng.normal(0, degrees * 0.6, 5), joints + own]))


def seconds_for(s: Script, side: Side, arm: Array) -> float:
    """Return the seconds of a reach; farther is longer."""
    way = float(np.linalg.norm(s.arms[side].last[:3] - arm[:3]))
    return float((0.4 + 0.7 * way) * s.rng.uniform(0.75, 1.35))


def go(s: Script, side: Side, arm: Array, shape: Array | str, start: float) -> float:
    """Reach a pose at a natural pace."""
    return s.reach(side, arm, shape, start, seconds_for(s, side, arm))


def look(s: Script, start: float, yaw: float = 0.0, nod: float = 0.0, spread: float = 8.0) -> None:
    """Turn the head (degrees, to the own left and down)."""
    wanted = np.array([yaw, nod, 0.0]) + s.rng.normal(0, 1, 3) * (spread, spread * 0.5, 3)
    s.head.to(wanted, start, s.rng.uniform(0.35, 0.9))


def lean(s: Script, start: float, nod: float = 0.0, spread: float = 4.0) -> None:
    """Lean the chest (degrees, forwards)."""
    s.chest.to(
        np.array([0, nod, 0]) + s.rng.normal(0, 1, 3) * (spread, spread * 0.4, spread * 0.3),
        start,
        s.rng.uniform(0.6, 1.4),
    )


def resting(s: Script) -> Array:
    """Return where a hand rests: hanging, on the table, or in the lap."""
    table, at = s.measures.table, s.rng.random()
    if table is None:
        rest = arm_vector(RESTING)
        rest[:3] *= s.measures.arm / ADULT_ARM
        return shaken(s, rest, 0.02, 0.1)
    if at < 0.7:
        over = s.measures.belly(-0.1, -0.22, 0)[:2]
        return shaken(s, pose(np.array([*over, table + 0.035]), (0.75, -0.75, 0.0), (0.1, 0, -1)), 0.02, 0.05)
    return shaken(
        s, pose(s.measures.belly(-0.12, -0.02, table - 0.12), (0.5, -0.8, -0.2), (0.1, 0, -1)), 0.02, 0.1
    )


def rest_shape(s: Script) -> Array:
    """Return the shape of a resting hand."""
    names = (
        ("flat", "soft", "idle", "curl") if s.measures.table is not None else ("idle", "idle", "soft", "curl")
    )
    return loose(s, str(s.rng.choice(names)), 6)


def other(side: Side) -> Side:
    """Return the other side."""
    return "L" if side == "R" else "R"


def either(s: Script) -> Side:
    """Return a random side, the right one more often."""
    return "R" if s.rng.random() < 0.6 else "L"


def free(s: Script, side: Side, start: float) -> None:
    """Move the other hand to its resting place, in most cases."""
    if s.rng.random() < 0.8:
        go(s, other(side), resting(s), rest_shape(s), start + s.rng.uniform(0, 0.4))


def rest(s: Script, t: float) -> float:
    """Rest both hands."""
    end = max(go(s, side, resting(s), rest_shape(s), t + s.rng.uniform(0, 0.3)) for side in SIDES)
    lean(s, t)
    end += s.rng.uniform(2, 9)
    while t < end:
        look(s, t, s.rng.normal(0, 18), s.rng.normal(0, 6))
        t += s.rng.uniform(1.2, 4)
    return end


def fold_arms(s: Script, t: float) -> float:
    """Fold the arms before the chest."""
    upper = s.rng.choice(["R", "L"])
    end = t
    for side in SIDES:
        lift = 0.0 if side == upper else -0.05
        near = -0.10 if side == upper else -0.055
        arm = pose(
            s.measures.belly(0.07, near, -0.24 + lift), (1, 0.15, 0.12), (0.1, 1, -0.1), (-0.7, 0.1, -1)
        )
        end = max(
            end,
            go(s, side, shaken(s, arm, 0.01, 0.05), loose(s, "curl", 8), t + (0.25 if side == upper else 0)),
        )
    lean(s, t)
    end += s.rng.uniform(3, 12)
    while t < end:
        look(s, t, s.rng.normal(0, 15))
        t += s.rng.uniform(1.5, 4)
    return end


def clasp(s: Script, t: float) -> float:
    """Clasp the hands before the belly or on the table; sometimes rub them."""
    table = s.measures.table
    at = (
        s.measures.belly(-0.045, -0.09, -0.4)
        if table is None
        else s.measures.belly(-0.045, -0.22, table + 0.05)
    )
    end = t
    for side in SIDES:
        arm = pose(
            at + np.array([0, 0, 0.015 if side == "R" else 0]),
            (0.8, -0.45, -0.25 if table is None else 0.1),
            (0.6, 0.75, 0.1),
        )
        end = max(end, go(s, side, shaken(s, arm, 0.006, 0.05), loose(s, "clasp", 6), t))
    look(s, t, 0, 4)
    stop = end + s.rng.uniform(2, 8)
    if s.rng.random() < 0.4:
        while end < stop:  # rubbing
            for side in SIDES:
                s.reach(
                    side,
                    shaken(s, s.arms[side].last, 0.012, 0.06),
                    loose(s, "clasp", 8),
                    end,
                    s.rng.uniform(0.25, 0.6),
                )
            end = s.arms["R"].end
    return stop


def type_(s: Script, t: float) -> float:
    """Type on a keyboard, now and then use the mouse."""
    table = s.measures.table or -0.45
    keys = {
        side: pose(s.measures.belly(-0.12, -0.26, table + 0.055), (0.25, -1, -0.12), (0.05, -0.1, -1))
        for side in SIDES
    }
    end = max(go(s, side, shaken(s, keys[side], 0.012, 0.04), loose(s, "keys", 4), t) for side in SIDES)
    look(s, t, 0, 10)
    stop = end + s.rng.uniform(4, 16)
    while end < stop:
        if s.rng.random() < 0.06:
            mouse = pose(s.measures.belly(-0.27, -0.28, table + 0.04), (0.1, -1, 0.0), (0, 0, -1))
            end = go(s, "R", mouse, loose(s, "soft", 5), end) + s.rng.uniform(0.8, 3)
            end = go(s, "R", keys["R"], loose(s, "keys", 4), end)
            continue
        for side in SIDES:
            pressed = loose(s, "keys", 4)
            pressed[5 + 4 * s.rng.integers(4)] += s.rng.uniform(10, 22)
            s.reach(
                side,
                shaken(s, keys[side], 0.012, 0.03),
                pressed,
                end + s.rng.uniform(0, 0.1),
                s.rng.uniform(0.14, 0.3),
            )
        end = max(s.arms[side].end for side in SIDES)
        if s.rng.random() < 0.08:
            look(s, end, s.rng.normal(0, 8), s.rng.uniform(4, 18))
            end += s.rng.uniform(0.4, 2)
    return end


def drink(s: Script, t: float) -> float:
    """Lift a cup a few times."""
    side, table = either(s), s.measures.table
    free(s, side, t)
    low = (
        pose(s.measures.belly(-0.16, -0.14, -0.3), (0.8, -0.6, 0.1), (0.6, 0.8, 0))
        if table is None
        else pose(s.measures.belly(-0.2, -0.28, table + 0.06), (0.8, -0.6, 0.05), (0.6, 0.8, 0))
    )
    high = pose(s.measures.eye(-0.1, -0.075, -0.1), (0.85, -0.35, 0.3), (0.42, 0.9, 0.15), (-0.8, -0.1, -0.8))
    start = t
    end = go(s, side, shaken(s, low, 0.02, 0.05), loose(s, "grip", 4), t)
    for _ in range(s.rng.integers(1, 4)):
        end += s.rng.uniform(0.4, 4)
        look(s, end, 0, -6, 4)
        end = go(s, side, shaken(s, high, 0.012, 0.06), loose(s, "grip", 4), end) + s.rng.uniform(0.8, 2.5)
        look(s, end, s.rng.normal(0, 12))
        end = go(s, side, shaken(s, low, 0.025, 0.06), loose(s, "grip", 4), end)
    s.things.append(Beat("cup", start + 0.3, end, side))
    return go(s, side, resting(s), rest_shape(s), end)


def phone(s: Script, t: float) -> float:
    """Look at a telephone and scroll with the thumb."""
    side = either(s)
    free(s, side, t)
    arm = pose(s.measures.belly(-0.08, -0.2, -0.22), (0.3, -0.55, 0.75), (0.25, 0.65, 0.5))
    end = start = go(s, side, shaken(s, arm, 0.04, 0.08), loose(s, "phone", 4), t)
    look(s, t, 4 if side == "R" else -4, 20, 4)
    lean(s, t, 5)
    stop = end + s.rng.uniform(4, 14)
    while end < stop:
        shape = loose(s, "phone", 3)
        shape[:5] += s.rng.normal(0, 9, 5)
        s.shapes[side].to(shape, end + s.rng.uniform(0, 0.5), s.rng.uniform(0.15, 0.4))
        end = s.shapes[side].end
    s.things.append(Beat("phone", start - 0.4, end, side))
    return end


def call(s: Script, t: float) -> float:
    """Hold the telephone at the ear; the other hand may gesticulate."""
    side = either(s)
    arm = pose(s.measures.eye(-0.085, 0.0, -0.15), (0.25, 0.35, 0.9), (0.95, 0.15, -0.1), (-0.9, -0.2, -0.7))
    start = go(s, side, shaken(s, arm, 0.01, 0.05), loose(s, "phone", 4), t)
    look(s, t, -6 if side == "R" else 6)
    end = start + s.rng.uniform(4, 14)
    t = start
    while t < end:
        t = (_stroke(s, other(side), t) if s.rng.random() < 0.5 else t) + s.rng.uniform(0.3, 2)
        look(s, t, s.rng.normal(0, 12))
    s.things.append(Beat("phone", start - 0.5, t, side))
    free(s, side, t)
    return t


def touch(s: Script, t: float) -> float:
    """Scratch or touch face, hair, neck or the other arm."""
    side, m = either(s), s.measures
    free(s, side, t)
    places = {
        "nose": (m.eye(-0.005, -0.045, -0.045), (0.45, 0.3, 0.8), (0.3, 0.9, 0.1), "point"),
        "chin": (m.eye(-0.01, -0.035, -0.115), (0.5, 0.35, 0.75), (0.3, 0.85, 0.2), "curl"),
        "cheek": (m.eye(-0.055, -0.005, -0.06), (0.3, 0.4, 0.85), (0.6, 0.8, 0.0), "scratch"),
        "brow": (m.eye(-0.02, -0.03, 0.04), (0.6, 0.35, 0.7), (0.1, 1, 0.1), "soft"),
        "ear": (m.eye(-0.085, 0.09, -0.02), (0.3, 0.6, 0.7), (0.9, 0.2, 0.0), "scratch"),
        "hair": (m.eye(-0.04, 0.05, 0.13), (0.35, 0.75, 0.5), (0.6, 0.3, -0.8), "scratch"),
        "neck": (m.eye(-0.06, 0.13, -0.1), (0.4, 0.9, 0.15), (0.8, -0.3, 0.3), "flat"),
        "arm": (
            np.array([2 * m.half + 0.05, m.front + 0.1, -0.2]),
            (0.95, 0.1, 0.2), (0.1, 0.95, -0.1), "scratch",
        ),
        "chest": (m.belly(0.0, -0.02, -0.14), (0.85, 0.05, 0.3), (0.1, 1, 0), "flat"),
        "mouth": (m.eye(-0.005, -0.04, -0.08), (0.7, 0.2, 0.6), (0.3, 0.95, 0.1), "curl"),
    }  # fmt: skip
    point, fingers, palm, shape = places[str(s.rng.choice(list(places)))]
    near = 0.6 if shape == "curl" else 0.85
    arm = touching(s, point, fingers, palm, near, (-0.8, -0.1, -0.8))
    end = go(s, side, shaken(s, arm, 0.008, 0.06), loose(s, shape, 6), t)
    look(s, t, s.rng.normal(0, 8), s.rng.normal(4, 6))
    for _ in range(s.rng.integers(1, 9)):
        s.reach(side, shaken(s, arm, 0.01, 0.05), loose(s, shape, 7), end, s.rng.uniform(0.18, 0.6))
        end = s.arms[side].end + s.rng.choice([0.0, 0.0, 0.5])
    return end if s.rng.random() < 0.2 else go(s, side, resting(s), rest_shape(s), end)


def chin_rest(s: Script, t: float) -> float:
    """Rest the chin or the cheek in a hand."""
    side, m = either(s), s.measures
    free(s, side, t)
    shape = str(s.rng.choice(["curl", "curl", "scratch", "soft", "clasp"]))
    spot = m.eye(-0.045, -0.02, -0.11) if s.rng.random() < 0.5 else m.eye(-0.07, 0.0, -0.06)
    arm = touching(s, spot, (0.25, 0.2, 0.95), (0.5, 0.85, -0.1), 0.55, (-0.5, -0.3, -1))
    end = go(s, side, shaken(s, arm, 0.006, 0.08), loose(s, shape, 6), t)
    look(s, t, s.rng.normal(0, 12), 5)
    lean(s, t, 6)
    return end + s.rng.uniform(3, 12)


def _stroke(s: Script, side: Side, t: float) -> float:
    """One movement of a gesticulating hand, and a short hold."""
    m = s.measures
    arm = pose(
        m.belly(-0.26, -0.2, -0.26) + s.rng.normal(0, 1, 3) * (0.09, 0.06, 0.11),
        (0.3, -0.75, 0.5),
        (0.75, 0.05, 0.5),
    )
    arm = shaken(s, arm, 0.0, 0.42)
    shape = loose(s, str(s.rng.choice(TALKING)), 9)
    end = s.reach(side, arm, shape, t, s.rng.uniform(0.3, 0.75))
    return end + float(s.rng.choice([0.0, 0.05, 0.2, 0.6, 1.2]))


def talk(s: Script, t: float) -> float:
    """Gesticulate: strokes of one or both hands, sometimes alike."""
    main, end = either(s), t
    stop = t + s.rng.uniform(4, 16)
    both = s.rng.random() < 0.5
    if not both:
        free(s, main, t)
    while end < stop:
        began = end
        end = _stroke(s, main, began)
        if both:
            if s.rng.random() < 0.6:
                s.reach(
                    other(main),
                    s.arms[main].last,
                    s.shapes[main].last,
                    began + 0.03,
                    s.arms[main].end - began,
                )
            else:
                _stroke(s, other(main), began)
            end = max(end, s.arms[other(main)].end)
        if s.rng.random() < 0.5:
            look(s, began, s.rng.normal(0, 12), s.rng.normal(0, 5))
        if s.rng.random() < 0.15:
            end += s.rng.uniform(0.3, 1.5)
    return end


def count(s: Script, t: float) -> float:
    """Count with the fingers, one, three, four: shapes that are none of the five gestures."""
    side = either(s)
    free(s, side, t)
    raised = pose(
        s.measures.belly(-0.28, -0.2, -0.08), (0, -0.1, 1), (0.25, -1 if s.rng.random() < 0.6 else 1, 0)
    )
    end = t
    for _ in range(s.rng.integers(1, 5)):
        shape = loose(s, str(s.rng.choice(COUNTING)), 5)
        end = go(s, side, shaken(s, raised, 0.03, 0.15), shape, end) + s.rng.uniform(0.2, 1.3)
    look(s, t)
    return go(s, side, resting(s), rest_shape(s), end)


def point_at(s: Script, t: float) -> float:
    """Point at something in the room."""
    side = either(s)
    free(s, side, t)
    way = s.rng.normal(0, 1, 3) * (0.8, 0.3, 0.35) + (-0.2, -0.7, 0.1)
    arm = pose(
        unit(way) * s.measures.arm * s.rng.uniform(0.6, 0.97) + (0, -0.05, -0.05),
        tuple(way),
        (0.5, 0.1, -0.9),
    )
    end = go(s, side, arm, loose(s, "point", 5), t) + s.rng.uniform(0.3, 1.6)
    look(s, t, 30 * way[0] if side == "R" else -30 * way[0])
    return go(s, side, resting(s), rest_shape(s), end)


def rare_sign(s: Script, t: float) -> float:
    """Make a sign that is none of the five: thumb down, horns, a call, three, four."""
    side = either(s)
    free(s, side, t)
    if s.rng.random() < 0.4:
        arm, shape = (
            pose(s.measures.belly(-0.24, -0.24, -0.12), (0.25, -0.9, 0.1), (-1, -0.1, 0.0), (-1, 0.1, 0.1)),
            "thumbs_up",
        )
    else:
        arm = pose(s.measures.belly(-0.28, -0.2, -0.05), (-0.1, -0.05, 1), (0.1, -1, 0))
        shape = str(s.rng.choice(RARE))
    end = go(s, side, shaken(s, arm, 0.04, 0.12), loose(s, shape, 4), t) + s.rng.uniform(0.4, 1.3)
    look(s, t)
    return go(s, side, resting(s), rest_shape(s), end)


def sweep(s: Script, t: float) -> float:
    """Raise a hand through an open palm without holding it, as in a short greeting."""
    side = either(s)
    free(s, side, t)
    up = pose(s.measures.belly(-0.32, -0.18, -0.02), (-0.3, 0, 1), (0.3, -0.9, 0))
    beyond = pose(s.measures.belly(-0.4, -0.1, -0.05), (-0.9, -0.1, 0.45), (0.5, -0.4, 0.6))
    end = s.reach(side, shaken(s, up, 0.03, 0.1), loose(s, "soft", 6), t, s.rng.uniform(0.45, 0.7))
    end = s.reach(side, shaken(s, beyond, 0.04, 0.12), loose(s, "idle", 6), end, s.rng.uniform(0.3, 0.45))
    look(s, t)
    return go(s, side, resting(s), rest_shape(s), end)


def stretch(s: Script, t: float) -> float:
    """Stretch with both hands behind the head."""
    m, end = s.measures, t
    for side in SIDES:
        arm = touching(s, m.eye(-0.03, 0.17, 0.03), (0.85, 0.35, 0.3), (0.2, -0.9, 0.1), 0.7, (-1, -0.1, 0.5))
        end = max(end, go(s, side, arm, loose(s, "clasp", 6), t))
    s.chest.to(np.array([0, -7.0, 0]), t, 1.0)
    end += s.rng.uniform(1.5, 6)
    lean(s, end)
    return max(go(s, side, resting(s), rest_shape(s), end) for side in SIDES)


def read(s: Script, t: float) -> float:
    """Read a sheet of paper in both hands."""
    end = t
    for side in SIDES:
        arm = pose(s.measures.belly(-0.13, -0.2, -0.27), (0.25, -0.75, 0.6), (0.9, 0.2, -0.1))
        end = max(end, go(s, side, shaken(s, arm, 0.005, 0.03), loose(s, "pinch", 4), t))
    look(s, t, 0, 18, 3)
    begin, end = end - 0.3, end + s.rng.uniform(4, 14)
    s.things.append(Beat("sheet", begin, end, "R"))
    return max(go(s, side, resting(s), rest_shape(s), end) for side in SIDES)


def turn_away(s: Script, t: float) -> float:
    """Turn to the side or to the back of the room, and back."""
    here = s.place.last
    yaw = float(s.rng.choice([-1, 1]) * s.rng.uniform(50, 170))
    s.place.to(here + np.array([0, 0, yaw]), t, s.rng.uniform(0.9, 1.6))
    end = rest(s, s.place.end)
    s.place.to(here, end, s.rng.uniform(0.9, 1.6))
    return s.place.end


def walk(s: Script, t: float) -> float:
    """Leave the image and come back, with swinging arms."""
    for side in SIDES:
        go(s, side, resting(s), rest_shape(s), t)
    here, sign = s.place.last, float(s.rng.choice([-1, 1]))
    out = np.array([sign * s.rng.uniform(2.0, 3.0), s.rng.uniform(-0.1, 0.7), 0])
    s.place.to(here + np.array([0, 0, 80 * sign]), t, 0.8)
    s.place.to(np.array([*out[:2], 80 * sign]), s.place.end, float(s.rng.uniform(2.2, 3.6)))
    s.place.to(np.array([*out[:2], -80 * sign]), s.place.end, 0.8 + s.rng.uniform(0.5, 6))
    s.place.to(np.array([*here[:2], -80 * sign]), s.place.end, float(s.rng.uniform(2.2, 3.6)))
    s.place.to(here, s.place.end, 0.8)
    end = s.place.end
    while t < end:
        for side, way in (("R", 1), ("L", -1)):
            arm = resting(s)
            arm[1] += 0.16 * way * sign
            s.reach(side, arm, rest_shape(s), t, 0.5)  # type: ignore[arg-type]
        sign = -sign
        t = max(s.arms[side].end for side in SIDES)
    return t


@dataclass(frozen=True)
class Held:
    """Times and place of a gesture that was held."""

    gesture: str
    side: Side
    seconds: float


def gesture(s: Script, t: float, held: Held) -> float:
    """Raise a hand, hold an intended gesture and lower the hand; note when it was held."""
    side = held.side
    free(s, side, t)
    arm = arm_vector(ARMS[held.gesture])
    arm[:3] *= s.measures.arm / ADULT_ARM
    arm[:3] += s.rng.normal(0, 1, 3) * (0.05, 0.04, 0.05) + (0, 0, -0.03)
    arm = shaken(s, arm, 0.0, 0.11)
    look(s, t, 0, 0, 4)
    s.chest.to(s.rng.normal(0, 1, 3) * (6, 2, 2), t, 0.6)
    name = held.gesture
    if name == "fist" and s.rng.random() < 0.5:  # the thumb lies across two fingers, or on the first
        name = "fist_thumb"
    shape = s.measures.reach(name, loose(s, name, 3.5))
    begin = s.reach(side, arm, shape, t, float(s.rng.uniform(0.45, 0.8)))
    end = begin + held.seconds
    s.gestures.append(Beat(held.gesture, begin, end, side))
    return go(s, side, resting(s), rest_shape(s), end)

"""Animation tracks: keys that are reached one after the other with minimum jerk."""

from __future__ import annotations

import numpy as np

from training.synthetic.scenes.hands import Array, unit
from training.synthetic.scenes.rig import frame, turn


def ease(share: Array) -> Array:
    """Return 0..1 with minimum jerk, as people reach."""
    s = np.clip(share, 0.0, 1.0)
    return np.asarray(s**3 * (10 - 15 * s + 6 * s * s))


class Track:
    """Animated vector that moves from key to key and rests between."""

    def __init__(self, value: Array) -> None:
        self._starts, self._ends, self._values = [-1.0], [0.0], [np.asarray(value, float)]

    @property
    def end(self) -> float:
        """Time of the last key, in seconds."""
        return self._ends[-1]

    @property
    def last(self) -> Array:
        """Value of the last key."""
        return self._values[-1]

    def to(self, value: Array, start: float, seconds: float) -> None:
        """Add a key: leave at `start`, at the earliest after the previous key, and arrive `seconds` later."""
        start = max(start, self.end)
        self._starts.append(start)
        self._ends.append(start + max(seconds, 0.05))
        self._values.append(np.asarray(value, float))

    def mark(self) -> int:
        """Return the number of keys, for `undo`."""
        return len(self._values)

    def undo(self, mark: int) -> None:
        """Remove the keys added since `mark`."""
        del self._starts[mark:], self._ends[mark:], self._values[mark:]

    def at(self, times: Array) -> Array:
        """Return (T, N) values."""
        starts, ends = np.array(self._starts), np.array(self._ends)
        key = np.clip(np.searchsorted(starts, times, side="right") - 1, 0, None)
        share = ease((times - starts[key]) / (ends[key] - starts[key]))[:, None]
        values = np.stack(self._values)
        return self._mixed(values[np.maximum(key - 1, 0)], values[key], share)

    def _mixed(self, a: Array, b: Array, share: Array) -> Array:
        return a + (b - a) * share


class ArmTrack(Track):
    """Track of arm poses (12,): the wrist moves on an arc about the shoulder, the hand rotates minimally."""

    def _mixed(self, a: Array, b: Array, share: Array) -> Array:
        wrist = _arc(a[:, :3], b[:, :3], share)
        elbow = unit(unit(a[:, 3:6]) + (unit(b[:, 3:6]) - unit(a[:, 3:6])) * share)
        first, second = frame(a[:, 6:9], a[:, 9:12]), frame(b[:, 6:9], b[:, 9:12])
        axis, angle = _axis_angle(second @ first.transpose(0, 2, 1))
        hand = turn(axis, angle * share[:, 0]) @ first
        return np.concatenate([wrist, elbow, hand[:, :, 0], hand[:, :, 1]], axis=1)


def _arc(a: Array, b: Array, share: Array) -> Array:
    near, far = np.linalg.norm(a, axis=1, keepdims=True), np.linalg.norm(b, axis=1, keepdims=True)
    u, v = a / near, b / far
    angle = np.arccos(np.clip((u * v).sum(axis=1, keepdims=True), -1, 1))
    sin = np.sin(angle)
    flat = sin < 1e-3
    safe = np.where(flat, 1.0, sin)
    way = np.where(
        flat, u + (v - u) * share, (np.sin((1 - share) * angle) * u + np.sin(share * angle) * v) / safe
    )
    return np.asarray(unit(way) * (near + (far - near) * share))


def _axis_angle(rotation: Array) -> tuple[Array, Array]:
    """(T, 3) axes and (T,) degrees 0..180, also of half turns."""
    trace = np.trace(rotation, axis1=1, axis2=2)
    angle = np.arccos(np.clip((trace - 1) / 2, -1, 1))
    r = rotation
    axis = np.stack([r[:, 2, 1] - r[:, 1, 2], r[:, 0, 2] - r[:, 2, 0], r[:, 1, 0] - r[:, 0, 1]], axis=1)
    outer = (r + r.transpose(0, 2, 1)) / 2 + np.eye(3)  # at half a turn its columns lie along the axis
    columns = np.take_along_axis(
        outer, np.linalg.norm(outer, axis=1).argmax(axis=1)[:, None, None].repeat(3, 1), axis=2
    )[:, :, 0]
    half = np.linalg.norm(axis, axis=1) < 1e-4
    axis = np.where((half & (angle > 1.5))[:, None], columns, axis)
    axis[np.linalg.norm(axis, axis=1) < 1e-9] = (0, 0, 1)
    return unit(axis), np.degrees(angle)


class Drift:
    """Slow noise as sums of sines, about -1..1, for natural sway."""

    def __init__(self, rng: np.random.Generator, columns: int, low: float = 0.1, high: float = 0.5) -> None:
        self._rates = rng.uniform(low, high, (3, columns))
        self._phases = rng.uniform(0, 2 * np.pi, (3, columns))

    def at(self, times: Array) -> Array:
        """Return (T, columns) values."""
        waves = np.sin(2 * np.pi * times[:, None, None] * self._rates + self._phases)
        return np.asarray(waves.sum(axis=1) / 2)

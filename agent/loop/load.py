"""How much of its time the loop looks at frames, and how many of each camera get a look."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

OVER_S = 60.0  # what is told is about the last minute
TURNS = 4096  # remembered at most: 60 a second for a minute
SATURATED = 0.95  # share of the time from which on frames are dropped: the newest one always waits already


class Load:
    """Feed it every look; time comes with it."""

    def __init__(self, began_s: float) -> None:
        self._began_s = began_s
        self._looks: deque[tuple[float, float, tuple[str, ...]]] = deque(maxlen=TURNS)  # end, took, cameras

    def looked(self, now_s: float, took_s: float, cameras: Sequence[str]) -> None:
        """One turn, ended now, over the newest frames of these cameras."""
        self._looks.append((now_s, took_s, tuple(cameras)))

    def report(self, now_s: float) -> dict[str, Any]:
        """`busy`: share of the time, 0 to 1; `saturated`: no more can be had, cameras get fewer looks.

        `looks` is how many frames of each camera are looked at a second.
        """
        while self._looks and now_s - self._looks[0][0] > OVER_S:
            self._looks.popleft()
        since_s = self._looks[0][0] - self._looks[0][1] if len(self._looks) == TURNS else now_s - OVER_S
        over_s = max(now_s - max(since_s, self._began_s), 1e-3)
        busy = min(sum(took for _, took, _ in self._looks) / over_s, 1.0)
        counts: dict[str, int] = {}
        for _, _, cameras in self._looks:
            for camera in cameras:
                counts[camera] = counts.get(camera, 0) + 1
        looks = {camera: round(count / over_s, 1) for camera, count in sorted(counts.items())}
        return {"busy": round(busy, 2), "saturated": busy >= SATURATED, "looks": looks}

"""Load of the main loop: busy share, and processed frames of each camera."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

OVER_S = 60.0  # window of the figures
TURNS = 4096  # steps remembered: 60 a second for a minute
SATURATED = 0.95  # busy share from which frames are dropped, as the newest one always waits


class Load:
    """Sliding window of recognition steps, for busy share and frame rates; the caller passes the time."""

    def __init__(self, began_s: float) -> None:
        self._began_s = began_s
        self._looks: deque[tuple[float, float, tuple[str, ...]]] = deque(
            maxlen=TURNS
        )  # end, duration, cameras

    def record(self, now_s: float, took_s: float, cameras: Sequence[str]) -> None:
        """Record a step that ended at `now_s`, took `took_s` and processed a frame of each of `cameras`."""
        self._looks.append((now_s, took_s, tuple(cameras)))

    def report(self, now_s: float) -> dict[str, Any]:
        """Return the load of the last minute as part of `bridge/health`.

        `busy` is the share of time, 0 to 1; `saturated` says that cameras get fewer frames processed than
        they send; `looks` is the number of processed frames a second of each camera.
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

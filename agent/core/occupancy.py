"""Occupancy: whether somebody is in a camera's view, debounced. Pure."""

from __future__ import annotations

APPEARS_S = 0.5  # seconds that somebody must be seen before the view counts as occupied
LEAVES_S = 10.0  # seconds without anybody before it counts as empty: people turn away or bend down


class Occupancy:
    """Debounced presence in one camera's view. `occupied` is None until enough frames were seen."""

    def __init__(self) -> None:
        self.occupied: bool | None = None
        self._seen: bool | None = None  # in the newest frame
        self._since = 0.0  # time of the last change of `_seen`

    def update(self, at: float, present: bool) -> bool | None:
        """Record one frame, `at` in seconds; return the new state where it changed, else None."""
        if present != self._seen:
            self._seen, self._since = present, at
        if present == self.occupied or at - self._since < (APPEARS_S if present else LEAVES_S):
            return None
        self.occupied = present
        return present

    def reset(self) -> bool:
        """Reset because frames stopped; return True where the state was known before."""
        known = self.occupied is not None
        self.occupied = self._seen = None
        return known

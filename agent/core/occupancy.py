"""Whether somebody is in view of a camera, without flicker. Pure."""

from __future__ import annotations

APPEARS_S = 0.5  # somebody has to be seen for so long to count as there
LEAVES_S = 10.0  # and nobody for so long to count as gone: people turn away, bend down, hide behind a door


class Occupancy:
    """Of one camera. `occupied` is None until enough was seen to say."""

    def __init__(self) -> None:
        self.occupied: bool | None = None
        self._seen: bool | None = None  # in the newest frame
        self._since = 0.0  # when that began

    def saw(self, at: float, present: bool) -> bool | None:
        """The new state where it changed, else None. `at` is the frame's time, in seconds."""
        if present != self._seen:
            self._seen, self._since = present, at
        if present == self.occupied or at - self._since < (APPEARS_S if present else LEAVES_S):
            return None
        self.occupied = present
        return present

    def lost(self) -> bool:
        """Nobody looks any more; True when something had been said that is not known any longer."""
        known = self.occupied is not None
        self.occupied = self._seen = None
        return known

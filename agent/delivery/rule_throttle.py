"""Throttling of rule events: one for all actions of a firing, dials once a second."""

from __future__ import annotations

from agent.core.types import Action

EVERY_S = 1.0  # a dial acts ten times a second


class RuleEventThrottle:
    """Remembers when the last event of each rule was published."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def should_publish(self, action: Action) -> bool:
        """Return False for further actions of one firing, and within a second after the last event."""
        last = self._told.get(action.rule)
        if last is not None and last <= action.at < last + EVERY_S:
            return False
        self._told[action.rule] = action.at
        return True

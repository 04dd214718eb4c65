"""Which firings of rules are worth telling: one for all actions of a rule, and dials now and then."""

from __future__ import annotations

from agent.core.types import Action

EVERY_S = 1.0  # a dial acts ten times a second


class RuleNews:
    """Remembers when each rule was told of last."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def worth_telling(self, action: Action) -> bool:
        """False for a further action of the same firing, and within a second after the last one told."""
        last = self._told.get(action.rule)
        if last is not None and last <= action.at < last + EVERY_S:
            return False
        self._told[action.rule] = action.at
        return True

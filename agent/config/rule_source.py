"""The rules that are in force: read, doubted aloud, and read again when somebody has edited them."""

from __future__ import annotations

import structlog

from agent.config.changes import Changes
from agent.config.rule_files import keys_at_rest, read_rules
from agent.config.settings import Settings
from agent.core.rules import Book

log = structlog.get_logger(__name__)


class RuleSource:
    """The folder or file that the settings name; made before the first `load`, it misses no edit."""

    def __init__(self, settings: Settings, labels: tuple[str, ...]) -> None:
        self._settings, self._labels = settings, labels
        self._changes = Changes(settings.agent.rules)

    def load(self) -> Book:
        """The rules as they are now. Raises `ConfigError` with every problem."""
        settings = self._settings
        rules = read_rules(settings.agent.rules, self._labels, settings.debounce, settings.camera)
        for warning in rules.warnings:
            log.warning("rule_doubtful", problem=str(warning))
        if not settings.actions.keys and (doubt := keys_at_rest(rules.book)):
            log.warning("rule_doubtful", problem=doubt)
        return rules.book

    def changed(self, now: float) -> bool:
        """True once for every edit."""
        return self._changes.changed(now)

"""The rules that are in force: read, doubted aloud, and read again when somebody has edited them."""

from __future__ import annotations

import time

import structlog

from agent.config.file_watcher import FileWatcher
from agent.config.rules.files import read_rules, unusable_key_rules
from agent.config.settings import Settings
from agent.core.rules import RuleSet

log = structlog.get_logger(__name__)


class RuleSource:
    """The folder or file that the settings name; made before the first `load`, it misses no edit."""

    def __init__(self, settings: Settings, labels: tuple[str, ...]) -> None:
        self._settings, self._labels = settings, labels
        self._changes = FileWatcher(settings.agent.rules)

    def load(self) -> RuleSet:
        """The rules as they are now. Raises `ConfigError` with every problem."""
        settings = self._settings
        rules = read_rules(settings.agent.rules, self._labels, settings.debounce, settings.camera)
        for warning in rules.warnings:
            log.warning("rule_doubtful", problem=str(warning))
        if not settings.actions.keys and (doubt := unusable_key_rules(rules.rule_set)):
            log.warning("rule_doubtful", problem=doubt)
        return rules.rule_set

    def changed(self) -> bool:
        """True once for every edit."""
        return self._changes.changed(time.monotonic())

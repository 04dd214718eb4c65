"""Source of the current rules: loads them, logs warnings, and detects edits."""

from __future__ import annotations

import time

import structlog

from agent.config.file_watcher import FileWatcher
from agent.config.rules.files import read_rules, unusable_key_rules
from agent.config.settings import Settings
from agent.core.rules import RuleSet

log = structlog.get_logger(__name__)


class RuleSource:
    """Loads the rule files named in the settings and detects edits from its construction on."""

    def __init__(self, settings: Settings, labels: tuple[str, ...]) -> None:
        self._settings, self._labels = settings, labels
        self._changes = FileWatcher(settings.agent.rules)

    def load(self) -> RuleSet:
        """Load the current rules and log their warnings. Raises `ConfigError` with every problem."""
        settings = self._settings
        rules = read_rules(settings.agent.rules, self._labels, settings.debounce, settings.camera or None)
        for warning in rules.warnings:
            log.warning("rule_warning", problem=str(warning))
        if not settings.actions.keys and (doubt := unusable_key_rules(rules.rule_set)):
            log.warning("rule_warning", problem=doubt)
        return rules.rule_set

    def changed(self) -> bool:
        """Return True once for every edit of the files. `now` is in seconds."""
        return self._changes.changed(time.monotonic())

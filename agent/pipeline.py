"""Builds the gesture pipeline from the settings; part of the composition root."""

from __future__ import annotations

from agent.config.settings import Settings
from agent.core.gesture_pipeline import GesturePipeline
from agent.core.rules import RuleSet
from agent.core.thresholds import thresholds_of


def build_pipeline(settings: Settings, labels: tuple[str, ...], rule_set: RuleSet) -> GesturePipeline:
    """Build the gesture pipeline that the settings describe; `labels` are the classifier's."""
    return GesturePipeline(
        labels,
        smoothing_s=settings.debounce.smoothing,
        thresholds=thresholds_of(settings.debounce),
        rule_set=rule_set,
    )

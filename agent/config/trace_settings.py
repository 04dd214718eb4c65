"""Settings that a trace records, and checks of settings against the classifier's labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from agent.config.problems import unknown
from agent.config.settings import DebounceSettings, Settings
from agent.core.thresholds import USUAL_CONFIDENCE_OF, thresholds_of
from agent.core.trace import TraceHeader
from agent.core.types import NO_GESTURE


def unknown_gestures(debounce: DebounceSettings, labels: Sequence[str]) -> list[str]:
    """Return a warning for each name in `confidence_of` that is not a label of the classifier."""
    gestures = [label for label in labels if label != NO_GESTURE]
    wanted = debounce.confidence_of.keys() - USUAL_CONFIDENCE_OF.keys() - set(gestures)
    return [f"confidence_of: {unknown('gesture', name, gestures)}" for name in sorted(wanted)]


def trace_header(settings: Settings, labels: tuple[str, ...], at: float = 0.0) -> TraceHeader:
    """Build the header of a trace recorded with these settings; `at` is its start in seconds."""
    return TraceHeader(
        at=at,
        labels=labels,
        smoothing_s=settings.debounce.smoothing,
        thresholds=thresholds_of(settings.debounce),
        settings=fingerprint(settings),
    )


def fingerprint(settings: Settings) -> str:
    """Return a hash that identifies a configuration without revealing it."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:12]

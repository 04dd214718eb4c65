"""The core as the settings want it, and what a trace must know of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from agent.config.problems import unknown
from agent.config.settings import DebounceSettings, Settings
from agent.core.thresholds import USUAL_CONFIDENCE_OF, thresholds_of
from agent.core.trace import TraceHeader
from agent.core.types import NO_GESTURE


def unknown_gestures(debounce: DebounceSettings, labels: Sequence[str]) -> list[str]:
    """Sentences about names in `confidence_of` that the classifier does not know."""
    gestures = [label for label in labels if label != NO_GESTURE]
    wanted = debounce.confidence_of.keys() - USUAL_CONFIDENCE_OF.keys() - set(gestures)
    return [f"confidence_of: {unknown('gesture', name, gestures)}" for name in sorted(wanted)]


def trace_header(settings: Settings, labels: tuple[str, ...], at: float = 0.0) -> TraceHeader:
    """What a trace must know of the settings under which it is recorded."""
    return TraceHeader(
        at=at,
        labels=labels,
        smoothing_s=settings.debounce.smoothing,
        thresholds=thresholds_of(settings.debounce),
        settings=fingerprint(settings),
    )


def fingerprint(settings: Settings) -> str:
    """Tells two configurations apart without telling what is in them."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:12]

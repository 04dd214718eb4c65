"""What may be changed from the page, each with who does it."""

from __future__ import annotations

from dataclasses import dataclass

from agent.web.rule_editor import RuleEditor
from agent.web.setup import SetupProvider
from agent.web.teaching import TeachingProvider
from agent.web.tuning import TuningProvider


@dataclass(frozen=True, slots=True)
class Editing:
    """Rule files, cameras and broker, taught gestures, thresholds; None where they may not be changed."""

    rules: RuleEditor | None = None
    setup: SetupProvider | None = None
    teaching: TeachingProvider | None = None
    tuning: TuningProvider | None = None


NO_EDITING = Editing()

"""Rules: turns gesture events into actions by the user's rules. Pure."""

from agent.core.rules.engine import RuleEngine
from agent.core.rules.rule_set import (
    ANY,
    ActionTemplate,
    Between,
    Conditions,
    Dial,
    Rule,
    RuleContext,
    RuleSet,
    ValueIs,
    WakeGesture,
    Zone,
)
from agent.core.rules.verdict import RuleVerdict
from agent.core.rules.wake import ArmedWindow

__all__ = [
    "ANY",
    "ActionTemplate",
    "ArmedWindow",
    "Between",
    "Conditions",
    "Dial",
    "Rule",
    "RuleContext",
    "RuleEngine",
    "RuleSet",
    "RuleVerdict",
    "ValueIs",
    "WakeGesture",
    "Zone",
]

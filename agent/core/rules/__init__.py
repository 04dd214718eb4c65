"""From gesture events to actions, by the user's rules. Pure."""

from agent.core.rules.book import (
    ANY,
    Between,
    Book,
    Dial,
    Do,
    Rule,
    ValueIs,
    Wake,
    When,
    World,
    Zone,
)
from agent.core.rules.engine import RuleEngine
from agent.core.rules.verdict import Verdict
from agent.core.rules.waking import Armed

__all__ = [
    "ANY",
    "Armed",
    "Between",
    "Book",
    "Dial",
    "Do",
    "Rule",
    "RuleEngine",
    "ValueIs",
    "Verdict",
    "Wake",
    "When",
    "World",
    "Zone",
]

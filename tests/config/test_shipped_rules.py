"""The rules that come with the agent."""

from __future__ import annotations

import json
from pathlib import Path

from agent.config.rules.cases import run_cases
from agent.config.rules.files import read_rules
from agent.config.rules.schema import schema_text
from agent.config.settings import DebounceSettings
from agent.core.types import LABELS

SHIPPED = Path(__file__).parents[2] / "rules"


def test_the_shipped_rules_load_without_a_warning_and_pass_their_cases() -> None:
    rules = read_rules(SHIPPED, LABELS, DebounceSettings())
    assert rules.warnings == ()
    results = run_cases(rules.cases, LABELS, DebounceSettings())
    assert len(results) > 15
    assert [(r.case.title, r.problems) for r in results if not r.passed] == []


def test_the_schema_for_editors_is_up_to_date() -> None:
    seen = json.loads((SHIPPED / "rules.schema.json").read_text(encoding="utf-8"))
    assert seen == json.loads(schema_text()), (
        "run: python -m agent.config.rules.schema > rules/rules.schema.json"
    )


def test_every_shipped_rule_is_proved_by_a_case() -> None:
    rules = read_rules(SHIPPED, LABELS, DebounceSettings())
    fired = {
        fired.action.rule
        for result in run_cases(rules.cases, LABELS, DebounceSettings())
        for fired in result.fired
    }
    assert sorted(set(rules.spots) - fired) == []

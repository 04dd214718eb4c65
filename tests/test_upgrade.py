"""What the release before wrote is read by this one: settings, rules, traces, taught gestures, outbox."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import structlog

from agent.config.load import load
from agent.config.rules.cases import run_cases
from agent.config.rules.files import LoadedRules, read_rules
from agent.config.settings import DebounceSettings, OutboxSettings
from agent.core.gesture_pipeline import GesturePipeline
from agent.core.trace import replay_record
from agent.core.types import LABELS, GestureStarted
from agent.delivery.clocks import Clocks
from agent.delivery.outbox.admin import list_rows
from agent.delivery.outbox.database import FILE
from agent.delivery.outbox.outbox import Outbox
from agent.inference.gestures.taught import load_taught
from agent.service.trace_files import open_trace

WRITTEN = Path(__file__).parent / "fixtures" / "v0.1.0"
WRITTEN_AT = 1_764_000_000.0  # wall-clock time of the outbox's rows, with 60 s to live
RULE_FILES = sorted((WRITTEN / "rules").glob("*.toml"))
# A dial takes back what it did in the last 300 ms before the hand drops.
CHANGED_ON_PURPOSE = {"the lamp follows the hand upwards from where it stands"}


class AfterReboot(Clocks):
    """Ten seconds after the rows were written, the machine started anew."""

    def __init__(self) -> None:
        self.boot = "another"  # type: ignore[misc]

    def boot_s(self) -> float:
        return 5.0

    def wall_s(self) -> float:
        return WRITTEN_AT + 10


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder as the release before left it."""
    shutil.copy(WRITTEN / FILE, tmp_path / FILE)
    return tmp_path


@pytest.fixture
def outbox(state: Path) -> Iterator[Outbox]:
    box = Outbox(state, OutboxSettings(), AfterReboot())
    box.open()
    yield box
    box.close()


def rules_of(path: Path) -> LoadedRules:
    return read_rules(path, (*LABELS, "wave"), DebounceSettings(), ("front",))


def test_every_setting_of_the_release_before_is_accepted_and_what_has_changed_is_warned_of():
    loaded = load(WRITTEN / "config.toml", {}, need_files=False)
    [removed] = [warning for warning in loaded.warnings if "has no effect any more" in warning]
    renamed = [warning.split('" is now called "') for warning in loaded.warnings if warning != removed]
    assert '"overlap"' in removed
    assert {(old.rpartition('"')[2], new.rstrip('"')) for old, new in renamed} == {
        ("rest", "idle"),
        ("stall", "stall_timeout"),
        ("look_around", "redetect_interval"),
        ("min_person", "person_confidence"),
        ("keep", "keep_confidence"),
    }
    assert loaded.settings.camera["front"].stall_timeout == 3.0
    assert loaded.settings.idle.fps == 4.0


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.stem)
def test_rules_of_the_release_before_do_what_their_cases_say(path: Path):
    rules = rules_of(path)
    assert rules.rule_set.rules
    failed = {
        result.case.title
        for result in run_cases(rules.cases, LABELS, DebounceSettings())
        if not result.passed
    }
    assert failed <= CHANGED_ON_PURPOSE


def test_the_renamed_key_of_rules_counts_and_is_warned_of():
    rules = rules_of(WRITTEN / "rules" / "every_key.toml")
    assert [rule.id for rule in rules.rule_set.rules if rule.continue_matching] == ["beside-it"]
    assert any('"also" is now called "continue"' in str(warning) for warning in rules.warnings)


def test_a_trace_of_the_release_before_is_replayed():
    trace = open_trace(WRITTEN / "trace.jsonl")
    records = list(trace.records())
    assert (len(records), trace.header.labels) == (61, LABELS)
    pipeline = GesturePipeline(
        trace.header.labels, smoothing_s=trace.header.smoothing_s, thresholds=trace.header.thresholds
    )
    events = [event for record in records for event in replay_record(record, pipeline).events]
    assert [(e.gesture, e.hand) for e in events if isinstance(e, GestureStarted)] == [("fist", "right")]


def test_taught_gestures_of_the_release_before_are_recognised_as_they_were():
    taught = load_taught(WRITTEN)
    assert taught is not None
    assert (taught.counts, taught.head.labels) == ({"wave": 30}, (*LABELS, "wave"))
    expected = json.loads((WRITTEN / "taught_scores.json").read_text())
    examples = zip(taught.examples.scores, taught.examples.embeddings, strict=True)
    for (base, embedding), scores in zip(examples, expected, strict=False):
        np.testing.assert_allclose(taught.head.scores(base, embedding), scores, atol=1e-5)


def test_what_waited_in_the_outbox_is_sent_after_the_upgrade(outbox: Outbox):
    first, retained = outbox.next("publish", 0, 10)
    assert (first.target, first.event_id, first.content_type, first.retain) == (
        "gesture/old/event/front/fist",
        "e-1",
        "application/json",
        False,
    )
    assert (retained.target, retained.payload.decode(), retained.retain) == ("home/lamp/set", "grün", True)
    [webhook] = outbox.next("webhook", 0, 10)
    assert (webhook.target, webhook.options) == ("http://hub.local/api", (("X-Token", "t"),))


def test_dead_letters_and_counters_survive_the_upgrade(outbox: Outbox, state: Path):
    assert [(row.target, row.dead) for row in list_rows(state) if row.dead] == [
        ("home/blind/set", "not authorized")
    ]
    counted = outbox.counters
    assert (counted["committed"], counted["delivered"], counted["refused"]) == (5, 1, 1)


def test_an_old_outbox_is_upgraded_in_place_and_not_called_damaged(state: Path):
    for events in (["outbox_upgraded"], []):  # the second start finds it as it should be
        box = Outbox(state, OutboxSettings(), AfterReboot())
        with structlog.testing.capture_logs() as logs:
            box.open()
        box.close()
        assert [line["event"] for line in logs] == events
    assert [path.name for path in state.iterdir() if "corrupt" in path.name] == []


def test_an_old_outbox_is_listed_before_the_first_start_without_a_change(state: Path):
    before = (state / FILE).read_bytes()
    assert [row.event_id for row in list_rows(state)] == ["e-1", "e-2", "e-3", "e-4"]
    assert (state / FILE).read_bytes() == before


def test_an_unreadable_row_of_an_old_outbox_becomes_a_dead_letter(state: Path):
    with closing(sqlite3.connect(state / FILE)) as db:
        db.execute("UPDATE rows SET options = 'no json' WHERE id = 1")
        db.commit()
    box = Outbox(state, OutboxSettings(), AfterReboot())
    box.open()
    assert [row.event_id for row in box.next("publish", 0, 10)] == ["e-2"]
    box.close()
    assert [row.event_id for row in list_rows(state) if row.dead] == ["e-1", "e-4"]

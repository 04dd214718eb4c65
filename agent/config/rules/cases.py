"""Test cases of rule files (`[[case]]`): gesture timelines and the actions they must cause.

A character is one frame of 0.1 s with the smoothed result of that gesture; debounce and rules are the
daemon's. The case passes where exactly the expected actions occur, each within `tolerance` of its time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agent.config.rules.grammar import LETTERS, NOBODY, CaseTable, ExpectTable
from agent.config.settings import DebounceSettings
from agent.config.toml_document import SourcePosition
from agent.core.gesture_pipeline import GesturePipeline
from agent.core.numbers import read_json, write_json
from agent.core.redaction import redacted_payload, server_only
from agent.core.rules import RuleContext, RuleSet
from agent.core.rules.formatting import describe_action
from agent.core.thresholds import thresholds_of
from agent.core.types import Action, Floats, Hand, HandObservation, Place

FRAME_S = 0.1
AFTER_S = 3.0  # without a hand after the timeline, so that all gestures end
HAND = 0.2  # hand height / frame height, unless the zone requires more
CAMERA = "camera"  # name used where rules and zones name none


@dataclass(frozen=True)
class Case:
    """A test case with the rules of its own file and its position."""

    table: CaseTable
    rule_set: RuleSet
    spot: SourcePosition

    @property
    def title(self) -> str:
        """Title of the case."""
        return self.table.title


@dataclass(frozen=True)
class Fired:
    """An action and its time, in seconds from the start of the timeline."""

    at_s: float
    action: Action

    def __str__(self) -> str:
        return f"{self.at_s:.1f} s: {self.action.rule}: {describe_action(self.action)}"


@dataclass(frozen=True)
class CaseResult:
    """Result of one case: the actions that fired, and the deviations from what was expected."""

    case: Case
    fired: tuple[Fired, ...]
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether all expected actions fired, and no other."""
        return not self.problems


def run_cases(cases: Sequence[Case], labels: Sequence[str], debounce: DebounceSettings) -> list[CaseResult]:
    """Run each case with a new pipeline and return the results in order."""
    return [run_case(case, labels, debounce) for case in cases]


def run_case(case: Case, labels: Sequence[str], debounce: DebounceSettings) -> CaseResult:
    """Run one timeline through a new pipeline and compare its actions with the expected ones."""
    interpreter = GesturePipeline(
        labels, smoothing_s=0.0, thresholds=thresholds_of(debounce), rule_set=case.rule_set
    )
    world = RuleContext(case.table.time, {topic: _text(value) for topic, value in case.table.values.items()})
    fired = [
        Fired(round(action.at, 3), action)
        for observations in _frames(case, labels)
        for action in interpreter.process_observations(observations, world).actions
    ]
    return CaseResult(case, tuple(fired), tuple(_problems(case.table, fired)))


def _frames(case: Case, labels: Sequence[str]) -> Iterator[list[HandObservation]]:
    table = case.table
    camera = table.camera or _camera(case)
    length = max(len(table.right), len(table.left)) + round(AFTER_S / FRAME_S)
    tracks: list[tuple[Hand, str]] = [("right", table.right), ("left", table.left)]
    letters = {**LETTERS, **table.letters}
    for frame in range(-1, length):  # a first frame without hands
        at = round(frame * FRAME_S, 6)
        yield [
            HandObservation(at, camera, 0, hand, scores, _place(case, at) if scores is not None else None)
            for hand, timeline in tracks
            if timeline
            for scores in [_scores(timeline, frame, letters, labels)]
        ]


def _scores(timeline: str, frame: int, letters: Mapping[str, str], labels: Sequence[str]) -> Floats | None:
    letter = timeline[frame] if 0 <= frame < len(timeline) else NOBODY
    if letter == NOBODY:
        return None
    return np.array([label == letters[letter] for label in labels], np.float32)


def _camera(case: Case) -> str:
    """The camera named by the case, its zone or the first rule that names one."""
    zones = [zone.camera for zone in case.rule_set.zones if zone.name == case.table.zone]
    rules = [rule.when.camera or (rule.when.zone and rule.when.zone.camera) for rule in case.rule_set.rules]
    return next((camera for camera in (*zones, *rules) if camera), CAMERA)


def _place(case: Case, at: float) -> Place:
    zone = next((zone for zone in case.rule_set.zones if zone.name == case.table.zone), None)
    x, y, height = 0.5, 0.5, HAND
    if zone:
        left, top, right, bottom = zone.box
        x, y, height = (left + right) / 2, (top + bottom) / 2, max(HAND, zone.min_hand)
    if path := sorted(case.table.path):
        times = [t for t, _, _ in path]
        x = float(np.interp(at, times, [x for _, x, _ in path]))
        y = float(np.interp(at, times, [y for _, _, y in path]))
    return Place(x, y, height)


def _problems(table: CaseTable, fired: Sequence[Fired]) -> Iterator[str]:
    left = list(fired)
    for expect in table.expect:
        fits = [one for one in left if _is(expect, one.action)]
        best = min(fits, key=lambda one: abs(one.at_s - expect.at), default=None)
        if best and abs(best.at_s - expect.at) <= table.tolerance + 1e-6:
            left.remove(best)
        else:
            seen = f"it came at {best.at_s:.1f} s" if best else "nothing like it fired"
            yield f"expected at {expect.at:g} s: {_words(expect)}; {seen}"
    for one in left:
        path = " (another path than the case expects)" if _differs_in_path(table, one.action) else ""
        yield f"not expected: {one}{path}"


def _differs_in_path(table: CaseTable, action: Action) -> bool:
    """Whether a webhook and an expected one look alike where paths are not shown."""
    wanted = [expect.url for expect in table.expect if expect.url]
    shown = {server_only(url) for url in wanted}
    return action.kind == "webhook" and action.target not in wanted and server_only(action.target) in shown


def _is(expect: ExpectTable, action: Action) -> bool:
    arguments = [text for name, text in action.options if name == "arg"]
    return (
        (expect.rule is None or action.rule == expect.rule)
        and (expect.topic is None or (action.kind, action.target) == ("publish", expect.topic))
        and (expect.url is None or (action.kind, action.target) == ("webhook", expect.url))
        and (expect.key is None or (action.kind, action.target) == ("key", "+".join(expect.key)))
        and (
            expect.command is None
            or (action.kind == "command" and [action.target, *arguments] == expect.command)
        )
        and (expect.payload is None or _same(expect.payload, action.payload))
        and (expect.json_ is None or _same(expect.json_, action.payload))
    )


def _same(wanted: object, payload: str) -> bool:
    if isinstance(wanted, str):
        return wanted == payload
    try:
        return bool(read_json(payload) == wanted)
    except ValueError:
        return False


def _words(expect: ExpectTable) -> str:
    said = expect.model_dump(mode="json", by_alias=True, exclude={"at"}, exclude_none=True)
    said = redacted_payload(
        {name: server_only(value) if name == "url" else value for name, value in said.items()}
    )
    return ", ".join(f"{name} {_text(value)}" for name, value in said.items()) or "an action"


def _text(value: object) -> str:
    return value if isinstance(value, str) else write_json(value)

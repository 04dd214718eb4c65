"""Rule engine: turns gesture events into actions.

Rules are tried in order and the first that matches an event wins; a rule with `continue` neither blocks nor
is blocked. Most rules fire when a gesture starts. While it is held, `repeat` fires again, and moves and dials
follow the hand. A match within a rule's cooldown is dropped; it does not fall through to the next rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from agent.core.debounce import EPSILON_S
from agent.core.rules.actions import actions
from agent.core.rules.conditions import refusal
from agent.core.rules.dials import DialState
from agent.core.rules.moves import HandPath
from agent.core.rules.rule_set import ANY, Rule, RuleContext, RuleSet
from agent.core.rules.sequences import Sequences
from agent.core.rules.verdict import Refusal, RuleVerdict
from agent.core.rules.wake import ArmedWindow, WakeState
from agent.core.thresholds import Thresholds
from agent.core.types import Action, GestureEnded, GestureEvent, GestureHeld, GestureStarted

HandKey: TypeAlias = tuple[str, int, str]  # camera, person, hand
EventsByThresholds: TypeAlias = Mapping[Thresholds, Sequence[GestureEvent]]
EventByThresholds: TypeAlias = Mapping[Thresholds, GestureEvent]
Index: TypeAlias = Mapping[str, Sequence[Rule]]
RuleVerdicts: TypeAlias = list[RuleVerdict]

EMPTY_CONTEXT = RuleContext()
_FIRINGS = 1000  # firings remembered for cooldowns; the oldest are dropped first


class RuleEngine:
    """Evaluates a rule set on gesture events and keeps its state. Time comes from the events alone."""

    def __init__(self, rule_set: RuleSet) -> None:
        self.rule_set = rule_set
        self._rank = {rule.id: rank for rank, rule in enumerate(rule_set.rules)}
        self._starts = _by_gesture(rule for rule in rule_set.rules if rule.when.trigger != "move")
        self._moves = _by_gesture(rule for rule in rule_set.rules if rule.when.trigger == "move")
        self._wake = WakeState(rule_set.wake)
        self._sequences = Sequences(rule_set.rules)
        self._on: dict[Thresholds, dict[HandKey, str]] = {}  # active gestures
        self._fired_at: dict[tuple[str, str, int], float] = {}  # (rule, camera, person): time of last firing
        self._repeats: dict[tuple[str, HandKey], float] = {}  # time of the next repeat
        self._paths: dict[tuple[Thresholds, HandKey], HandPath] = {}
        self._dials: dict[str, DialState] = {}
        self._grabs: dict[str, HandKey] = {}  # the hand that holds each dial

    def feed(
        self, event: GestureEvent, context: RuleContext = EMPTY_CONTEXT, why: RuleVerdicts | None = None
    ) -> list[Action]:
        """Return the actions for one event, given to the rules of every set of thresholds."""
        return self.process(dict.fromkeys(self.rule_set.profiles, (event,)), context, why)

    def process(
        self, heard: EventsByThresholds, context: RuleContext = EMPTY_CONTEXT, why: RuleVerdicts | None = None
    ) -> list[Action]:
        """Return the actions for one hand's events at one moment, given by the thresholds that produced them.

        `why`, where given, collects every rule's verdict on every start and on every completed move.
        """
        done: list[Action] = []
        for kind, tell in (
            (GestureHeld, self._held),  # also of a gesture that another one ends at the same moment
            (GestureEnded, self._ended),
            (GestureStarted, self._started),
        ):
            found = {by: event for by, events in heard.items() for event in events if isinstance(event, kind)}
            if found:
                done += tell(found, context, why)
        return done

    def armed(self, camera: str, at: float) -> ArmedWindow | None:
        """Return a camera's wake window; None where it is not armed or the rules have no wake gesture."""
        return self._wake.armed(camera, at)

    def simulate(self, rule: Rule, camera: str, at: float) -> list[Action]:
        """Return the actions of a rule as if its gesture had just been held; changes no state."""
        gesture = next((g for g in reversed(rule.when.gestures) if g != ANY), "stop")
        hand = rule.when.hand or "right"
        thresholds = rule.thresholds
        event = GestureStarted(at, rule.when.camera or camera, 0, hand, gesture, 1.0, thresholds.hold_s)
        value = rule.dial.start if rule.dial else ""
        return list(self._act(rule, event, move=rule.when.move or "", value=value))

    def zone_of(self, event: GestureEvent) -> str | None:
        """Return the name of the first zone in the rule files that contains the event's hand, or None."""
        for zone in self.rule_set.zones:
            if zone.camera in {None, event.camera} and zone.contains(event.place):
                return zone.name
        return None

    def restore_state(self, other: RuleEngine) -> None:
        """Take over cooldowns, wake state and active gestures from the engine that ran before a reload."""
        self._fired_at = {key: at for key, at in other._fired_at.items() if key[0] in self._rank}
        self._on = {by: dict(other._on[by]) for by in self.rule_set.profiles if by in other._on}
        self._wake.restore_state(other._wake)

    # the three kinds of event

    def _ended(self, found: EventByThresholds, _: RuleContext, __: RuleVerdicts | None) -> Iterator[Action]:
        for thresholds, event in found.items():
            key = _key(event)
            self._on.get(thresholds, {}).pop(key, None)
            self._paths.pop((thresholds, key), None)
            for rule in self._grabbed(thresholds, key):
                del self._grabs[rule.id]
                yield from self._dialled(rule, event, self._dials[rule.id].release(event.at))
            for rule in self._repeating(thresholds, key):
                del self._repeats[rule.id, key]

    def _held(
        self, found: EventByThresholds, context: RuleContext, why: RuleVerdicts | None
    ) -> Iterator[Action]:
        for thresholds, event in found.items():
            key = _key(event)
            for rule in self._repeating(thresholds, key):
                due = self._repeats[rule.id, key]
                if event.at >= due - EPSILON_S:
                    self._repeats[rule.id, key] = max(due + (rule.repeat_s or 0.0), event.at)
                    yield from self._act(rule, event)
            for rule in self._grabbed(thresholds, key):
                if event.place:
                    sure = event.score >= thresholds.required_confidence(event.gesture)
                    value = self._dials[rule.id].turn(event.at, event.place, sure=sure)
                    yield from self._dialled(rule, event, value)
        if self._moves:
            yield from self._moved(found, context, why)

    def _started(
        self, found: EventByThresholds, context: RuleContext, why: RuleVerdicts | None
    ) -> Iterator[Action]:
        for thresholds, event in found.items():
            self._on.setdefault(thresholds, {})[_key(event)] = event.gesture
            self._sequences.note(thresholds, event)
        self._wake.process(found)
        yield from self._first_match(self._starts, found, context, why)

    def _moved(
        self, found: EventByThresholds, context: RuleContext, why: RuleVerdicts | None
    ) -> Iterator[Action]:
        made: dict[str, dict[Thresholds, GestureEvent]] = {}
        for thresholds, event in found.items():
            if event.place and any(rule.thresholds == thresholds for rule in _named(self._moves, [event])):
                key = thresholds, _key(event)
                for move in self._paths.setdefault(key, HandPath()).add(event.at, event.place):
                    made.setdefault(move, {})[thresholds] = event
        for name, events in made.items():
            yield from self._first_match(self._moves, events, context, why, name)

    # matching

    def _first_match(
        self,
        index: Index,
        found: EventByThresholds,
        context: RuleContext,
        why: RuleVerdicts | None,
        move: str = "",
    ) -> Iterator[Action]:
        """Fire the first rule that matches, and every rule with `continue`."""
        winner: Rule | None = None
        gestures = index if why is not None else None  # explanations need the verdict of every rule
        for rule in sorted(_named(index, found.values(), gestures), key=lambda rule: self._rank[rule.id]):
            event = found.get(rule.thresholds)
            if event is None:
                continue
            refused = self._refusal(rule, event, context, move)
            if refused is None and not rule.continue_matching:
                if winner:
                    refused = Refusal("first_match", f"{winner.id} matched", "no rule before it that matches")
                else:
                    winner = rule
            refused = refused or self._cooling(rule, event)
            if why is not None:
                why.append(RuleVerdict.of(rule.id, event, refused))
            if refused is None:
                yield from self._fire(rule, event, context, move)

    def _refusal(self, rule: Rule, event: GestureEvent, context: RuleContext, move: str) -> Refusal | None:
        when = rule.when
        refused = refusal(when, event, context) or (self._wake.refusal(event) if when.armed else None)
        if refused:
            return refused
        if when.trigger == "both":
            return self._one_hand_only(rule, event)
        if when.trigger == "sequence":
            return self._sequences.refusal(rule, event)
        if when.trigger == "move" and move != when.move:
            return Refusal("move", move, str(when.move))
        return None

    def _one_hand_only(self, rule: Rule, event: GestureEvent) -> Refusal | None:
        other = "left" if event.hand == "right" else "right"
        shown = self._on.get(rule.thresholds, {}).get((event.camera, event.person, other), "nothing")
        if shown == event.gesture:
            return None
        return Refusal("both", f"{other} hand: {shown}", f"{event.gesture} with both hands of one person")

    def _cooling(self, rule: Rule, event: GestureEvent) -> Refusal | None:
        since_s = event.at - self._fired_at.get(_cooldown_key(rule, event), float("-inf"))
        if 0 <= since_s < rule.cooldown_s - EPSILON_S:
            seen = f"{since_s:.1f} s after the last firing"
            return Refusal("cooldown", seen, f"at least {rule.cooldown_s:g} s")
        return None

    # acting

    def _fire(self, rule: Rule, event: GestureEvent, context: RuleContext, move: str) -> Iterator[Action]:
        self._note_firing(rule, event)
        if rule.dial:
            if event.place:
                state = self._dials.setdefault(rule.id, DialState(rule.dial, rule.when.move == "vertical"))
                state.grab(event.place, context)
                self._grabs[rule.id] = _key(event)
            return
        if rule.repeat_s is not None:
            self._repeats[rule.id, _key(event)] = event.at + rule.repeat_s
        yield from self._act(rule, event, move=move)

    def _note_firing(self, rule: Rule, event: GestureEvent) -> None:
        key = _cooldown_key(rule, event)
        self._fired_at.pop(key, None)
        self._fired_at[key] = event.at
        if len(self._fired_at) > _FIRINGS + len(self._rank):
            del self._fired_at[next(iter(self._fired_at))]
        self._sequences.clear(rule, event)
        if rule.when.armed:
            self._wake.renew(event)

    def _dialled(self, rule: Rule, event: GestureEvent, value: float | None) -> Iterator[Action]:
        if value is not None:
            yield from self._act(rule, event, value=value)

    def _act(
        self, rule: Rule, event: GestureEvent, *, move: str = "", value: float | str = ""
    ) -> Iterator[Action]:
        zone = rule.when.zone.name if rule.when.zone else self.zone_of(event) or ""
        if isinstance(value, float) and value == int(value):
            value = int(value)  # 128, not 128.0: many lamps accept integers only
        yield from actions(rule, event, zone=zone, move=move, value=value)

    def _repeating(self, thresholds: Thresholds, key: HandKey) -> list[Rule]:
        rules = [self.rule_set.rules[self._rank[name]] for name, hand in self._repeats if hand == key]
        return [rule for rule in rules if rule.thresholds == thresholds]

    def _grabbed(self, thresholds: Thresholds, key: HandKey) -> list[Rule]:
        rules = [self.rule_set.rules[self._rank[name]] for name, hand in self._grabs.items() if hand == key]
        return [rule for rule in rules if rule.thresholds == thresholds]


def _by_gesture(rules: Iterable[Rule]) -> dict[str, list[Rule]]:
    """Group rules by the gesture whose start or hold can fire them."""
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        gestures = rule.when.gestures
        for gesture in gestures[-1:] if rule.when.trigger == "sequence" else gestures:
            found.setdefault(gesture, []).append(rule)
    return found


def _named(index: Index, events: Iterable[GestureEvent], names: Iterable[str] | None = None) -> list[Rule]:
    """Rules for the events' gestures, or for all `names`, each once."""
    asked = {ANY, *(event.gesture for event in events)} if names is None else names
    return list({rule.id: rule for name in asked for rule in index.get(name, ())}.values())


def _key(event: GestureEvent) -> HandKey:
    return event.camera, event.person, event.hand


def _cooldown_key(rule: Rule, event: GestureEvent) -> tuple[str, str, int]:
    return (rule.id, event.camera, event.person) if rule.per_person else (rule.id, "", 0)

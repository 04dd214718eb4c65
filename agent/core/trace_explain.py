"""Explains, in sentences, why a gesture started or did not at one time of a trace. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from agent.core.debounce import EPSILON_S, HandState
from agent.core.duration import format_duration
from agent.core.gesture_pipeline import GesturePipeline, PipelineResult
from agent.core.intent import intent_of
from agent.core.rules import ArmedWindow, RuleVerdict
from agent.core.rules.formatting import describe_action
from agent.core.thresholds import Thresholds
from agent.core.trace import TraceHeader, TraceRecord, replay_record
from agent.core.types import NO_GESTURE, Action, GestureEnded, GestureHeld, HandObservation

RECENT_S = 1.0  # a hand or frame older than this does not describe the time in question

STOPPED_BY = {
    "camera": "the camera",
    "hand": "the hand",
    "person": "the person",
    "zone": "its zone",
    "min_hand": "the distance: the hand is too small",
    "armed": "the wake gesture",
    "between": "the time of day",
    "if": "its condition on a topic",
    "sequence": "its sequence",
    "both": "the other hand",
    "move": "the direction",
    "cooldown": "its own cooldown",
    "first_match": "a rule before it",
}


TimeText: TypeAlias = Callable[[float], str]


def seconds(at_s: float) -> str:
    """Format a time of a trace as seconds since its start."""
    return f"{at_s:.2f} s"


@dataclass(frozen=True, slots=True, eq=False)
class _HandAt:
    """A hand as of its last observation before the time in question."""

    observation: HandObservation
    smoothed: HandObservation
    hand_states: Mapping[Thresholds, HandState]


@dataclass(slots=True)
class _Scene:
    """Everything known about the time in question, `at`."""

    header: TraceHeader
    at: float
    around_s: float
    hands: dict[tuple[str, int, str], _HandAt] = field(default_factory=dict)
    frames: dict[str, float] = field(default_factory=dict)  # camera: time of its last frame
    seen: dict[tuple[str, int, str], float] = field(default_factory=dict)  # hand: time last seen
    armed: dict[str, ArmedWindow | None] = field(default_factory=dict)
    happened: list[tuple[float, str]] = field(default_factory=list)
    end: float = 0.0
    time_text: TimeText = seconds


def explain(
    header: TraceHeader,
    records: Iterable[TraceRecord],
    pipeline: GesturePipeline,
    at_s: float,
    around_s: float = 1.0,
    *,
    time_text: TimeText = seconds,
) -> list[str]:
    """Return sentences on the state at `at_s` and on what happened within `around_s` of it.

    `at_s` is in seconds from the start of the trace. `time_text` formats such a time.

    Raises `ValueError` when the trace does not reach that far.
    """
    at = header.at + at_s
    scene = _Scene(header, at, around_s, end=header.at, time_text=time_text)
    before = True
    for record in records:
        if at_s >= 0 and record.at > at + around_s + EPSILON_S:
            scene.end = record.at
            break
        if before and record.at > at + EPSILON_S:
            _note_wake(scene, pipeline, at)
            before = False
        _apply_record(scene, record, pipeline)
    if before:
        _note_wake(scene, pipeline, at)
    if at_s < 0 or at > scene.end + EPSILON_S:
        raise ValueError(f"the trace goes from 0s to {scene.end - header.at:.1f}s")
    return [*_standing(scene, pipeline), *_timeline(scene)]


def _note_wake(scene: _Scene, pipeline: GesturePipeline, at: float) -> None:
    scene.armed = {camera: pipeline.armed(camera, at) for camera in scene.frames}


def _apply_record(scene: _Scene, record: TraceRecord, pipeline: GesturePipeline) -> None:
    why: list[RuleVerdict] = []
    at = scene.at
    result = replay_record(record, pipeline, why)
    scene.end = max(scene.end, record.at)
    if record.at <= at + EPSILON_S:
        if record.kind == "frame":
            scene.frames[record.camera] = record.at
        if record.kind == "stop":
            scene.hands = {key: hand for key, hand in scene.hands.items() if key[0] != record.camera}
        for said, smoothed in zip(result.observations, result.smoothed, strict=True):
            if said.scores is not None:
                scene.seen[said.key] = said.at
            if at - said.at <= RECENT_S:
                scene.hands[said.key] = _HandAt(said, smoothed, pipeline.hand_states(smoothed))
    if abs(record.at - at) <= scene.around_s + EPSILON_S:
        texts = _event_text(record, result, why)
        scene.happened += [(record.at - scene.header.at, text) for text in texts]


# state at the time in question


def _standing(scene: _Scene, pipeline: GesturePipeline) -> Iterator[str]:
    header, at = scene.header, scene.at
    for camera, frame_at in scene.frames.items():
        if at - frame_at > RECENT_S:
            yield f"Camera {camera} gave no frame for {at - frame_at:.1f} s."
    if not scene.frames:
        yield "No camera had given a frame yet."
    if not scene.hands:
        yield "No hand was in view: neither smoothing nor debounce had anything to work on."
    for key, hand in scene.hands.items():
        yield from _of_hand(hand, scene.seen.get(key), header, pipeline, at)
    wake = pipeline.rules.rule_set.wake
    for camera, armed in scene.armed.items() if wake else ():
        assert wake is not None  # noqa: S101 (for mypy)
        if armed:
            yield (
                f"Camera {camera} was awake: {wake.gesture} woke it, and its rules listened until "
                f"{scene.time_text(armed.until - header.at)}."
            )
        else:
            yield f"Camera {camera} was not awake: rules that are armed waited for {wake.gesture}."


def _of_hand(
    hand: _HandAt, seen_at: float | None, header: TraceHeader, pipeline: GesturePipeline, at: float
) -> Iterator[str]:
    said, smoothed = hand.observation, hand.smoothed
    who = f"The {said.hand} hand of person {said.person} (camera {said.camera})"
    if said.scores is None:
        ago = f"for {at - seen_at:.2f} s" if seen_at is not None else "yet"
        yield f"{who} was not seen {ago}; that counts as no gesture."
    else:
        place = said.place
        where = (
            f" at ({place.x_share:.2f}, {place.y_share:.2f}) with {place.height_share:.0%} of the"
            " picture's height"
            if place
            else ""
        )
        where += posture_in_words(smoothed)
        yield f"{who} was seen{where}. The classifier said {_best(said, header.labels)}."
    yield f"Averaged by smoothing, that was {_best(smoothed, header.labels)}."
    said_of: dict[str, list[str]] = {}
    for by, standing in hand.hand_states.items():
        said_of.setdefault(_of_debounce(standing, by, smoothed, header), []).extend(
            _users(by, hand, pipeline)
        )
    for text, users in said_of.items():
        yield f"By the thresholds of {_listed(users)}, {text}"


_KNOWN = {
    "raised": "raised to {:.2f} (0 hips, 1 shoulders)",
    "lean": "leaning by {:.0f} degrees",
    "forearm": "its forearm {:.0f} degrees from upright",
    "to_hand": "{:.2f} hand widths from another one",
    "to_face": "{:.2f} from the face",
    "facing": "the head turned by {:.0f} degrees",
    "upright": "the body {:.0f} degrees from upright",
}


def posture_in_words(observation: HandObservation) -> str:
    """Return what is known of how a hand is held, as text that begins with a comma, or empty."""
    posture = observation.posture
    told = [
        words.format(value) for name, words in _KNOWN.items() if (value := getattr(posture, name)) is not None
    ]
    if posture.at_face:
        told.append("closed and at the face")
    if posture.bodiless:
        told.append("of no body in view")
    if observation.speed is not None:
        told.append(f"moving {observation.speed:.1f} of its widths a second")
    return "".join(f", {one}" for one in told)


def _users(by: Thresholds, hand: _HandAt, pipeline: GesturePipeline) -> Iterator[str]:
    """The settings section, rules and wake gesture that use these thresholds."""
    if by == next(iter(hand.hand_states)):
        yield "[debounce]"
    rule_set = pipeline.rules.rule_set
    yield from (rule.id for rule in rule_set.rules if rule.thresholds == by)
    if rule_set.wake and rule_set.wake.thresholds == by:
        yield "the wake gesture"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _of_debounce(standing: HandState, by: Thresholds, smoothed: HandObservation, header: TraceHeader) -> str:
    on, forming = standing.on, standing.pending
    texts = []
    if on and standing.away_since is None:
        texts.append(f"{on} was on since {standing.on_since - header.at:.2f} s; keep {by.keep:g} kept it")
    elif on and standing.away_since is not None:
        away = standing.at - standing.away_since
        texts.append(
            f"{on} was on, but had been under keep {by.keep:g} for {_ms(away)} of the release of "
            f"{_ms(by.release_s)}"
        )
    if forming:
        texts.append(_of_forming(standing, forming, by, smoothed, header.labels))
    if not texts:
        texts.append(_of_nothing(by, smoothed, header.labels))
    return "; ".join(texts) + "."


def _of_forming(
    standing: HandState, forming: str, by: Thresholds, smoothed: HandObservation, labels: tuple[str, ...]
) -> str:
    score = _score(smoothed, forming, labels)
    held = standing.at - standing.pending_since
    left = dict(standing.cooling).get(forming, 0.0)
    hold_s = standing.hold_s
    text = f"{forming} was forming: {_ms(min(held, hold_s))} of the hold of {_ms(hold_s)} were over"
    if score < (asked := intent_of(smoothed, forming, by).confidence):
        text += f", but {score:.2f} was under confidence {asked:g} at this moment"
    elif standing.obstacle:
        text += f", but {standing.obstacle.words}"
    if left:
        text += f", but it had just ended and its cooldown had {_ms(left)} to go"
    return text


def _of_nothing(by: Thresholds, smoothed: HandObservation, labels: tuple[str, ...]) -> str:
    gestures = [label for label in labels if label != NO_GESTURE]
    best = max(gestures, key=lambda label: _score(smoothed, label, labels))
    score = _score(smoothed, best, labels)
    intent = intent_of(smoothed, best, by)
    if score >= intent.confidence and intent.obstacle:
        return f"nothing formed: {best} had {score:.2f}, but {intent.obstacle.words}"
    asked = f"{intent.confidence:g}"
    if intent.confidence > by.required_confidence(best):
        asked += f", as intent is in doubt ({intent.doubt})"
    return f"nothing formed: the best gesture, {best}, had {score:.2f} and confidence asks for {asked}"


def _best(observation: HandObservation, labels: tuple[str, ...]) -> str:
    """The two best labels with their scores, as text."""
    ranked = sorted(labels, key=lambda label: -_score(observation, label, labels))[:2]
    return ", ".join(f"{_name(label)} {_score(observation, label, labels):.2f}" for label in ranked)


def _name(label: str) -> str:
    return "no gesture" if label == NO_GESTURE else label


def _score(observation: HandObservation, label: str, labels: tuple[str, ...]) -> float:
    return 0.0 if observation.scores is None else float(observation.scores[labels.index(label)])


def _ms(seconds: float) -> str:
    return format_duration(round(seconds, 3)) if seconds else "0ms"


# events around it


def _timeline(scene: _Scene) -> Iterator[str]:
    at_s, length_s = scene.at - scene.header.at, scene.end - scene.header.at
    start, end = max(0.0, at_s - scene.around_s), min(at_s + scene.around_s, length_s)
    if not scene.happened:
        yield f"Nothing started, ended or fired from {scene.time_text(start)} to {scene.time_text(end)}."
        return
    yield f"From {scene.time_text(start)} to {scene.time_text(end)}:"
    for when, text in scene.happened:
        yield f"  {scene.time_text(when)}  {text}"


def _event_text(record: TraceRecord, result: PipelineResult, why: Iterable[RuleVerdict]) -> Iterator[str]:
    if record.kind == "stop":
        yield f"camera {record.camera} was closed or lost"
    for event in result.events:
        if not isinstance(event, GestureHeld):
            verb = "ended" if isinstance(event, GestureEnded) else f"started, {event.score:.0%} sure"
            yield f"{event.gesture} {verb}, {event.hand} hand of person {event.person}"
    for verdict in why:
        if verdict.fired:
            yield f"rule {verdict.rule} fired: {_action_texts(verdict.rule, result.actions)}"
        elif verdict.reason != "gesture":
            yield (
                f"rule {verdict.rule} was stopped by {STOPPED_BY[verdict.reason]}: {verdict.seen}; wanted: "
                f"{verdict.wanted}"
            )
    told = {verdict.rule for verdict in why if verdict.fired}
    for action in result.actions:
        if action.rule not in told:  # repeats, dials
            yield f"rule {action.rule} went on: {describe_action(action)}"


def _action_texts(rule: str, actions: Iterable[Action]) -> str:
    return (
        "; ".join(describe_action(action) for action in actions if action.rule == rule) or "nothing to do yet"
    )

"""Evaluation of single video clips: compares the gestures that started with the labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from agent.core.gesture_pipeline import GesturePipeline
from agent.core.intent import TURNED_OFF, intent_of, speed_obstacle
from agent.core.thresholds import Thresholds
from agent.core.trace import TraceRecord
from agent.core.trace_tune import LATE_S, LabelledTrace, TruthSpan
from agent.core.types import Frame, GestureStarted, HandObservation, Image
from agent.evaluation.videos import Clip
from agent.inference.recognizer import Recognizer

CAMERA = "clip"  # camera name of all frames
Kind: TypeAlias = Literal["right", "doubled", "wrong", "false"]
UNSURE = "confidence"  # reason where the classifier itself was not confident
BELATED_S = 1.0  # a held-back start that follows within this time counts as started


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """A gesture that started, or was held back for intent; `reason` then names the threshold.

    `words` describes the posture, `picture` is the frame with the hand's box (BGR) where requested.
    """

    clip: Clip
    at_s: float
    gesture: str
    score: float
    observation: HandObservation
    kind: Kind = "false"
    reason: str = ""
    words: str = ""
    picture: Image | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Missed:
    """A labelled gesture that did not start, and the reason."""

    clip: Clip
    span: TruthSpan
    reason: str
    words: str


@dataclass(slots=True, eq=False)
class Judged:
    """Result of one clip: starts, held-back starts and misses."""

    clip: Clip
    length_s: float = 0.0
    idle_s: float = 0.0
    starts: list[Start] = field(default_factory=list)
    held_back: list[Start] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)


def judge_clip(
    clip: Clip,
    frames: Iterable[Frame],
    recognizer: Recognizer,
    *,
    thresholds: Thresholds,
    smoothing_s: float,
    draw: Callable[[Image, Start], Image],
    record: Callable[[TraceRecord], None] = lambda _moment: None,
) -> Judged:
    """Run the pipeline on a clip and compare its events with the labels.

    `draw` makes the picture of a start from its frame; `record` gets every trace record. A second pipeline
    without intent checks runs in parallel: what starts only there was held back.
    """
    asked, open_ = (
        GesturePipeline(recognizer.labels, smoothing_s=smoothing_s, thresholds=by)
        for by in (thresholds, replace(thresholds, **TURNED_OFF))
    )
    done, open_starts = Judged(clip), list[Start]()
    first: float | None = None
    recognizer.forget(CAMERA)
    for frame in frames:
        first = frame.at if first is None else first
        at_s = frame.at - first
        (detections,) = recognizer.recognize([frame])
        real, free = asked.process(detections), open_.process(detections)
        record(TraceRecord("frame", frame.at, frame.camera, real.observations))
        for start in _starts(clip, at_s, real.events, real.smoothed):
            done.starts.append(replace(start, picture=draw(frame.image, start)))
        open_starts += _starts(clip, at_s, free.events, free.smoothed)
        done.length_s = at_s
    recognizer.forget(CAMERA)
    hit = _tell_apart(done)
    done.held_back = [_why_held_back(s, thresholds) for s in open_starts if not _came(s, done.starts)]
    done.missed = [_why_missed(clip, s, done.held_back) for i, s in enumerate(clip.spans) if i not in hit]
    done.idle_s = LabelledTrace(0.0, done.length_s, recognizer.labels, (), clip.spans).idle_s
    return done


def _starts(
    clip: Clip, at_s: float, events: Iterable[object], smoothed: Iterable[HandObservation]
) -> Iterator[Start]:
    observations = list(smoothed)
    for event in events:
        if isinstance(event, GestureStarted):
            whose = [r for r in observations if (r.person, r.hand) == (event.person, event.hand)]
            observation = next((r for r in whose if r.place == event.place), whose[0])
            yield Start(clip, at_s, event.gesture, event.score, observation)


def _tell_apart(done: Judged) -> set[int]:
    """Assign the first start of each labelled gesture; repeated ones are `doubled`, others `wrong`.

    Returns the indices of the labelled gestures that started.
    """
    hit: set[int] = set()
    told = []
    for start in done.starts:
        shown = [i for i, s in enumerate(done.clip.spans) if s.from_s <= start.at_s <= s.to_s + LATE_S]
        same = [i for i in shown if done.clip.spans[i].gesture == start.gesture]
        new = [i for i in same if i not in hit][:1]
        hit.update(new)
        kind: Kind = "right" if new else "doubled" if same else "wrong" if shown else "false"
        told.append(replace(start, kind=kind))
    done.starts = told
    return hit


def _came(start: Start, starts: Iterable[Start]) -> bool:
    """Whether a start without intent checks also occurred with them, perhaps later."""
    return any(
        s.gesture == start.gesture and start.at_s - LATE_S <= s.at_s <= start.at_s + BELATED_S for s in starts
    )


def _why_held_back(start: Start, thresholds: Thresholds) -> Start:
    intent = intent_of(start.observation, start.gesture, thresholds)
    obstacle = intent.obstacle or speed_obstacle(start.observation, thresholds)
    if obstacle:
        return replace(start, reason=obstacle.reason, words=obstacle.words)
    return replace(start, reason="doubtful", words=intent.doubt or "intent did not last")


def _why_missed(clip: Clip, span: TruthSpan, held_back: Iterable[Start]) -> Missed:
    for start in held_back:
        if start.gesture == span.gesture and span.from_s <= start.at_s <= span.to_s + LATE_S:
            return Missed(clip, span, start.reason, start.words)
    return Missed(clip, span, UNSURE, "the classifier was never sure enough for long enough, or saw no hand")

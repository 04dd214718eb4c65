"""Gesture pipeline: detections to events and actions, without I/O.

Runs tracking, intent, smoothing, debounce and rules in their fixed order. The daemon, trace replay and the
test cases of rule files all use it, so they cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.core.debounce import Debouncer, HandProgress, HandState, PendingGesture
from agent.core.hand_identity.tracker import FORGET_S, HandTracker
from agent.core.intent import HandHistories
from agent.core.rules import ArmedWindow, RuleContext, RuleEngine, RuleSet, RuleVerdict
from agent.core.rules.engine import EMPTY_CONTEXT
from agent.core.smoothing import Smoother
from agent.core.thresholds import Thresholds
from agent.core.types import Action, Detections, GestureEvent, HandObservation


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """Everything that one frame led to: events, actions and observations, each in order.

    `observations` holds the classifier's scores of every tracked hand, `smoothed` what debounce uses.
    """

    events: tuple[GestureEvent, ...] = ()
    actions: tuple[Action, ...] = ()
    smoothed: tuple[HandObservation, ...] = ()
    observations: tuple[HandObservation, ...] = ()
    verdicts: tuple[RuleVerdict, ...] = ()  # of every rule, where requested


class GesturePipeline:
    """Turns each frame's detections into gesture events and actions; the clock is their `at`."""

    def __init__(
        self,
        labels: Sequence[str],
        *,
        smoothing_s: float = 0.15,
        thresholds: Thresholds | None = None,
        rule_set: RuleSet | None = None,
    ) -> None:
        self._labels = tuple(labels)
        self._smoother = Smoother(smoothing_s, labels)
        self._hand_tracker = HandTracker()
        self._histories = HandHistories(labels)
        self._events = Debouncer(thresholds or Thresholds(), labels)
        self._debouncers = {self._events.thresholds: self._events}
        self.rules = RuleEngine(RuleSet())
        self.reload(rule_set or RuleSet())

    def process(
        self,
        detections: Detections,
        context: RuleContext = EMPTY_CONTEXT,
        why: list[RuleVerdict] | None = None,
    ) -> PipelineResult:
        """Process one frame's detections. `why`, where given, collects the verdict of every rule."""
        return self.process_observations(self._hand_tracker.update(detections), context, why)

    def process_silence(self, camera: str, at: float, context: RuleContext = EMPTY_CONTEXT) -> PipelineResult:
        """Process a camera without frames for a while, so that active gestures end after their release."""
        return self.process_observations(self._hand_tracker.silence(camera, at), context)

    def process_observations(
        self,
        observations: Iterable[HandObservation],
        context: RuleContext = EMPTY_CONTEXT,
        why: list[RuleVerdict] | None = None,
    ) -> PipelineResult:
        """Process observations that already exist, from a recorded trace or a rule file's test case."""
        events: list[GestureEvent] = []
        actions: list[Action] = []
        observations = tuple(observations)
        smoothed = tuple(
            self._histories.feed(self._smoother.feed(observation)) for observation in observations
        )
        for observation in smoothed:
            heard = {by: debouncer.feed(observation) for by, debouncer in self._debouncers.items()}
            events += heard[self._events.thresholds]
            actions += self.rules.process(heard, context, why)
        return PipelineResult(tuple(events), tuple(actions), smoothed, observations, tuple(why or ()))

    def stop(self, camera: str, at: float, context: RuleContext = EMPTY_CONTEXT) -> PipelineResult:
        """End everything in a camera's view at once, because it was paused, removed or closed."""
        heard = {by: debouncer.end(camera, at) for by, debouncer in self._debouncers.items()}
        actions = [
            action
            for by, events in heard.items()
            for event in events
            for action in self.rules.process({by: [event]}, context)
        ]
        return PipelineResult(tuple(heard[self._events.thresholds]), tuple(actions))

    def reload(self, rule_set: RuleSet) -> None:
        """Replace the rules. Active gestures stay active; cooldowns and wake state are kept."""
        rules = RuleEngine(rule_set)
        rules.restore_state(self.rules)
        self.rules = rules
        kept = {**self._debouncers, self._events.thresholds: self._events}
        wanted = dict.fromkeys((self._events.thresholds, *rule_set.profiles))
        self._debouncers = {by: kept.get(by) or Debouncer(by, self._labels) for by in wanted}
        self._hand_tracker.forget_s = FORGET_S + max(by.release_s for by in wanted)

    def pending(self) -> list[PendingGesture]:
        """Return the gestures that are pending by the general thresholds, for dwell rings."""
        return self._events.pending()

    def progress(self, smoothed: Iterable[HandObservation]) -> tuple[HandProgress, ...]:
        """Return each hand's progress by the general thresholds, after its observation was processed."""
        return tuple(self._events.progress(observation) for observation in smoothed)

    def hand_states(self, observation: HandObservation) -> dict[Thresholds, HandState]:
        """Return a hand's debounce state by each set of thresholds, the general ones first."""
        return {by: debouncer.hand_state(observation) for by, debouncer in self._debouncers.items()}

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of an observation's scores."""
        return self._labels

    def armed(self, camera: str, at: float) -> ArmedWindow | None:
        """Return the window in which a camera's wake gesture is in effect; None where it is not armed."""
        return self.rules.armed(camera, at)

"""From what the networks saw to events and actions: the whole pure half of the agent in one call.

Readings, smoothing, debounce and rules are joined here in the one order in which they make sense, so
that the daemon, a replayed trace and a rule file's test cases all go the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.core.debounce import Debouncer, HandProgress, HandState, PendingGesture
from agent.core.hand_tracking import FORGET_S, HandTracker
from agent.core.intent import Courses
from agent.core.rules import ArmedWindow, RuleContext, RuleEngine, RuleSet, RuleVerdict
from agent.core.rules.engine import EMPTY_CONTEXT
from agent.core.smoothing import Smoother
from agent.core.thresholds import Thresholds
from agent.core.types import Action, Detections, GestureEvent, HandObservation


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """What came of one frame, in order.

    `observations` is what the classifier said of every hand, `smoothed` what the gestures are judged by.
    """

    events: tuple[GestureEvent, ...] = ()
    actions: tuple[Action, ...] = ()
    smoothed: tuple[HandObservation, ...] = ()
    observations: tuple[HandObservation, ...] = ()
    verdicts: tuple[RuleVerdict, ...] = ()  # of the rules, where they were asked for


class GesturePipeline:
    """Feed it sights; time comes from their stamps alone."""

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
        self._courses = Courses(labels)
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
        """All that follows from one frame. `why` collects the rules' verdicts."""
        return self.process_observations(self._hand_tracker.update(detections), context, why)

    def process_silence(self, camera: str, at: float, context: RuleContext = EMPTY_CONTEXT) -> PipelineResult:
        """The same for a camera that gave no frame for a while: what was on ends in due time."""
        return self.process_observations(self._hand_tracker.silence(camera, at), context)

    def process_observations(
        self,
        observations: Iterable[HandObservation],
        context: RuleContext = EMPTY_CONTEXT,
        why: list[RuleVerdict] | None = None,
    ) -> PipelineResult:
        """The same for readings: of a recorded trace, or of a rule file's test case."""
        events: list[GestureEvent] = []
        actions: list[Action] = []
        observations = tuple(observations)
        smoothed = tuple(self._courses.feed(self._smoother.feed(observation)) for observation in observations)
        for observation in smoothed:
            heard = {by: debouncer.feed(observation) for by, debouncer in self._debouncers.items()}
            events += heard[self._events.thresholds]
            actions += self.rules.process(heard, context, why)
        return PipelineResult(tuple(events), tuple(actions), smoothed, observations, tuple(why or ()))

    def stop(self, camera: str, at: float, context: RuleContext = EMPTY_CONTEXT) -> PipelineResult:
        """End everything in a camera's view at once: it was paused, removed or closed."""
        heard = {by: debouncer.end(camera, at) for by, debouncer in self._debouncers.items()}
        actions = [
            action
            for by, events in heard.items()
            for event in events
            for action in self.rules.process({by: [event]}, context)
        ]
        return PipelineResult(tuple(heard[self._events.thresholds]), tuple(actions))

    def reload(self, rule_set: RuleSet) -> None:
        """Go on with other rules. Gestures that are on stay on; cooldowns and wake state stay too."""
        rules = RuleEngine(rule_set)
        rules.restore_state(self.rules)
        self.rules = rules
        kept = {**self._debouncers, self._events.thresholds: self._events}
        wanted = dict.fromkeys((self._events.thresholds, *rule_set.profiles))
        self._debouncers = {by: kept.get(by) or Debouncer(by, self._labels) for by in wanted}
        self._hand_tracker.forget_s = FORGET_S + max(by.release_s for by in wanted)

    def pending(self) -> list[PendingGesture]:
        """Gestures on their way by the general thresholds, for dwell rings."""
        return self._events.pending()

    def progress(self, smoothed: Iterable[HandObservation]) -> tuple[HandProgress, ...]:
        """How far each hand is by the general thresholds, after what came of one frame."""
        return tuple(self._events.progress(observation) for observation in smoothed)

    def hand_states(self, observation: HandObservation) -> dict[Thresholds, HandState]:
        """How a reading's hand stands by each set of thresholds, the general ones first."""
        return {by: debouncer.hand_state(observation) for by, debouncer in self._debouncers.items()}

    @property
    def labels(self) -> tuple[str, ...]:
        """What the scores of a reading stand for, in order."""
        return self._labels

    def armed(self, camera: str, at: float) -> ArmedWindow | None:
        """The wake state of a camera."""
        return self.rules.armed(camera, at)

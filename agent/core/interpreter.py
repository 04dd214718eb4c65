"""From what the networks saw to events and actions: the whole pure half of the agent in one call.

Readings, smoothing, debounce and rules are joined here in the one order in which they make sense, so
that the daemon, a replayed trace and a rule file's test cases all go the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.core.debounce import Debouncer, Forming, HandProgress, Standing
from agent.core.intent import Courses
from agent.core.readings import FORGET_S, Readings
from agent.core.rules import Armed, Book, RuleEngine, Verdict, World
from agent.core.rules.engine import QUIET
from agent.core.smoothing import Smoother
from agent.core.thresholds import Thresholds
from agent.core.types import Action, GestureEvent, Reading, Sight


@dataclass(frozen=True, slots=True)
class Understood:
    """What came of one frame, in order.

    `readings` is what the classifier said of every hand, `smoothed` what the gestures are judged by.
    """

    events: tuple[GestureEvent, ...] = ()
    actions: tuple[Action, ...] = ()
    smoothed: tuple[Reading, ...] = ()
    readings: tuple[Reading, ...] = ()
    verdicts: tuple[Verdict, ...] = ()  # of the rules, where they were asked for


class Interpreter:
    """Feed it sights; time comes from their stamps alone."""

    def __init__(
        self,
        labels: Sequence[str],
        *,
        smoothing_s: float = 0.15,
        thresholds: Thresholds | None = None,
        book: Book | None = None,
    ) -> None:
        self._labels = tuple(labels)
        self._smoother = Smoother(smoothing_s, labels)
        self._readings = Readings()
        self._courses = Courses(labels)
        self._events = Debouncer(thresholds or Thresholds(), labels)
        self._debouncers = {self._events.thresholds: self._events}
        self.rules = RuleEngine(Book())
        self.reload(book or Book())

    def see(self, sight: Sight, world: World = QUIET, why: list[Verdict] | None = None) -> Understood:
        """All that follows from one frame. `why` collects the rules' verdicts."""
        return self.read(self._readings.of(sight), world, why)

    def silence(self, camera: str, at: float, world: World = QUIET) -> Understood:
        """The same for a camera that gave no frame for a while: what was on ends in due time."""
        return self.read(self._readings.silence(camera, at), world)

    def read(
        self, readings: Iterable[Reading], world: World = QUIET, why: list[Verdict] | None = None
    ) -> Understood:
        """The same for readings: of a recorded trace, or of a rule file's test case."""
        events: list[GestureEvent] = []
        actions: list[Action] = []
        readings = tuple(readings)
        smoothed = tuple(self._courses.feed(self._smoother.feed(reading)) for reading in readings)
        for reading in smoothed:
            heard = {by: debouncer.feed(reading) for by, debouncer in self._debouncers.items()}
            events += heard[self._events.thresholds]
            actions += self.rules.hear(heard, world, why)
        return Understood(tuple(events), tuple(actions), smoothed, readings, tuple(why or ()))

    def stop(self, camera: str, at: float, world: World = QUIET) -> Understood:
        """End everything in a camera's view at once: it was paused, removed or closed."""
        heard = {by: debouncer.end(camera, at) for by, debouncer in self._debouncers.items()}
        actions = [
            action
            for by, events in heard.items()
            for event in events
            for action in self.rules.hear({by: [event]}, world)
        ]
        return Understood(tuple(heard[self._events.thresholds]), tuple(actions))

    def reload(self, book: Book) -> None:
        """Go on with other rules. Gestures that are on stay on; cooldowns and wake state stay too."""
        rules = RuleEngine(book)
        rules.adopt(self.rules)
        self.rules = rules
        kept = {**self._debouncers, self._events.thresholds: self._events}
        wanted = dict.fromkeys((self._events.thresholds, *book.profiles))
        self._debouncers = {by: kept.get(by) or Debouncer(by, self._labels) for by in wanted}
        self._readings.forget_s = FORGET_S + max(by.release_s for by in wanted)

    def forming(self) -> list[Forming]:
        """Gestures on their way by the general thresholds, for dwell rings."""
        return self._events.forming()

    def progress(self, smoothed: Iterable[Reading]) -> tuple[HandProgress, ...]:
        """How far each hand is by the general thresholds, after what came of one frame."""
        return tuple(self._events.progress(reading) for reading in smoothed)

    def standing(self, reading: Reading) -> dict[Thresholds, Standing]:
        """How a reading's hand stands by each set of thresholds, the general ones first."""
        return {by: debouncer.standing(reading) for by, debouncer in self._debouncers.items()}

    @property
    def labels(self) -> tuple[str, ...]:
        """What the scores of a reading stand for, in order."""
        return self._labels

    def armed(self, camera: str, at: float) -> Armed | None:
        """The wake state of a camera."""
        return self.rules.armed(camera, at)

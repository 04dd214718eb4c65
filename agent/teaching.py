"""Teaches one gesture from example hands: for `gesture-agent teach` and the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.config.settings import RecognitionSettings
from agent.core.taught import FEWEST, HandSamples, left_out
from agent.core.types import NO_GESTURE
from agent.errors import ConfigError, ModelError
from agent.inference.build import build_recognizer
from agent.inference.files.store import manifest_of
from agent.inference.gestures.background import background
from agent.inference.gestures.taught import Taught, check_same_classifier, load_taught, save_taught, teach
from agent.inference.models import classifier_of

if TYPE_CHECKING:
    from typing_extensions import Self

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
RESERVED = ("any",)  # has another meaning in rules
DOUBTFUL = 0.8  # share of left-out examples that should be recognised


class LooksAlikeError(ConfigError):
    """The hand is read as a built-in gesture; `remedy` is what else the user may do."""

    def __init__(self, name: str, likeness: str, remedy: str) -> None:
        self.name, self.likeness = name, likeness
        super().__init__(
            f"{name} looks like {likeness}, so {likeness.partition(':')[0]} would be taken for it; nothing "
            f"was learned. Choose another shape of the hand, or {remedy}"
        )


@dataclass(frozen=True, slots=True)
class LearnedGesture:
    """A gesture that was learned, with how well its own examples and other hands are told apart."""

    gesture: str
    examples: int
    left_out_right: int  # of the examples, each recognised by a head that was fitted without it
    left_out: int
    others: int  # rendered hands of other shapes
    others_mistaken: int
    file: str
    likeness: str | None = None  # the built-in gesture that it looks like

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {key: value for key, value in asdict(self).items() if key != "likeness"}

    @property
    def summary(self) -> str:
        """In words."""
        return (
            f"{self.gesture}: learned from {self.examples} hands. Left out in turn, {self.left_out_right} of "
            f"{self.left_out} were recognised; of {self.others} other hands, rendered, "
            f"{self.others_mistaken} are taken for it."
        )

    @property
    def doubts(self) -> list[str]:
        """What speaks against using it as it is."""
        looks = [f"{self.gesture} looks like {self.likeness} without it"] if self.likeness else []
        little = self.left_out_right < DOUBTFUL * self.left_out
        more = "that is little; teach more hands (--improve): other turns and distances, or another shape"
        return [*looks, *([more] if little else [])]


class Teacher:
    """Learns one gesture; as a context manager it holds the networks, without what was taught before."""

    def __init__(
        self,
        recognition: RecognitionSettings,
        cache: Path,
        state: Path,
        name: str,
        *,
        improve: bool = False,
        force: bool = False,
    ) -> None:
        """Check the name and load the networks. Raises `ConfigError` and `ModelError`."""
        self._name, self._cache, self._state = name, cache, state
        self._may_look_alike = improve or force
        manifest = manifest_of(recognition.gestures, cache)
        before = load_taught(state)
        check_name(name, manifest.labels, before, improve=improve)
        if manifest.output.embedding is None:
            raise ModelError(f"{manifest.name}: has no output embedding, so it cannot learn gestures")
        self._labels, self._classifier = manifest.labels, classifier_of(recognition, cache)
        self._kept = before if improve or before is None else before.without(name)
        if self._kept is not None:
            check_same_classifier(self._kept, self._classifier, state)
        every_frame = recognition.model_copy(update={"profile": "accurate"})  # every frame is an example
        self.recognizer = build_recognizer(every_frame, cache)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.recognizer.close()

    def learn(self, new: HandSamples, progress: Callable[[], None] = lambda: None) -> LearnedGesture:
        """Fit the gesture to new examples and save it. Raises `ConfigError` where it looks like another."""
        name = self._name
        others = background(self.recognizer, self._classifier, self._cache, progress)
        likeness = _likeness(new, self._labels, name)
        if likeness and not self._may_look_alike:
            raise LooksAlikeError(name, likeness, "teach it all the same with --force")
        hands, names = new, [name] * len(new)
        if self._kept is not None:
            hands, names = self._kept.examples.joined(new), [*self._kept.names, *names]
        taught = teach(self._classifier, self._labels, others, hands, names)
        right, of = left_out(self._labels, others, hands, names, name)
        file = save_taught(self._state, taught)
        mistaken = _mistaken(taught, others, name)
        return LearnedGesture(
            name, taught.counts[name], right, of, len(others), mistaken, str(file), likeness
        )


def must_be_enough(gesture: str, hands: int) -> None:
    """Raise `ConfigError` for fewer examples than a gesture needs."""
    if hands < FEWEST:
        raise ConfigError(
            f"{gesture}: {hands} hands were found, at least {FEWEST} are needed; "
            "show one hand, well lit, larger than a tenth of the picture"
        )


def check_name(name: str, built_in: tuple[str, ...], before: Taught | None, *, improve: bool) -> None:
    """Raise `ConfigError` for a name that cannot be taught."""
    if not NAME.fullmatch(name) or name in RESERVED:
        raise ConfigError(
            f'"{name}": a gesture is called by a letter a-z, then letters, digits or _ (32 at most)'
        )
    if name in built_in and not improve:
        raise ConfigError(f"{name} is built in; `gesture-agent teach {name} --improve` adapts it to you")
    if improve and name not in {*built_in, *(before.names if before else ())}:
        raise ConfigError(f"{name} is neither built in nor taught yet; leave out --improve")


def _mistaken(taught: Taught, others: HandSamples, name: str) -> int:
    """Rendered hands that are misread as this gesture now and were not before."""
    wanted = taught.head.labels.index(name)
    return sum(
        int(taught.head.scores(base, embedding).argmax()) == wanted != int(base.argmax())
        for base, embedding in zip(others.scores, others.embeddings, strict=True)
    )


def _likeness(new: HandSamples, built_in: tuple[str, ...], name: str) -> str | None:
    """Built-in gesture that most of the new hands are classified as, with the count.

    None if there is none.
    """
    read_as = [built_in[i] for i in new.scores.argmax(axis=1)]
    most = max(set(read_as), key=read_as.count)
    if most in {name, NO_GESTURE} or read_as.count(most) <= len(read_as) / 2:
        return None
    return f"{most}: {read_as.count(most)} of {len(read_as)} hands are read so"

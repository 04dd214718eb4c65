"""Rules in a line each, and timelines played against them."""

from __future__ import annotations

from typing import Any

from timelines import observations

from agent.core.gesture_pipeline import GesturePipeline
from agent.core.rules import (
    ActionTemplate,
    Conditions,
    Rule,
    RuleContext,
    RuleSet,
    RuleVerdict,
    WakeGesture,
    Zone,
)
from agent.core.thresholds import Thresholds
from agent.core.types import LABELS, Action, Hand, HandObservation, Place

NORMAL = Thresholds()
SLOW = Thresholds(hold_s=0.6)
SAY = ActionTemplate("publish", "said", "{rule}")
SOFA = Zone("sofa", (0.1, 0.2, 0.5, 0.9), camera="front", min_hand=0.1)
WAKE = WakeGesture("stop", 2.0, Thresholds(hold_s=0.8))


def rule(name: str, *gestures: str, do: ActionTemplate = SAY, **more: Any) -> Rule:
    """A rule by name; keys of `Conditions` go there, the others to the rule itself."""
    when = {key: more.pop(key) for key in list(more) if key in Conditions.__slots__}
    trigger = when.pop("trigger", "gesture")
    return Rule(name, Conditions(trigger, gestures, **when), (do,), more.pop("thresholds", NORMAL), **more)


class Play:
    """Timelines against rules: characters as in `timelines`, ten a second, not smoothed."""

    def __init__(self, *rules: Rule, wake: WakeGesture | None = None, zones: tuple[Zone, ...] = ()) -> None:
        self.pipeline = GesturePipeline(LABELS, smoothing_s=0, rule_set=RuleSet(rules, zones, wake))
        self.why: list[RuleVerdict] = []
        self.at = 0.0

    def show(
        self,
        right: str,
        left: str = "",
        *,
        context: RuleContext | None = None,
        path: dict[float, tuple[float, float]] | None = None,
        **who: Any,
    ) -> list[tuple[float, str]]:
        """(second since the beginning, rule) of all that fired."""
        return [
            (round(a.at, 3), a.rule) for a in self.actions(right, left, context=context, path=path, **who)
        ]

    def actions(
        self,
        right: str,
        left: str = "",
        *,
        context: RuleContext | None = None,
        path: dict[float, tuple[float, float]] | None = None,
        place: Place | None = None,
        **who: Any,
    ) -> list[Action]:
        hands: dict[Hand, str] = {"right": right, "left": left}
        steps = {hand: observations(timeline, hand, **who) for hand, timeline in hands.items()}
        done = []
        for i in range(-1, max(len(right), len(left))):
            frame = [has_changed(row[i], place, path) for row in steps.values() if 0 <= i < len(row)]
            frame = frame or [
                HandObservation(-0.1, who.get("camera", "front"), who.get("person", 0), hand, None)
                for hand in hands
            ]
            frame = [
                HandObservation(r.at + self.at, r.camera, r.person, r.hand, r.scores, r.place) for r in frame
            ]
            done += self.pipeline.process_observations(frame, context or RuleContext(), self.why).actions
        self.at = round(self.at + max(len(right), len(left)) / 10, 3)
        return done

    def reasons(self) -> dict[str, str]:
        """The last verdict on each rule."""
        return {verdict.rule: verdict.reason for verdict in self.why}


def has_changed(
    observation: HandObservation, place: Place | None, path: dict[float, tuple[float, float]] | None
) -> HandObservation:
    """The same somewhere else; `path` jumps from place to place."""
    if observation.scores is None:
        return observation
    if path:
        x, y = path[max(at for at in path if at <= observation.at + 1e-6)]
        place = Place(x, y, 0.2)
    return HandObservation(
        observation.at,
        observation.camera,
        observation.person,
        observation.hand,
        observation.scores,
        place or observation.place,
    )


def sequence(*gestures: str, within_s: float = 2.0, **more: Any) -> Rule:
    return rule("seq", *gestures, trigger="sequence", within_s=within_s, **more)

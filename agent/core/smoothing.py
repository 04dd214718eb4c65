"""Exponential smoothing of probabilities over time, exact for uneven frame rates."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from agent.core.types import NO_GESTURE, Floats, HandObservation

GAP_S = 1.0  # readings further apart than this say nothing about the time between them
_KEEP_S = 10.0  # a hand unheard of for this long is dropped from memory


class Smoother:
    """Averages each hand's scores with a time constant.

    A reading stands for the time since the one before: it weighs 1 - exp(-dt / tau), so twice the
    frame rate gives the same curve. No hand counts as `random`: both are "no gesture". A hand starts
    from no gesture at its first reading, and again after a gap (or a jump back) of more than `GAP_S`.
    """

    def __init__(self, tau_s: float, labels: Sequence[str]) -> None:
        self._tau_s = tau_s
        self._nothing: Floats = np.array([label == NO_GESTURE for label in labels], np.float32)
        self._smooth: dict[tuple[str, int, str], tuple[float, Floats]] = {}  # hand: (stamp, scores)

    def feed(self, observation: HandObservation) -> HandObservation:
        """The same reading with smoothed scores, never None."""
        at, smooth = self._smooth.get(observation.key) or self._new(observation)
        dt = observation.at - at
        if abs(dt) > GAP_S:
            smooth = self._nothing
        elif dt > 0:
            weight = 1 - math.exp(-dt / self._tau_s) if self._tau_s > 0 else 1.0
            smooth = smooth + np.float32(weight) * (self._seen(observation) - smooth)
        if dt > 0 or dt < -GAP_S:  # else late or double: time has moved on
            self._smooth[observation.key] = observation.at, smooth
        return dataclasses.replace(observation, scores=smooth)

    def _new(self, observation: HandObservation) -> tuple[float, Floats]:
        self._smooth = {k: v for k, v in self._smooth.items() if abs(observation.at - v[0]) < _KEEP_S}
        self._smooth[observation.key] = start = observation.at, self._nothing
        return start

    def _seen(self, observation: HandObservation) -> Floats:
        """Scores that are not numbers would stay for ever: they count as no hand."""
        if observation.scores is None or not np.isfinite(observation.scores).all():
            return self._nothing
        return observation.scores

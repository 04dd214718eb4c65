"""Exponential smoothing of probabilities over time, exact for uneven frame rates."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from agent.core.types import NO_GESTURE, Floats, HandObservation

GAP_S = 1.0  # observations further apart than this say nothing about the time between them
_KEEP_S = 10.0  # state of a hand without observations is dropped after this time


class Smoother:
    """Exponential smoothing of each hand's scores, with a time constant.

    An observation stands for the time since the previous one: it weighs 1 - exp(-dt / tau), so the curve does
    not depend on the frame rate. A hand that is not seen counts as `random` ("no gesture"). Smoothing starts
    from "no gesture" at a hand's first observation, and again after a gap (or backward jump) over `GAP_S`.
    """

    def __init__(self, tau_s: float, labels: Sequence[str]) -> None:
        self._tau_s = tau_s
        self._nothing: Floats = np.array([label == NO_GESTURE for label in labels], np.float32)
        self._smooth: dict[tuple[str, int, str], tuple[float, Floats]] = {}  # hand: (stamp, scores)

    def feed(self, observation: HandObservation) -> HandObservation:
        """Return the observation with smoothed scores, never None."""
        at, smooth = self._smooth.get(observation.key) or self._new(observation)
        dt = observation.at - at
        if abs(dt) > GAP_S:
            smooth = self._nothing
        elif dt > 0:
            weight = 1 - math.exp(-dt / self._tau_s) if self._tau_s > 0 else 1.0
            smooth = smooth + np.float32(weight) * (self._seen(observation) - smooth)
        if dt > 0 or dt < -GAP_S:  # otherwise late or duplicate
            self._smooth[observation.key] = observation.at, smooth
        return dataclasses.replace(observation, scores=smooth)

    def _new(self, observation: HandObservation) -> tuple[float, Floats]:
        self._smooth = {k: v for k, v in self._smooth.items() if abs(observation.at - v[0]) < _KEEP_S}
        self._smooth[observation.key] = start = observation.at, self._nothing
        return start

    def _seen(self, observation: HandObservation) -> Floats:
        """Scores that are not finite would persist: they count as no hand."""
        if observation.scores is None or not np.isfinite(observation.scores).all():
            return self._nothing
        return observation.scores

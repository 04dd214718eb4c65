"""Taught gestures: a small linear head on the classifier's embedding that adds or improves gestures.

Formula: softmax([log p, log p_random] + W z), where p are the classifier's probabilities and z its
standardised embedding. A taught gesture k starts from "no gesture" and adds p_random exp(w_k . z) before
normalisation; an improved built-in one is multiplied by exp(w_k . z). W is fitted to the user's examples and
to background hands, whose probabilities are to stay as they are, by multinomial logistic regression with a
ridge penalty that keeps W small, so that it has little effect away from the examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.core.types import NO_GESTURE, Floats, HandDetection

RIDGE = 0.002  # penalty (bench/teach.py); 10x underfits the examples, smaller values do not help
BACKGROUND_WEIGHT = 3.0  # total weight of all background hands, in taught gestures
LIMIT = 4.0  # standard deviations at which features are clipped
LEAST = 1e-6  # lower bound of a probability before the logarithm
LEAST_RANDOM = 0.01  # lower bound of "no gesture", from which a taught gesture starts
STEPS, ENOUGH = 3000, 1e-4  # of gradient descent: maximum steps, gradient at which it stops
FEWEST = 8  # examples of a gesture
FOLDS = 4  # of cross-validation

_Doubles = npt.NDArray[np.float64]
COUNTDOWN_S = 3.0  # seconds to raise the hand before examples are taken from a camera
SPACING_S = 0.2  # seconds between two examples of a camera: closer ones are nearly identical
PATIENCE_S = 30.0  # seconds without a hand after which collecting is given up


@dataclass(frozen=True, slots=True, eq=False)
class HandSamples:
    """Classifier output of N hands: embeddings float32 (N, D), scores float32 (N, built-in labels)."""

    embeddings: Floats
    scores: Floats

    def __len__(self) -> int:
        return len(self.embeddings)

    def joined(self, more: HandSamples) -> HandSamples:
        """Return these samples followed by `more`."""
        return HandSamples(
            np.concatenate([self.embeddings, more.embeddings]), np.concatenate([self.scores, more.scores])
        )

    def rows(self, which: npt.NDArray[np.bool_]) -> HandSamples:
        """Return the samples selected by a boolean mask (N,)."""
        return HandSamples(self.embeddings[which], self.scores[which])


@dataclass(frozen=True, slots=True, eq=False)
class TaughtHead:
    """A fitted head for taught gestures.

    `labels` are the classifier's, in its order, then the taught ones. `weights` is float64 (rows, D + 1).
    """

    labels: tuple[str, ...]
    rows: tuple[int, ...]  # indices of the labels that have weights
    mean: Floats
    scale: Floats
    weights: _Doubles

    def scores(self, base: Floats, embedding: Floats | None) -> Floats:
        """Return probabilities of all labels, float32 (len(labels),), from those of the built-in ones."""
        assert embedding is not None  # a classifier without one gets a `StaleTaughtHead` head  # noqa: S101
        standard = _standard(embedding[None], self.mean, self.scale)
        sums = _sums(_base(base[None], self.labels), standard, self.weights, self.rows)
        return np.asarray(_softmax(sums)[0], np.float32)

    def without(self, name: str, built_in: Sequence[str]) -> TaughtHead:
        """Return the head without one gesture; a built-in one reverts to the classifier's own scores."""
        labels = tuple(label for label in self.labels if label != name or label in built_in)
        kept = [i for i, row in enumerate(self.rows) if self.labels[row] != name]
        rows = tuple(labels.index(self.labels[self.rows[i]]) for i in kept)
        return TaughtHead(labels, rows, self.mean, self.scale, self.weights[kept])


class StaleTaughtHead:
    """Stands in for a head that was taught on another classifier: its gestures have probability 0."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels

    def scores(self, base: Floats, embedding: Floats | None) -> Floats:  # noqa: ARG002 (the shape of `TaughtHead`)
        """Return the classifier's scores, with zeros for the taught labels."""
        return np.concatenate([base, np.zeros(len(self.labels) - len(base), np.float32)])


def largest(hands: Sequence[HandDetection]) -> HandDetection | None:
    """Return the largest hand, taken as the one that is shown; None without hands."""
    return max(hands, key=lambda hand: hand.box.side, default=None)


def with_taught(built_in: Sequence[str], taught: Sequence[str]) -> tuple[str, ...]:
    """Return all labels: the built-in ones in their order, then the taught ones, each once."""
    return tuple(dict.fromkeys([*built_in, *taught]))


def train(
    built_in: Sequence[str], background: HandSamples, examples: HandSamples, names: Sequence[str]
) -> TaughtHead:
    """Fit a head to examples whose gestures are `names`; built-in ones are improved. Deterministic.

    `background` are hands of many shapes; the fit keeps the classifier's scores for them.
    """
    labels = with_taught(built_in, names)
    rows = tuple(sorted({labels.index(name) for name in names}))
    mean = background.embeddings.mean(axis=0)
    scale = background.embeddings.std(axis=0) + np.float32(1e-3)
    everything = np.concatenate([background.embeddings, examples.embeddings])
    base = _base(np.concatenate([background.scores, examples.scores]), labels)
    wanted = np.zeros_like(base)
    wanted[: len(background), : len(built_in)] = background.scores
    wanted[np.arange(len(background), len(base)), [labels.index(name) for name in names]] = 1
    each = BACKGROUND_WEIGHT * len(examples) / max(len(rows), 1) / max(len(background), 1)
    weigh = np.concatenate([np.full(len(background), each), np.ones(len(examples))])
    weights = _descend(base, _standard(everything, mean, scale), wanted, weigh, rows)
    return TaughtHead(labels, rows, mean, scale, weights)


def left_out(
    built_in: Sequence[str], background: HandSamples, examples: HandSamples, names: Sequence[str], name: str
) -> tuple[int, int]:
    """Cross-validate one gesture: (recognised, total) of its examples by heads fitted without them.

    Contiguous stretches are left out, because neighbouring frames of a clip are nearly identical.
    """
    own = np.flatnonzero(np.array([one == name for one in names]))
    right = 0
    for fold in np.array_split(own, min(FOLDS, len(own))):
        keep = np.ones(len(names), bool)
        keep[fold] = False
        if len(fold) == len(own):
            break
        head = train(
            built_in, background, examples.rows(keep), [n for n, k in zip(names, keep, strict=True) if k]
        )
        wanted = head.labels.index(name)
        right += sum(
            int(head.scores(examples.scores[i], examples.embeddings[i]).argmax()) == wanted for i in fold
        )
    return right, len(own)


def _standard(embeddings: Floats, mean: Floats, scale: Floats) -> _Doubles:
    """Standardised features and a bias, (N, D + 1), of length about 1 so that one penalty fits every D."""
    within = np.clip((embeddings.astype(np.float64) - mean) / scale, -LIMIT, LIMIT)
    with_bias = np.concatenate([within, np.ones((len(within), 1))], axis=1)
    return np.asarray(with_bias / np.sqrt(with_bias.shape[1]), np.float64)


def _base(scores: Floats, labels: Sequence[str]) -> _Doubles:
    """Log probabilities of the built-in labels; taught labels get that of "no gesture"."""
    count = scores.shape[1]
    base = np.zeros((len(scores), len(labels)))
    base[:, :count] = np.log(np.maximum(scores.astype(np.float64), LEAST))
    if NO_GESTURE in labels[:count]:
        nothing = scores[:, [labels.index(NO_GESTURE)]].astype(np.float64)
        base[:, count:] = np.log(np.maximum(nothing, LEAST_RANDOM))
    return base


def _sums(base: _Doubles, standard: _Doubles, weights: _Doubles, rows: tuple[int, ...]) -> _Doubles:
    sums = np.array(base, np.float64)
    sums[:, list(rows)] += standard @ weights.T
    return sums


def _softmax(sums: _Doubles) -> _Doubles:
    powers = np.exp(sums - sums.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float64)


def _descend(
    base: _Doubles, standard: _Doubles, wanted: _Doubles, weigh: _Doubles, rows: tuple[int, ...]
) -> _Doubles:
    """Nesterov's accelerated gradient for a convex function whose curvature lies between two known bounds."""
    weighted = standard * weigh[:, None]
    steepest = 0.5 * float(np.linalg.eigvalsh(standard.T @ weighted)[-1]) + RIDGE
    momentum = (np.sqrt(steepest) - np.sqrt(RIDGE)) / (np.sqrt(steepest) + np.sqrt(RIDGE))
    weights = ahead = np.zeros((len(rows), standard.shape[1]))
    for _ in range(STEPS):
        wrong = (_softmax(_sums(base, standard, ahead, rows)) - wanted)[:, list(rows)]
        slope = wrong.T @ weighted + RIDGE * ahead
        before, weights = weights, ahead - slope / steepest
        ahead = weights + momentum * (weights - before)
        if float(np.abs(slope).max()) < ENOUGH:
            break
    return weights

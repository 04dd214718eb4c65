"""Evaluation of predictions: scores by class, and temperature calibration."""

from __future__ import annotations

import numpy as np

from training.gestures.hands.photos import LABELS


def scores(truth: np.ndarray, guess: np.ndarray, least: int = 1) -> dict:
    """Return macro-F1 of the classes with `least` images, their F1 and recall, and the confusion matrix."""
    confusion = np.zeros((6, 6), int)
    np.add.at(confusion, (truth, guess), 1)
    hit = np.diag(confusion).astype(float)
    precision = hit / np.maximum(confusion.sum(0), 1)
    recall = hit / np.maximum(confusion.sum(1), 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    there = confusion.sum(1) >= least
    names = [label for label, judged in zip(LABELS, there, strict=True) if judged]
    return {
        "macro_f1": float(f1[there].mean()),
        "f1": dict(zip(names, f1[there].round(3).tolist(), strict=True)),
        "recall": dict(zip(names, recall[there].round(3).tolist(), strict=True)),
        "confusion": confusion.tolist(),
    }


def fit_temperature(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return the temperature that minimizes the negative log-likelihood on held-out data."""
    logits = np.log(np.clip(probabilities, 1e-7, 1))
    best = (np.inf, 1.0)
    for t in np.exp(np.linspace(np.log(0.4), np.log(3), 60)):
        z = logits / t
        z = z - z.max(1, keepdims=True)
        nll = float((np.log(np.exp(z).sum(1)) - z[np.arange(len(truth)), truth]).mean())
        best = min(best, (nll, float(t)))
    return best[1]

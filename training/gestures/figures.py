"""Plots for the model cards from held-out predictions: confusion, reliability, scores by source."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

from training.gestures.hands.photos import LABELS

mpl.use("Agg")
import matplotlib.pyplot as plt


def confusion(truth: np.ndarray, guess: np.ndarray, target: Path) -> None:
    """Plot the confusion matrix; rows are the truth, shaded by the share of the row."""
    counts = np.zeros((6, 6), int)
    np.add.at(counts, (truth, guess.argmax(1)), 1)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(4.6, 4.2))
    axes.imshow(share, cmap="Greens", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        dark = "white" if share[row, column] > 0.6 else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=dark, fontsize=8)
    axes.set_xticks(range(6), LABELS, rotation=35, ha="right")
    axes.set_yticks(range(6), LABELS)
    axes.set(xlabel="answer", ylabel="truth")
    save(figure, target)


def reliability(truth: np.ndarray, guess: np.ndarray, target: Path, temperature: float) -> float:
    """Plot the reliability before and after calibration; return the calibration error after it (ECE)."""
    figure, axes = plt.subplots(figsize=(4.2, 4))
    axes.plot([0, 1], [0, 1], color="grey", lw=0.8)
    error = 0.0
    for name, t in (("as trained", 1.0), (f"temperature {temperature:.2f}", temperature)):
        z = np.log(np.clip(guess, 1e-7, 1)) / t
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        sure, hit = p.max(1), p.argmax(1) == truth
        place = np.clip((sure * 12).astype(int), 0, 11)
        bins = [
            (sure[place == b].mean(), hit[place == b].mean(), (place == b).mean()) for b in np.unique(place)
        ]
        error = float(sum(abs(s - h) * share for s, h, share in bins))
        axes.plot(*np.array(bins)[:, :2].T, "o-", ms=4, label=f"{name}: error {error:.3f}")
    axes.set(xlabel="probability of the answer", ylabel="share that is right", xlim=(0.2, 1), ylim=(0.2, 1))
    axes.legend()
    save(figure, target)
    return error


def by_source(tables: dict[str, dict], sources: list[str], target: Path) -> None:
    """Plot macro-F1 on each source by heads that were not trained on it."""
    figure, axes = plt.subplots(figsize=(7.5, 3))
    for i, (name, table) in enumerate(tables.items()):
        values = [table[s]["macro_f1"] for s in (*sources, "pooled")]
        wide = 0.8 / len(tables)
        axes.bar(np.arange(len(values)) + wide * (i - (len(tables) - 1) / 2), values, wide, label=name)
    axes.set_xticks(range(len(sources) + 1), [*sources, "all"], rotation=25, ha="right")
    axes.set(ylim=(0.4, 1), ylabel="macro-F1, source held out")
    axes.legend(ncols=len(tables), fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1))
    save(figure, target)


def save(figure: plt.Figure, target: Path) -> None:
    """Save a plot as small PNG."""
    figure.tight_layout()
    figure.savefig(target, dpi=90)
    plt.close(figure)

"""Peak detection in heatmaps with sub-cell precision.

A trained heatmap is a Gaussian of 7 px at a stride of 8 px (TAO's defaults), narrower than a cell, so that
the logarithms of a cell and its neighbours lie on a parabola whose maximum is the joint. This is as precise
as upsampling the map eight times, at almost no cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.core.types import Floats
from agent.inference.bodies.skeleton import JOINTS

SIGMA = 7 / 8  # cells, of a trained heatmap: used where a neighbour lies beyond the border
FLOOR = 0.02  # of the peak: lower neighbours are noise, and the logarithm needs a positive value
MOST = 20  # joints of one kind: limits the time spent on a noisy map

Ints = npt.NDArray[np.int64]
_NEIGHBOURS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """N joints, ordered by kind; `x` and `y` in cells (the first cell spans 0 to 1); all arrays are (N,)."""

    joint: Ints
    x: Floats
    y: Floats
    score: Floats


def find_peaks(heatmaps: Floats, threshold: float) -> Peaks:
    """Return peaks above `threshold` in float32 (height, width, 18 or more), at most `MOST` of a kind."""
    height, width = heatmaps.shape[:2]
    kinds = len(JOINTS)
    framed = np.full((height + 2, width + 2, kinds), -np.inf, np.float32)
    framed[1:-1, 1:-1] = heatmaps[:, :, :kinds]
    cells = framed.reshape(-1)
    row = (width + 2) * kinds
    steps = np.array([y * row + x * kinds for y, x in _NEIGHBOURS])
    tops = np.flatnonzero(cells >= threshold)
    around = cells[tops[:, None] + steps]
    value = cells[tops][:, None]
    # Of equal adjacent cells the first is the peak.
    tops = tops[(around[:, :4] < value).all(axis=1) & (around[:, 4:] <= value).all(axis=1)]
    tops = _best_of_each_kind(tops, cells[tops], kinds)
    ys, xs, joint = np.unravel_index(tops, framed.shape)
    return Peaks(
        joint=np.asarray(joint, np.int64),
        x=(xs - 0.5 + _offset(cells, tops, kinds)).astype(np.float32),
        y=(ys - 0.5 + _offset(cells, tops, row)).astype(np.float32),
        score=np.asarray(cells[tops], np.float32),
    )


def _best_of_each_kind(tops: Ints, values: Floats, kinds: int) -> Ints:
    """Order peaks by kind, then by height."""
    kind = tops % kinds
    order = np.lexsort((-values, kind))
    first = np.searchsorted(kind[order], np.arange(kinds))
    rank = np.arange(len(order)) - first[kind[order]]
    return np.asarray(tops[order[rank < MOST]], np.int64)


def _offset(cells: Floats, tops: Ints, step: int) -> Floats:
    """Offset of the maximum along one axis, -0.5..0.5 cells from the centre of its cell."""
    top, before, after = cells[tops], cells[tops - step], cells[tops + step]
    floor = np.maximum(top * FLOOR, 1e-6)
    middle = np.log(np.maximum(top, 1e-6))
    low, high = (np.log(np.maximum(side, floor)) for side in (before, after))
    bend = 1 / SIGMA**2
    low = np.where(np.isneginf(before), 2 * middle - high - bend, low)
    high = np.where(np.isneginf(after), 2 * middle - low - bend, high)
    curve = np.minimum(low - 2 * middle + high, -1e-6)
    return np.asarray(np.clip((low - high) / (2 * curve), -0.5, 0.5), np.float32)

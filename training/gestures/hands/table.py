"""Table of landmark network outputs with metadata, from which the heads are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

BATCH = 16


class LandmarkNet(Protocol):
    """A landmark network, or several on the same crops."""

    def run(self, crops: np.ndarray) -> NamedTuple:
        """Run on `crops` (N, 224, 224, 3) uint8 RGB; the fields of the result become columns."""


class Table:
    """Builder of a table: crops are processed in batches; the columns are saved as one `.npz`."""

    def __init__(self, net: LandmarkNet) -> None:
        self._net = net
        self._columns: dict[str, list[np.ndarray]] = {}
        self._crops: list[np.ndarray] = []
        self._known: list[dict[str, Any]] = []

    def add(self, crop: np.ndarray, **known: Any) -> None:
        """Add a crop, uint8 (224, 224, 3) RGB, with its metadata; every row has the same keys."""
        self._crops.append(crop)
        self._known.append(known)
        if len(self._crops) == BATCH:
            self._read()

    def save(self, target: Path) -> None:
        """Write the table atomically."""
        if self._crops:
            self._read()
        save(target, {name: np.concatenate(column) for name, column in self._columns.items()})

    def _read(self) -> None:
        seen = self._net.run(np.stack(self._crops))._asdict()
        told = {name: np.array([row[name] for row in self._known]) for name in self._known[0]}
        for name, values in {**seen, **told}.items():
            self._columns.setdefault(name, []).append(values)
        self._crops, self._known = [], []


def save(target: Path, columns: dict[str, np.ndarray]) -> None:
    """Write an `.npz` atomically: an existing file is complete."""
    part = target.with_suffix(".part.npz")
    np.savez(part, **columns)
    part.rename(target)

"""What the landmark net says of crops, beside what is known of each: the rows that heads learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from training.gestures.hands.rois import HandNet

BATCH = 16


class Table:
    """Crops go through the net in batches; the columns end in one `.npz`."""

    def __init__(self, net: HandNet) -> None:
        self._net = net
        self._columns: dict[str, list[np.ndarray]] = {}
        self._crops: list[np.ndarray] = []
        self._known: list[dict[str, Any]] = []

    def add(self, crop: np.ndarray, **known: Any) -> None:
        """A crop, uint8 (224, 224, 3) RGB; every row knows the same things."""
        self._crops.append(crop)
        self._known.append(known)
        if len(self._crops) == BATCH:
            self._read()

    def save(self, target: Path) -> None:
        """See `save`."""
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
    """At once or not at all: whoever finds the file need not ask whether it is whole."""
    part = target.with_suffix(".part.npz")
    np.savez(part, **columns)
    part.rename(target)

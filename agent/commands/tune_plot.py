"""Plot of misses against false activations, as text for the terminal or as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from agent.evaluation import svg

WIDTH, HEIGHT = 60, 14  # characters
SVG_WIDTH, SVG_HEIGHT, MARGIN = 720, 440, 60  # pixels

Mark = Literal["tried", "best", "now"]
_SIGNS = {"tried": ".", "best": "o", "now": "X"}  # drawn in this order: later ones cover earlier ones
_LOOKS = {"tried": ("#999", 3), "best": ("#0a7", 5), "now": ("#c30", 6)}
_LEGEND = {"tried": "tried", "best": "Pareto-optimal", "now": "settings in force"}


@dataclass(frozen=True, slots=True)
class Point:
    """One set of thresholds."""

    x: float
    y: float
    mark: Mark
    name: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Scatter plot; both axes start at 0."""

    points: Sequence[Point]
    x_name: str
    y_name: str

    def as_text(self) -> str:
        """Render as plain ASCII."""
        rows = [[" "] * (WIDTH + 1) for _ in range(HEIGHT + 1)]
        top, right = self._ends()
        for point in self._ordered():
            column, row = round(point.x / right * WIDTH), round(point.y / top * HEIGHT)
            rows[HEIGHT - row][column] = _SIGNS[point.mark]
        labels = [f"{top:.4g}", *[""] * (HEIGHT - 1), "0"]
        edge = max(map(len, labels))
        lines = [f"{label:>{edge}} |{''.join(row)}".rstrip() for label, row in zip(labels, rows, strict=True)]
        return "\n".join(
            [
                self.y_name,
                *lines,
                f"{'':>{edge}} +{'-' * WIDTH}",
                f"{'':>{edge}}  0{self.x_name:^{WIDTH - 8}}{right:>6.4g}",
                "  ".join(f"{_SIGNS[mark]} {words}" for mark, words in _LEGEND.items()),
            ]
        )

    def as_svg(self) -> str:
        """Render as a standalone SVG document; each point shows its thresholds on hover."""
        top, right = self._ends()
        wide, high = SVG_WIDTH - 2 * MARGIN, SVG_HEIGHT - 2 * MARGIN
        low = SVG_HEIGHT - MARGIN
        legend = [
            svg.dot(MARGIN + 10 + 150 * i, 20, 5, _LOOKS[mark][0])
            + svg.text(MARGIN + 22 + 150 * i, 24, words, "start")
            for i, (mark, words) in enumerate(_LEGEND.items())
        ]
        axes = f'<path d="M{MARGIN} {MARGIN}V{low}H{SVG_WIDTH - MARGIN}" stroke="currentColor" fill="none"/>'
        parts = [
            axes,
            svg.text(MARGIN, MARGIN - 12, self.y_name, "start"),
            svg.text(MARGIN + wide / 2, SVG_HEIGHT - 15, self.x_name),
            svg.text(MARGIN - 6, MARGIN + 4, f"{top:.4g}", "end"),
            svg.text(MARGIN - 6, low + 4, "0", "end"),
            svg.text(SVG_WIDTH - MARGIN, low + 18, f"{right:.4g}"),
            *(
                svg.dot(
                    MARGIN + p.x / right * wide,
                    low - p.y / top * high,
                    _LOOKS[p.mark][1],
                    _LOOKS[p.mark][0],
                    p.name,
                )
                for p in self._ordered()
            ),
            *legend,
        ]
        return svg.document(SVG_WIDTH, SVG_HEIGHT, f"{self.y_name} against {self.x_name}", parts) + "\n"

    def _ends(self) -> tuple[float, float]:
        """Upper end of y and of x."""
        return _end(p.y for p in self.points), _end(p.x for p in self.points)

    def _ordered(self) -> list[Point]:
        return sorted(self.points, key=lambda point: list(_SIGNS).index(point.mark))


def _end(values: Iterable[float]) -> float:
    """Largest value; an axis with only zeros still needs a length."""
    return max([0.0, *values]) or 1.0

"""SVG plots of an evaluation, for light and dark backgrounds."""

from __future__ import annotations

from agent.evaluation import svg
from agent.evaluation.calibration import Calibration
from agent.evaluation.figures import Figures

CELL_PX = 64
PLOT_PX = 320
LARGEST_DOT_PX = 14
DASHED = ' stroke-dasharray="4"'
RIGHT = "37, 126, 61"
WRONG = "190, 50, 40"


def confusion_svg(figures: Figures) -> str:
    """Return the confusion matrix as SVG: one row for each true class, shaded by the share of that row."""
    labels = [label for label in figures.confusion if any(figures.confusion[label].values())]
    columns = list(figures.confusion)
    left, top = 110, 40
    parts = [svg.text(left + (x + 0.5) * CELL_PX, 28, column) for x, column in enumerate(columns)]
    for y, label in enumerate(labels):
        row = figures.confusion[label]
        baseline = top + (y + 0.5) * CELL_PX + 5
        parts.append(svg.text(left - 8, baseline, label, "end"))
        for x, column in enumerate(columns):
            share = row[column] / sum(row.values())
            colour = RIGHT if label == column else WRONG
            parts.append(
                f'<rect x="{left + x * CELL_PX}" y="{top + y * CELL_PX}" width="{CELL_PX - 2}" '
                f'height="{CELL_PX - 2}" fill="rgba({colour}, {0.06 + 0.84 * share:.2f})"/>'
            )
            parts.append(svg.text(left + (x + 0.5) * CELL_PX, baseline, str(row[column])))
    size = left + CELL_PX * len(columns), top + CELL_PX * len(labels)
    return svg.document(*size, "confusion matrix", parts)


def reliability_svg(calibration: Calibration) -> str:
    """Return a reliability diagram as SVG; a dot's area is the number of photographs.

    On the diagonal probability equals accuracy; above it the classifier is underconfident. Dashed lines: the
    required confidence of the gestures.
    """
    left, top = 64, 16

    def at(probability: float, accuracy: float) -> tuple[float, float]:
        return left + PLOT_PX * probability, top + PLOT_PX * (1 - accuracy)

    def line(start: tuple[float, float], end: tuple[float, float], opacity: float, more: str = "") -> str:
        (x1, y1), (x2, y2) = at(*start), at(*end)
        ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        return f'<line {ends} stroke="currentColor" stroke-opacity="{opacity}"{more}/>'

    parts = [
        line((0, 0), (1, 1), 0.4),
        *(
            line((asked, 0), (asked, 1), 0.6, DASHED)
            for asked in sorted(set(calibration.confidence.values()))
        ),
    ]
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        parts.append(line((0, tick), (1, tick), 0.12))
        parts.append(svg.text(left - 8, at(0, tick)[1] + 5, f"{tick:g}", "end"))
        parts.append(svg.text(at(tick, 0)[0], top + PLOT_PX + 20, f"{tick:g}"))
    most = max((b.images for b in calibration.bins), default=1)
    for b in calibration.bins:
        (x, y), radius = at(b.probability, b.accuracy), max(2.5, LARGEST_DOT_PX * (b.images / most) ** 0.5)
        words = f"{b.images} photographs said {b.probability:.2f}, {b.accuracy:.2f} right"
        parts.append(svg.dot(x, y, radius, f"rgba({RIGHT}, 0.75)", words))
    x, y = at(0.5, 0.5)
    parts.append(svg.text(x, top + PLOT_PX + 42, "probability of the answer"))
    parts.append(svg.text(16, y, "share that is right", more=f' transform="rotate(-90 16 {y:g})"'))
    return svg.document(left + PLOT_PX + 24, top + PLOT_PX + 56, "reliability", parts)

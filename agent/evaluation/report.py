"""HTML report of an evaluation: figures, confusion matrix, thumbnails of the most confident errors."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path

import cv2
import numpy as np

from agent.config.sources import shown
from agent.core.types import Image
from agent.evaluation.figures import Figures
from agent.evaluation.judge import PhotographResult
from agent.evaluation.plots import confusion_svg, reliability_svg
from agent.evaluation.report_text import in_words
from agent.evaluation.result import Evaluation
from agent.picture_file import read_picture

THUMB_PX = 168
WORST = 120  # thumbnails on the page

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .2rem .8rem; text-align: right }
th:first-child { text-align: left } tr + tr { border-top: 1px solid #8884 }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(168px, 1fr)); gap: .6rem }
figure { margin: 0 } figure img { width: 100% } figcaption { font-size: .8rem }
"""


def thumbnail(verdict: PhotographResult) -> bytes:
    """Return a JPEG thumbnail of a photograph with the deciding box drawn."""
    image: Image = np.ascontiguousarray(read_picture(verdict.photograph.path))
    if verdict.box is not None:
        thickness = max(2, image.shape[1] // 200)
        cv2.polylines(image, [verdict.box.corners().astype(np.int32)], True, (60, 60, 230), thickness)
    scale = THUMB_PX / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes())


def _figure(verdict: PhotographResult) -> str:
    data = base64.b64encode(thumbnail(verdict)).decode()
    said = verdict.predicted if verdict.box is not None else "no hand found"
    caption = f"{verdict.photograph.label} taken for <b>{said}</b> {verdict.probability:.2f}"
    name = escape(shown(Path(verdict.photograph.path.name)))
    image = f'<img alt="{name}" src="data:image/jpeg;base64,{data}">'
    return f"<figure>{image}<figcaption>{caption}<br>{name}</figcaption></figure>"


def _class_rows(figures: Figures) -> str:
    return "".join(
        f"<tr><th>{escape(label)}</th><td>{c.precision:.3f}</td><td>{c.recall:.3f}</td>"
        f"<td>{c.f1:.3f}</td><td>{c.support}</td></tr>"
        for label, c in figures.per_class.items()
    )


def _source_rows(sources: Mapping[str, Figures]) -> str:
    return "".join(
        f"<tr><th>{escape(name or '(none)')}</th><td>{f.images}</td><td>{f.found / max(1, f.images):.1%}</td>"
        f"<td>{f.accuracy:.3f}</td><td>{f.macro_f1:.3f}</td></tr>"
        for name, f in sources.items()
    )


def write_report(folder: Path, result: Evaluation) -> Path:
    """Write a self-contained `index.html` into `folder` and return its path.

    The page contains thumbnails of the photographs: keep it as private as they are. The diagrams are also
    written as `confusion.svg` and `reliability.svg`, which show no person.
    """
    figures, title = result.figures, f"{result.model}, {result.stage}"
    confusion, reliability = confusion_svg(figures), reliability_svg(result.calibration)
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style><h1>{escape(title)}</h1>'
        f"<p>{figures.images} photographs, a hand found in {figures.found / max(1, figures.images):.1%}, "
        f"macro-F1 <b>{figures.macro_f1:.3f}</b>, accuracy {figures.accuracy:.3f}.</p>"
        "<table><tr><th>class</th><th>precision</th><th>recall</th><th>F1</th><th>support</th></tr>"
        f"{_class_rows(figures)}</table><h2>Confusion</h2><p>Rows: the truth. Columns: the answer.</p>"
        f"{confusion}<h2>Reliability</h2><p>{escape(in_words(result.calibration)).capitalize()}.</p>"
        f"{reliability}<h2>By source</h2>"
        "<table><tr><th>source</th><th>images</th><th>found</th><th>accuracy</th><th>macro-F1</th></tr>"
        f"{_source_rows(result.sources)}</table><h2>The surest mistakes ({len(result.mistakes)} in all)</h2>"
        f'<div class="sheet">{"".join(_figure(v) for v in result.mistakes[:WORST])}</div>'
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "confusion.svg").write_text(confusion, encoding="utf-8")
    (folder / "reliability.svg").write_text(reliability, encoding="utf-8")
    path = folder / "index.html"
    path.write_text(page, encoding="utf-8")
    return path

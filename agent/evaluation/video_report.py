"""HTML report of a video evaluation, with a picture of every false positive."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

import cv2
import numpy as np

from agent.core.types import Image
from agent.evaluation.clip_judge import Start
from agent.evaluation.report import STYLE
from agent.evaluation.video_report_text import COLUMNS, RATE, an_hour, in_words
from agent.evaluation.video_result import VideoResult

PICTURE_PX = 480  # longer side on the page
RED = (60, 60, 230)
SHEET = ".sheet { grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)) }"
HELD = {
    "raised": "raised {:.2f}", "lean": "lean {:.0f}°", "facing": "facing {:.0f}°",
    "forearm": "forearm {:.0f}°", "upright": "upright {:.0f}°",
    "to_face": "to the face {:.2f}", "to_hand": "to a hand {:.2f}",
}  # fmt: skip


def picture(image: Image, start: Start) -> Image:
    """Return a small copy of a frame with a square around the hand."""
    height, width = image.shape[:2]
    scale = min(1.0, PICTURE_PX / max(height, width))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if place := start.observation.place:
        x, y = place.x_share * width * scale, place.y_share * height * scale
        half = place.height_share * height * scale / 2
        corner = round(x - half), round(y - half)
        cv2.rectangle(small, corner, (round(x + half), round(y + half)), RED, 2)
    return np.asarray(small, np.uint8)


def write_video_report(folder: Path, result: VideoResult) -> Path:
    """Write a self-contained `index.html` into `folder` and return its path.

    It shows people at every false positive: keep it as private as the videos are.
    """
    wrong = [s for one in result.judged for s in one.starts if s.kind != "right"]
    kinds = {
        name or "(none)": [str(r.clips), f"{r.idle_s / 60:.1f}", str(r.starts), an_hour(r)]
        for name, r in result.kinds.items()
    }
    gestures = {g: [str(c.get(column, 0)) for column in COLUMNS] for g, c in result.by_gesture.items()}
    reasons = {reason: list(map(str, counts.values())) for reason, counts in result.by_reason.items()}
    title = f"{result.model}, {len(result.judged)} videos at {result.fps:g} frames a second"
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}{SHEET}</style>'
        f"<h1>{escape(title)}</h1>{''.join(f'<p>{escape(line)}.</p>' for line in in_words(result))}"
        f"{_rows('By kind of clip', ('kind', *RATE), kinds)}"
        f"{_rows('By gesture', ('gesture', *COLUMNS), gestures)}"
        f"{_rows('By what kept gestures back', ('setting', 'while idle', 'missed'), reasons)}"
        f"<h2>Starts that nobody meant ({len(wrong)})</h2>"
        f'<div class="sheet">{"".join(map(_figure, wrong))}</div>'
        f"<h2>Missed ({result.counts['missed']})</h2><ul>{''.join(_misses(result))}</ul>"
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "index.html"
    path.write_text(page, encoding="utf-8")
    return path


def _rows(title: str, columns: Iterable[str], rows: Mapping[str, Iterable[str]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        f"<tr><th>{escape(name)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        for name, cells in rows.items()
    )
    return f"<h2>{escape(title)}</h2><table><tr>{head}</tr>{body}</table>"


def _figure(start: Start) -> str:
    name = escape(start.clip.path.name)
    image = ""
    if start.picture is not None:
        jpeg = cv2.imencode(".jpg", start.picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
        image = f'<img alt="{name}" src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}">'
    caption = (
        f"{start.kind}: <b>{escape(start.gesture)}</b> {start.score:.2f}, {start.at_s:.1f} s<br>{name}<br>"
    )
    return f"<figure>{image}<figcaption>{caption}{escape(held(start))}</figcaption></figure>"


def held(start: Start) -> str:
    """Return the known posture measurements of a start as text."""
    posture, speed = start.observation.posture, start.observation.speed
    told = [
        words.format(value) for name, words in HELD.items() if (value := getattr(posture, name)) is not None
    ]
    told += ["no body in view"] if posture.bodiless else []
    return ", ".join([*told, *([] if speed is None else [f"{speed:.1f} widths/s"])])


def _misses(result: VideoResult) -> Iterable[str]:
    for one in result.judged:
        for miss in one.missed:
            yield f"<li>{escape(miss.span.gesture)}, {escape(one.clip.path.name)}: {escape(miss.words)}</li>"

"""SVG documents for plots: legible on light and dark backgrounds, without a plotting library."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

STYLE = (
    "<style>svg{color:#1f2328}text{font:13px system-ui,sans-serif;fill:currentColor}"
    "@media (prefers-color-scheme:dark){svg{color:#e6edf3}}</style>"
)


def document(width: float, height: float, name: str, parts: Iterable[str]) -> str:
    """Return an SVG document of `parts`, in px; `name` is what screen readers say."""
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(name)}">'
    return "".join([head, STYLE, *parts, "</svg>"])


def text(x: float, y: float, words: str, anchor: str = "middle", more: str = "") -> str:
    """Return a text element at x, y px by its `anchor` (start, middle, end); `more`: further attributes."""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def dot(x: float, y: float, radius: float, fill: str, title: str = "") -> str:
    """Return a filled circle, in px; `title` is shown when the pointer rests on it."""
    shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{fill}"'
    return f"{shape}><title>{escape(title)}</title></circle>" if title else f"{shape}/>"

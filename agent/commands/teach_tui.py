"""Terminal view of `teach`: live image, countdown and number of examples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import cv2
import numpy as np
import typer

from agent.commands.output import is_fancy

if TYPE_CHECKING:
    from agent.commands.collect import Show
    from agent.core.types import HandDetection, Image

COLUMNS = 64  # two pixels per character, one above the other
HAND_COLOUR = (80, 220, 80)  # BGR
SKIPPED_EVERY = 25  # images without a hand between two such lines
EVERY = 5  # examples between two lines of plain text


@contextmanager
def screen(gesture: str, wanted: int | None) -> Iterator[Show]:
    """Return a live view where the terminal has true colours, else plain lines on stderr."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True)
    if not (is_fancy() and console.color_system == "truecolor"):
        yield _lines(gesture, wanted)
        return
    with Live(console=console, refresh_per_second=15, transient=True) as live:

        def show(image: Image, hand: HandDetection | None, wait_s: float, taken: int) -> None:
            picture = Text.from_ansi(half_blocks(framed(image, hand), COLUMNS))
            live.update(Group(picture, Text(status(gesture, hand, wait_s, taken, wanted), style="bold")))

        yield show


def status(gesture: str, hand: HandDetection | None, wait_s: float, taken: int, wanted: int | None) -> str:
    """Build the status line."""
    if wait_s > 0:
        return f"{gesture}: show it in {math.ceil(wait_s)} s"
    if wanted is None:
        return f"{gesture}: {taken} hands found"
    return f"{gesture}: {taken} of {wanted} taken; " + (
        "turn and move your hand a little" if hand else "no hand is seen"
    )


def framed(image: Image, hand: HandDetection | None) -> Image:
    """Return the image with a box around the hand."""
    if hand is None:
        return image
    drawn = image.copy()
    corners = np.round(hand.box.corners()).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(drawn, [corners], True, HAND_COLOUR, max(2, image.shape[1] // 100))
    return np.asarray(drawn, np.uint8)


def half_blocks(image: Image, columns: int) -> str:
    """Render as ANSI text: each character is an upper half block whose two colours are two pixels."""
    height, width = image.shape[:2]
    lines = max(1, round(columns * height / width / 2))
    small = cv2.resize(image, (columns, 2 * lines), interpolation=cv2.INTER_AREA)[..., ::-1]
    rows = []
    for upper, lower in zip(small[0::2].tolist(), small[1::2].tolist(), strict=True):
        cells = [
            f"\x1b[38;2;{a[0]};{a[1]};{a[2]};48;2;{b[0]};{b[1]};{b[2]}m\u2580"
            for a, b in zip(upper, lower, strict=True)
        ]
        rows.append("".join(cells) + "\x1b[0m")
    return "\n".join(rows)


def _lines(gesture: str, wanted: int | None) -> Show:
    told = [""]
    skipped = 0

    def show(_image: Image, hand: HandDetection | None, wait_s: float, taken: int) -> None:
        nonlocal skipped
        if hand is None and wait_s <= 0:
            skipped += 1
            if skipped % SKIPPED_EVERY == 0:
                typer.echo(f"{gesture}: {taken} hands found; {skipped} pictures show none", err=True)
            return
        line = status(gesture, hand, wait_s, taken, wanted)
        if line != told[0] and (wait_s > 0 or (hand and (taken % EVERY == 0 or taken == wanted))):
            typer.echo(line, err=True)
            told[0] = line

    return show

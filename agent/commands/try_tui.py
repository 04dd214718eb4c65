"""Terminal view of `rules try`."""

from __future__ import annotations

import datetime as dt
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from agent.commands.keyboard_simulator import KeyboardSimulator
from agent.errors import CannotStart

FRAME_S = 0.05  # 20 frames per second, as from a camera
BAR = 20  # characters
_STYLES = {"gesture": "cyan", "fired": "bold green", "refused": "yellow"}


def play(simulator: KeyboardSimulator, source: Path) -> None:
    """Run until a key quits. Raises `CannotStart` without a terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CannotStart("rules try: needs a terminal for the keys; `rules test` runs without one")
    console = Console()
    with _every_key() as descriptor, Live(console=console, auto_refresh=False) as live:
        on = True
        while on:
            simulator.advance(time.monotonic(), dt.datetime.now().astimezone().time())
            live.update(picture(simulator, source), refresh=True)
            on = _take_keys(simulator, descriptor)


def picture(simulator: KeyboardSimulator, source: Path) -> Group:
    """Render the hands, pending gestures, and the notes, newest last."""
    keys = "  ".join(f"{key} {gesture}" for key, gesture in simulator.keys.items())
    zone = simulator.zone.name if simulator.zone else "none"
    hands = Table.grid(padding=(0, 2))
    for hand, gesture in simulator.shown.items():
        marker = ">" if hand == simulator.hand else " "
        hands.add_row(
            f"{marker} {hand} hand", Text(gesture or "not seen", style="bold" if gesture else "dim")
        )
    for forming in simulator.pending():
        done = round(forming.progress * BAR)
        hands.add_row(f"  {forming.gesture}", "#" * done + "." * (BAR - done))
    notes = [
        Text(f"{note.at_s:7.1f} s  {note.text}", style=_STYLES[note.kind]) for note in simulator.notes
    ] or [Text("           press a key", style="dim")]
    return Group(
        Text(f"{source}: nothing is sent", style="dim"),
        Text(f"{keys}  space no hand  Tab other hand  z zone  q end"),
        hands,
        Text(f"  camera {simulator.camera}, zone {zone}"),
        *notes,
    )


def _take_keys(simulator: KeyboardSimulator, descriptor: int) -> bool:
    """Process all keys within one frame; False when one quits."""
    ends = time.monotonic() + FRAME_S
    while (left := ends - time.monotonic()) > 0:
        if select.select([descriptor], [], [], left)[0]:
            typed = os.read(descriptor, 64).decode(errors="ignore")
            if not typed or not all(map(simulator.press, typed)):
                return False
    return True


@contextmanager
def _every_key() -> Iterator[int]:
    """Read keys unbuffered and without echo; Ctrl-C quits."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield descriptor
    except KeyboardInterrupt:
        return
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

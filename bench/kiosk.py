"""Benchmark of the latency from a frame to the reaction of the kiosk page in a browser.

    python bench/kiosk.py [CLIP] [--seconds 60] [--browsers 1]

The whole daemon plays CLIP (default: the rendered one) at its own pace, a real Chromium has the example kiosk
open. The message of a gesture carries the time at which the last frame of its hold was captured; the page
notes, by the same machine's clock, when it heard the message, when it had acted on it, and when the browser
was about to draw its next picture.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from running import CLIP, agent_on

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/web"))

from browser import Tab, chromium, program  # noqa: E402 (the same Chromium that the tests drive)

NOTES = """(async () => {
  const { GestureClient } = await import("/static/gesture-client.js");
  window.notes = [];
  const now = () => performance.timeOrigin + performance.now();
  const client = new GestureClient();
  const at = new Map();
  client.addEventListener("fired", ({ detail: { ts_ms: ts, latency_ms: agent } }) => {
    at.set(ts, { agent, heard: now() - ts });
  });
  client.start();
  document.addEventListener("kiosk-acted", ({ detail: { ts_ms: ts } }) => {
    const acted = now() - ts;
    requestAnimationFrame(() => notes.push({ ts, acted, drawn: now() - ts }));
  });
  const known = ({ ts }) => at.has(ts);
  window.results = () => notes.filter(known).map((note) => ({ ...note, ...at.get(note.ts) }));
})()"""


@contextmanager
def kiosk_of(clip: Path, folder: Path) -> Iterator[str]:
    """Start an agent and return the URL of its page."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with agent_on(clip, folder, "mqtt://127.0.0.1:9", f"[web]\nenabled = true\nport = {port}\n"):
        yield f"http://127.0.0.1:{port}/"


def show(tab: Tab, url: str) -> None:
    """Open the kiosk and record times."""
    tab.size(1280, 720)
    tab.go(f"{url}kiosk")
    tab.run(NOTES)


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("clip", type=Path, nargs="?", default=CLIP)
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--browsers", type=int, default=1, help="kiosks that are open at once")
    given = options.parse_args()
    console = Console(width=110)
    if program() is None:
        sys.exit("no Chromium here; `make bench-web` installs it")
    with (
        tempfile.TemporaryDirectory() as name,
        kiosk_of(given.clip.resolve(), Path(name)) as url,
        chromium() as browser,
    ):
        tabs = [browser.tab() for _ in range(given.browsers)]
        for tab in tabs:
            show(tab, url)
        time.sleep(given.seconds)
        notes = [note for tab in tabs for note in tab.run("results()")]
    if not notes:
        sys.exit("no gesture was seen; is this machine busy, or the clip too short?")
    table = Table("from the frame's capture until", "p50 ms", "p95 ms", "max ms", title_justify="left")
    table.title = f"{len(notes)} gestures, {given.browsers} kiosks, load {os.getloadavg()[0]:.1f}"
    for key, words in (
        ("agent", "the agent sent the message"),
        ("heard", "the page heard it"),
        ("acted", "the page had acted"),
        ("drawn", "the browser drew the next picture"),
    ):
        spent = [note[key] for note in notes]
        table.add_row(words, *(f"{value:.1f}" for value in (*np.percentile(spent, (50, 95)), max(spent))))
    console.print(table)
    console.print(json.dumps({"drawn_ms": [round(note["drawn"], 1) for note in notes]}))


if __name__ == "__main__":
    main()

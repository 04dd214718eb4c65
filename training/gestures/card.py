"""Writes measured results into the model cards: tables between marks, and plots."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

SHIPPED = "shipped"  # its row in figures.json
ROWS = {
    "photographs": "photographs of the other sources, one head",
    "posed": "rendered hands that pose, one head",
    "rendered": "rendered hands that pose and that live, one head",
    "both": "all three, one head",
    SHIPPED: "**rendered hands, three heads: the shipped ones**",
}


def write_between(card: Path, name: str, text: str) -> None:
    """Put text between the marks `<!-- name -->` and `<!-- /name -->`. Raises `SystemExit` without them."""
    old = card.read_text(encoding="utf-8")
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not marks.search(old):
        raise SystemExit(
            f"{card}: put `<!-- {name} -->` and `<!-- /{name} -->` where the figures shall stand"
        )
    card.write_text(marks.sub(lambda m: f"{m[1]}\n{text}\n\n{m[2]}", old), encoding="utf-8")


def renew_sum(manifest: Path, file: Path) -> None:
    """Update the sha256 in the manifest of a file."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    text = manifest.read_text()
    manifest.write_text(re.sub(r'(?m)^sha256 = "[0-9a-f]{64}"', f'sha256 = "{digest}"', text))


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Format a table in Markdown."""
    head = list(head)
    lines = [head, ["---"] * len(head), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def by_class(scores: dict) -> str:
    """Format F1 by class in words."""
    return ", ".join(f"{label} {value:.3f}" for label, value in scores["f1"].items())


def landmark(work: Path, engine: Path) -> None:
    """Write the card of gesturenet-landmark, from the results of `loso` and `landmark`."""
    from training.gestures.figures import by_source, confusion, reliability

    tables = json.loads((work / "figures.json").read_text())
    tones = json.loads((work / "tones.json").read_text())
    by_tone = ", ".join(f"{row['accuracy']:.2f}" for row in tones)
    unseen = np.load(work / f"held-out-{SHIPPED}.npz")
    temperature = tables[SHIPPED]["temperature"]
    confusion(unseen["truth"], unseen["guess"], engine / "confusion.png")
    error = reliability(unseen["truth"], unseen["guess"], engine / "reliability.png", temperature)
    sources = [s for s in tables[SHIPPED] if s not in {"pooled", "temperature"}]
    by_source(tables, sources, engine / "sources.png")
    rows = [
        [ROWS[name], *(f"{figures[s]['macro_f1']:.3f}" for s in ("pooled", *sources))]
        for name, figures in tables.items()
    ]
    write_between(
        engine / "README.md",
        "figures",
        f"{table(['trained on', 'all', *sources], rows)}\n\n"
        f"Macro-F1 of {len(unseen['truth']):,} judgements. F1 by class, `{SHIPPED}`: "
        f"{by_class(tables[SHIPPED]['pooled'])}.\n\n"
        f"Temperature {temperature:.2f}; expected calibration error after it {error:.3f}.\n\n"
        f"Accuracy by skin tone, light to dark, on {sum(row['hands'] for row in tones):,} readings of "
        f"rendered hands that were held out: {by_tone}.",
    )


def gesturenet(work: Path, engine: Path) -> None:
    """Write the card of GestureNet, from the results of `gesturenet`."""
    from training.gestures.figures import confusion, reliability

    files = json.loads((work / "gesturenet.json").read_text())
    temperature = files.pop("temperature")
    unseen = np.load(work / "gesturenet-held-out.npz")
    confusion(unseen["truth"], unseen["guess"], engine / "confusion.png")
    error = reliability(unseen["truth"], unseen["guess"], engine / "reliability.png", temperature)
    sources = [s for s in next(iter(files.values())) if s not in {"bytes", "ms"}]
    rows = [
        [
            name,
            *(f"{row[s]['macro_f1']:.3f}" for s in sources),
            f"{row['bytes'] / 1e6:.1f} MB",
            " / ".join(f"{ms:.1f}" for ms in row["ms"]),
        ]
        for name, row in files.items()
    ]
    first = next(iter(files.values()))
    counts = {s: int((unseen["source"] == s).sum()) for s in sources}
    head = ["file", *(f"{s} ({counts[s]})" for s in sources), "size", "ms, 1 / 2 threads"]
    classes = "\n".join(f"* {s}: {by_class(first[s])}" for s in sources)
    write_between(
        engine / "README.md",
        "figures",
        f"{table(head, rows)}\n\nF1 by class:\n\n{classes}\n\n"
        f"Temperature {temperature:.2f}; expected calibration error after it {error:.3f}.",
    )

"""Renders the background examples for taught gestures: hands of every kind, in one sheet.

    python training/synthetic/hands/render.py --mesh WORK/right.glb

The mesh is the one that `python -m training.gestures mesh` fetches; needs what training/gestures needs.
Writes hands.webp and hands.json beside this file. Seeded: the same machine makes the same hands.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[3]
HERE = ROOT / "engines/rendered-hands"
sys.path.insert(0, str(ROOT))

from training.gestures.hands.photos import jittered  # noqa: E402
from training.gestures.hands.poses import KINDS  # noqa: E402
from training.gestures.hands.render import Renderer  # noqa: E402
from training.gestures.hands.rois import roi_from_landmarks  # noqa: E402
from training.gestures.hands.rooms import made_up  # noqa: E402

HANDS, ROOMS, SIDE, COLUMNS, SEED = 640, 60, 144, 26, 2024
QUALITY = 75  # WebP: 0.9 MB in all


def main() -> None:
    """Render the sheet."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--mesh", type=Path, required=True)
    renderer, rng = Renderer(options.parse_args().mesh), np.random.default_rng(SEED)
    names, shares = list(KINDS), np.array([kind.share for kind in KINDS.values()])
    kinds = rng.choice(names, HANDS, p=shares / shares.sum())
    rooms = [made_up(rng) for _ in range(ROOMS)]
    sheet = np.zeros((-(-HANDS // COLUMNS) * SIDE, COLUMNS * SIDE, 3), np.uint8)
    lines = []
    for number, kind in enumerate(kinds):
        row = renderer.picture(str(kind), rng, rooms)
        roi = jittered(roi_from_landmarks(row["points"]), rng)
        scale = SIDE / row["image"].shape[0]
        y, x = number // COLUMNS * SIDE, number % COLUMNS * SIDE
        small = cv2.resize(row["image"], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        sheet[y : y + SIDE, x : x + SIDE] = small[..., ::-1]
        box = [round(float(v), 3) for v in (roi.cx * scale, roi.cy * scale, roi.side * scale, roi.angle)]
        lines.append(json.dumps({"kind": str(kind), "box": box}))
    _, packed = cv2.imencode(".webp", sheet, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    (HERE / "hands.webp").write_bytes(packed.tobytes())
    listed = ",\n ".join(lines)
    text = f'{{"side_px": {SIDE}, "columns": {COLUMNS}, "hands": [\n {listed}\n]}}\n'
    (HERE / "hands.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

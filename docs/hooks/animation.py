"""Make docs/images/demo.webp: the web page in a real Chromium while the demo plays its rendered clip.

`make animation` runs it. The page shows the rendered person because the demo turns the preview on.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/web"))

from browser import chromium  # noqa: E402 (the path above)

WINDOW = (1000, 700)  # pixels
SHOWN = (750, 525)
SECONDS, EVERY_S = 15.5, 0.25  # one round of the clip
QUALITY = 55


def main() -> None:
    """Start the demo, take a picture of the page every `EVERY_S`, write the animation."""
    command = [sys.executable, "-m", "agent", "demo", "--web", "--source", "tests/data/demo.mp4"]
    demo = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "GESTURE_AGENT__WEB__PORT": "0", "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        url = next(
            found[0] for line in demo.stdout or () if (found := re.search(r"http://[\w.:]+/\S*", line))
        )
        frames, took_ms = _frames(url)
    finally:
        demo.terminate()
        demo.wait()
    animation = cv2.Animation()
    animation.frames, animation.durations = frames, np.array(took_ms, dtype=np.int32)
    out = ROOT / "docs/images/demo.webp"
    cv2.imwriteanimation(str(out), animation, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    sys.stdout.write(f"{out}: {len(frames)} frames, {out.stat().st_size / 1e3:.0f} kB\n")


def _frames(url: str) -> tuple[list[np.ndarray], list[int]]:
    frames, times = [], []
    with chromium() as browser:
        tab = browser.tab()
        tab.size(*WINDOW)
        tab.go(url)
        tab.until("document.body.innerText.includes('Two')", "the last gesture of a round")
        began = time.monotonic()
        while (now := time.monotonic()) < began + SECONDS:
            shot = base64.b64decode(tab.send("Page.captureScreenshot", format="jpeg", quality=90)["data"])
            image = cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR)
            frames.append(cv2.resize(image, SHOWN, interpolation=cv2.INTER_AREA))
            times.append(now)
            time.sleep(max(0.0, EVERY_S - (time.monotonic() - now)))
    ends = [*times[1:], times[-1] + EVERY_S]
    return frames, [round(1000 * (end - start)) for start, end in zip(times, ends, strict=True)]


if __name__ == "__main__":
    main()

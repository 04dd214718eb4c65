"""What a person does on a page of ours, and what stands in front of the camera meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from browser import PATIENCE_S, Tab
from daemons import CLIP
from film import ROOT
from real_cameras import MjpegServer

AXE = Path(os.environ.get("GESTURE_AGENT_AXE", ROOT / ".venv/axe/node_modules/axe-core/axe.min.js"))
CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
EACH = 2  # times that the server sends a frame: it sends one every 30 ms, the clip has 15 a second


def camera_of_clip(part: slice) -> MjpegServer:
    """A network camera in front of which a part of the clip happens again and again."""
    video = cv2.VideoCapture(str(CLIP))
    frames = []
    while (read := video.read())[0]:
        frames.append(cv2.imencode(".jpg", np.asarray(read[1]))[1].tobytes())
    shown = frames[part]
    server = MjpegServer()
    server.shows = lambda number: shown[number // EACH % len(shown)]
    return server


def write(tab: Tab, field: str, text: str) -> None:
    tab.run(f"document.getElementById({field!r}).focus()")
    tab.run(f"document.getElementById({field!r}).select()")
    tab.send("Input.insertText", text=text)


def press(tab: Tab, button: str) -> None:
    tab.run(f"document.getElementById({button!r}).click()")


def pick(tab: Tab, name: str, value: str) -> None:
    tab.run(f"document.querySelector('[name={name}][value=\"{value}\"]').click()")


def said(tab: Tab, place: str, words: str, patience_s: float = PATIENCE_S) -> None:
    text = f"(document.getElementById({place!r})?.textContent ?? '')"
    try:
        tab.until(f"{text}.includes({words!r})", f"{words!r} in #{place}", patience_s)
    except AssertionError as exc:
        raise AssertionError(f"{exc}; there is {tab.run(text)!r}") from exc


def faults(tab: Tab) -> list[object]:
    """What axe-core and our own look at contrast find; contrast alone where axe-core is not here."""
    poor: list[object] = tab.run(CONTRAST)
    if not AXE.exists():
        return poor
    tab.run(AXE.read_text(encoding="utf-8") + "; true")
    found = tab.run("axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations)")
    return poor + [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in found]

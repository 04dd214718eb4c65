"""What the tests of this folder share."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np

from agent.core.types import Image

FETCHED = ("pose-detector", "pose-landmark", "palm-detector", "hand-landmark")
JOINED = """
name = "joined"
task = "gesture"
summary = "for tests"
license = "Apache-2.0"
labels = ["thumbs_up", "fist", "stop", "ok", "two", "random"]
[source]
kind = "join"
base = "hand-landmark"
head = "head.onnx"
sha256 = "{sha256}"
[input]
name = "input_1"
shape = ["N", 3, 224, 224]
angle = "crop_angle"
[output]
scores = "activation_18"
landmarks = "landmarks"
presence = "presence"
handedness = "handedness"
"""


def write_joined(engines: Path, head: bytes) -> None:
    folder = engines / "joined"
    folder.mkdir(exist_ok=True)
    (folder / "head.onnx").write_bytes(head)
    text = JOINED.format(sha256=hashlib.sha256(head).hexdigest())
    (folder / "manifest.toml").write_text(text, encoding="utf-8")


def picture(path: Path) -> Image:
    read = cv2.imread(str(path))
    assert read is not None, path
    return np.asarray(read, np.uint8)

"""Frames that cost no memory, for tests in which nobody looks at the picture."""

from __future__ import annotations

import numpy as np

from agent.core.types import Frame


def black_frame(camera: str, at: float, width: int = 640, height: int = 480) -> Frame:
    """One black pixel, as wide and high as wanted."""
    return Frame(camera, 0, at, np.broadcast_to(np.zeros(3, np.uint8), (height, width, 3)))

"""One picture of a camera: drawn in a terminal, written into a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from agent.commands.output import is_fancy
from agent.commands.teach_tui import half_blocks
from agent.config.atomic_file import write_atomic
from agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from agent.core.types import Image


def in_terminal(image: Image, columns: int) -> str | None:
    """The picture as coloured text; None where the terminal has no true colours, or stdout is none."""
    from rich.console import Console

    if not (is_fancy() and Console().color_system == "truecolor"):
        return None
    return half_blocks(image, columns)


def write_picture(image: Image, path: Path) -> None:
    """In the format of its suffix, readable by its owner only. Raises `ConfigError`."""
    encoded, data = cv2.imencode(path.suffix.lower(), image)
    if not encoded:
        raise ConfigError(f"{path}: the picture could not be encoded")
    write_atomic(path, data.tobytes(), 0o600)

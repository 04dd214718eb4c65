"""One picture of a camera: read, drawn in a terminal, written into a file."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import cv2

from agent.capture.source import open_source, public_name
from agent.commands.output import is_fancy
from agent.commands.teach_tui import half_blocks
from agent.config.atomic_file import write_atomic
from agent.errors import ConfigError, EndOfSource, LostForNow

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config.settings import CameraSettings
    from agent.core.types import Image

LIMIT_S = 10.0  # for the first picture: a network stream needs two or three
SETTLE = 8  # pictures until a camera's exposure has settled; clips and streams are not waited for


def first_frame(settings: CameraSettings) -> Image:
    """uint8 (H, W, 3) BGR, turned as the settings say. Raises `ConfigError` with the reason."""
    source = open_source(settings, "shown")
    timer = threading.Timer(LIMIT_S, source.interrupt)
    timer.start()
    try:
        source.open()
        frame = source.read()
        for _ in range(SETTLE if settings.source.startswith("v4l2:") else 0):
            frame = source.read()
    except EndOfSource as exc:
        raise ConfigError(f"{public_name(settings.source)}: there is not a single picture in it") from exc
    except LostForNow as exc:
        raise ConfigError(str(exc)) from exc
    finally:
        timer.cancel()
        source.close()
    return frame.image


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

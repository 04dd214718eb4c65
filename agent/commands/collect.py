"""Collects example hands for teaching from a camera, a clip or folders of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import structlog

from agent.capture.source import IMAGE_SUFFIXES, open_source, public_name
from agent.config.regular_file import visible_files
from agent.config.sources import shown
from agent.core.taught import COUNTDOWN_S, PATIENCE_S, SPACING_S, largest
from agent.errors import ConfigError, EndOfSource, SourceLost, UnreadablePicture
from agent.picture_file import read_picture

if TYPE_CHECKING:
    from agent.config.settings import CameraSettings
    from agent.core.types import Frame, HandDetection, Image
    from agent.inference.recognizer import Recognizer

MOST = 30  # maximum examples of one folder or clip, spread over all of it

Show = Callable[["Image", "HandDetection | None", float, int], None]
"""Called with every frame: image (BGR), hand in it, seconds until the start, examples so far."""

log = structlog.get_logger()

_Any = TypeVar("_Any")


def of_camera(
    recognizer: Recognizer, settings: CameraSettings, camera: str, wanted: int, show: Show
) -> list[HandDetection]:
    """Collect `wanted` hands from a camera, one every `SPACING_S`, after a countdown.

    Raises `LostForNow`: the camera is away, its file ended, or no hand is seen.
    """
    taken: list[HandDetection] = []
    start = last = None
    for frame in _frames(settings, camera, pace=True):
        hand = largest(recognizer.recognize([frame])[0].hands)
        start = frame.at if start is None else start
        last = start + COUNTDOWN_S - SPACING_S if last is None else last
        if hand and frame.at >= last + SPACING_S:
            taken.append(hand)
            last = frame.at
        show(frame.image, hand, start + COUNTDOWN_S - frame.at, len(taken))
        if len(taken) == wanted:
            return taken
        if frame.at > last + PATIENCE_S:
            raise SourceLost(f"{camera}: no hand was seen for {PATIENCE_S:.0f} s; nothing was learned")
    raise SourceLost(f"{camera}: it ended after {len(taken)} of {wanted} hands; for a clip use --source")


def of_clip(recognizer: Recognizer, settings: CameraSettings, show: Show) -> list[HandDetection]:
    """Collect at most `MOST` hands from a clip, spread over all of it."""
    taken: list[HandDetection] = []
    for frame in _frames(settings, "clip", pace=False):
        hand = largest(recognizer.recognize([frame])[0].hands)
        taken += [hand] if hand else []
        show(frame.image, hand, 0.0, len(taken))
    return spread(taken, MOST)


def of_folder(recognizer: Recognizer, folder: Path, show: Show) -> list[HandDetection]:
    """Collect the largest hand of each image, of at most `MOST` images. Raises `ConfigError`: no images."""
    try:
        files = visible_files(folder, lambda name: name.lower().endswith(IMAGE_SUFFIXES))
    except OSError as exc:
        raise ConfigError(f"{folder}: {exc.strerror}; expected a folder of pictures") from exc
    if not files:
        raise ConfigError(f"{folder}: no picture in it ({' '.join(IMAGE_SUFFIXES)})")
    taken: list[HandDetection] = []
    for path in spread(files, MOST):
        try:
            image = read_picture(path)
        except (OSError, UnreadablePicture) as exc:
            why = exc.strerror if isinstance(exc, OSError) else str(exc)
            log.warning("image_skipped", image=shown(path), reason=why)
            continue
        hand = largest(recognizer.recognize_still(image))
        taken += [hand] if hand else []
        show(image, hand, 0.0, len(taken))
    return taken


def spread(items: Sequence[_Any], most: int) -> list[_Any]:
    """Return at most `count` items, evenly spread over the whole sequence."""
    if len(items) <= most:
        return list(items)
    return [items[int(i)] for i in np.linspace(0, len(items) - 1, most)]


def _frames(settings: CameraSettings, camera: str, *, pace: bool) -> Iterator[Frame]:
    source = open_source(settings, camera, pace=pace)
    try:
        source.open()
        while True:
            yield source.read()
    except EndOfSource:
        return
    except SourceLost as exc:
        raise SourceLost(
            f"{public_name(settings.source)}: {exc}; does the agent use it just now? Then stop it first"
        ) from exc
    finally:
        source.close()

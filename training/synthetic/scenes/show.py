"""Images of scenes for people: frames around a time, a part as a video, an overview."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from training.synthetic.scenes.hands import Array
from training.synthetic.scenes.picture import Painter
from training.synthetic.scenes.scene import Film, Kind, Scene

if TYPE_CHECKING:
    from training.synthetic.scenes.report import Start

SMALL = (320, 240)


def around(cast: Path, kind: Kind, part: int, at: float, out: Path, film: Film, count: int = 6) -> None:
    """Return the `count` frames up to a time, the last one at that time."""
    scene = Scene(cast, kind, part, film)
    last = min(round(at * film.fps), len(scene.times) - 1)
    painter = Painter(*film.size)
    frames = [image for _, image in scene.frames(painter, range(max(0, last - count + 1), last + 1))]
    cv2.imwrite(str(out), _grid(frames, 3))
    print(f"{out}: {len(frames)} frames up to {last / film.fps:.1f} s; {scene.doing(0, at)}")


def clip(cast: Path, kind: Kind, part: int, out: Path, film: Film) -> None:
    """Encode a part as MP4."""
    scene = Scene(cast, kind, part, film)
    writer = cv2.VideoWriter(str(out), cv2.VideoWriter.fourcc(*"mp4v"), film.fps, film.size)
    for _, image in scene.frames(Painter(*film.size)):
        writer.write(image)
    writer.release()
    print(f"{out}: {len(scene.times) / film.fps:.1f} s")


def sheet(cast: Path, out: Path, columns: int = 4, rows: int = 4) -> None:
    """Draw one frame of each of many scenes: three of four idle, one a gesture in the middle of its hold."""
    film = Film(seconds=40.0)
    painter, pictures = Painter(*film.size), []
    for number in range(columns * rows):
        meant = number % 4 == 3
        scene = Scene(cast, "gestures" if meant else "idle", number, film)
        beats = scene.scripts[0].gestures if meant else scene.scripts[0].activities
        beats = [b for b in beats if b.name != "walk"]  # an empty room
        beat = beats[min(number % 3 + 1, len(beats) - 1)]
        frame = min(round((beat.start + beat.end) / 2 * film.fps), len(scene.times) - 1)
        ((_, image),) = scene.frames(painter, range(frame, frame + 1))
        pictures.append(cv2.resize(image, SMALL, interpolation=cv2.INTER_AREA))
    cv2.imwrite(str(out), _grid(pictures, columns), [cv2.IMWRITE_WEBP_QUALITY, 78])
    print(f"{out}: {out.stat().st_size:,} bytes")


def of_starts(cast: Path, kind: Kind, films: dict[int, Film], found: list[Start], out: Path) -> None:
    """Draw the hand at the time of each start, side by side; `films` by part."""
    if not found:
        print("no starts, so no picture")
        return
    painter_of = cache(lambda size: Painter(*size))
    pictures = []
    for part in sorted({start.part for start in found}):
        film = films[part]
        scene = Scene(cast, kind, part, film)
        for start in (s for s in found if s.part == part):
            frame = min(round(start.at * film.fps), len(scene.times) - 1)
            ((_, image),) = scene.frames(painter_of(film.size), range(frame, frame + 1))
            small = _around(image, start.x_share, start.y_share)
            for row, text in enumerate(
                (f"{part} {start.at:.1f} {start.activity}", f"{start.gesture} {start.score:.2f}")
            ):
                cv2.putText(small, text, (4, 14 + 15 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 255, 255), 1)
            pictures.append(small)
    columns = min(len(pictures), 8)
    blank = [np.zeros_like(pictures[0])] * (-len(pictures) % columns)
    cv2.imwrite(str(out), _grid(pictures + blank, columns))
    print(f"{out}: {len(pictures)} starts")


def _around(image: Array, x_share: float, y_share: float, side: int = 200) -> Array:
    """Crop of a third of the image's height, at a place in it."""
    height, width = image.shape[:2]
    reach = height // 6
    padded = cv2.copyMakeBorder(image, reach, reach, reach, reach, cv2.BORDER_CONSTANT)
    left, top = round(x_share * width), round(y_share * height)
    cut = padded[top : top + 2 * reach, left : left + 2 * reach]
    return np.asarray(cv2.resize(cut, (side, side), interpolation=cv2.INTER_CUBIC))


def _grid(pictures: list[Array], columns: int) -> Array:
    rows = [
        np.hstack(pictures[i : i + columns]) for i in range(0, len(pictures) // columns * columns, columns)
    ]
    return np.vstack(rows) if rows else np.hstack(pictures)

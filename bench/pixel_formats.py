"""What a frame of a GStreamer pipeline costs the CPU by the format in which its pipe is read.

    python bench/pixel_formats.py                     1280 x 720, 30 frames a second, 120 of each

The pipeline gives NV12, as a Jetson's decoder does, in real time. BGR is what networks on the CPU read, NV12
what a GPU reads, BGRx what it reads where the pipeline gives nothing better. Formats take turns; times are of
the CPU, in the agent's process and in GStreamer's with its start, the best of all turns.
"""

from __future__ import annotations

import argparse
import resource
import time
from contextlib import suppress

from rich.console import Console
from rich.table import Table

from agent.capture.source import open_source
from agent.config.settings import CameraSettings
from agent.core.frame_memory import OrdinaryFrameMemory, PixelFormat
from agent.errors import EndOfSource, SourceLost

FORMATS: tuple[PixelFormat, ...] = ("BGR", "BGRx", "NV12")


def measured(pixel_format: PixelFormat, size: tuple[int, int], count: int) -> tuple[float, float]:
    """CPU milliseconds of a frame: the agent's, GStreamer's."""
    memory = OrdinaryFrameMemory()
    memory.pixel_formats = (pixel_format,)
    caps = f"video/x-raw,format=NV12,width={size[0]},height={size[1]},framerate=30/1"
    source = f"gst:videotestsrc is-live=true pattern=black num-buffers={count} ! {caps}"
    settings = CameraSettings.model_validate(
        {"source": source, "width": size[0], "height": size[1], "fps": 30}
    )
    camera = open_source(settings, "bench", memory=memory)
    began, childs, frames = time.process_time(), of_children(), 0
    camera.open()
    with suppress(SourceLost, EndOfSource):  # its end
        while True:
            camera.read()
            frames += 1
    own = time.process_time() - began
    camera.close()
    return own / frames * 1000, (of_children() - childs) / frames * 1000


def of_children() -> float:
    """CPU seconds of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--size", type=int, nargs=2, default=(1280, 720), metavar=("WIDTH", "HEIGHT"))
    options.add_argument("--frames", type=int, default=120)
    options.add_argument("--turns", type=int, default=3)
    given = options.parse_args()
    rows: dict[PixelFormat, list[tuple[float, float]]] = {name: [] for name in FORMATS}
    for _ in range(given.turns):
        for name in FORMATS:
            rows[name].append(measured(name, tuple(given.size), given.frames))
    table = Table(
        "format", "agent, ms", "GStreamer, ms", title=f"CPU of a frame, {given.size[0]} x {given.size[1]}"
    )
    for name, turns in rows.items():
        table.add_row(name, *(f"{min(turn[i] for turn in turns):.2f}" for i in (0, 1)))
    Console().print(table)


if __name__ == "__main__":
    main()

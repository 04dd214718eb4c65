"""The real agent, except that it remembers what its networks said of every picture of a film.

    python remembering.py look CONFIG SIGHTS     lets the networks look at the first camera's film, once
    python remembering.py run CONFIG SIGHTS      `gesture-agent run`, with those answers

So a machine that is too slow for the networks still sees every gesture, in time. Everything else is the
agent's own: camera, loop, debounce, rules, outbox, MQTT, discovery.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from agent.app import Agent
from agent.capture.source import open_source
from agent.config.folders import make_folders
from agent.config.load import load
from agent.config.settings import Settings
from agent.core.types import Detections, Frame
from agent.errors import EndOfSource
from agent.inference.build import build_recognizer
from agent.service.logs import configure_logs
from agent.service.signals import signals

Sights = dict[bytes, Detections]


class RememberingRecognizer:
    """In place of the recognizer."""

    def __init__(self, sights: Sights) -> None:
        self._sights = sights

    def recognize(self, frames: Sequence[Frame]) -> list[Detections]:
        return [replace(self._sights[_key(f)], frame=f, stage_ms={}) for f in frames]

    def forget(self, camera: str) -> None:
        """There is nothing to forget."""


def _key(frame: Frame) -> bytes:
    return hashlib.blake2b(frame.image.tobytes(), digest_size=16).digest()


def look(settings: Settings) -> Sights:
    """What the networks say, picture by picture."""
    folders = make_folders(settings.agent, os.environ)
    recognizer = build_recognizer(settings.recognition, folders.cache, taught=folders.state)
    name, camera = next(iter(settings.camera.items()))
    source = open_source(camera.model_copy(update={"loop": False}), name, pace=False)
    source.open()
    sights: Sights = {}
    try:
        while True:
            frame = source.read()
            sights[_key(frame)] = recognizer.recognize([frame])[0]
    except EndOfSource:
        return sights
    finally:
        source.close()
        recognizer.close()


def run(settings: Settings, sights: Sights) -> None:
    """As `agent.app.run_agent`."""
    configure_logs(settings.log)
    agent = Agent(settings)
    agent.loop._recognizer = RememberingRecognizer(sights)
    with signals(agent.loop.stop, agent.loop.reload), agent:
        agent.run()


def main() -> None:
    what, config, path = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    settings = load(config, os.environ).settings
    if what == "look":
        path.write_bytes(pickle.dumps(look(settings)))
    else:
        run(settings, pickle.loads(path.read_bytes()))  # noqa: S301 (we wrote it)


if __name__ == "__main__":
    main()

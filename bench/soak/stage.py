"""Set-up of the soak test: agent, cameras from files and a pipeline, broker, and a network proxy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
from brokers import Mosquitto, Subscriber
from proxy import Wire
from reckoning import take_notes

ROOT = Path(__file__).parents[2]
CLIP, TRUTH = ROOT / "tests/data/demo.mp4", ROOT / "tests/data/demo.json"
FRONT = "front.avi"  # files are recognized by content, not by name
PIPELINE = "gst:videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=10/1"
CONFIG = """
[agent]
id = "soak"
state_dir = "state"
[camera.front]
source = "{front}"
loop = true
[camera.shelf]
source = "shelf"
fps = 5
loop = true
[camera.tape]
source = "tape.avi"
loop = true
{pipe}
[mqtt]
url = "mqtt://127.0.0.1:{port}"
keepalive = 5
[idle]
fps = {rest_fps}
[log]
format = "json"
"""
RULES = """
[[rule]]
id = "lamp"
when = { gesture = "stop" }
publish = { topic = "gesture/soak/lamp", payload = "ON" }
"""


REST_FPS, LIGHT_REST_FPS = 4, 1  # frames processed a second at a camera without a person
LIGHT_EVERY = 3  # share of the clip's frames


class Stage:
    """The whole set-up in one folder, running.

    `light` is for a machine that is busy with other things: every third picture of the clip, and fewer looks.
    """

    def __init__(self, folder: Path, *, leak_mb_min: float = 0.0, light: bool = False) -> None:
        self.folder = folder
        self.log = folder / "agent.log"
        self.piped = shutil.which("gst-launch-1.0") is not None
        self.light = light
        self._films()
        self.broker = Mosquitto(folder, "allow_anonymous true", "max_queued_messages 0").start()
        self.subscriber = Subscriber(self.broker.port, "gesture/soak/#")
        self.wire = Wire(self.broker.port)
        self._settings()
        take_notes(folder / "state")
        self.wire.join()
        self.agent = self._agent(leak_mb_min)

    def _films(self) -> None:
        """Noise images for the two file cameras, without a person."""
        draw = np.random.default_rng(1)
        pictures = [draw.integers(60, 90, (240, 320, 3), np.uint8) for _ in range(20)]
        (self.folder / "shelf").mkdir()
        for number, image in enumerate(pictures):
            cv2.imwrite(str(self.folder / f"shelf/{number:03}.jpg"), image)
        tape = self.folder / "tape.avi"
        writer = cv2.VideoWriter(str(tape), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
        for image in pictures:
            writer.write(image)
        writer.release()
        self._front()

    def _front(self) -> None:
        """The clip, or a part of its frames at the same speed."""
        if not self.light:
            (self.folder / FRONT).symlink_to(CLIP)
            return
        clip = cv2.VideoCapture(str(CLIP))
        size = int(clip.get(cv2.CAP_PROP_FRAME_WIDTH)), int(clip.get(cv2.CAP_PROP_FRAME_HEIGHT))
        fps = clip.get(cv2.CAP_PROP_FPS) / LIGHT_EVERY
        writer = cv2.VideoWriter(str(self.folder / FRONT), cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
        number = 0
        while clip.grab():
            if number % LIGHT_EVERY == 0:
                writer.write(clip.retrieve()[1])
            number += 1
        writer.release()

    def _settings(self) -> None:
        pipe = f'[camera.pipe]\nsource = "{PIPELINE}"\nwidth = 320\nheight = 240\nfps = 10' * self.piped
        (self.folder / "config.toml").write_text(
            CONFIG.format(
                front=FRONT,
                pipe=pipe,
                port=self.wire.port,
                rest_fps=LIGHT_REST_FPS if self.light else REST_FPS,
            ),
            encoding="utf-8",
        )
        (self.folder / "rules").mkdir()
        (self.folder / "rules/soak.toml").write_text(RULES, encoding="utf-8")

    def _agent(self, leak_mb_min: float) -> subprocess.Popen[bytes]:
        program = ["-m", "agent"]
        if leak_mb_min:
            program = [str(Path(__file__).with_name("leaking.py")), str(leak_mb_min)]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *program, "run", "--config", str(self.folder / "config.toml")],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def close(self) -> None:
        """End all started processes."""
        if self.agent.poll() is None:
            self.agent.kill()
            self.agent.wait()
        self.subscriber.close()
        self.wire.close()
        self.broker.stop()

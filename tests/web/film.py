"""An agent without a hurry: the rendered clip, seen once by the real networks, then played at its own pace.

What plays is real from there on: loop, core, rules, page. So a busy machine shows the same gestures as an
idle one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from agent.config.rules.files import read_rules
from agent.config.settings import DebounceSettings, IdleSettings, RecognitionSettings, WebSettings
from agent.core.gesture_pipeline import GesturePipeline
from agent.core.rules import RuleContext, RuleSet
from agent.core.thresholds import thresholds_of
from agent.core.types import (
    LABELS,
    NO_GESTURE,
    Action,
    Box,
    CameraState,
    Detections,
    Frame,
    GestureEvent,
    HandDetection,
    Pose,
)
from agent.inference.build import build_recognizer
from agent.installation.starter import parse_action, rule_text
from agent.loop.loop import Loop
from agent.loop.observers import Observers
from agent.web.dashboard import About
from agent.web.editing import Editing
from agent.web.page import WebPage
from agent.web.rule_editor import RuleEditor
from agent.web.setup import SetupProvider
from agent.web.teaching import TeachingProvider
from agent.web.tuning import TuningProvider

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = Path(__file__).parents[2]
CLIP = ROOT / "tests/data/demo.mp4"
FPS = 15.0
CAMERA = "front"
RULES = """
[[rule]]
id = "lamp"
when = { gesture = "stop" }
publish = { topic = "home/lamp/set", payload = { state = "ON" } }

[[rule]]
id = "bell"
when = { gesture = "fist" }
publish = { topic = "home/bell", payload = "ring" }
"""


@dataclass(frozen=True)
class Film:
    """The clip and what the networks see in it."""

    frames: list[Frame]
    sights: list[Detections]
    labels: tuple[str, ...]


def look_at_clip(cache_dir: Path) -> Film:
    """Every frame through the real networks."""
    video = cv2.VideoCapture(str(CLIP))
    frames = []
    while (read := video.read())[0]:
        image = np.asarray(read[1], np.uint8)
        frames.append(Frame(CAMERA, len(frames), len(frames) / FPS, image))
    recognizer = build_recognizer(RecognitionSettings(), cache_dir)
    try:
        all_detections = [recognizer.recognize([frame])[0] for frame in frames]
        return Film(frames, all_detections, recognizer.labels)
    finally:
        recognizer.close()


def drawn_film(gesture: str = "stop", score: float = 0.95) -> Film:
    """Two seconds without any network: a hand that shows a gesture, then goes."""
    image = np.full((48, 64, 3), 90, np.uint8)
    frames = [Frame(CAMERA, i, i / FPS, image) for i in range(30)]
    scores = np.full(len(LABELS), 0.01, np.float32)
    scores[LABELS.index(gesture)] = score
    points = np.full((21, 2), 20, np.float32)
    hand = HandDetection(0, "right", Box(20, 20, 10), scores, points)
    joints = np.array([(10, 10, 0.9), (30, 10, 0.9)], np.float32)
    pose = Pose(joints, ("left_shoulder", "right_shoulder"), 0.9)
    there = Detections(frames[0], 1, (hand,), (pose,), {"classifier": 2.0})
    gone = Detections(frames[0], 0, (), (), {"classifier": 0.0})
    return Film(frames, [there if i < 18 else gone for i in range(30)], LABELS)


class Projector:
    """In the cameras' place and in that of the eyes. Plays again and again, a dark second between.

    It keeps the time: `now` runs `speed` times as fast as real time, and stands still while a frame is due
    that was not taken, so that a busy machine plays the film late but not otherwise. `still` is the number of
    a frame at which it stays.
    """

    def __init__(self, film: Film, speed: float, gap_s: float = 1.0) -> None:
        self.on = True
        self.played = 0
        self.still: int | None = None
        self.tell: Callable[[CameraState], None] = print
        self._film, self._speed, self._gap_s = film, speed, gap_s
        self._started = self._begins = time.monotonic()
        self._next = self._shown = 0
        self._closed = threading.Event()

    def now(self) -> float:
        """The film's time, in the manner of `time.monotonic`."""
        now = self._started + (time.monotonic() - self._started) * self._speed
        return min(now, self._due) if self.on else now

    @property
    def _due(self) -> float:
        return self._begins + self._next / FPS

    def take(self, timeout_s: float) -> list[Frame]:
        due, wait_s = self._due, (self._due - self.now()) / self._speed
        if not self.on or wait_s > timeout_s:
            self._closed.wait(timeout_s)
            return []
        self._closed.wait(wait_s)
        self._shown = self._next if self.still is None else self.still
        frame = replace(self._film.frames[self._shown], seq=self.played, at=due)
        self.played += 1
        self._next += 1
        if self._next == len(self._film.frames):
            self._begins, self._next = due + (self._gap_s if self.still is None else 1 / FPS), 0
        return [frame]

    def recognize(self, frames: Sequence[Frame]) -> list[Detections]:
        """What the networks saw; at the film's own speed it takes as long as they did, or half a frame."""
        detections = self._film.sights[self._shown]
        if self._speed == 1:
            self._closed.wait(min(sum(detections.stage_ms.values()) / 1000, 0.5 / FPS))
        return [replace(detections, frame=frame) for frame in frames]

    def forget(self, camera: str) -> None:
        pass

    def enable(self, on: bool) -> None:
        self._begins, self._next = self.now(), 0
        self.on = on
        self.tell(CameraState(CAMERA, "online" if on else "disabled"))

    def rest_until(self, at: float) -> None:
        pass

    def close(self) -> None:
        self._closed.set()


class NoBroker:
    """Delivery, with nobody to deliver to."""

    def __init__(self) -> None:
        self.done: list[Action] = []

    def event(self, _event: GestureEvent, **_: Any) -> str | None:
        return None

    def perform(self, action: Action) -> None:
        self.done.append(action)

    def camera_state(self, camera: str, value: Any, reason: str | None = None) -> None: ...
    def armed(self, camera: str, armed: bool, for_s: float | None = None) -> None: ...
    def occupied(self, camera: str, occupied: bool | None) -> None: ...
    def enabled(self, on: bool) -> None: ...
    def recognition(self, *_: Any) -> None: ...
    def health(self, health: Mapping[str, Any]) -> None: ...
    def with_delivery(self, health: Mapping[str, Any]) -> dict[str, Any]:
        return dict(health)

    def next_request(self) -> Any | None:
        return None

    def respond(self, request: Any, data: Mapping[str, Any] | None = None, error: str = "") -> None: ...


class Agent:
    """Loop and page, running. `stalled` holds the loop still."""

    def __init__(
        self,
        film: Film,
        web: WebSettings,
        rules: Path,
        *,
        send_s: float = 5.0,
        hold_s: float = 0.3,
        speed: float = 1,
        setup: SetupProvider | None = None,
        teaching: TeachingProvider | None = None,
        tuning: TuningProvider | None = None,
        cameras: tuple[str, ...] = (CAMERA,),
    ) -> None:
        self.reel = Projector(film, speed)
        self.out = NoBroker()
        self.rules = rules
        self._labels = film.labels
        self._debounce = DebounceSettings(hold=hold_s)
        self._began = time.monotonic()
        pipeline = GesturePipeline(
            film.labels, thresholds=thresholds_of(self._debounce), rule_set=self.load()
        )
        self.page = WebPage(
            web,
            About(
                agent="hall",
                version="0.1.0",
                gestures=tuple(label for label in film.labels if label != NO_GESTURE),
                cameras=cameras,
                hold_ms=hold_s * 1000,
                preview=web.preview,
                edit=web.edit,
                setup=setup is not None,
                teach=teaching is not None,
                tune=tuning is not None,
            ),
            pipeline=pipeline,
            health=self._vitals,
            progress=lambda: {"loop": self.loop.steps},
            ask=self._ask,
            editing=Editing(self._editor(web), setup, teaching, tuning),
            clock=self.reel.now,
            send_s=send_s,
        )
        self.loop = Loop(
            frames=self.reel,
            recognizer=self.reel,
            pipeline=pipeline,
            sink=self.out,
            idle=IdleSettings(),
            max_age_s=5.0,
            context=self,
            clock=self.reel.now,
            rules=self,
            observers=Observers(
                recognition=(self.page,),
                cameras=(self.page,),
                enabled=(self.page,),
                rules=(self.page,),
                steps=(self.page,),
            ),
        )
        self.reel.tell = self.loop.camera_changed
        self._thread = threading.Thread(target=self.loop.run, name="loop")

    def _ask(self, name: str, data: Mapping[str, Any]) -> Future[tuple[dict[str, Any], str]]:
        return self.loop.ask(name, data)

    def rule_context(self) -> RuleContext:
        return RuleContext()

    def changed(self) -> bool:
        return False

    def load(self) -> RuleSet:
        return read_rules(self.rules, self._labels, self._debounce, None).rule_set

    def _editor(self, web: WebSettings) -> RuleEditor | None:
        if not web.edit:
            return None
        state = self.rules.parent / "state"

        def template(rule_id: str, gesture: str, does: str) -> str:
            return rule_text(gesture, parse_action(does), rule_id=rule_id, hold_s=self._debounce.hold)

        return RuleEditor(self.rules, self._labels, self._debounce, None, state=state, template=template)

    def _vitals(self) -> dict[str, Any]:
        outbox = {
            "depth": 0,
            "oldest_s": 0.0,
            "expired": 0,
            "unknown": 0,
            "refused": 0,
            "unheard": 0,
            "dropped": 0,
        }
        return {
            **self.loop.health(),
            "uptime_s": round(time.monotonic() - self._began),
            "rss_mb": 258.0,
            "camera": {
                CAMERA: {
                    "state": "online" if self.reel.on else "disabled",
                    "reason": "",
                    "fps": FPS if self.reel.on else 0.0,
                    "frames": self.reel.played,
                    "dropped": 0,
                    "stalls": 0,
                }
            },
            "outbox": outbox,
            "mqtt": {"reconnects": 0, "version": "5"},
            "broker": {"url": "mqtt://localhost:1883", "connected": True, "trouble": None},
            "enabled": self.loop.enabled,
        }

    def __enter__(self) -> Self:
        self.page.start()
        self.loop.watch({CAMERA: self.reel}, enabled=True)
        self.page.on_rules(self.load())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.stop()
        self._thread.join()
        self.reel.close()
        self.page.close()


Start = Callable[..., Agent]
"""Of the fixture `start`."""

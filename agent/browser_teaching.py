"""Teaches a gesture from the page: hands of a camera that runs, collected by the loop, learned beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from agent.config.settings import RecognitionSettings
from agent.core.gesture_pipeline import PipelineResult
from agent.core.taught import COUNTDOWN_S, PATIENCE_S, SPACING_S, largest
from agent.core.types import Box, Detections, Image
from agent.errors import ConfigError, GestureAgentError
from agent.inference.files.store import manifest_of
from agent.inference.gestures.background import hands_of
from agent.inference.gestures.taught import load_taught
from agent.teaching import LearnedGesture, LooksAlikeError, Teacher, check_name

WANTED = 25  # examples
AROUND = 3.0  # side of what is kept of a frame / side of the hand's box; classifiers crop less

log = structlog.get_logger(__name__)


@dataclass
class _Lesson:
    """One gesture that is being taught. `crops` are kept in memory only, until they are learned."""

    gesture: str
    camera: str
    improve: bool
    force: bool
    began: float
    last: float  # time of the last example, and of the end of the countdown before there is one
    phase: str = "collecting"  # learning, done, failed
    hand: bool = False
    crops: list[tuple[Image, Box]] = field(default_factory=list)
    taken: int = 0
    text: str = ""
    doubts: list[str] = field(default_factory=list)


class BrowserTeaching:
    """Implements `TeachingProvider`, and observes what the loop recognises. One lesson at a time."""

    def __init__(
        self,
        recognition: RecognitionSettings,
        cache: Path,
        state: Path,
        cameras: Collection[str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` is the one of the frames."""
        self._recognition, self._cache, self._state_folder = recognition, cache, state
        self._cameras, self._clock = tuple(cameras), clock
        self._lock = threading.Lock()
        self._lesson: _Lesson | None = None
        self._thread: threading.Thread | None = None

    # Called in the loop's thread.

    def on_detections(self, detections: Detections) -> None:
        """Keep the largest hand of a frame, at most every `SPACING_S`, while a lesson collects."""
        if self._lesson is None:
            return
        with self._lock:
            lesson = self._lesson
            if lesson is None or lesson.phase != "collecting" or lesson.camera != detections.camera:
                return
            hand = largest(detections.hands)
            lesson.hand = hand is not None
            if hand is None or detections.at < lesson.last + SPACING_S:
                return
            lesson.crops.append(_kept(detections.frame.image, hand.box))
            lesson.taken, lesson.last = len(lesson.crops), detections.at
            if lesson.taken == WANTED:
                lesson.phase = "learning"
                self._thread = threading.Thread(
                    target=self._learn, args=(lesson,), name="teaching", daemon=True
                )
                self._thread.start()

    def on_result(self, camera: str, at: float, result: PipelineResult) -> None:
        """Nothing: examples are hands, whatever they were taken for."""

    # Called in other threads.

    def state(self) -> dict[str, Any]:
        """The lesson, and what was taught before. Raises `ConfigError` where that cannot be read."""
        taught = load_taught(self._state_folder)
        with self._lock:
            lesson = self._lesson
            if lesson is not None:
                self._give_up(lesson)
            told = None if lesson is None else self._told(lesson)
        return {"lesson": told, "taught": taught.counts if taught else {}, "wanted": WANTED}

    def begin(self, gesture: str, camera: str, *, improve: bool, force: bool) -> None:
        """Begin with the countdown. Raises `ConfigError` for a name that cannot be taught."""
        if camera not in self._cameras:
            known = ", ".join(self._cameras) or "none is set"
            raise ConfigError(f'no camera "{camera[:40]}"; there: {known}')
        labels = manifest_of(self._recognition.gestures, self._cache).labels
        before = load_taught(self._state_folder)
        try:
            check_name(gesture, labels, before, improve=improve)
        except ConfigError as exc:
            if gesture in labels:
                raise ConfigError(f"{gesture} is built in; tick the box to adapt it to your hand") from exc
            raise
        with self._lock:
            if self._lesson is not None and self._lesson.phase in {"collecting", "learning"}:
                raise ConfigError(f"{self._lesson.gesture} is being taught just now; wait for its end")
            now = self._clock()
            last = now + COUNTDOWN_S - SPACING_S
            self._lesson = _Lesson(gesture, camera, improve, force, began=now, last=last)

    def cancel(self) -> None:
        """Forget what was collected; what is being learned already is finished."""
        with self._lock:
            if self._lesson is not None and self._lesson.phase != "learning":
                self._lesson = None

    def _give_up(self, lesson: _Lesson) -> None:
        if lesson.phase == "collecting" and self._clock() > lesson.last + PATIENCE_S:
            lesson.phase, lesson.crops = "failed", []
            lesson.text = f"no hand was seen for {PATIENCE_S:.0f} s; nothing was learned"

    def _told(self, lesson: _Lesson) -> dict[str, Any]:
        return {
            "gesture": lesson.gesture,
            "camera": lesson.camera,
            "phase": lesson.phase,
            "left_s": max(0.0, round(lesson.began + COUNTDOWN_S - self._clock(), 1)),
            "hand": lesson.hand,
            "taken": lesson.taken,
            "text": lesson.text,
            "doubts": lesson.doubts,
        }

    # In a thread of its own.

    def _learn(self, lesson: _Lesson) -> None:
        crops, lesson.crops = lesson.crops, []
        try:
            learned = self._learned(lesson, crops)
        except GestureAgentError as exc:
            self._end(lesson, "failed", str(exc))
        except Exception as exc:  # the lesson ends, and the agent goes on
            log.exception("teaching_failed")
            self._end(lesson, "failed", f"the gesture could not be learned ({type(exc).__name__}: {exc})")
        else:
            self._end(lesson, "done", learned.summary, learned.doubts)

    def _learned(self, lesson: _Lesson, crops: list[tuple[Image, Box]]) -> LearnedGesture:
        with Teacher(
            self._recognition,
            self._cache,
            self._state_folder,
            lesson.gesture,
            improve=lesson.improve,
            force=lesson.force,
        ) as teacher:
            readouts = [one for image, box in crops for one in teacher.recognizer.read(image, [box])]
            try:
                return teacher.learn(hands_of(readouts))
            except LooksAlikeError as exc:
                raise LooksAlikeError(
                    exc.name, exc.likeness, "tick the box to teach it all the same"
                ) from exc

    def _end(self, lesson: _Lesson, phase: str, text: str, doubts: list[str] | None = None) -> None:
        with self._lock:
            lesson.text, lesson.doubts, lesson.phase = text, doubts or [], phase


def _kept(image: Image, box: Box) -> tuple[Image, Box]:
    """The part of a frame around a hand, and the hand's box in it; the frame itself is not kept."""
    height, width = image.shape[:2]
    half = box.side * AROUND / 2
    left, top = max(0, int(box.cx - half)), max(0, int(box.cy - half))
    right, bottom = min(width, int(box.cx + half) + 1), min(height, int(box.cy + half) + 1)
    part = np.array(image[top:bottom, left:right], np.uint8)
    return part, replace(box, cx=box.cx - left, cy=box.cy - top)

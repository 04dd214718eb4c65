"""Feedback for people without a screen, from the loop to MQTT."""

from __future__ import annotations

from collections.abc import Callable

from agent.core.feedback import Feedback, FeedbackTracker
from agent.core.gesture_pipeline import GesturePipeline, PipelineResult
from agent.core.types import Detections


class FeedbackPublisher:
    """Observer of the loop that publishes `awake`, `fired` and `refused` as they happen."""

    def __init__(self, pipeline: GesturePipeline, publish: Callable[[Feedback], None]) -> None:
        self._pipeline, self._publish = pipeline, publish
        self._tracker = FeedbackTracker()

    def on_detections(self, detections: Detections) -> None:
        """Do nothing: feedback follows results alone."""

    def on_result(self, camera: str, at: float, result: PipelineResult) -> None:
        """Publish the feedback of one step of a camera."""
        wakes = self._pipeline.rules.rule_set.wake is not None
        armed = wakes and self._pipeline.armed(camera, at) is not None
        for feedback in self._tracker.update(camera, at, result, armed=armed):
            self._publish(feedback)

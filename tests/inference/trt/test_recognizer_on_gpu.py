"""The whole perception with frames that stay on the device: kernels, uploads, plans and streams together.

The device is the host's, the networks run on ONNX Runtime behind TensorRT's API; all between them is real.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from host_device import HostDevice
from tensorrt_double import Behaviour, double

from agent.config.settings import RecognitionSettings, TensorRtSettings
from agent.core.types import Frame
from agent.inference import engine as engines_module
from agent.inference.build import build_recognizer
from agent.inference.engine import EngineOptions
from agent.inference.recognizer import Recognizer
from agent.inference.trt.engine import TensorRtEngine
from agent.inference.trt.gpu_context import GpuContext
from agent.inference.trt.library import Library
from agent.inference.trt.upload_cache import FrameUploadCache

CLASSIFIER = "gesturenet-landmark"  # gives landmarks, so that hands are followed by them
CLIP = Path(__file__).parents[2] / "data" / "demo.mp4"


class OnHostDevice(TensorRtEngine):
    """The backend with a device of the test's own."""

    room: GpuContext
    made: ClassVar[list[OnHostDevice]] = []

    def __init__(self, name: str, path: Path, *, options: EngineOptions | None = None) -> None:
        super().__init__(name, path, options=options, context=OnHostDevice.room)
        OnHostDevice.made.append(self)


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HostDevice:
    made = HostDevice(strict=True)
    behaviour = Behaviour()
    behaviour.streams = made
    library = Library(double("10.13.0", behaviour), rtx=False)
    with made.current():
        OnHostDevice.room = GpuContext(library, made, FrameUploadCache(made), tmp_path)
    monkeypatch.setitem(engines_module.BACKENDS, "tensorrt", f"{__name__}:OnHostDevice")
    return made


def frames(count: int, size: tuple[int, int] = (640, 480), start_s: float = 4.5) -> Iterator[Frame]:
    """From where the person of the clip shows a palm."""
    clip = cv2.VideoCapture(str(CLIP))
    clip.set(cv2.CAP_PROP_POS_MSEC, start_s * 1000)
    for seq in range(count):
        read, image = clip.read()
        assert read
        resized = np.asarray(cv2.resize(image, size), np.uint8)
        yield Frame("front", seq, seq / 15, resized)
    clip.release()


def perception(cache: Path, backend: str, gestures: str, profile: str = "balanced") -> Recognizer:
    OnHostDevice.made.clear()
    settings = RecognitionSettings.model_validate(
        {
            "profile": profile,
            "backend": backend,
            "gestures": gestures,
            "tensorrt": TensorRtSettings(precision="fp32").model_dump(),
        }
    )
    return build_recognizer(settings, cache)


@pytest.mark.parametrize("classifier", ["gesturenet", CLASSIFIER])
def test_it_sees_what_the_cpu_path_sees_and_uploads_each_frame_once(
    cache_dir: Path, device: HostDevice, classifier: str
) -> None:
    on_gpu, on_cpu = (perception(cache_dir, b, classifier) for b in ("tensorrt", "onnxruntime"))
    assert set(on_gpu.backends) == {classifier, "palm-detector", "pose-detector", "pose-landmark"}
    people = hands = 0
    for frame in frames(4):
        (found,), (expected,) = on_gpu.recognize([frame]), on_cpu.recognize([frame])
        assert (found.people, len(found.hands)) == (expected.people, len(expected.hands))
        for a, b in zip(found.poses, expected.poses, strict=True):
            seen = b.keypoints[:, 2] > 0.8  # joints beyond the picture are guesses
            apart = np.abs(a.keypoints[seen, :2] - b.keypoints[seen, :2])  # px; the person is 400 px tall
            assert np.median(apart) < 1.0
            assert apart.max() < 5.0
        for c, d in zip(found.hands, expected.hands, strict=True):
            assert (c.person, c.hand) == (d.person, d.hand)
            assert np.abs(c.scores - d.scores).max() < 0.1
        people, hands = people + found.people, hands + len(found.hands)
    on_gpu.close()
    on_cpu.close()
    assert people == 4
    assert hands >= 3


def test_tracked_hands_are_classified_while_the_poses_are_estimated(
    cache_dir: Path, device: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, bool]] = []  # network, and whether the classifier is under way by then
    start = TensorRtEngine.start_pieces

    def watched(engine: TensorRtEngine, *given: Any) -> Any:
        started.append(
            (engine.name, any(engine is not other and is_under_way(other) for other in classifiers))
        )
        return start(engine, *given)

    recognizer = perception(cache_dir, "tensorrt", CLASSIFIER, profile="accurate")
    classifiers = [engine for engine in OnHostDevice.made if engine.name == CLASSIFIER]
    monkeypatch.setattr(OnHostDevice, "start_pieces", watched)
    first, second = frames(2)
    (found,) = recognizer.recognize([first])
    assert len(found.hands) == 1
    assert [name for name, _ in started][-1] == CLASSIFIER  # a new hand needs the body that has it
    started.clear()
    (found,) = recognizer.recognize([second])
    recognizer.close()
    assert len(found.hands) == 1
    assert started[0] == (CLASSIFIER, False)
    assert ("pose-landmark", True) in started  # nobody has waited for the classifier yet
    assert [name for name, _ in started].count(CLASSIFIER) == 1


def is_under_way(engine: TensorRtEngine) -> bool:
    """Whether a run was started whose results nobody has fetched."""
    return engine._waiting is not None and engine._waiting._done is None


def test_two_cameras_in_turns_keep_their_own_hands(cache_dir: Path, device: HostDevice) -> None:
    together, alone = (perception(cache_dir, "tensorrt", CLASSIFIER) for _ in range(2))
    hall = [replace(frame, camera="hall") for frame in frames(3)]
    empty = [replace(frame, camera="yard", pixels=np.zeros_like(frame.image)) for frame in frames(3)]
    hands = 0
    for turn in ([hall[0]], [empty[0]], [empty[1], hall[1]], [hall[2], empty[2]], []):
        found = together.recognize(turn)
        assert [d.frame for d in found] == turn
        for detections in found:
            (expected,) = alone.recognize([detections.frame])
            assert len(detections.hands) == len(expected.hands)
            for hand, right in zip(detections.hands, expected.hands, strict=True):
                np.testing.assert_allclose(hand.scores, right.scores, atol=1e-4)
            hands += len(detections.hands)
    together.close()
    alone.close()
    assert hands == 3


def test_a_camera_that_changes_its_size_mid_run_is_followed(cache_dir: Path, device: HostDevice) -> None:
    recognizer = perception(cache_dir, "tensorrt", "gesturenet")
    for size in ((640, 480), (1280, 720), (320, 240)):
        (frame,) = frames(1, size)
        (detections,) = recognizer.recognize([frame])
        assert (detections.width, detections.height) == size
        assert detections.people == 1
        recognizer.forget("front")
    recognizer.close()

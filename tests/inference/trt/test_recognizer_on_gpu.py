"""The whole perception with frames that stay on the device: kernels, uploads, plans and streams together.

The device is the host's, the networks run on ONNX Runtime behind TensorRT's API; all between them is real.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

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
from agent.inference.pipelined import PipelinedRecognizer
from agent.inference.recognizer import Recognizer
from agent.inference.trt.engine import TensorRtEngine
from agent.inference.trt.gpu_context import GpuContext
from agent.inference.trt.library import Library
from agent.inference.trt.upload_cache import FrameUploadCache

CLIP = Path(__file__).parents[2] / "data" / "demo.mp4"


class OnHostDevice(TensorRtEngine):
    """The backend with a device of the test's own."""

    room: GpuContext

    def __init__(self, name: str, path: Path, *, options: EngineOptions | None = None) -> None:
        super().__init__(name, path, options=options, context=OnHostDevice.room)


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


def perception(cache: Path, backend: str, gestures: str) -> Recognizer:
    settings = RecognitionSettings.model_validate(
        {
            "backend": backend,
            "gestures": gestures,
            "tensorrt": TensorRtSettings(precision="fp32").model_dump(),
        }
    )
    return build_recognizer(settings, cache)


def test_it_sees_what_the_cpu_path_sees_and_uploads_each_frame_once(
    cache_dir: Path, device: HostDevice
) -> None:
    on_gpu, on_cpu = (perception(cache_dir, b, "gesturenet") for b in ("tensorrt", "onnxruntime"))
    assert set(on_gpu.backends) == {"gesturenet", "palm-detector", "pose-detector", "pose-landmark"}
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


def test_one_frame_ahead_sees_the_same_one_frame_later(cache_dir: Path, device: HostDevice) -> None:
    plain, other = (perception(cache_dir, "tensorrt", "gesturenet") for _ in range(2))
    ahead = PipelinedRecognizer(other)
    expected = [plain.recognize([frame])[0] for frame in frames(4)]
    told = [ahead.recognize([frame]) for frame in frames(4)]
    assert told[0] == []
    for (found,), detections in zip(told[1:], expected, strict=False):
        assert found.at == detections.at
        assert len(found.hands) == len(detections.hands) > 0
        for a, b in zip(found.hands, detections.hands, strict=True):
            np.testing.assert_array_equal(a.scores, b.scores)
    ahead.forget("front")
    assert ahead.recognize([]) == []  # the last frame's hands went with the camera
    plain.close()
    other.close()


def test_one_frame_ahead_two_cameras_keep_their_own_hands(cache_dir: Path, device: HostDevice) -> None:
    """Cameras come in turns: a frame's hands are told when frames of another camera are under way."""
    plain, other = (perception(cache_dir, "tensorrt", "gesturenet") for _ in range(2))
    ahead = PipelinedRecognizer(other)
    hall = [replace(frame, camera="hall") for frame in frames(3)]
    empty = [replace(frame, camera="yard", pixels=np.zeros_like(frame.image)) for frame in frames(3)]
    turns = [[hall[0]], [empty[0]], [empty[1], hall[1]], [hall[2], empty[2]], []]
    told = [ahead.recognize(turn) for turn in turns]
    assert told[0] == []
    for found, turn in zip(told[1:], turns, strict=False):
        assert [d.frame for d in found] == turn
        for detections in found:
            (alone,) = plain.recognize([detections.frame])
            assert len(detections.hands) == len(alone.hands)
            for hand, right in zip(detections.hands, alone.hands, strict=True):
                np.testing.assert_allclose(hand.scores, right.scores, atol=1e-4)
    assert sum(len(d.hands) for d in told[3]) > 0
    plain.close()
    other.close()


def test_a_camera_that_changes_its_size_mid_run_is_followed(cache_dir: Path, device: HostDevice) -> None:
    recognizer = perception(cache_dir, "tensorrt", "gesturenet")
    for size in ((640, 480), (1280, 720), (320, 240)):
        (frame,) = frames(1, size)
        (detections,) = recognizer.recognize([frame])
        assert (detections.width, detections.height) == size
        assert detections.people == 1
        recognizer.forget("front")
    recognizer.close()

"""BodyPoseNet behind the seam: from pixels of a frame to joints in pixels of the frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from networks import BODY_INPUT, FIELDS, HEATMAPS, bodyposenet, telling
from rendered import JOINTS, SIZE, inside, maps, person, without

from agent.core.geometry import MIN_JOINT, box_of_arm
from agent.core.types import Floats, Image
from agent.errors import EngineError, ModelError
from agent.inference.bodies.bodyposenet import BodyPoseNet, letterboxed
from agent.inference.engine import load_engine
from agent.inference.fake_engine import FakeEngine
from agent.inference.manifest import Manifest, load_manifest
from agent.inference.stopwatch import Stopwatch

INPUT = ("N", *SIZE, 3)
OUTPUTS = {HEATMAPS: ("N", 36, 48, 19), FIELDS: ("N", 144, 192, 38)}
BACKGROUND = 10  # grey level of the frame; the pad is 128, the spots are colours
SPOT = 0.011  # radius / height of the frame


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    return load_manifest("bodyposenet")


def colour(kind: int) -> tuple[int, int, int]:
    """Of a joint's spot, BGR: no two joints and no grey alike, and RGB told from BGR."""
    return 255 - 12 * kind, 30 + 12 * kind, 40


def painted(people: list[Floats], width: int, height: int) -> Image:
    """A frame with a spot of colour at every joint."""
    frame = np.full((height, width, 3), BACKGROUND, np.uint8)
    ys, xs = np.mgrid[0:height, 0:width] + 0.5
    for joints in people:
        for kind, (x, y) in enumerate(joints):
            if np.isfinite(x):
                frame[np.hypot(xs - x, ys - y) <= SPOT * height] = colour(kind)
    return frame


def spots(inputs: Mapping[str, Floats]) -> dict[str, Floats]:
    """A network that finds the spots: it wants RGB, (x - 128) / 256, and says where in its input they lie."""
    pixels = inputs[BODY_INPUT][0] * 256 + 128
    joints = np.full((18, 2), np.nan, np.float32)
    for kind in range(18):
        near = np.abs(pixels - np.array(colour(kind)[::-1])).max(axis=2) < 4
        if near.any():
            ys, xs = np.nonzero(near)
            joints[kind] = np.median(xs) + 0.5, np.median(ys) + 0.5  # where two spots meet, colours mix
    heat, fields = maps([joints], (pixels.shape[0], pixels.shape[1]))
    batch = len(inputs[BODY_INPUT])
    return {HEATMAPS: np.repeat(heat[None], batch, 0), FIELDS: np.repeat(fields[None], batch, 0)}


def seeing(manifest: Manifest, **changes: tuple[int | str, ...]) -> tuple[BodyPoseNet, FakeEngine]:
    engine = FakeEngine("bodyposenet", {BODY_INPUT: changes.get("input", INPUT)}, OUTPUTS, spots)
    return BodyPoseNet(engine, manifest), engine


@pytest.mark.parametrize("frame", [(640, 480), (1280, 720), (480, 640), (1920, 1080), (384, 288)])
def test_joints_come_back_in_pixels_of_the_frame(manifest: Manifest, frame: tuple[int, int]) -> None:
    width, height = frame
    somebody = inside(person(width * 0.45, height * 0.3, height * 0.8), (height, width))
    net, _ = seeing(manifest)
    (pose,) = net.find(painted([somebody], width, height))
    seen = pose.keypoints[:, 2] > 0
    np.testing.assert_array_equal(seen, np.isfinite(somebody[:, 0]))
    apart = np.hypot(*(pose.keypoints[:, :2] - somebody).T)[seen]
    assert apart.max() < 2.5 * max(width / SIZE[1], height / SIZE[0])
    assert pose.joints == JOINTS


@pytest.mark.parametrize("size", [(224, 320), (288, 384), (368, 656)])
def test_the_size_is_the_engines_and_not_the_manifests(manifest: Manifest, size: tuple[int, int]) -> None:
    net, engine = seeing(manifest, input=("N", *size, 3))
    assert net.size == size
    assert len(net.find(painted([person(300, 150, 320)], 640, 480))) == 1
    assert engine.runs == [{BODY_INPUT: (1, *size, 3)}]


def test_where_the_engine_leaves_its_size_open_the_manifest_says_it(manifest: Manifest) -> None:
    net, engine = seeing(manifest, input=("N", "H", "W", 3))
    net.find(painted([person(300, 150, 320)], 640, 480))
    assert engine.runs == [{BODY_INPUT: (1, 288, 384, 3)}]


def test_a_network_of_fixed_batch_is_fed_full(manifest: Manifest) -> None:
    net, engine = seeing(manifest, input=(4, *SIZE, 3))
    assert len(net.find(painted([person(300, 150, 320)], 640, 480))) == 1
    assert engine.runs == [{BODY_INPUT: (4, *SIZE, 3)}]


def test_the_pad_is_grey_centred_and_the_aspect_kept() -> None:
    white = np.full((720, 1280, 3), 255, np.uint8)
    picture, scale, shift = letterboxed(white, SIZE)
    assert (picture[:36] == 128).all()
    assert (picture[36:252] == 255).all()
    assert (picture[252:] == 128).all()
    assert (scale == np.float32(0.3)).all()
    assert shift.tolist() == [0, 36]


def test_outputs_are_known_by_their_channels_whatever_they_are_called(manifest: Manifest) -> None:
    def renamed(inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        said = spots(inputs)
        return {"a": said[FIELDS], "b": said[HEATMAPS]}

    outputs = {"a": OUTPUTS[FIELDS], "b": OUTPUTS[HEATMAPS]}
    net = BodyPoseNet(FakeEngine("body", {BODY_INPUT: INPUT}, outputs, renamed), manifest)
    assert len(net.find(painted([person(300, 150, 320)], 640, 480))) == 1


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        ({"image": INPUT}, OUTPUTS, r'its inputs are image \(.*the manifest says one, "input_1:0"'),
        ({BODY_INPUT: ("N", 3, 288, 384)}, OUTPUTS, r"wants \(N, height, width, 3\)"),
        ({BODY_INPUT: INPUT}, {HEATMAPS: OUTPUTS[HEATMAPS]}, "0 outputs have 38 channels"),
        ({BODY_INPUT: INPUT}, OUTPUTS | {"more": ("N", 36, 48, 19)}, "2 outputs have 19 channels"),
    ],
)
def test_another_network_is_reported_by_what_it_has(
    manifest: Manifest, inputs: dict[str, tuple[int | str, ...]],
    outputs: dict[str, tuple[int | str, ...]], said: str,
) -> None:  # fmt: skip
    with pytest.raises(ModelError, match=said):
        BodyPoseNet(FakeEngine("body", inputs, outputs, spots), manifest)


def test_maps_that_are_not_finite_are_an_error_and_no_people(manifest: Manifest) -> None:
    def broken(inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        return {name: np.full_like(array, np.nan) for name, array in spots(inputs).items()}

    net = BodyPoseNet(FakeEngine("body", {BODY_INPUT: INPUT}, OUTPUTS, broken), manifest)
    with pytest.raises(EngineError, match="heatmaps are not finite"):
        net.find(np.zeros((480, 640, 3), np.uint8))


def test_a_joint_that_was_found_counts_as_seen_and_others_do_not(manifest: Manifest) -> None:
    """What uses joints asks for `MIN_JOINT`; a heatmap's height of 0.15 is low and still a joint."""
    heat, fields = maps([without(person(190, 70, 250), "left_wrist")])
    says = {HEATMAPS: heat[None] * np.float32(0.4), FIELDS: fields[None]}
    net = BodyPoseNet(FakeEngine("body", {BODY_INPUT: INPUT}, OUTPUTS, lambda _: says), manifest)
    (pose,) = net.find(np.zeros((*SIZE, 3), np.uint8))
    assert pose.joint("right_wrist")[2] >= MIN_JOINT  # type: ignore[index]
    assert box_of_arm(pose, "right") is not None
    assert box_of_arm(pose, "left") is None


def test_people_keep_their_numbers_while_they_move_and_their_legs_come_and_go(manifest: Manifest) -> None:
    people: list[Floats] = []
    engine = FakeEngine("body", {BODY_INPUT: INPUT}, OUTPUTS, lambda _: _said(people))
    tracker = BodyPoseNet(engine, manifest).tracker(people=3, look_around_s=1.0)
    numbers = []
    for i in range(12):
        left, right = person(90 + 3 * i, 70, 220), person(290 - 2 * i, 80, 210)
        if i % 3 == 0:
            left = without(left, *(name for name in JOINTS if name.endswith(("knee", "ankle", "hip"))))
        people[:] = [left, right] if i % 2 else [right, left]
        seen = tracker.update(np.zeros((*SIZE, 3), np.uint8), i / 15, Stopwatch())
        numbers.append([p.id for p in sorted(seen, key=lambda p: p.region.cx)])
    assert numbers == [numbers[0]] * 12


def test_of_a_crowd_the_nearest_are_followed(manifest: Manifest) -> None:
    people = [person(70, 60, 130), person(180, 60, 250), person(310, 60, 180)]
    engine = FakeEngine("body", {BODY_INPUT: INPUT}, OUTPUTS, lambda _: _said(people))
    tracker = BodyPoseNet(engine, manifest).tracker(people=2, look_around_s=1.0)
    seen = tracker.update(np.zeros((*SIZE, 3), np.uint8), 0.0, Stopwatch())
    assert sorted(round(p.region.cx) for p in seen) == pytest.approx([180, 310], abs=4)


def _said(people: list[Floats]) -> dict[str, Floats]:
    heat, fields = maps([inside(p) for p in people])
    return {HEATMAPS: heat[None], FIELDS: fields[None]}


# --- with a real runtime -----------------------------------------------------------------------------------


def test_a_network_of_random_weights_runs_and_may_see_anything_that_is_sound(
    manifest: Manifest, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(bodyposenet(size=("H", "W")))
    engine = load_engine("bodyposenet", path, backend="onnxruntime", threads=1)
    net = BodyPoseNet(engine, manifest)
    picture = np.random.default_rng(3).integers(0, 255, (480, 640, 3)).astype(np.uint8)
    for pose in net.find(picture):
        assert np.isfinite(pose.keypoints).all()
        assert 0 <= pose.score <= 1
    engine.close()


def test_two_people_come_through_a_real_runtime(manifest: Manifest, tmp_path: Path) -> None:
    people = [person(100, 70, 220), person(280, 80, 210)]
    path = tmp_path / "model.onnx"
    path.write_bytes(telling(*maps(people)))
    engine = load_engine("bodyposenet", path, backend="onnxruntime", threads=1)
    poses = BodyPoseNet(engine, manifest).find(np.zeros((720, 1280, 3), np.uint8))
    engine.close()
    assert len(poses) == 2
    for truth in people:
        there = (truth - np.array([0, 36])) / np.float32(0.3)  # the letterbox of 1280 x 720
        apart = min(np.hypot(*(pose.keypoints[:, :2] - there).T).max() for pose in poses)
        assert apart < 5

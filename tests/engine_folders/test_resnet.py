"""GestureNet proper finds joints as means of heatmaps. PyTorch is an extra, so this may be skipped."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (the extra `train`)")

from engines.training.gesturenet_train import joints_error  # noqa: E402
from engines.training.resnet import LOOKS_AT, SHAPE, GestureNet, centres, joints_of, shape_of  # noqa: E402


def test_cells_lie_evenly_across_the_picture() -> None:
    assert centres(1, 4)[:, 0].tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert centres(2, 3)[4].tolist() == [0.0, 0.5]


def test_a_shape_is_the_same_wherever_the_hand_is_and_however_large() -> None:
    hand = torch.randn(2, 21, 2, generator=torch.Generator().manual_seed(0))
    moved = hand * 0.4 + torch.tensor([0.3, -0.2])
    assert shape_of(hand).shape == (2, SHAPE - 21)  # beside them: how sure of each joint
    assert torch.allclose(shape_of(hand), shape_of(moved), atol=2e-3)


def test_unknown_joints_and_those_outside_teach_nothing() -> None:
    seen = torch.zeros(2, 21, 2, requires_grad=True)
    true = torch.full((2, 21, 2), torch.nan)
    assert joints_error(seen, true).item() == 0
    true[0, 3] = torch.tensor([0.5, -0.5])
    true[1, 4] = torch.tensor([0.5, 1.2])
    joints_error(seen, true).backward()
    assert seen.grad is not None
    assert torch.nonzero(seen.grad)[:, :2].unique(dim=0).tolist() == [[0, 3]]


def test_a_joint_is_the_mean_of_its_map() -> None:
    heat = torch.full((1, 21, 4, 4), -50.0)
    heat[0, :, 1, 1:3] = 50.0  # two cells side by side, as likely
    joints, sure = joints_of(heat)
    assert joints[0, 0].tolist() == pytest.approx([0.0, -0.25])
    assert sure[0, 0].item() == pytest.approx(0.5)


def test_scores_and_joints_for_every_picture() -> None:
    by_shape, by_picture, joints = GestureNet().eval()(torch.zeros(3, 3, LOOKS_AT, LOOKS_AT))
    assert by_shape.shape == by_picture.shape == (3, 6)
    assert joints.shape == (3, 21, 2)
    assert joints.abs().max() <= 1

"""GestureNet proper finds joints as means of heatmaps. PyTorch is an extra, so this may be skipped."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (the extra `train`)")

from engines.training.gesturenet_train import joints_error  # noqa: E402
from engines.training.resnet import LOOKS_AT, GestureNet, centres, shape_of  # noqa: E402


def test_cells_lie_evenly_across_the_picture() -> None:
    assert centres(1, 4)[:, 0].tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert centres(2, 3)[4].tolist() == [0.0, 0.5]


def test_a_shape_is_the_same_wherever_the_hand_is_and_however_large() -> None:
    hand = torch.randn(2, 21, 2, generator=torch.Generator().manual_seed(0))
    moved = hand * 0.4 + torch.tensor([0.3, -0.2])
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


def test_scores_and_joints_for_every_picture() -> None:
    scores, joints = GestureNet().eval()(torch.zeros(3, 3, LOOKS_AT, LOOKS_AT))
    assert scores.shape == (3, 6)
    assert joints.shape == (3, 21, 2)
    assert joints.abs().max() <= 1

"""GestureNet proper learns gestures and joints at once. PyTorch is an extra, so this may be skipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (the extra `train`)")

from training.gestures.image.resnet import LOOKS_AT, GestureNet  # noqa: E402
from training.gestures.image.train import Training, joints_error  # noqa: E402


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


def test_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    batch = (
        np.zeros((4, LOOKS_AT, LOOKS_AT, 3), np.uint8),
        np.array([0, 1, 2, 5]),
        np.zeros((4, 21, 2), np.float32),
    )
    first = Training(10, tmp_path / "net.pt")
    first.step(*batch)
    first.save()
    second = Training(10, tmp_path / "net.pt")
    assert second.done == 1
    for name, weights in first.average.state_dict().items():
        assert torch.equal(weights, second.average.state_dict()[name]), name

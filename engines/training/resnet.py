"""The network of GestureNet proper: a narrow ResNet-18 that finds the joints on its way to the gesture.

Half the usual width because the weights lie in the repository. It takes 160 px as the contract says and
looks at them at `LOOKS_AT` px, the size it learns at: two cores have no time for more, and a network asked
at another size than it learnt at errs badly (measured: 0.89 at 96 px, 0.49 at 160).

A few thousand labels say little to a network that starts from nothing; where 21 joints are says much. So a
branch reads the joints from maps of an eighth of the picture's detail (feature pyramid, Lin et al. 2017) as
means of heatmaps (integral regression, Sun et al. 2018). Two heads then name the gesture: one sees the shape
that the joints make and nothing else, so no wall can mislead it; one sees the picture's features, and learns
gestures from rendered hands alone, where every gesture is made before every wall.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 32
LOOKS_AT = 112
JOINTS = 21
HIDDEN = 128
FINGERS = [[0, *range(4 * finger + 1, 4 * finger + 5)] for finger in range(5)]
TIPS = (4, 8, 12, 16, 20)
PAIRS = [(a, b) for a in TIPS for b in (0, 3, 5, 6, 9, 13, 17, *TIPS) if b not in TIPS or a < b]
FROM, TO = ([pair[k] for pair in PAIRS] for k in (0, 1))
SHAPE = 2 * JOINTS + 5 * 3 + len(PAIRS) + JOINTS  # places, bends, distances, how sure of each joint


def convolved(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """Convolution, normalisation, rectifier."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(True),
    )


class Block(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.skip = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """As in the paper."""
        return torch.relu(self.body(x) + self.skip(x))


class Heat(nn.Module):
    """Where each joint may be, from the maps of the last three stages."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.deep = convolved(8 * width, 4 * width, 1)
        self.middle = convolved(4 * width, 4 * width, 3)
        self.fine = nn.Sequential(convolved(4 * width, 2 * width, 1), convolved(2 * width, 2 * width, 3))
        self.heat = nn.Conv2d(2 * width, JOINTS, 1)

    def forward(self, fine: Tensor, middle: Tensor, deep: Tensor) -> Tensor:
        """Maps as fine as the first (N, 21, rows, columns), before the softmax."""
        x = self.middle(as_fine_as(middle, self.deep(deep)) + middle)
        x = self.fine[1](as_fine_as(fine, self.fine[0](x)) + fine)
        heat: Tensor = self.heat(x)
        return heat


def sides(maps: Tensor) -> tuple[int, int]:
    """Rows and columns of maps, as numbers: an exported network has one size."""
    return int(maps.shape[2]), int(maps.shape[3])


def as_fine_as(fine: Tensor, coarse: Tensor) -> Tensor:
    """Maps with the rows and columns of others."""
    larger = tuple(f / c for f, c in zip(sides(fine), sides(coarse), strict=True))
    return functional.interpolate(coarse, scale_factor=larger, mode="nearest")


def joints_of(heat: Tensor) -> tuple[Tensor, Tensor]:
    """Joints (N, 21, 2), -1 to 1 across the picture, and how sure of each (N, 21)."""
    share = torch.softmax(heat.float().flatten(2), 2)
    at = centres(*sides(heat)).to(share)
    return (share.unsqueeze(3) * at).sum(2), share.amax(2)  # no matmul: it would be rounded to 8 bits


def centres(rows: int, columns: int) -> Tensor:
    """Middles of a map's cells (rows x columns, 2), x and y from -1 to 1 across the picture."""
    y = (torch.arange(rows) + 0.5) * 2 / rows - 1
    x = (torch.arange(columns) + 0.5) * 2 / columns - 1
    return torch.stack([x.repeat(rows), y.repeat_interleave(columns)], 1)


def shape_of(joints: Tensor) -> Tensor:
    """Joints (N, 21, 2) without where the hand is and how large (N, `SHAPE`): places, bends, distances."""
    middle = joints - joints.mean(1, keepdim=True)
    at = middle / middle.square().mean((1, 2), keepdim=True).add(1e-4).sqrt()
    fingers = at[:, FINGERS]  # (N, 5, 5, 2): each from the wrist to its tip
    bones = fingers[:, :, 1:] - fingers[:, :, :-1]
    bones = bones / bones.square().sum(3, keepdim=True).add(1e-4).sqrt()
    bends = (bones[:, :, 1:] * bones[:, :, :-1]).sum(3)
    apart = (at[:, FROM] - at[:, TO]).square().sum(2).add(1e-4).sqrt()
    return torch.cat([at.flatten(1), bends.flatten(1), apart], 1)


class GestureNet(nn.Module):
    """Scores before the softmax."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.stem = nn.Sequential(convolved(3, width, 7, 2), nn.MaxPool2d(3, 2, 1))
        stages, inputs = [], width
        for outputs, stride in ((width, 1), (2 * width, 2), (4 * width, 2), (8 * width, 2)):
            stages.append(nn.Sequential(Block(inputs, outputs, stride), Block(outputs, outputs, 1)))
            inputs = outputs
        self.stages = nn.ModuleList(stages)
        self.joints = Heat(width)
        self.drop = nn.Dropout(0.2)
        self.shape = nn.Sequential(nn.BatchNorm1d(SHAPE), nn.Linear(SHAPE, HIDDEN), nn.ReLU(True))
        self.by_shape = nn.Linear(HIDDEN, 6)
        self.picture = nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(True))
        self.by_picture = nn.Linear(HIDDEN, 6)

    def look(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features of the picture (N, 8 x width), and maps of where joints are as `Heat` gives them."""
        maps = [self.stem(x)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[-1].mean((2, 3)), self.joints(*maps[-3:])

    def embed(self, features: Tensor, heat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the scores are made of, shape and picture (N, `HIDDEN`), and the joints (N, 21, 2)."""
        joints, sure = joints_of(heat)
        shape = self.shape(torch.cat([shape_of(joints), sure], 1))
        return shape, self.picture(features), joints

    def decide(self, features: Tensor, heat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores by shape (N, 6), by picture (N, 6), and joints (N, 21, 2), -1 to 1 across the picture."""
        shape, picture, joints = self.embed(features, heat)
        return self.by_shape(self.drop(shape)), self.by_picture(self.drop(picture)), joints

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From pictures to what `decide` says."""
        return self.decide(*self.look(x))


def prepared(images: np.ndarray) -> Tensor:
    """From uint8 NHWC to what the manifest says: NCHW, (x - 128) / 256."""
    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float()
    return ((x - 128) / 256).contiguous(memory_format=torch.channels_last)

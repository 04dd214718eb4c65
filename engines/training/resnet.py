"""The network of GestureNet proper: a narrow ResNet-18 that finds the joints on its way to the gesture.

Half the usual width because the weights lie in the repository. It takes 160 px as the contract says and
looks at them at `LOOKS_AT` px, the size it learns at: two cores have no time for more, and a network asked
at another size than it learnt at errs badly (measured: 0.89 at 96 px, 0.49 at 160).

A few thousand labels say little to a network that starts from nothing; where 21 joints are says much. So a
branch reads the joints from maps of a quarter of the picture's detail (feature pyramid, Lin et al. 2017) as
means of heatmaps (integral regression, Sun et al. 2018), and the gesture is decided from both, the picture's
features and the shape that the joints make.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 32
LOOKS_AT = 112
JOINTS = 21


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


class Joints(nn.Module):
    """Where the joints are, from the maps of the last three stages."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.deep = convolved(8 * width, 4 * width, 1)
        self.middle = convolved(4 * width, 4 * width, 3)
        self.fine = nn.Sequential(convolved(4 * width, 2 * width, 1), convolved(2 * width, 2 * width, 3))
        self.heat = nn.Conv2d(2 * width, JOINTS, 1)

    def forward(self, fine: Tensor, middle: Tensor, deep: Tensor) -> tuple[Tensor, Tensor]:
        """Joints (N, 21, 2), -1 to 1 across the picture, and how sure of each (N, 21)."""
        x = self.middle(as_fine_as(middle, self.deep(deep)) + middle)
        x = self.fine[1](as_fine_as(fine, self.fine[0](x)) + fine)
        share = torch.softmax(self.heat(x).float().flatten(2), 2)
        return share @ centres(*sides(fine)).to(share), share.amax(2)


def sides(maps: Tensor) -> tuple[int, int]:
    """Rows and columns of maps, as numbers: an exported network has one size."""
    return int(maps.shape[2]), int(maps.shape[3])


def as_fine_as(fine: Tensor, coarse: Tensor) -> Tensor:
    """Maps with the rows and columns of others."""
    larger = tuple(f / c for f, c in zip(sides(fine), sides(coarse), strict=True))
    return functional.interpolate(coarse, scale_factor=larger, mode="nearest")


def centres(rows: int, columns: int) -> Tensor:
    """Middles of a map's cells (rows x columns, 2), x and y from -1 to 1 across the picture."""
    y = (torch.arange(rows) + 0.5) * 2 / rows - 1
    x = (torch.arange(columns) + 0.5) * 2 / columns - 1
    return torch.stack([x.repeat(rows), y.repeat_interleave(columns)], 1)


def shape_of(joints: Tensor) -> Tensor:
    """Joints (N, 21, 2) without where the hand is and how large: (N, 42)."""
    middle = joints - joints.mean(1, keepdim=True)
    size = middle.square().mean((1, 2), keepdim=True).add(1e-4).sqrt()
    return (middle / size).flatten(1)


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
        self.joints = Joints(width)
        self.shape = nn.Sequential(nn.Linear(3 * JOINTS, inputs // 2), nn.ReLU(True))
        self.both = nn.Sequential(nn.Linear(inputs + inputs // 2, inputs), nn.ReLU(True))
        self.drop = nn.Dropout(0.2)
        self.last = nn.Linear(inputs, 6)

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The layer before the scores (N, 8 x width), and the joints as `Joints` gives them."""
        maps = [self.stem(x)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        joints, sure = self.joints(*maps[-3:])
        shape = self.shape(torch.cat([shape_of(joints), sure], 1))
        return self.both(torch.cat([maps[-1].mean((2, 3)), shape], 1)), joints

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N, 6) and joints (N, 21, 2), -1 to 1 across the picture."""
        embedding, joints = self.embed(x)
        return self.last(self.drop(embedding)), joints


def prepared(images: np.ndarray) -> Tensor:
    """From uint8 NHWC to what the manifest says: NCHW, (x - 128) / 256."""
    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float()
    return ((x - 128) / 256).contiguous(memory_format=torch.channels_last)

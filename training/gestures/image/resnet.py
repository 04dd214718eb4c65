"""The network of GestureNet proper: a narrow ResNet-18 at 160 x 160.

Half the usual width (2.8 million weights) because the weights lie in the repository. It takes 160 px as the
contract says and looks at them at `LOOKS_AT` px, the size it learns at: two cores have no time for more,
and a network asked at another size than it learnt at errs badly (measured: 0.89 at 96 px, 0.49 at 160).
Besides gestures it learns where the 21 joints are: a few thousand labels say little to a network that
starts from nothing, 42 numbers a picture say much. That part is not deployed.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

WIDTH = 32
LOOKS_AT = 112
JOINTS = 21


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


class GestureNet(nn.Module):
    """Scores before the softmax."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(3, width, 7, 2, 3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(True),
            nn.MaxPool2d(3, 2, 1),
        ]
        inputs = width
        for outputs, stride in ((width, 1), (2 * width, 2), (4 * width, 2), (8 * width, 2)):
            layers += [Block(inputs, outputs, stride), Block(outputs, outputs, 1)]
            inputs = outputs
        self.body = nn.Sequential(*layers)
        self.drop = nn.Dropout(0.2)
        self.last = nn.Linear(inputs, 6)
        self.joints = nn.Linear(inputs * (-(-LOOKS_AT // 32)) ** 2, 2 * JOINTS)  # not deployed

    def embed(self, x: Tensor) -> Tensor:
        """The layer before the scores (N, 8 x width)."""
        return self.body(x).mean((2, 3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N, 6) and joints (N, 21, 2), -1 to 1 across the picture."""
        maps = self.body(x)
        joints = self.joints(maps.flatten(1)).view(-1, JOINTS, 2)
        return self.last(self.drop(maps.mean((2, 3)))), joints


def prepared(images: np.ndarray) -> Tensor:
    """From uint8 NHWC to what the manifest says: NCHW, (x - 128) / 256."""
    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float()
    return ((x - 128) / 256).contiguous(memory_format=torch.channels_last)

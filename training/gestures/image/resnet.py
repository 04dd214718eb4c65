"""Network of GestureNet: a narrow ResNet-18 with 160 x 160 input.

Half the usual width (2.8 million weights) because the weights are in the repository. The input is 160 px by
contract and is resized to `LOOKS_AT` px, the training size: two cores are too slow for more, and a network
used at another size than it was trained at is inaccurate (measured: 0.89 at 96 px, 0.49 at 160).
An auxiliary output predicts the 21 joints: a few thousand labels are little for training from scratch, 42
numbers an image are much. That output is not deployed.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

WIDTH = 32
LOOKS_AT = 112
JOINTS = 21


class Block(nn.Module):
    """Residual block with two convolutions."""

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
        """Compute the block (He et al. 2015)."""
        return torch.relu(self.body(x) + self.skip(x))


class GestureNet(nn.Module):
    """Classifier with scores before the softmax, and an auxiliary joint output."""

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
        """Return the embedding, the layer before the scores (N, 8 x width)."""
        return self.body(x).mean((2, 3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (N, 6) and joints (N, 21, 2), -1 to 1 across the image."""
        maps = self.body(x)
        joints = self.joints(maps.flatten(1)).view(-1, JOINTS, 2)
        return self.last(self.drop(maps.mean((2, 3)))), joints


def prepared(images: np.ndarray) -> Tensor:
    """Convert uint8 NHWC as in the manifest: NCHW, (x - 128) / 256."""
    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float()
    return ((x - 128) / 256).contiguous(memory_format=torch.channels_last)

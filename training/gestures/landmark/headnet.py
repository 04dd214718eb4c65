"""Head of gesturenet-landmark as a torch module that includes its geometric features.

The output of the landmark network is first transformed to frames that do not depend on the crop: the palm's
own frame (invariant to rotation and view), the image's frame (for direction), and lengths and angles. A hand
and its mirror image give the same result, because both are classified and averaged.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

TIPS = (4, 8, 12, 16, 20)
CHAINS = ((0, 1, 2, 3, 4), (0, 5, 6, 7, 8), (0, 9, 10, 11, 12), (0, 13, 14, 15, 16), (0, 17, 18, 19, 20))
PAIRS = (
    *((a, 0) for a in TIPS),
    *((4, b) for b in (5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)),
    (8, 12),
    (12, 16),
    (16, 20),
    (8, 5),
    (12, 9),
    (16, 13),
    (20, 17),
    (6, 10),
    (10, 14),
    (14, 18),
    (8, 20),
)


def unit(v: Tensor) -> Tensor:
    """Normalize to length 1."""
    return v / (v * v).sum(-1, keepdim=True).clamp_min(1e-10).sqrt()


def cross(a: Tensor, b: Tensor) -> Tensor:
    """Return the cross product."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)


def lengths(p: Tensor) -> Tensor:
    """Return the distances of `PAIRS` (N, pairs)."""
    a = p[:, [i for i, _ in PAIRS]]
    b = p[:, [j for _, j in PAIRS]]
    return ((a - b) ** 2).sum(-1).clamp_min(1e-10).sqrt()


def bends(p: Tensor) -> Tensor:
    """Return the cosine of the bend at every inner joint of every finger (N, 15)."""
    triples = [chain[i : i + 3] for chain in CHAINS for i in range(3)]
    a, b, c = (p[:, list(column)] for column in zip(*triples, strict=True))
    return (unit(b - a) * unit(c - b)).sum(-1)


def turned(p: Tensor, c: Tensor, s: Tensor) -> Tensor:
    """Rotate points (N, K, 3) clockwise in the image plane; c and s are (N, 1)."""
    x, y = p[..., 0], p[..., 1]
    return torch.stack([c * x - s * y, s * x + c * y, p[..., 2]], -1)


def describe(landmarks: Tensor, world: Tensor, presence: Tensor, handedness: Tensor, angle: Tensor) -> Tensor:
    """Return all inputs of the perceptron; arguments as from the landmark network, angle (N, 1)."""
    flat = landmarks.reshape(-1, 21, 3)
    solid = world.reshape(-1, 21, 3)
    flat = flat - flat[:, :1]
    knuckles = [5, 9, 13, 17]
    size = ((flat[:, [1, 2, *knuckles], :2] ** 2).sum(-1)).mean(1, keepdim=True).clamp_min(1.0).sqrt()
    span = (flat[:, :, :2].flatten(1) ** 2).mean(1, keepdim=True).clamp_min(1.0).sqrt()
    flat = flat / (0.5 * size + 0.7 * span)[..., None]
    solid = solid - solid[:, :1]
    palm = ((solid[:, knuckles] ** 2).sum(-1)).mean(1, keepdim=True).clamp_min(1e-6).sqrt()
    solid = solid / palm[..., None]
    # the image's frame
    c, s = torch.cos(angle), torch.sin(angle)
    upright_solid = turned(solid, c, s)
    upright_flat = turned(flat, c, s)
    # the hand's frame in the image: wrist to middle knuckle is up
    aim = unit(flat[:, 9, :2] + 0.5 * (flat[:, 5, :2] + flat[:, 13, :2]))
    hc, hs = -aim[:, 1:2], -aim[:, 0:1]
    hand_flat = turned(flat, hc, hs)
    # the palm's own frame in space
    up = unit(solid[:, 9] + solid[:, 13])
    side = solid[:, 5] - solid[:, 17]
    normal = unit(cross(side, up))
    across = cross(up, normal)
    own = torch.stack(
        [
            (solid * across[:, None]).sum(-1),
            (solid * up[:, None]).sum(-1),
            (solid * normal[:, None]).sum(-1),
        ],
        -1,
    )
    view = torch.stack([across[:, 2], up[:, 2], normal[:, 2]], -1)
    fall_x, fall_y = s, c  # gravity in the crop: down in the image, seen from the rotated crop
    fall = torch.cat(
        [
            fall_x * across[:, 0:1] + fall_y * across[:, 1:2],
            fall_x * up[:, 0:1] + fall_y * up[:, 1:2],
            fall_x * normal[:, 0:1] + fall_y * normal[:, 1:2],
        ],
        -1,
    )
    thumb = unit(upright_solid[:, 4] - upright_solid[:, 2])
    thumb_flat = upright_flat[:, 4, :2] - upright_flat[:, 2, :2]
    fingers = unit(upright_solid[:, 9])
    return torch.cat(
        [
            own.flatten(1),
            hand_flat.flatten(1),
            lengths(solid),
            lengths(flat[..., :2]),
            bends(solid),
            bends(flat),
            view,
            fall,
            thumb,
            thumb_flat,
            fingers,
            unit(upright_flat[:, 9, :2]),
            presence,
            handedness,
        ],
        1,
    )


def mirrored(
    landmarks: Tensor, world: Tensor, handedness: Tensor, angle: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mirror the hand."""
    flip = torch.tensor([-1.0, 1.0, 1.0], device=landmarks.device).repeat(21)
    return landmarks * flip, world * flip, 1 - handedness, -angle


class Head(nn.Module):
    """Perceptron from the description of a hand to six scores."""

    def __init__(self, width: int = 256, embedding: int = 96, dropout: float = 0.25) -> None:
        super().__init__()
        probe = describe(
            torch.rand(2, 63), torch.rand(2, 63), torch.rand(2, 1), torch.rand(2, 1), torch.rand(2, 1)
        )
        inputs = probe.shape[1]
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("std", torch.ones(inputs))
        self.body = nn.Sequential(
            nn.Linear(inputs, width),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(width, embedding),
            nn.SiLU(),
        )
        self.drop = nn.Dropout(dropout)
        self.last = nn.Linear(embedding, 6)

    def both_ways(
        self, landmarks: Tensor, world: Tensor, presence: Tensor, handedness: Tensor, angle: Tensor
    ) -> Tensor:
        """Return the descriptions of the hands (N rows), then of their mirror images (N rows)."""
        ml, mw, mh, ma = mirrored(landmarks, world, handedness, angle)
        pairs = ((landmarks, ml), (world, mw), (presence, presence), (handedness, mh), (angle, ma))
        return describe(*(torch.cat(pair) for pair in pairs))

    def embed_described(self, both: Tensor) -> Tensor:
        """Return the embedding, the last layer before the six scores."""
        one, two = self.body(((both - self.mean) / self.std).clamp(-6, 6)).chunk(2)
        return (one + two) / 2

    def logits(self, *inputs: Tensor) -> Tensor:
        """Return the scores before the softmax."""
        return self.last(self.drop(self.embed_described(self.both_ways(*inputs))))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities and embedding."""
        embedding = self.embed_described(self.both_ways(*inputs))
        return torch.softmax(self.last(embedding), 1), embedding


class Ensemble(nn.Module):
    """Ensemble of heads that differ by their seed, for lower variance on unseen hands."""

    def __init__(self, heads: list[Head], temperature: float) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)
        self.register_buffer("temperature", torch.tensor([temperature]))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the softmax of the mean log-probabilities over the temperature, and all embeddings."""
        both = self.heads[0].both_ways(*inputs)
        embeddings = [h.embed_described(both) for h in self.heads]
        pairs = zip(self.heads, embeddings, strict=True)
        mean = sum(torch.log_softmax(h.last(e), 1) for h, e in pairs) / len(embeddings)
        return torch.softmax(mean / self.temperature, 1), torch.cat(embeddings, 1)

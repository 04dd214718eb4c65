"""GestureNet proper: a narrow ResNet-18 at 160 x 160, trained from nothing.

Half the usual width (2.8 million weights) because the weights lie in the repository. It takes 160 px as the
contract says and looks at them at `LOOKS_AT` px, the size it learns at: two cores have no time for more,
and a network asked at another size than it learnt at errs badly (measured: 0.89 at 96 px, 0.49 at 160).
Besides gestures it learns where the 21 landmarks are: a few thousand labels say little to a network that
starts from nothing, 42 numbers a picture say much. A
checkpoint is written every `SAVE_EVERY` steps, and the same command goes on from it.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from .crops import batches, load

WIDTH = 32
SAVE_EVERY = 100
LOOKS_AT = 112
STAGES = ((LOOKS_AT, 96, 1.0),)  # px, pictures a step, share of the steps
POINTS_WEIGHT = 4.0  # of the landmarks' mean error (half sides) against the gestures' cross-entropy


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
        self.points = nn.Linear(
            inputs * (-(-LOOKS_AT // 32)) ** 2, 42
        )  # learns where joints are; not deployed
        self.register_buffer("temperature", torch.ones(1))

    def embed(self, x: Tensor) -> Tensor:
        """The layer before the scores (N, 8 x width)."""
        return self.body(x).mean((2, 3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N, 6) and landmarks (N, 21, 2), -1 to 1 across the picture."""
        maps = self.body(x)
        points = self.points(maps.flatten(1)).view(-1, 21, 2)
        return self.last(self.drop(maps.mean((2, 3)))), points


def prepared(images: np.ndarray) -> Tensor:
    """From uint8 NHWC to what the manifest says: NCHW, (x - 128) / 256."""
    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float()
    return ((x - 128) / 256).contiguous(memory_format=torch.channels_last)


def points_error(seen: Tensor, true: Tensor) -> Tensor:
    """Mean distance by axis of landmarks (N, 21, 2); pictures with no hand (nan) do not count."""
    known = ~true.isnan()
    return (seen - true.nan_to_num()).abs()[known].mean() if known.any() else seen.sum() * 0


def plan(steps: int) -> list[tuple[int, int, int, int]]:
    """Rows of first step, last step, px, pictures a step."""
    out, start = [], 0
    for k, (size, batch, share) in enumerate(STAGES):
        stop = steps if k == len(STAGES) - 1 else start + round(steps * share)
        out.append((start, stop, size, batch))
        start = stop
    return out


def train(
    packed: Path,
    work: Path,
    steps: int,
    *,
    without: tuple[str, ...] = (),
    seed: int = 0,
    rate: float = 2e-3,
    name: str = "gesturenet",
    width: int = WIDTH,
) -> GestureNet:
    """Train, or go on from the checkpoint; returns the averaged weights."""
    torch.manual_seed(seed)
    pictures = load(packed)
    rooms = pickle.loads((work / "rooms.pkl").read_bytes())
    model = GestureNet(width).to(memory_format=torch.channels_last)
    average = {k: v.clone() for k, v in model.state_dict().items()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.08)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    checkpoint = work / f"{name}.pt"
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        first = state["step"]
        model.load_state_dict(state["model"])
        average = state["average"]
        optimiser.load_state_dict(state["optimiser"])
        for _ in range(first):  # the plan may have been made longer or shorter meanwhile
            schedule.step()
    model.train()
    with tqdm(total=steps, initial=first, desc=name) as bar:
        for start, stop, size, batch in plan(steps):
            if stop <= first:
                continue
            for step, (images, labels, points) in enumerate(
                batches(pictures, size, batch, stop, seed, rooms, without, start=max(start, first)),
                max(start, first),
            ):
                with torch.autocast("cpu", torch.bfloat16):
                    logits, joints = model(prepared(images))
                off = points_error(joints.float(), torch.from_numpy(points))
                loss = loss_of(logits.float(), torch.from_numpy(labels)) + POINTS_WEIGHT * off
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 2.0)
                optimiser.step()
                schedule.step()
                with torch.no_grad():
                    keep = min(0.998, (1 + step) / (10 + step))
                    for k, v in model.state_dict().items():
                        if v.dtype.is_floating_point:
                            average[k].mul_(keep).add_(v, alpha=1 - keep)
                        else:
                            average[k].copy_(v)
                bar.update()
                if step % 20 == 0:
                    hit = (logits.argmax(1).numpy() == labels).mean()
                    bar.set_postfix(loss=f"{loss.item():.3f}", joints=f"{off.item():.3f}", hit=f"{hit:.2f}")
                if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
                    part = checkpoint.with_suffix(".part")
                    torch.save(
                        {
                            "step": step + 1,
                            "model": model.state_dict(),
                            "average": average,
                            "optimiser": optimiser.state_dict(),
                        },
                        part,
                    )
                    part.rename(checkpoint)
    model.load_state_dict(average)
    return model.eval()


def make(work: Path, engine: Path, *, steps: int, without: tuple[str, ...], seed: int) -> None:
    """Train (or go on), calibrate, export."""
    from .gesturenet_export import write

    packed = work / "pictures.npz"
    model = train(packed, work, steps, without=without, seed=seed)
    write(model, load(packed), without, engine, work)

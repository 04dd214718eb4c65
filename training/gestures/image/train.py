"""Training of GestureNet from scratch, for gestures and joints together.

A checkpoint is written every `SAVE_EVERY` steps, from which the same command resumes.
"""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from training.gestures.hands.crops import batches, load
from training.gestures.image.resnet import LOOKS_AT, GestureNet, prepared

SAVE_EVERY = 100
BATCH = 96
RATE = 2e-3
JOINTS_WEIGHT = 4.0  # weight of the joints' mean error (half sides) against the gestures' cross-entropy
AVERAGED = 0.998  # decay of the moving average of the weights, which is exported


def joints_error(seen: Tensor, true: Tensor) -> Tensor:
    """Return the mean distance by axis of joints (N, 21, 2), without unknown ones (nan) and those outside."""
    known = (true.abs() <= 1).all(2)
    return (seen - true).abs()[known].mean() if known.any() else seen.sum() * 0


class Training:
    """Training state: weights, their moving average, optimizer and step."""

    def __init__(self, steps: int, checkpoint: Path) -> None:
        self.model = GestureNet().to(memory_format=torch.channels_last)
        self.average = AveragedModel(
            self.model, multi_avg_fn=get_ema_multi_avg_fn(AVERAGED), use_buffers=True
        )
        self._optimiser = torch.optim.AdamW(self.model.parameters(), lr=RATE, weight_decay=0.05)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, RATE, total_steps=steps, pct_start=0.08
        )
        self._loss = nn.CrossEntropyLoss(label_smoothing=0.05)
        self._forward = torch.compile(self.model) if shutil.which("g++") else self.model
        self._checkpoint = checkpoint
        self.done = self._resume() if checkpoint.exists() else 0

    def step(self, images: np.ndarray, labels: np.ndarray, joints: np.ndarray) -> dict[str, str]:
        """Train on the next batch of `batches`; return values to show."""
        self.model.train()
        with torch.autocast("cpu", torch.bfloat16):
            scores, seen = self._forward(prepared(images))
        off = joints_error(seen.float(), torch.from_numpy(joints))
        loss = self._loss(scores.float(), torch.from_numpy(labels)) + JOINTS_WEIGHT * off
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
        self._optimiser.step()
        self._schedule.step()
        self.average.update_parameters(self.model)
        self.done += 1
        hit = (scores.argmax(1).numpy() == labels).mean()
        return {"loss": f"{loss.item():.3f}", "joints": f"{off.item():.3f}", "hit": f"{hit:.2f}"}

    def save(self) -> None:
        """Write the checkpoint atomically."""
        part = self._checkpoint.with_suffix(".part")
        state = {"step": self.done, "optimiser": self._optimiser.state_dict()}
        state |= {"model": self.model.state_dict(), "average": self.average.state_dict()}
        torch.save(state, part)
        part.rename(self._checkpoint)

    def _resume(self) -> int:
        state = torch.load(self._checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        for _ in range(state["step"]):  # the number of steps may have changed meanwhile
            self._schedule.step()
        return int(state["step"])


def train(packed: Path, work: Path, steps: int, *, without: tuple[str, ...], seed: int) -> GestureNet:
    """Train, or resume from the checkpoint in `work`; return the averaged weights."""
    torch.manual_seed(seed)
    rooms = pickle.loads((work / "rooms.pkl").read_bytes())
    training = Training(steps, work / "gesturenet.pt")
    drawn = batches(load(packed), LOOKS_AT, BATCH, steps, seed, rooms, without, start=training.done)
    with tqdm(drawn, total=steps, initial=training.done, desc="gesturenet") as bar:
        for batch in bar:
            shown = training.step(*batch[:3])
            if training.done % 20 == 0:
                bar.set_postfix(shown)
            if training.done % SAVE_EVERY == 0 or training.done == steps:
                training.save()
    model: GestureNet = training.average.module
    return model.eval()


def make(work: Path, engine: Path, *, steps: int, without: tuple[str, ...], seed: int) -> None:
    """Train or resume, calibrate, export."""
    from training.gestures.image.export import write

    packed = work / "pictures.npz"
    model = train(packed, work, steps, without=without, seed=seed)
    write(model, load(packed), without, engine, work)

"""Recipe of the gesturenet-landmark-lite head: that of gesturenet-landmark, refined on the smaller network.

The smaller network places landmarks differently, so heads trained on the larger one's lose by it. They are
refined on rendered hands, posed and holding things: half by the labels, half by what the heads say of the
larger network's landmarks of the same crop, which keeps what they know of hands that live.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from tqdm import tqdm

from training.gestures.card import renew_sum
from training.gestures.hands import features, synthetic
from training.gestures.hands.rois import HandNet
from training.gestures.judging import scores
from training.gestures.landmark.head import (
    IGNORE,
    Samples,
    export,
    join,
    judged_rows,
    load,
    predict,
    regravitate,
    weights,
)
from training.gestures.landmark.headnet import Ensemble, Head
from training.gestures.landmark.landmark import MEMBERS, WIDTH, photographs

BATCH = 512
STEPS, RATE = 800, 1e-3
TAUGHT = 0.5  # share of the larger network's word in the loss
UNLABELLED = 0.1  # weight of the hands without a label, on which the larger network alone has a word
TEMPERATURE = 0.85  # above the fitted one: as many gestures pass as with the larger network, fewer others
FOLDER = "lite"


class PairedHands(NamedTuple):
    """Output of the smaller network for a batch of crops, and of the larger one for the same crops."""

    landmarks: np.ndarray
    world: np.ndarray
    presence: np.ndarray
    handedness: np.ndarray
    teacher_landmarks: np.ndarray
    teacher_world: np.ndarray
    teacher_presence: np.ndarray
    teacher_handedness: np.ndarray


class PairedNet:
    """Both landmark networks on the same crops."""

    def __init__(self, models: Path) -> None:
        self._pupil = HandNet(models / "hand-landmark-lite.onnx")
        self._teacher = HandNet(models / "hand-landmark.onnx")

    def run(self, crops: np.ndarray) -> PairedHands:
        """Run both on `crops` (N, 224, 224, 3) uint8 RGB."""
        return PairedHands(*self._pupil.run(crops), *self._teacher.run(crops))


def extract(data: Path, work: Path, seed: int) -> None:
    """Compute the features of rendered hands by both networks, and of photographs by the smaller one."""
    folder = work / FOLDER
    folder.mkdir(exist_ok=True)
    both = PairedNet(work)
    for shard in sorted((work / "render").glob("*-???.pkl")):
        target = folder / f"{shard.stem}.npz"
        if not target.exists():
            synthetic.extract(shard, both, target)
    features.extract(data, HandNet(work / "hand-landmark-lite.onnx"), work, folder, seed, jittered=False)


def make(work: Path, engines: Path, seed: int) -> None:
    """Refine the heads, write head.onnx and its checksum, and print and keep the figures on photographs."""
    torch.set_num_threads(1)  # layers this small take longer on several
    shipped = shipped_heads(engines / "gesturenet-landmark" / "head.onnx")
    shards = sorted((work / FOLDER).glob("render-???.npz")) + sorted((work / FOLDER).glob("held-???.npz"))
    pupil = join([load(shard, "render") for shard in shards])
    teacher = join([load_teacher(shard) for shard in shards])
    heads = [refine(head, shipped, pupil, teacher, seed + i) for i, head in enumerate(shipped.heads)]
    model = Ensemble(heads, TEMPERATURE).eval()
    table = {"before": figures(shipped, work), "refined": figures(model, work)}
    (work / "figures-lite.json").write_text(json.dumps(table, indent=1))
    print(json.dumps(table))
    target = engines / "gesturenet-landmark-lite" / "head.onnx"
    export(model, target)
    renew_sum(target.with_name("manifest.toml"), target)


def shipped_heads(path: Path) -> Ensemble:
    """Load the heads of gesturenet-landmark from their ONNX file."""
    model = Ensemble([Head(width=WIDTH) for _ in range(MEMBERS)], 1.0)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(str(path)).graph.initializer}
    model.load_state_dict({name: torch.from_numpy(stored[name].copy()) for name in model.state_dict()})
    return model.eval()


def load_teacher(path: Path) -> Samples:
    """Load a shard as the larger network saw it."""
    samples, table = load(path, "render"), np.load(path)
    for name in ("landmarks", "world", "presence", "handedness"):
        column = np.ascontiguousarray(table[f"teacher_{name}"], np.float32)
        setattr(samples, name, torch.from_numpy(column).reshape(len(samples), -1))
    return samples


def refine(head: nn.Module, shipped: Ensemble, pupil: Samples, teacher: Samples, seed: int) -> nn.Module:
    """Return a copy of `head`, refined on `pupil`; `teacher` has the same rows by the larger network."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = copy.deepcopy(head).train()
    chance = weights(pupil)
    unlabelled = chance == 0
    if unlabelled.any():
        chance[unlabelled] = UNLABELLED * chance.sum() / unlabelled.sum()
    picks = torch.multinomial(chance, STEPS * BATCH, True, generator=generator)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS, pct_start=0.1)
    by_label = nn.CrossEntropyLoss(ignore_index=IGNORE, label_smoothing=0.05)
    average = {name: value.clone() for name, value in model.state_dict().items()}
    for step, index in enumerate(tqdm(picks.split(BATCH), desc=f"head {seed}")):
        angle, label = regravitate(pupil, index, generator)
        landmarks, world, presence, handedness, _ = pupil.take(index)
        landmarks = landmarks + torch.randn_like(landmarks) * (torch.rand(len(index), 1) * 2.0)
        world = world + torch.randn_like(world) * (torch.rand(len(index), 1) * 0.002)
        said = model.logits(landmarks, world, presence, handedness, angle)
        with torch.no_grad():
            taught = mean_of(shipped, (*teacher.take(index)[:4], angle))
        by_teacher = -(taught * torch.log_softmax(said, 1)).sum(1).mean()
        loss = (1 - TAUGHT) * by_label(said, label) + TAUGHT * by_teacher
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            keep = min(0.995, (1 + step) / (10 + step))
            for name, value in model.state_dict().items():
                average[name].mul_(keep).add_(value, alpha=1 - keep)
    model.load_state_dict(average)
    return model.eval()


def mean_of(ensemble: Ensemble, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Return the heads' mean probabilities (N, 6) before the temperature."""
    both = ensemble.heads[0].both_ways(*inputs)
    logs = [torch.log_softmax(head.last(head.embed_described(both)), 1) for head in ensemble.heads]
    return torch.stack(logs).mean(0).softmax(1)


def figures(model: nn.Module, work: Path) -> dict[str, float]:
    """Return macro-F1 on the photographs, which no head was trained on: pooled, and by source."""
    truth, guess, table = [], [], {}
    for source, samples in photographs(work / FOLDER).items():
        rows = judged_rows(samples)
        truth.append(samples.label[rows].numpy())
        guess.append(predict(model, samples, rows).argmax(1))
        table[source] = round(scores(truth[-1], guess[-1])["macro_f1"], 3)
    pooled = scores(np.concatenate(truth), np.concatenate(guess))["macro_f1"]
    return {"pooled": round(pooled, 4), **table}

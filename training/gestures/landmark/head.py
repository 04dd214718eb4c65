"""Training, leave-one-source-out test, calibration and export of the head of gesturenet-landmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from training.gestures.hands.photos import ANY_WAY_UP, DOUBTFUL, LABELS, THUMBS
from training.gestures.hands.poses import SAME_JOINTS
from training.gestures.landmark.headnet import Head, describe

UP, DOWN = np.cos(np.radians(48)), np.cos(np.radians(68))  # a steeper thumb is up, a flatter one random
IGNORE = -1


@dataclass
class Samples:
    """Crops of one source as tensors, one row each."""

    source: str
    landmarks: Tensor
    world: Tensor
    presence: Tensor
    handedness: Tensor
    angle: Tensor
    label: Tensor
    thumb: Tensor  # bool: only the thumb is extended, so its direction decides the label
    free: Tensor  # bool: the orientation of the image is arbitrary
    group: np.ndarray
    row: np.ndarray
    copy: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def take(self, index: Tensor) -> tuple[Tensor, ...]:
        """Return the inputs of the head for some rows."""
        return (
            self.landmarks[index],
            self.world[index],
            self.presence[index],
            self.handedness[index],
            self.angle[index],
        )


def load(path: Path, source: str) -> Samples:
    """Load one source; labels that depend on direction or are ambiguous are set here."""
    z = np.load(path)
    names = z["label"].astype(str)
    original = z["original"].astype(str)
    thumb = np.array([(source, o) in THUMBS for o in original])
    label = np.array([LABELS.index(n) if n in LABELS else IGNORE for n in names])
    label[names == "idle"] = LABELS.index("random")
    label[np.isin(original, SAME_JOINTS)] = IGNORE
    n = len(label)

    def tensor(a: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(a, np.float32)).reshape(n, -1)

    return Samples(
        source,
        tensor(z["landmarks"]),
        tensor(z["world"]),
        tensor(z["presence"]),
        tensor(z["handedness"]),
        tensor(z["angle"]),
        torch.from_numpy(label),
        torch.from_numpy(thumb),
        torch.full((n,), source in ANY_WAY_UP),
        np.array([f"{source}/{o}" for o in original]),
        z["row"],
        z["copy"],
    )


def join(parts: list[Samples]) -> Samples:
    """Concatenate several sources."""

    def cat(name: str) -> Tensor:
        return torch.cat([getattr(p, name) for p in parts])

    return Samples(
        "+".join(p.source for p in parts),
        *(
            cat(k)
            for k in (
                "landmarks",
                "world",
                "presence",
                "handedness",
                "angle",
                "label",
                "thumb",
                "free",
            )
        ),
        np.concatenate([p.group for p in parts]),
        np.concatenate([p.row for p in parts]),
        np.concatenate([p.copy for p in parts]),
    )


def weights(samples: Samples, random_share: float = 0.3) -> Tensor:
    """Return row weights: groups (source x original label) by the root of their images, classes equal."""
    weight = np.zeros(len(samples))
    pictures = {g: len(np.unique(samples.row[samples.group == g])) for g in np.unique(samples.group)}
    for g, count in pictures.items():
        mask = samples.group == g
        weight[mask] = DOUBTFUL.get(str(g), 1.0) * count**0.5 / mask.sum()
    label = samples.label.numpy()
    thumb = samples.thumb.numpy()
    weight[(label == IGNORE) & ~thumb] = 0
    kind = np.where(thumb, 0, label)
    for k in range(6):
        mask = kind == k
        if weight[mask].sum() > 0:
            weight[mask] *= (random_share if k == 5 else (1 - random_share) / 5) / weight[mask].sum()
    return torch.from_numpy(weight)


def regravitate(samples: Samples, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rotate the world around the hands; return angles and labels.

    A thumb is thumbs_up only while it points up; other gestures keep their label within the range of an
    arm.
    """
    angle = samples.angle[index].clone()
    label = samples.label[index].clone()
    thumb, free = samples.thumb[index], samples.free[index]
    n = len(index)
    r = torch.rand(n, generator=generator)
    spin = torch.zeros(n)
    spin = torch.where(r < 0.5, torch.randn(n, generator=generator) * 0.35, spin)
    anywhere = (torch.rand(n, generator=generator) * 2 - 1) * torch.pi
    spin = torch.where(thumb & (r < 0.6), anywhere, spin)
    spin = torch.where(free & ~thumb, anywhere / 2 - angle[:, 0], spin)  # fingers up to sideways
    spin = torch.where(free & thumb & (r >= 0.6), torch.randn(n, generator=generator) * 0.5, spin)
    angle = angle + spin[:, None]
    flat = samples.landmarks[index].reshape(n, 21, 3)[..., :2]
    way = flat[:, 4] - flat[:, 2]  # in the image: the network's thumbs point too much towards the camera
    length = way.norm(dim=1)
    rise = -(torch.sin(angle[:, 0]) * way[:, 0] + torch.cos(angle[:, 0]) * way[:, 1]) / length.clamp_min(1)
    by_thumb = torch.where(rise > UP, 0, torch.where(rise < DOWN, 5, IGNORE))
    palm = (flat[:, 9] - flat[:, 0]).norm(dim=1)
    by_thumb = torch.where(length < 0.3 * palm, IGNORE, by_thumb)
    kept = (spin.abs() < 0.25) & (label != IGNORE) & ~free
    label = torch.where(thumb & ~kept, by_thumb, label)
    return angle, label


@dataclass(frozen=True)
class Share:
    """Additional samples: their share of every batch, and the share of `random` among them."""

    samples: Samples
    share: float
    random: float = 0.3


def train(
    samples: Samples,
    *,
    steps: int = 3000,
    batch: int = 1024,
    rate: float = 2e-3,
    seed: int = 0,
    quiet: bool = False,
    extra: Sequence[Share] = (),
    width: int = 256,
    dropout: float = 0.25,
    smooth: float = 0.05,
) -> Head:
    """Train a head; `samples` fill what `extra` leaves of every batch."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = Head(width=width, dropout=dropout)
    pools = [Share(samples, 1 - sum(one.share for one in extra)), *extra]
    chances = [weights(pool.samples, pool.random) for pool in pools]
    probe = torch.multinomial(chances[0], 20000, True, generator=generator)
    features = describe(*samples.take(probe))
    model.mean.copy_(features.mean(0))
    model.std.copy_(features.std(0).clamp_min(1e-3))
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
    loss_of = nn.CrossEntropyLoss(ignore_index=IGNORE, label_smoothing=smooth)
    average = {k: v.clone() for k, v in model.state_dict().items()}
    picks = [
        torch.multinomial(chance, steps * max(1, round(batch * pool.share)), True, generator=generator)
        for chance, pool in zip(chances, pools, strict=True)
    ]
    bar = tqdm(range(steps), disable=quiet)
    for step in bar:
        xs, ys = [], []
        for pool, pick in zip(pools, picks, strict=True):
            n = max(1, round(batch * pool.share))
            index = pick[step * n : (step + 1) * n]
            angle, label = regravitate(pool.samples, index, generator)
            xs.append((*pool.samples.take(index)[:4], angle))
            ys.append(label)
        x = [torch.cat(column) for column in zip(*xs, strict=True)]
        noise = torch.randn_like(x[0]) * (torch.rand(len(x[0]), 1) * 2.0)
        x[0] = x[0] + noise
        x[1] = x[1] + torch.randn_like(x[1]) * (torch.rand(len(x[1]), 1) * 0.002)
        loss = loss_of(model.logits(*x), torch.cat(ys))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            keep = min(0.999, (1 + step) / (10 + step))
            for k, v in model.state_dict().items():
                average[k].mul_(keep).add_(v, alpha=1 - keep)
        if step % 50 == 0:
            bar.set_postfix(loss=f"{loss.item():.3f}")
    model.load_state_dict(average)
    return model.eval()


@torch.no_grad()
def predict(model: nn.Module, samples: Samples, index: Tensor | None = None) -> np.ndarray:
    """Return probabilities (N, 6)."""
    index = torch.arange(len(samples)) if index is None else index
    return np.concatenate([model(*samples.take(part))[0].numpy() for part in index.split(8192)])


def judged_rows(samples: Samples, *, clean: bool = True) -> Tensor:
    """Return the rows for evaluation: copy 0 (the refined box, unaltered image) or all jittered ones."""
    ok = samples.label != IGNORE
    if samples.source in ANY_WAY_UP:
        ok &= ~samples.thumb
    copy = torch.from_numpy(samples.copy)
    ok &= (copy <= 1) if clean else (copy > 1)
    return torch.nonzero(ok)[:, 0]


def export(model: nn.Module, path: Path) -> None:
    """Export as ONNX with a dynamic batch; inputs are named as the outputs of the base network."""
    import onnx

    model = model.eval()
    n = 2
    inputs = [
        torch.rand(n, 63) * 224,
        torch.rand(n, 63) * 0.1,
        torch.rand(n, 1),
        torch.rand(n, 1),
        torch.rand(n, 1),
    ]
    names = ["landmarks", "world", "presence", "handedness", "crop_angle"]
    torch.onnx.export(
        model,
        tuple(inputs),
        str(path),
        input_names=names,
        output_names=["activation_18", "embedding"],
        dynamic_axes={k: {0: "N"} for k in [*names, "activation_18", "embedding"]},
        opset_version=17,
        dynamo=False,
    )
    onnx.checker.check_model(onnx.load(str(path)))

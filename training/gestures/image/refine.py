"""Further training of the shipped GestureNet, so that it knows hands that hold something.

The weights are read back from the ONNX file, whose convolutions contain their batch normalisation. On all
hands that are not new the network is held to what it said before (distillation from its own former weights,
Hinton et al. 2015), so that it does not forget what is not in this training's images.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from training.gestures.hands.crops import NEGATIVES, Pictures, batches, load
from training.gestures.hands.poses import KINDS
from training.gestures.image.resnet import LOOKS_AT, GestureNet, prepared

BATCH, RATE = 96, 3e-4
RANDOM = 0.45  # share of `random` in a batch: what is new is of that class
HELD_TO = 2.0  # weight of what the network said before against the label
AVERAGED = 0.99
HELD_OUT = (
    "desk",
    "anton",
    f"{NEGATIVES}/coco_ccby",
    f"{NEGATIVES}/pen_ankita",
    f"{NEGATIVES}/webcam_detection_hfuet",
    f"{NEGATIVES}/intel",
    f"{NEGATIVES}/felix",
)
"""Sources and groups that judge: whole people and places."""


def restored(path: Path) -> GestureNet:
    """Return the network with the weights of an exported file; batch normalisations become a mere bias."""
    graph = onnx.load(str(path)).graph
    stored = {
        one.name: torch.from_numpy(numpy_helper.to_array(one).astype(np.float32)) for one in graph.initializer
    }
    model = GestureNet()
    convolutions = [m for m in model.body.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in model.body.modules() if isinstance(m, nn.BatchNorm2d)]
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    with torch.no_grad():
        for node, convolution, norm in zip(nodes, convolutions, norms, strict=True):
            convolution.weight.copy_(stored[node.input[1]])
            norm.bias.copy_(stored[node.input[2]])
            norm.weight.fill_(1.0)
            norm.running_mean.fill_(0.0)  # type: ignore[union-attr]
            norm.running_var.fill_(1.0 - norm.eps)  # type: ignore[union-attr]
        model.last.weight.copy_(stored["model.last.weight"])
        model.last.bias.copy_(stored["model.last.bias"])
    return model.eval()


def scores_of(model: GestureNet, x: Tensor) -> Tensor:
    """Return the scores before the softmax, with dropout while training."""
    return model.last(model.drop(model.embed(x)))


def are_new(pictures: Pictures) -> np.ndarray:
    """Whether each image is of a hand that holds something: there the former weights know nothing."""
    held = {f"render/{name}" for name, kind in KINDS.items() if kind.things}
    return (pictures.source == NEGATIVES) | np.isin(pictures.group, list(held))


def refine(start: Path, work: Path, steps: int, *, seed: int) -> GestureNet:
    """Train on from the weights in `start`; return the averaged weights."""
    torch.manual_seed(seed)
    pictures = load(work / "pictures.npz")
    new = torch.from_numpy(are_new(pictures))
    before, model = restored(start), restored(start)
    model.drop.train()  # batch normalisations stay as they are
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(AVERAGED))
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.1)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    rooms = pickle.loads((work / "rooms.pkl").read_bytes())
    drawn = batches(pictures, LOOKS_AT, BATCH, steps, seed + 1000, rooms, HELD_OUT, random=RANDOM)
    with tqdm(drawn, total=steps, desc="refine") as bar:
        for images, labels, _, rows in bar:
            x, known = prepared(images), ~new[rows]
            with torch.autocast("cpu", torch.bfloat16):
                scores = scores_of(model, x)
                with torch.no_grad():
                    said = scores_of(before, x)
            truth = torch.from_numpy(labels)
            loss = loss_of(scores.float(), truth)
            if known.any():
                kept = functional.log_softmax(said[known].float(), 1)
                now = functional.log_softmax(scores[known].float(), 1)
                loss = loss + HELD_TO * functional.kl_div(now, kept, log_target=True, reduction="batchmean")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            optimiser.step()
            schedule.step()
            average.update_parameters(model)
            hit = (scores.argmax(1) == truth).float()
            bar.set_postfix(
                loss=f"{loss.item():.3f}", known=f"{hit[known].mean():.2f}", new=f"{hit[~known].mean():.2f}"
            )
    refined: GestureNet = average.module
    return refined.eval()


def make(work: Path, engine: Path, *, steps: int, seed: int) -> None:
    """Refine, calibrate, export."""
    from training.gestures.image.export import write

    model = refine(engine / "gesturenet_fp16.onnx", work, steps, seed=seed)
    torch.save(model.state_dict(), work / "refined.pt")
    write(model, load(work / "pictures.npz"), ("desk", "anton"), engine, work)

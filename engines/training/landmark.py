"""Make the head of gesturenet-landmark: which samples, what temperature, which figures."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import torch

from .head import Samples, export, join, judged_rows, load, predict, scores, train
from .headnet import Ensemble, Head
from .photos import LABELS

SOURCES = ("ardamavi", "emrecandir", "subhih", "tanishka", "shimaazizi", "drgfreeman_rps", "anton", "desk")
KEPT_FOR_TESTING = ("desk",)
REAL_SHARE = 0.25  # of every batch; the rest is rendered
MEMBERS = 3  # heads that are averaged
WIDTH = 160


def photographs(work: Path) -> dict[str, Samples]:
    """Features of every source."""
    return {s: load(work / f"features-{s}.npz", s) for s in SOURCES if (work / f"features-{s}.npz").exists()}


def renders(work: Path) -> Samples:
    """Features of all rendered hands."""
    return join([load(p, "render") for p in sorted((work / "render").glob("render-???.npz"))])


def fit_temperature(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The temperature that makes the surprise of unseen truths smallest."""
    logits = np.log(np.clip(probabilities, 1e-7, 1))
    best = (np.inf, 1.0)
    for t in np.exp(np.linspace(np.log(0.4), np.log(3), 60)):
        z = logits / t
        z = z - z.max(1, keepdims=True)
        nll = float((np.log(np.exp(z).sum(1)) - z[np.arange(len(truth)), truth]).mean())
        best = min(best, (nll, float(t)))
    return best[1]


def held_out(
    work: Path, steps: int, seed: int, *, real: bool, rendered: bool
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For every source: truth, probabilities and groups, by a head that never saw the source."""
    data, made = photographs(work), renders(work)
    out = {}
    shared = None if real else train(made, steps=steps, batch=512, width=WIDTH, seed=seed)
    for name, samples in data.items():
        model = shared
        if model is None:
            rest = join([s for n, s in data.items() if n != name])
            extra = [(rest, REAL_SHARE)] if rendered else None
            model = train(
                made if rendered else rest, steps=steps, batch=512, width=WIDTH, seed=seed, extra=extra
            )
        rows = judged_rows(samples)
        out[name] = (samples.label[rows].numpy(), predict(model, samples, rows), samples.group[rows.numpy()])
    return out


def compare(work: Path, steps: int, seed: int) -> None:
    """Real only, rendered only, both: figures by held-out source, written to figures.json."""
    table = {}
    for name, real, rendered in (
        ("photographs", True, False),
        ("rendered", False, True),
        ("both", True, True),
    ):
        parts = held_out(work, steps, seed, real=real, rendered=rendered)
        truth = np.concatenate([p[0] for p in parts.values()])
        guess = np.concatenate([p[1] for p in parts.values()])
        table[name] = {
            "pooled": scores(truth, guess.argmax(1)),
            "temperature": fit_temperature(guess, truth),
            **{s: scores(t, p.argmax(1)) for s, (t, p, _) in parts.items()},
        }
        np.savez(work / f"held-out-{name}.npz", truth=truth, guess=guess)
        print(
            name,
            f"{table[name]['pooled']['macro_f1']:.3f}",
            {s: round(table[name][s]["macro_f1"], 3) for s in parts},
        )
    (work / "figures.json").write_text(json.dumps(table, indent=1))


def make(work: Path, engine: Path, steps: int, seed: int) -> None:
    """Train on everything but `KEPT_FOR_TESTING`, calibrate, write head.onnx and its sum."""
    data, made = photographs(work), renders(work)
    rest = join([s for n, s in data.items() if n not in KEPT_FOR_TESTING])
    heads: list[Head] = [
        train(made, steps=steps, batch=512, width=WIDTH, seed=seed + i, extra=[(rest, REAL_SHARE)])
        for i in range(MEMBERS)
    ]
    temperature = 1.0
    if (work / "held-out-both.npz").exists():
        unseen = np.load(work / "held-out-both.npz")
        temperature = fit_temperature(unseen["guess"], unseen["truth"])
    model = Ensemble(heads, temperature)
    torch.save(model.state_dict(), work / "landmark.pt")
    for name in KEPT_FOR_TESTING:
        rows = judged_rows(data[name])
        guess = predict(model, data[name], rows)
        print(name, scores(data[name].label[rows].numpy(), guess.argmax(1)))
    target = engine / "head.onnx"
    export(model, target)
    renew_sum(engine / "manifest.toml", target)


def renew_sum(manifest: Path, file: Path) -> None:
    """The manifest holds the sha256 of the file beside it."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    text = manifest.read_text()
    manifest.write_text(re.sub(r'(?m)^sha256 = "[0-9a-f]{64}"', f'sha256 = "{digest}"', text))


__all__ = ["LABELS", "compare", "make"]

"""Recipe of the gesturenet-landmark head: training samples, calibration and figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from training.gestures.card import SHIPPED, renew_sum
from training.gestures.judging import fit_temperature, scores
from training.gestures.landmark.head import (
    IGNORE,
    Samples,
    Share,
    export,
    join,
    judged_rows,
    load,
    predict,
    train,
)
from training.gestures.landmark.headnet import Ensemble, Head

SOURCES = ("ardamavi", "emrecandir", "subhih", "tanishka", "shimaazizi", "drgfreeman_rps", "anton", "desk")
REAL_SHARE = 0.25  # share of every batch where photographs are trained on too
LIVE_SHARE, LIVE_RANDOM = 0.15, 0.6  # share of every batch; share of random among it
MEMBERS = 3  # heads in the ensemble
WIDTH = 160
TONES = 10  # tones of rendered skin, light to dark


def photographs(work: Path) -> dict[str, Samples]:
    """Load the features of every photograph source."""
    return {s: load(work / f"features-{s}.npz", s) for s in SOURCES if (work / f"features-{s}.npz").exists()}


def renders(work: Path) -> Samples:
    """Load the features of all rendered hands."""
    return join([load(p, "render") for p in sorted((work / "render").glob("render-???.npz"))])


def living(work: Path) -> Samples:
    """Load the features of hands in rendered scenes, with and without intended gestures."""
    return join([load(p, "live") for p in sorted((work / "live").glob("*-????.npz"))])


def head(samples: Samples, steps: int, seed: int, *extra: Share) -> Head:
    """Train one head of the shipped size."""
    return train(samples, steps=steps, batch=512, width=WIDTH, seed=seed, extra=extra)


def held_out(
    work: Path, steps: int, seed: int, teachers: str
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return for every source truth, probabilities and groups, from a head trained without the source.

    `teachers` is one of `card.ROWS`.
    """
    data, made = photographs(work), renders(work)
    lives = [] if teachers == "posed" else [Share(living(work), LIVE_SHARE, LIVE_RANDOM)]
    out = {}
    shared = head(made, steps, seed, *lives) if teachers in {"posed", "rendered"} else None
    for name, samples in data.items():
        model = shared
        if model is None:
            rest = join([s for n, s in data.items() if n != name])
            if teachers == "photographs":
                model = head(rest, steps, seed)
            else:
                model = head(made, steps, seed, Share(rest, REAL_SHARE), *lives)
        rows = judged_rows(samples)
        out[name] = (samples.label[rows].numpy(), predict(model, samples, rows), samples.group[rows.numpy()])
    return out


def compare(work: Path, steps: int, seed: int) -> None:
    """Compare training sets by held-out source; written to figures.json."""
    table: dict[str, dict] = {}
    for teachers in ("photographs", "posed", "rendered", "both"):
        keep(work, table, teachers, held_out(work, steps, seed, teachers))


def by_tone(work: Path, steps: int, seed: int) -> None:
    """Return the accuracy on one shard of renders by skin tone, from a head trained on the others."""
    *rest, held = sorted((work / "render").glob("render-???.npz"))
    lives = Share(living(work), LIVE_SHARE, LIVE_RANDOM)
    model = head(join([load(p, "render") for p in rest]), steps, seed, lives)
    samples, tone = load(held, "render"), np.load(held)["tone"]
    known = (samples.label != IGNORE).numpy()
    hit = predict(model, samples).argmax(1) == samples.label.numpy()
    pairs = [known & (tone // 2 == pair) for pair in range(TONES // 2)]
    table = [{"hands": int(pair.sum()), "accuracy": float(hit[pair].mean())} for pair in pairs]
    (work / "tones.json").write_text(json.dumps(table, indent=1))
    print("by tone", [round(row["accuracy"], 3) for row in table])


def keep(work: Path, table: dict[str, dict], name: str, parts: dict[str, tuple[np.ndarray, ...]]) -> None:
    """Write figures of predictions by source (truth and probabilities first) to the table and its files."""
    truth, guess = (np.concatenate([p[k] for p in parts.values()]) for k in (0, 1))
    by_source = {source: scores(p[0], p[1].argmax(1)) for source, p in parts.items()}
    pooled = scores(truth, guess.argmax(1))
    table[name] = {"pooled": pooled, "temperature": fit_temperature(guess, truth), **by_source}
    np.savez(work / f"held-out-{name}.npz", truth=truth, guess=guess)
    (work / "figures.json").write_text(json.dumps(table, indent=1))
    print(name, f"{pooled['macro_f1']:.3f}", {s: round(f["macro_f1"], 3) for s, f in by_source.items()})


def make(work: Path, engine: Path, steps: int, seed: int) -> None:
    """Train on rendered hands and scenes, calibrate and evaluate on photographs, write head.onnx.

    The heads are not trained on photographs: where one gesture comes from one source, they learn the look of
    the source (`compare` shows it). So all photographs are test data.
    """
    made, lives = renders(work), Share(living(work), LIVE_SHARE, LIVE_RANDOM)
    heads = [head(made, steps, seed + i, lives) for i in range(MEMBERS)]
    plain, parts = Ensemble(heads, 1.0), {}
    for source, samples in photographs(work).items():
        rows = judged_rows(samples)
        parts[source] = (samples.label[rows].numpy(), predict(plain, samples, rows))
    file = work / "figures.json"
    table = json.loads(file.read_text()) if file.exists() else {}
    keep(work, table, SHIPPED, parts)
    model = Ensemble(heads, table[SHIPPED]["temperature"])
    torch.save(model.state_dict(), work / "landmark.pt")
    target = engine / "head.onnx"
    export(model, target)
    renew_sum(engine / "manifest.toml", target)

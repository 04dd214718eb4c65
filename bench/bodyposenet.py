"""BodyPoseNet's decoder: how exact, how many mistakes, how fast, beside NVIDIA's two ways of finding joints.

    python bench/bodyposenet.py

Scenes with one to three people are drawn as TAO draws its training labels, every joint's heat and every
limb's field weakened by chance (a network is not always sure), noise added; then they are decoded. Three ways
to find the joints share the rest of the decoder:

    cells       ours: tops of the 36 x 48 map, placed between cells by a parabola of logarithms
    DeepStream  map enlarged x 4 (cubic), highest of 7 x 7
    TAO         map enlarged x 8 (cubic), Gaussian of 5 px and sigma 3, highest of 3 x 3; fields enlarged too

Times are of one core: seconds of this thread, which other programs on the machine do not count into.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from agent.core.types import Floats
from agent.inference.bodies.assembly import Decoding, assemble, decode
from agent.inference.bodies.peaks import MOST, Peaks
from agent.inference.bodies.skeleton import JOINTS, Skeleton

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/inference"))
from rendered import SIZE, inside, maps, person, without

Decoder = Callable[[Floats, Floats], list[Skeleton]]
NEAR = 12.0  # px: a joint farther from the truth than this is another one
APART = 48.0  # px: nearer than this one person hides the other
NOISES = (0.0, 0.03, 0.06)


def enlarged_peaks(heatmaps: Floats, factor: int, window: int, threshold: float, *, blur: bool) -> Peaks:
    """Return the maxima of the enlarged map, in cells of the original map."""
    found = []
    for kind in range(len(JOINTS)):
        large = cv2.resize(heatmaps[:, :, kind], None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        flat = cv2.GaussianBlur(large, (5, 5), 3) if blur else large
        top = cv2.dilate(flat, np.ones((window, window), np.uint8))
        ys, xs = np.nonzero((flat == top) & (flat >= threshold))
        best = np.argsort(-large[ys, xs])[:MOST]
        found += [(kind, xs[i], ys[i], large[ys[i], xs[i]]) for i in best]
    table = np.array(found, np.float64).reshape(-1, 4)
    return Peaks(
        table[:, 0].astype(np.int64),
        ((table[:, 1] + 0.5) / factor).astype(np.float32),
        ((table[:, 2] + 0.5) / factor).astype(np.float32),
        table[:, 3].astype(np.float32),
    )


def deepstream(threshold: float) -> Decoder:
    """Find joints as NVIDIA's DeepStream samples do."""

    def run(heat: Floats, fields: Floats) -> list[Skeleton]:
        peaks = enlarged_peaks(heat, 4, 7, threshold, blur=False)
        return assemble(peaks, (heat.shape[0], heat.shape[1]), fields, SIZE, Decoding(peak=threshold))

    return run


def tao(threshold: float) -> Decoder:
    """Find joints as TAO does."""

    def run(heat: Floats, fields: Floats) -> list[Skeleton]:
        peaks = enlarged_peaks(heat, 8, 3, threshold, blur=True)
        large = cv2.resize(fields, (SIZE[1], SIZE[0]), interpolation=cv2.INTER_CUBIC)
        cells = (heat.shape[0], heat.shape[1])
        return assemble(peaks, cells, np.asarray(large, np.float32), SIZE, Decoding(peak=threshold))

    return run


def cells(threshold: float) -> Decoder:
    """Find joints with the agent's own decoder."""
    return lambda heat, fields: decode(heat, fields, SIZE, Decoding(peak=threshold))


def scene(rng: np.random.Generator) -> list[Floats]:
    """Draw one to three people with random arms; some joints hidden or outside the image, necks `APART`."""
    people: list[Floats] = []
    necks: list[tuple[float, float]] = []
    for _ in range(rng.integers(1, 4)):
        x, y = rng.uniform(40, 344), rng.uniform(50, 150)
        if any(np.hypot(x - a, y - b) < APART for a, b in necks):
            continue
        necks.append((x, y))
        arms = {
            f"{side}_{joint}": (
                sign * rng.uniform(-0.05, 0.3) if joint == "wrist" else sign * rng.uniform(0.12, 0.25),
                rng.uniform(-0.2, 0.35) if joint == "wrist" else rng.uniform(0.02, 0.2),
            )
            for side, sign in (("right", -1), ("left", 1))
            for joint in ("elbow", "wrist")
        }
        who = person(x, y, rng.uniform(110, 320), **arms)
        hidden = rng.choice(JOINTS, rng.integers(0, 4), replace=False)
        people.append(inside(without(who, *hidden)))
    return people


def weakened(heat: Floats, fields: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Scale each kind of joint and limb by a random confidence of 0.15 to 1."""
    heat, fields = heat.copy(), fields.copy()
    heat[:, :, :-1] *= rng.uniform(0.15, 1, heat.shape[2] - 1).astype(np.float32)
    fields *= np.repeat(rng.uniform(0.3, 1, fields.shape[2] // 2), 2).astype(np.float32)
    return heat, fields


def judge(found: list[Skeleton], people: list[Floats]) -> tuple[int, int, int, int, list[float]]:
    """Count true joints, found joints, claimed joints and people beyond the truth; errors in px."""
    left = list(found)
    right = 0
    errors: list[float] = []
    for truth in people:
        apart = [_errors(s, truth) for s in left]
        best = max(range(len(left)), key=lambda i: int((apart[i] < NEAR).sum()), default=None)
        if best is None:
            continue
        good = apart[best][apart[best] < NEAR]
        right += len(good)
        errors += good.tolist()
        left.pop(best)
    truths = sum(int(np.isfinite(truth[:, 0]).sum()) for truth in people)
    return truths, right, sum(s.found for s in found), len(left), errors


def _errors(skeleton: Skeleton, truth: Floats) -> Floats:
    """Pixels by joint; infinite where one of the two is missing."""
    apart = np.hypot(*(skeleton.joints[:, :2] - truth).T)
    apart[(skeleton.joints[:, 2] == 0) | ~np.isfinite(apart)] = np.inf
    return np.asarray(apart, np.float32)


def precision(decoders: dict[str, Decoder], scenes: int) -> Table:
    """Compare the decoders on the same scenes.

    Recall stays below 1: joints beyond a hidden one belong to nobody.
    """
    table = Table("joints found by", "noise", "recall", "precision", "false people", "error px, mean / p95")
    for noise in NOISES:
        sums = {name: np.zeros(4, np.int64) for name in decoders}
        errors: dict[str, list[float]] = {name: [] for name in decoders}
        for seed in range(scenes):
            rng = np.random.default_rng(seed)
            people = scene(rng)
            heat, fields = weakened(*maps(people), rng)
            heat = heat + rng.normal(0, noise, heat.shape).astype(np.float32)
            fields = fields + rng.normal(0, noise, fields.shape).astype(np.float32)
            for name, run in decoders.items():
                *counts, wide = judge(run(heat, fields), people)
                sums[name] += counts
                errors[name] += wide
        for name, (truths, right, claimed, false) in sums.items():
            wide_px = f"{np.mean(errors[name]):.2f} / {np.percentile(errors[name], 95):.2f}"
            row = f"{right / truths:.4f}", f"{right / max(claimed, 1):.4f}", str(false), wide_px
            table.add_row(name, f"{noise}", *row)
    return table


def speed(decoders: dict[str, Decoder], rounds: int) -> Table:
    """Measure three people with little noise, 36 x 48 cells; then noise alone, the worst case."""
    table = Table("joints found by", "ms of one core, p50", "p95")
    people = [person(70, 70, 230), person(190, 80, 200), person(310, 60, 240)]
    three = maps(people, noise=0.03)
    rng = np.random.default_rng(0)
    heat, fields = (rng.normal(0, sigma, m.shape) for sigma, m in zip((0.3, 0.5), three, strict=True))
    senseless = heat.astype(np.float32), fields.astype(np.float32)
    worst = {"cells, threshold 0.1, noise alone": decoders["cells, threshold 0.1"]}
    for name, run in (decoders | worst).items():
        spent = []
        for _ in range(rounds):
            start = time.thread_time()
            run(*(senseless if name in worst else three))
            spent.append((time.thread_time() - start) * 1000)
        table.add_row(name, f"{np.percentile(spent, 50):.2f}", f"{np.percentile(spent, 95):.2f}")
    return table


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--scenes", type=int, default=200)
    options.add_argument("--rounds", type=int, default=300)
    given = options.parse_args()
    cv2.setNumThreads(1)
    decoders = {
        f"{way.__name__}, threshold {threshold}": way(threshold)
        for way in (cells, deepstream, tao)
        for threshold in (0.05, 0.1)
    }
    console = Console(width=110)
    console.print(speed(decoders, given.rounds))
    console.print(precision(decoders, given.scenes))


if __name__ == "__main__":
    main()

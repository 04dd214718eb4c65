"""`python -m training.gestures STEP`: steps of the training.

Finished work is skipped, interrupted resumed.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import cv2

ENGINES = Path(__file__).resolve().parents[2] / "engines"
MESH = ("@webxr-input-profiles/assets", "1.0.20", "package/dist/profiles/generic-hand/right.glb")  # MIT
MIN_SHARDS = 2
MESH_SHA256 = "291790c14f7f88a7f9bd35330c47392ed8e8d395ae6728f4bb7089f1bc1f2b96"


def models(args: argparse.Namespace) -> None:
    """Fetch and convert the palm detector and the landmark network, as the agent does."""
    from agent.inference.models import fetch

    for path in fetch(["palm-detector", "hand-landmark", "hand-landmark-lite"], args.work / "cache", print):
        shutil.copyfile(path, args.work / path.name)


def mesh(args: argparse.Namespace) -> None:
    """Fetch the hand mesh to render, from its npm package."""
    target = args.work / "right.glb"
    if target.exists():
        return
    package, version, member = MESH
    subprocess.run(["npm", "pack", "--silent", f"{package}@{version}"], cwd=args.work, check=True)
    archive = next(args.work.glob("webxr-input-profiles-assets-*.tgz"))
    with tarfile.open(archive) as tar:
        file = tar.extractfile(member)
        data = file.read() if file else b""
    if hashlib.sha256(data).hexdigest() != MESH_SHA256:
        raise SystemExit(f"{archive}: {member} is not the hand that this recipe was written for")
    target.write_bytes(data)


def hands(args: argparse.Namespace) -> None:
    """Find every hand of every photograph."""
    from training.gestures.hands.features import find_all

    find_all(args.data, args.work, args.work)


def features(args: argparse.Namespace) -> None:
    """Compute features of jittered crops of the photographs."""
    from training.gestures.hands.features import extract
    from training.gestures.hands.rois import HandNet

    extract(args.data, HandNet(args.work / "hand-landmark.onnx"), args.work, args.work, seed=args.seed)


def rooms(args: argparse.Namespace) -> None:
    """Cut backgrounds from photographs of rooms."""
    from training.gestures.hands.rooms import photographed

    target = args.work / "rooms.pkl"
    if target.exists():
        return
    target.write_bytes(pickle.dumps(photographed(args.data, args.work, args.seed)))


def render(args: argparse.Namespace) -> None:
    """Render hands and compute their features."""
    from training.gestures.hands.render import shards
    from training.gestures.hands.rois import HandNet
    from training.gestures.hands.synthetic import extract

    folder = args.work / "render"
    folder.mkdir(exist_ok=True)
    walls = pickle.loads((args.work / "rooms.pkl").read_bytes())
    shards(args.work / "right.glb", walls, folder, range(args.shards))
    shards(args.work / "right.glb", walls, folder, range(args.shards // 4), held=True)
    for shard in sorted(folder.glob("render-*.pkl")):
        target = shard.with_suffix(".npz")
        if not target.exists():
            extract(shard, HandNet(args.work / "hand-landmark.onnx"), target)


def live(args: argparse.Namespace) -> None:
    """Compute features of hands in rendered scenes of people, with and without intended gestures."""
    from training.gestures.hands.living import extract

    extract(args.work / "cast", args.work / "live")


def negatives(args: argparse.Namespace) -> None:
    """Cut hands that hold and touch things from photographs and films of people who mean nothing."""
    from training.gestures.hands.negatives import extract

    if (args.data / "negatives").exists():
        extract(args.data, args.work)


def landmark(args: argparse.Namespace) -> None:
    """Train, calibrate and export the head of gesturenet-landmark, and update its manifest's checksum."""
    from training.gestures.landmark.landmark import make

    make(args.work, ENGINES / "gesturenet-landmark", steps=args.steps or 600, seed=args.seed)


def loso(args: argparse.Namespace) -> None:
    """Compute figures by held-out source, with and without rendered hands, and by skin tone."""
    from training.gestures.landmark.landmark import by_tone, compare

    compare(args.work, steps=args.steps or 600, seed=args.seed)
    by_tone(args.work, steps=args.steps or 600, seed=args.seed)


def lite(args: argparse.Namespace) -> None:
    """Refine the head on the smaller landmark network, export gesturenet-landmark-lite, print its figures."""
    from training.gestures.landmark.lite import extract, make

    extract(args.data, args.work, args.seed)
    make(args.work, ENGINES, args.seed)


def crops(args: argparse.Namespace) -> None:
    """Cut upright images for GestureNet."""
    from training.gestures.hands.crops import pack

    if not (args.work / "pictures.npz").exists():
        pack(args.data, args.work, args.work / "pictures.npz", args.shards)


def gesturenet(args: argparse.Namespace) -> None:
    """Train, calibrate and export GestureNet."""
    from training.gestures.image.train import make

    make(
        args.work,
        ENGINES / "gesturenet",
        steps=args.steps or 8000,
        without=tuple(args.without),
        seed=args.seed,
    )


def card(args: argparse.Namespace) -> None:
    """Write tables and plots of both model cards from the results of the other steps."""
    from training.gestures import card as cards

    if (args.work / "figures.json").exists():
        cards.landmark(args.work, ENGINES / "gesturenet-landmark")
    if (args.work / "gesturenet.json").exists():
        cards.gesturenet(args.work, ENGINES / "gesturenet")


STEPS: dict[str, Callable[[argparse.Namespace], None]] = {
    f.__name__: f
    for f in (
        models,
        mesh,
        hands,
        features,
        rooms,
        render,
        live,
        negatives,
        loso,
        landmark,
        lite,
        crops,
        gesturenet,
        card,
    )
}
HEAD_ONLY = (
    "models",
    "mesh",
    "hands",
    "features",
    "rooms",
    "render",
    "live",
    "loso",
    "landmark",
    "lite",
    "card",
)


def main() -> None:
    """Run one step, or all in order."""
    lines = "\n".join(f"  {name:11} {step.__doc__}" for name, step in STEPS.items())
    parser = argparse.ArgumentParser(
        prog="python -m training.gestures", formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__, epilog=f"steps, in order:\n{lines}",
    )  # fmt: skip
    parser.add_argument(
        "step", choices=[*STEPS, "head", "all"], help="head: all that gesturenet-landmark needs"
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with photos.csv")
    parser.add_argument(
        "--work", type=Path, default=Path("build/training"), help="everything in between lies here"
    )
    parser.add_argument("--shards", type=int, default=24, help="thousands of rendered hands")
    parser.add_argument("--steps", type=int, help="training steps")
    parser.add_argument("--without", nargs="*", default=["desk", "anton"], help="sources kept for testing")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.shards < MIN_SHARDS:
        parser.error(f"--shards {args.shards}: at least {MIN_SHARDS}, the last one judges skin tones")
    args.work.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    names = {"head": HEAD_ONLY, "all": tuple(STEPS)}.get(args.step, (args.step,))
    for name in names:
        print(f"-- {name}: {STEPS[name].__doc__}")
        STEPS[name](args)


if __name__ == "__main__":
    main()

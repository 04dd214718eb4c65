"""Renders the demo clip: one person in a room who makes five gestures with the right hand.

    pip install -r training/synthetic/clip/requirements.txt          (Python 3.11)
    python -m training.synthetic.clip.render --out tests/data/demo.mp4

Frames are kept in the cache folder: an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import bpy
import cv2
import numpy as np
from tqdm import tqdm

from training.synthetic.clip import room, scene
from training.synthetic.clip.body import Shape, make_body
from training.synthetic.clip.colours import Look
from training.synthetic.clip.motion import Actor, Beat, timeline

if TYPE_CHECKING:
    from training.synthetic.clip.body import Array

SHAPE = Shape(gender=0.0, age=0.62, height=0.45, face=(("mouthSmileLeft", 0.45), ("mouthSmileRight", 0.45)))
BLINK = (("eyeBlinkLeft", 1.0), ("eyeBlinkRight", 1.0))
WEBCAM = scene.Webcam(np.array([0.05, -1.25, 1.38]), np.array([-0.09, 0.0, 1.33]), 60.0)
GRAIN = 1.6  # standard deviation of a webcam's noise, in grey levels


def options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("tests/data/demo.mp4"),
        help="clip; the truth lies beside it as .json",
    )
    parser.add_argument(
        "--sheet",
        type=Path,
        default=Path("training/synthetic/clip/contact_sheet.png"),
        help="small overview picture",
    )
    parser.add_argument("--cache", type=Path, default=Path(".cache/clip"), help="folder of the single frames")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--samples", type=int, default=4, help="light paths a pixel; 64 for the background")
    parser.add_argument("--every", type=int, default=1, help="render each n-th frame only: a quick proof")
    parser.add_argument("--seed", type=int, default=3, help="of the room, the hair and the motion")
    parser.add_argument("--crf", type=int, default=24, help="quality of H.264: lower is better and larger")
    return parser.parse_args()


def main() -> None:
    """Render the background once, then the person of each frame before it, then encode the clip."""
    o = options()
    o.cache.mkdir(parents=True, exist_ok=True)
    height = o.width * 3 // 4
    beats, length = timeline()
    frames = range(0, round(length * o.fps), o.every)
    if missing := [f for f in frames if not (o.cache / f"person_{f:04d}.png").exists()]:
        render_frames(o, height, beats, missing)
    background = cv2.imread(str(o.cache / "room.png"))
    pictures = [
        scene.over(background, cv2.imread(str(o.cache / f"person_{f:04d}.png"), cv2.IMREAD_UNCHANGED))
        for f in frames
    ]
    encode(o.out, pictures, Fraction(o.fps, o.every), o.crf, o.seed)
    o.out.with_suffix(".json").write_text(truth(o, beats, len(pictures), height))
    cv2.imwrite(
        str(o.sheet),
        contact_sheet(pictures, beats, Fraction(o.fps, o.every)),
        [cv2.IMWRITE_PNG_COMPRESSION, 9],
    )


def render_frames(o: argparse.Namespace, height: int, beats: list[Beat], frames: list[int]) -> None:
    """Render PNGs to the cache: room.png once, person_0000.png with alpha for each frame."""
    blender = scene.fresh_scene(o.width, height, 64)
    room.furnish(o.seed, light=0.8)
    WEBCAM.place()
    scene.render_to(o.cache / "room.png")
    scene.show_only_people(list(bpy.data.objects))
    body = make_body(SHAPE)
    shut = make_body(Shape(**{**SHAPE.__dict__, "face": SHAPE.face + BLINK})).vertices
    person = scene.Person(body, Look(seed=o.seed))
    actor = Actor(body, beats, o.seed)
    blender.cycles.samples = o.samples
    coarse_first = sorted(frames, key=lambda f: (f % 8 != 0, f % 4 != 0, f % 2 != 0, f))
    for f in tqdm(coarse_first, unit="frame"):
        posed, blink = actor.pose(f / o.fps), actor.blink(f / o.fps)
        person.show(posed, body.vertices + blink * (shut - body.vertices))
        scene.set_border(WEBCAM.project(posed.vertices(), o.width / height))
        scene.render_to(o.cache / "unfinished.png")  # write atomically, in case it is killed
        (o.cache / "unfinished.png").replace(o.cache / f"person_{f:04d}.png")


def encode(path: Path, pictures: list[Array], fps: Fraction, crf: int, seed: int) -> None:
    """Encode H.264 in MP4, with some noise, with the index at the start."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream(
            "libx264", rate=fps, options={"crf": str(crf), "preset": "slow", "threads": "1"}
        )
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            noisy = np.clip(picture + rng.normal(0, GRAIN, picture.shape), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="bgr24")))
        container.mux(stream.encode())


def truth(o: argparse.Namespace, beats: list[Beat], count: int, height: int) -> str:
    """Write the ground truth as JSON: gestures with times; between them the hand hangs down or moves."""
    facts = {
        "clip": o.out.name,
        "fps": o.fps / o.every,
        "frames": count,
        "width": o.width,
        "height": height,
        "people": 1,
        "gestures": [
            {"gesture": b.gesture, "hand": "right", "from_s": round(b.start, 3), "to_s": round(b.end, 3)}
            for b in beats
        ],
    }
    return json.dumps(facts, indent=2) + "\n"


def contact_sheet(pictures: list[Array], beats: list[Beat], fps: Fraction) -> Array:
    """Draw 2 x 3 small images: at rest, and the middle of each gesture."""
    at = [0.0, *((b.start + b.end) / 2 for b in beats)]
    small = [cv2.resize(pictures[round(t * fps)], (240, 180), interpolation=cv2.INTER_AREA) for t in at]
    return np.vstack([np.hstack(small[:3]), np.hstack(small[3:])])


if __name__ == "__main__":
    main()

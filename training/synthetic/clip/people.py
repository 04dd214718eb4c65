"""Renders labelled training images of many people in many rooms, 1 to 4 metres away.

python -m training.synthetic.clip.people --count 1000

Writes OUT/000000.jpg ... and OUT/labels.csv; a second run with a larger count adds to them.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import TYPE_CHECKING

import bpy
import cv2
import numpy as np
from tqdm import tqdm

from training.synthetic.clip import room, scene
from training.synthetic.clip.body import Body, Posed, Shape, make_body, place_bones, turn, unit
from training.synthetic.clip.colours import HAIRS, SKINS, Look
from training.synthetic.clip.gestures import (
    OTHERS,
    SHAPES,
    ArmPose,
    Finger,
    HandShape,
    Side,
    Thumb,
    arm_turns,
    blend,
)
from training.synthetic.clip.motion import ARMS, RAISED, RESTING, mirrored

if TYPE_CHECKING:
    pass

FIELDS = ("path", "label", "left", "top", "right", "bottom", "hand", "person", "skin")
POSES = 8  # images of one person in one room
ROOMS = 30


def options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1000, help="pictures in all")
    parser.add_argument("--out", type=Path, default=Path(".cache/renders"))
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Render sets (a person in a room, `POSES` images) one after the other."""
    o = options()
    o.out.mkdir(parents=True, exist_ok=True)
    table = o.out / "labels.csv"
    if not table.exists():
        table.write_text(",".join(FIELDS) + "\n")
    done = {row["path"] for row in csv.DictReader(table.open())}
    sets = range(-(-o.count // POSES))
    for number in tqdm([n for n in sets if f"{n * POSES + POSES - 1:06d}.jpg" not in done], unit="person"):
        rows = render_set(o, number)
        with table.open("a", newline="") as file:
            csv.DictWriter(file, FIELDS).writerows(r for r in rows if r["path"] not in done)


def render_set(o: argparse.Namespace, number: int) -> list[dict[str, str | int]]:
    """Render images of one person; return their rows of the table."""
    rng = np.random.default_rng((o.seed, number))
    height = o.width * 3 // 4
    where, webcam, brightness = _room(o.seed, number % ROOMS)
    blender = scene.fresh_scene(o.width, height, 16)
    room.furnish(where, back_y=2.3, light=brightness)
    webcam.place()
    plate = o.out / f"room_{number % ROOMS:02d}.png"
    if not plate.exists():
        scene.render_to(plate)
    scene.show_only_people(list(bpy.data.objects))
    blender.cycles.samples = o.samples
    skin = rng.choice(list(SKINS))
    body = make_body(_shape(rng))
    person = scene.Person(body, _look(rng, str(skin)))
    background = cv2.imread(str(plate))
    still = o.out / "person.png"
    rows: list[dict[str, str | int]] = []
    for k in range(POSES):
        posed, hands = _act(body, rng)
        person.show(posed)
        scene.set_border(webcam.project(posed.vertices(), o.width / height))
        scene.render_to(still)
        picture = scene.over(background, cv2.imread(str(still), cv2.IMREAD_UNCHANGED))
        picture = np.clip(picture + rng.normal(0, rng.uniform(0.5, 4), picture.shape), 0, 255).astype(
            np.uint8
        )
        name = f"{number * POSES + k:06d}.jpg"
        cv2.imwrite(str(o.out / name), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        for side, label in hands.items():
            box = _hand_box(posed, side, webcam, o.width, height)
            if box is not None:
                rows.append(
                    dict(
                        zip(
                            FIELDS,
                            (
                                name,
                                label,
                                *box,
                                "right" if side == "R" else "left",
                                f"rendered_{number:04d}",
                                str(skin),
                            ),
                            strict=True,
                        )
                    )
                )
    still.unlink()
    return rows


def _room(seed: int, number: int) -> tuple[int, scene.Webcam, float]:
    rng = np.random.default_rng((seed, 77, number))
    away = rng.uniform(1.0, 3.2)
    at = np.array([rng.uniform(-0.35, 0.35) * away, -away, rng.uniform(0.9, 1.7)])
    looks_at = np.array([rng.uniform(-0.15, 0.15), 0.0, rng.uniform(1.05, 1.3)])
    return (
        int(rng.integers(10_000)),
        scene.Webcam(at, looks_at, rng.uniform(52, 68)),
        float(rng.uniform(0.4, 1.1)),
    )


def _shape(rng: np.random.Generator) -> Shape:
    smile = float(rng.uniform(0, 0.7))
    return Shape(
        gender=float(rng.choice([rng.uniform(0, 0.15), rng.uniform(0.85, 1)])),
        age=float(rng.uniform(0.45, 1.0)),
        muscle=float(rng.uniform(0.25, 0.75)),
        weight=float(rng.uniform(0.25, 0.85)),
        height=float(rng.uniform(0.25, 0.75)),
        proportions=float(rng.uniform(0.3, 0.9)),
        face=(("mouthSmileLeft", smile), ("mouthSmileRight", smile)),
    )


def _look(rng: np.random.Generator, skin: str) -> Look:
    wear = tuple(float(c) for c in rng.uniform(0.01, 0.5, 3) * rng.uniform(0.2, 1.2))
    pale = float(rng.uniform(0.85, 1.15))
    return Look(
        skin=tuple(pale * c for c in SKINS[skin]),  # type: ignore[arg-type]
        hair=HAIRS[rng.integers(len(HAIRS))],
        hair_length_m=float(rng.uniform(0.015, 0.07)),
        shirt=wear,  # type: ignore[arg-type]
        sleeve=float(rng.choice([0.32, 0.36, 0.7, 0.9, 0.94])),
        trousers=tuple(float(c) for c in rng.uniform(0.01, 0.2, 3)),  # type: ignore[arg-type]
        seed=int(rng.integers(10_000)),
    )


def _act(body: Body, rng: np.random.Generator) -> tuple[Posed, dict[Side, str]]:
    """Random pose, and the label of each hand."""
    chest = turn(np.array([0, 0, 1.0]), rng.normal(0, 12)) @ turn(np.array([1.0, 0, 0]), rng.normal(0, 3))
    head = (
        chest @ turn(np.array([0, 0, 1.0]), rng.normal(0, 10)) @ turn(np.array([1.0, 0, 0]), rng.normal(0, 5))
    )
    turns = {"spine03": chest, "head": head}
    hands: dict[Side, str] = {}
    both = rng.random() < 0.2
    main: Side = "R" if rng.random() < 0.6 else "L"
    for side in ("R", "L"):
        if side == main or both:
            arm, shape, label = _gesture(rng)
        else:
            arm, shape, label = _jitter(RESTING, rng, 0.05, 0.1), _loose(SHAPES["idle"], rng, 6), "random"
        turns |= arm_turns(body, side, arm if side == "R" else mirrored(arm), shape, chest)  # type: ignore[arg-type]
        hands[side] = label  # type: ignore[index]
    return place_bones(body, turns, rng.normal(0, (0.12, 0.1, 0.0))), hands


def _gesture(rng: np.random.Generator) -> tuple[ArmPose, HandShape, str]:
    label = str(rng.choice(["thumbs_up", "fist", "stop", "ok", "two", "random"]))
    if label != "random":
        return _jitter(ARMS[label], rng, 0.06, 0.16), _loose(SHAPES[label], rng, 4), label
    shape = _loose(OTHERS[str(rng.choice(list(OTHERS)))], rng, 7)
    if rng.random() < 0.3:  # in the transition to or from a gesture
        shape = blend(
            SHAPES["idle"],
            SHAPES[str(rng.choice(["fist", "stop", "two", "ok"]))],
            float(rng.uniform(0.2, 0.5)),
        )
    return _jitter(RAISED, rng, 0.09, 0.5), shape, label


def _jitter(arm: ArmPose, rng: np.random.Generator, metres: float, way: float) -> ArmPose:
    return ArmPose(
        arm.wrist + rng.normal(0, metres, 3),
        arm.elbow + rng.normal(0, 0.2, 3),
        unit(arm.fingers) + rng.normal(0, way, 3),
        unit(arm.palm) + rng.normal(0, way, 3),
    )


def _loose(shape: HandShape, rng: np.random.Generator, degrees: float) -> HandShape:
    def shaken(finger: Finger) -> Finger:
        d = rng.normal(0, degrees, 2)
        return Finger(
            finger.knuckle + d[0],
            finger.middle + d[1],
            finger.end + 0.6 * d[1],
            finger.spread + rng.normal(0, degrees / 3),
        )

    t = shape.thumb
    thumb = Thumb(*(np.array([t.across, t.out, t.roll, t.knuckle, t.tip]) + rng.normal(0, degrees * 0.7, 5)))
    return HandShape(thumb, *(shaken(f) for f in (shape.index, shape.middle, shape.ring, shape.little)))


def _hand_box(
    posed: Posed, side: Side, webcam: scene.Webcam, width: int, height: int
) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom in pixels, tight; None where most of the hand is outside the image."""
    body = posed.body
    own = np.unique(body.quads[body.part == f"hand.{side}"])
    beyond = (body.vertices[own] - body.head(f"wrist.{side}")) @ (
        body.head(f"finger3-1.{side}") - body.head(f"wrist.{side}")
    )
    shares = webcam.project(posed.vertices()[own[beyond > 0]], width / height)
    inside = ((shares > 0) & (shares < 1)).all(axis=1)
    if inside.mean() < 0.8:
        return None
    low, high = shares.min(axis=0) * (width, height), shares.max(axis=0) * (width, height)
    return int(low[0]), int(low[1]), round(high[0]), round(high[1])


if __name__ == "__main__":
    main()

"""A random scene by its seed: room, camera, light, one or two people with activities, as webcam frames."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from training.synthetic.scenes import activity_model
from training.synthetic.scenes.actor import TABLE_M, Actor, dressed
from training.synthetic.scenes.camera_model import Camera, Light
from training.synthetic.scenes.hands import Array, unit
from training.synthetic.scenes.props import Solid, box, prism
from training.synthetic.scenes.rig import SIDES, Side
from training.synthetic.scenes.script import Beat, Script
from training.synthetic.scenes.webcam import Webcam

if TYPE_CHECKING:
    from training.synthetic.scenes.picture import Painter

Kind = Literal["idle", "gestures"]
SIZE = (640, 480)  # px, width and height, of the room images
CHUNK = 600  # frames whose bones are computed at once
DISTANCE_M = (1.0, 3.0)  # distance of the people from the camera
ROOM_M = (-1.4, 0.9)  # where they may be, from its middle to the wall at 2.3
CROWN_SHARE = 0.03  # share of the image above a head
FARTHEST_M = 1.7  # maximum distance for stepping back


@dataclass(frozen=True)
class Film:
    """Length, frame rate and frame size in px (width, height) of a scene.

    A frame wider than 4:3 shows more of the room at its sides, as that of most webcams does.
    """

    seconds: float = 120.0
    fps: float = 10.0
    size: tuple[int, int] = SIZE

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Film:
        """Return the format of a measured part, from the JSON beside its trace."""
        width, height = facts.get("size", SIZE)
        return cls(facts["seconds"], facts["fps"], (width, height))


@dataclass(frozen=True, eq=False)
class Thing:
    """A held object: when, by whom, in which hand."""

    solid: Solid
    actor: int
    beat: Beat


class Scene:
    """A scene; `frames` renders it, scripts, actors and camera are the ground truth."""

    def __init__(self, cast: Path, kind: Kind, seed: int, film: Film) -> None:
        """Create the scene. `cast` is the folder that training/synthetic/scenes/characters.py filled."""
        people, rooms = sorted(cast.glob("person-??.npz")), sorted(cast.glob("room-??.json"))
        if not people or not rooms:
            raise SystemExit(
                f"{cast}: no cast here; make it first: "
                f"python -m training.synthetic.scenes.characters --out {cast}"
            )
        rng = np.random.default_rng((seed, {"idle": 1, "gestures": 2}[kind]))
        self.kind, self.seed, self.film = kind, seed, film
        room = rooms[rng.integers(len(rooms))]
        self._plate, self.camera, light = _room(room, mirrored=rng.random() < 0.5, size=film.size)
        self.seated = bool(rng.random() < 0.5)
        count = 2 if rng.random() < 0.3 else 1
        chosen = rng.choice(len(people), count, replace=False)
        base_y = float(np.clip(rng.uniform(*DISTANCE_M) + self.camera.at[1], *ROOM_M))
        self.actors = [
            Actor(people[who], seated=self.seated, at=at, yaw=float(rng.normal(0, 12)))
            for who, at in zip(chosen, _places(rng, count, base_y), strict=True)
        ]
        if not self.seated:
            for actor in self.actors:
                _step_back(actor, self.project)
        plan = activity_model.idle if kind == "idle" else activity_model.gesturing
        self.scripts: list[Script] = [
            (plan if i == 0 else activity_model.idle)(actor.measures, film.seconds, 1000 * seed + i)
            for i, actor in enumerate(self.actors)
        ]
        self._light = _light(rng, light)
        self._weave = (
            float(rng.choice([0, 0, 0, 0, 0, 0, 14, 22, 40])),
            *(float(c) for c in rng.uniform(0.02, 0.5, 3)),
        )
        self._webcam = Webcam(rng)
        self._things = [
            Thing(_held(beat.name, rng), i, beat)
            for i, script in enumerate(self.scripts)
            for beat in script.things
        ]
        self._furniture = _table(rng, base_y) if self.seated else []
        self._meshes = [actor.mesh(dressed(rng)) for actor in self.actors]

    @property
    def times(self) -> Array:
        """Return the times of the frames in seconds."""
        return np.arange(round(self.film.seconds * self.film.fps)) / self.film.fps

    @cached_property
    def bones(self) -> list[Array]:
        """Return, by actor, the bones (T, B, 3, 4) of all frames."""
        return [
            np.concatenate(
                [a.bones(s, t) for t in np.split(self.times, range(CHUNK, len(self.times), CHUNK))]
            )
            for a, s in zip(self.actors, self.scripts, strict=True)
        ]

    def palms(self, actor: int, side: Side) -> Array:
        """Return (T, 3): the middle of a palm as fractions of the image, and metres from the camera."""
        middle, _ = self.actors[actor].hand(self.bones[actor], side)
        return self.project(middle)

    def project(self, points: Array) -> Array:
        """Project to (N, 3): fractions of the image from the upper left, and metres from the camera."""
        width, height = self.film.size
        return self.camera.project(points, width / height)

    def frames(self, painter: Painter, chosen: range | None = None) -> Iterator[tuple[int, Array]]:
        """Yield number and uint8 (height, width, 3) BGR of each frame, or of the chosen ones."""
        meshes = [*self._meshes, *(s.mesh for s, _ in self._furniture), *(t.solid.mesh for t in self._things)]
        middle = (0.0, float(np.mean([actor.at[1] for actor in self.actors])), 1.0)
        painter.stage(self._plate, self.camera, self._light, meshes, self._weave, middle)
        still = [solid.placed(centre, np.eye(3)) for solid, centre in self._furniture]
        hands = {
            (i, side): actor.hand(self.bones[i], side)
            for i, actor in enumerate(self.actors)
            for side in SIDES
        }
        for n in chosen or range(len(self.times)):
            people = [actor.skin(self.bones[i][n]) for i, actor in enumerate(self.actors)]
            held = [self._place(thing, n, hands) for thing in self._things]
            picture = painter.draw([*people, *still, *held])
            yield n, self._webcam.sees(picture, self.seed, n)

    def _place(
        self, thing: Thing, n: int, hands: dict[tuple[int, Side], tuple[Array, Array]]
    ) -> tuple[Array, Array] | None:
        beat = thing.beat
        if not beat.start <= self.times[n] <= beat.end:
            return None
        middle, axes = hands[thing.actor, beat.side]
        if beat.name == "sheet":
            left, _ = hands[thing.actor, "L"]
            return thing.solid.placed((middle[n] + left[n]) / 2 + axes[n] @ (0.1, 0, 0), _of_sheet(axes[n]))
        up = axes[n][:, 2] if beat.side == "R" else -axes[n][:, 2]  # position of the thumb
        if beat.name == "cup":
            turn = np.stack([unit(np.cross(axes[n][:, 1], up)), axes[n][:, 1], up], axis=1)
            return thing.solid.placed(middle[n] + axes[n] @ (0.015, 0.05, 0), turn)
        return thing.solid.placed(middle[n] + axes[n] @ (0.02, 0.035, 0), axes[n])

    def doing(self, actor: int, at: float) -> str:
        """Return the activity of a person at a time in seconds."""
        for beat in reversed(self.scripts[actor].activities):
            if beat.start <= at:
                return beat.name
        return "rest"


def _of_sheet(axes: Array) -> Array:
    along = axes[:, 0]
    side = unit(np.cross(along, axes[:, 1] if abs(along[0]) > 0.9 else np.array([1.0, 0, 0])))
    return np.stack([along, np.cross(side, along), side], axis=1)[:, [0, 2, 1]]


def _room(facts: Path, *, mirrored: bool, size: tuple[int, int]) -> tuple[Array, Camera, float]:
    room = json.loads(facts.read_text())
    plate = cv2.imread(str(facts.with_suffix(".png")))[..., ::-1]
    sign = -1 if mirrored else 1
    plate = plate[:, ::-1] if mirrored else plate
    at, looks_at = ((sign * p[0], p[1], p[2]) for p in (room["at"], room["looks_at"]))
    wide, times = widened(plate, size)
    return wide, Camera(at, looks_at, room["degrees"]).wider(times), float(room["light"])


def widened(plate: Array, size: tuple[int, int]) -> tuple[Array, float]:
    """Return the room in an image of that size, mirrored at its edges, and the factor of its width."""
    high, wide = plate.shape[:2]
    times = size[0] / size[1] / (wide / high)
    if times < 1 - 1e-6:
        raise SystemExit(f"{size[0]}x{size[1]}: rooms are {wide}x{high}; pictures are as wide or wider")
    more = round(wide * (times - 1) / 2)
    padded = cv2.copyMakeBorder(plate, 0, 0, more, more, cv2.BORDER_REFLECT_101)
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_CUBIC)), times


def _places(rng: np.random.Generator, count: int, base_y: float) -> list[tuple[float, float]]:
    """Places of the people; x, y on the floor."""
    if count == 1:
        return [(float(rng.normal(0, 0.12)), base_y)]
    apart = rng.uniform(0.33, 0.48)
    order = rng.permutation([-1.0, 1.0])
    return [(float(k * apart), float(base_y + rng.uniform(-0.05, 0.15))) for k in order]


def _step_back(actor: Actor, project: Callable[[Array], Array]) -> None:
    """Move a person back who is too near for the camera to see the face."""
    while project(actor.crown[None])[0, 1] < CROWN_SHARE and actor.at[1] < FARTHEST_M:
        actor.at = (actor.at[0], actor.at[1] + 0.05)


def _light(rng: np.random.Generator, strength: float) -> Light:
    side = rng.choice([-1.0, 1.0])
    sun = unit(np.array([side * rng.uniform(0.2, 1.2), -rng.uniform(0.5, 1.2), rng.uniform(0.3, 1.2)]))
    fill = unit(np.array([-side * rng.uniform(0.4, 1.2), -0.6, rng.uniform(0.0, 0.8)]))
    warm = np.exp(rng.normal(0, 0.08, 3))
    level = 0.45 + 0.55 * strength
    key, sky = rng.uniform(0.35, 1.0), rng.uniform(0.2, 0.45)
    rows = {
        "sun": sun,
        "sun_colour": level * key * warm,
        "fill": fill,
        "fill_colour": level * rng.uniform(0.05, 0.3) / warm,
        "sky": level * sky * np.array([0.97, 1.0, 1.04]),
        "ground": level * sky * 0.55 * np.array([1.05, 1.0, 0.93]),
    }
    return Light(**{name: tuple(float(x) for x in row) for name, row in rows.items()})


def _held(name: str, rng: np.random.Generator) -> Solid:
    colour = rng.uniform(0.02, 0.8, 3)
    if name == "cup":
        return prism(float(rng.uniform(0.033, 0.042)), float(rng.uniform(0.08, 0.13)), colour)
    if name == "phone":
        return box((0.15, 0.009, 0.072), np.full(3, rng.choice([0.008, 0.02, 0.3])))
    return box((0.297, 0.001, 0.21), np.full(3, 0.75))


def _table(rng: np.random.Generator, base_y: float) -> list[tuple[Solid, Array]]:
    wood = (
        np.array([0.3, 0.18, 0.1]) * rng.uniform(0.3, 1.6)
        if rng.random() < 0.6
        else np.full(3, rng.uniform(0.1, 0.6))
    )
    front = base_y - float(rng.uniform(0.14, 0.2))
    deep = float(rng.uniform(0.5, 0.7))
    top = (box((1.8, deep, 0.03), wood, 0.5), np.array([0, front - deep / 2, TABLE_M - 0.015]))
    keys = (
        box((0.36, 0.12, 0.02), np.full(3, rng.choice([0.01, 0.05, 0.5]))),
        np.array([0, front - 0.16, TABLE_M + 0.01]),
    )
    return [top, keys]

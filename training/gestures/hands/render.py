"""Rendered hands: every gesture, skin, sleeve, light and view, on top of pieces of rooms.

    python -m training.gestures render --shards 24

One shard holds `PER_SHARD` JPEG pictures of 320 px with the 21 true points in pixels. Shard k is
made from seed k alone, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import moderngl
import numpy as np
from tqdm import tqdm

from training.gestures.hands.poses import KINDS, Skeleton, load_mesh, sample
from training.gestures.hands.rooms import SIDE, made_up
from training.gestures.hands.things import NOTHING, OTHER_HAND, THINGS, Solid, turn_to

PER_SHARD = 1000

VERTEX = """
#version 330
uniform mat4 camera; uniform mat3 turn;
in vec3 position; in vec3 normal; in vec3 tone; in vec3 rest;
out vec3 n; out vec3 colour; out vec3 where; out vec3 seen;
void main() {
  n = turn * normal; colour = tone; where = rest; seen = turn * position;
  gl_Position = camera * vec4(position, 1.0);
}
"""
FRAGMENT = """
#version 330
uniform vec3 sun; uniform vec3 sun_colour; uniform vec3 lamp; uniform vec3 lamp_colour;
uniform vec3 ambient; uniform float gloss; uniform float mottle; uniform float grain;
in vec3 n; in vec3 colour; in vec3 where; in vec3 seen;
out vec4 pixel;
float hash(vec3 p) { return fract(sin(dot(p, vec3(127.1, 311.7, 74.7))) * 43758.5453); }
float noise(vec3 p) {
  vec3 i = floor(p), f = fract(p); f = f * f * (3.0 - 2.0 * f);
  vec2 e = vec2(1, 0);
  float near = mix(mix(hash(i), hash(i + e.xyy), f.x), mix(hash(i + e.yxy), hash(i + e.xxy), f.x), f.y);
  float deep = mix(mix(hash(i + e.yyx), hash(i + e.xyx), f.x),
                   mix(hash(i + e.yxx), hash(i + e.xxx), f.x), f.y);
  return mix(near, deep, f.z);
}
void main() {
  float wear = noise(where * 90.0) * 0.6 + noise(where * 300.0) * 0.4 - 0.5;
  vec3 pore = where * 420.0;
  vec3 bump = vec3(noise(pore), noise(pore + 7.0), noise(pore + 13.0)) - 0.5;
  vec3 m = normalize(normalize(n) + bump * grain);
  vec3 skin = colour * (1.0 + mottle * wear);
  float a = clamp((dot(m, sun) + 0.25) / 1.25, 0.0, 1.0);
  float b = clamp((dot(m, lamp) + 0.3) / 1.3, 0.0, 1.0);
  vec3 light = ambient * (0.75 + 0.25 * m.y) + sun_colour * a + lamp_colour * b;
  vec3 h = normalize(sun + vec3(0, 0, 1));
  float rim = pow(1.0 - clamp(m.z, 0.0, 1.0), 2.0);
  float shine = gloss * pow(clamp(dot(m, h), 0.0, 1.0), 24.0);
  pixel = vec4(skin * light * (1.0 - 0.35 * rim) + shine * sun_colour, 1.0);
}
"""
TONES = np.array(
    [  # sRGB of light to dark skin, palms are mixed towards pink
        [255, 224, 196],
        [244, 205, 175],
        [229, 184, 143],
        [217, 160, 116],
        [198, 134, 92],
        [165, 107, 70],
        [133, 84, 54],
        [103, 64, 42],
        [77, 49, 34],
        [56, 37, 28],
    ],
    float,
)


class Renderer:
    """Renders hands with OpenGL, without a screen."""

    def __init__(self, mesh_path: Path) -> None:
        self.mesh = load_mesh(mesh_path)
        self.skeleton = Skeleton(self.mesh, np.random.default_rng(7))
        self.context = moderngl.create_standalone_context(backend="egl")
        self.program = self.context.program(VERTEX, FRAGMENT)
        samples = min(4, self.context.max_samples)
        self.drawn = self.context.framebuffer(
            self.context.renderbuffer((SIDE, SIDE), samples=samples),
            self.context.depth_renderbuffer((SIDE, SIDE), samples=samples),
        )
        self.plain = self.context.simple_framebuffer((SIDE, SIDE), components=4)
        v = self.mesh.vertices
        tips = np.stack(
            [
                self.mesh.bind[self.mesh.at(n), :3, 3]
                for n in ("thumb-tip", *(f"{f}-finger-tip" for f in ("index", "middle", "ring", "pinky")))
            ]
        )
        self.nail = (np.linalg.norm(v[:, None] - tips, axis=2).min(1) < 0.0085) & (
            self.mesh.normals[:, 0] > 0.35
        )
        self.palmar = np.clip(-self.mesh.normals[:, 0] * 1.3, 0, 1)
        self.buffer: moderngl.Buffer | None = None

    def hand(self, kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return posed vertices, normals and the 21 landmarks, in metres."""
        scale = np.exp(rng.normal(0, 0.05)) * np.exp(rng.normal(0, 0.035, 5))
        pose = sample(kind, self.skeleton, rng)
        t = self.skeleton.transforms(pose, scale)
        m = self.mesh
        mixed = np.einsum("vk,vkij->vij", m.weights, t[m.joints])
        vertices = np.einsum("vij,vj->vi", mixed[:, :3, :3], m.vertices) + mixed[:, :3, 3]
        normals = np.einsum("vij,vj->vi", mixed[:, :3, :3], m.normals)
        points = self.skeleton.points(t)
        shape = np.exp(rng.normal(0, [0.1, 0.05, 0.08]))  # thick, long, wide
        return vertices * shape, normals / shape, points * shape

    def arm(
        self, rng: np.random.Generator, shape: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Build a bent tube from the wrist on: vertices, normals, faces, share of the way to the elbow."""
        around, along = 20, 14
        a = np.linspace(0, 2 * np.pi, around, endpoint=False)
        s = np.linspace(0, 1, along)
        start = np.array([0.036, 0.060, 0.006])
        lean = turn_to(np.array([rng.normal(0, 0.45), 1.0, rng.normal(0, 0.3)]))
        rx, rz = 0.021 * shape, 0.029 * shape
        grow = 1 + 0.75 * s
        ring = np.stack([np.cos(a) * rx, np.zeros(around), np.sin(a) * rz], 1)
        vertices = (
            start
            + (ring[None] * grow[:, None, None] + np.array([0, 1.0, 0]) * (s * 0.28)[:, None, None]) @ lean.T
        )
        normal = np.stack([np.cos(a) / rx, np.zeros(around), np.sin(a) / rz], 1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        normals = np.broadcast_to(normal @ lean.T, (along, around, 3))
        i, j = np.meshgrid(np.arange(along - 1), np.arange(around), indexing="ij")
        p, q = i * around + j, i * around + (j + 1) % around
        faces = np.concatenate(
            [np.stack([p, q, p + around], -1), np.stack([q, q + around, p + around], -1)]
        ).reshape(-1, 3)
        return vertices.reshape(-1, 3), normals.reshape(-1, 3), faces, np.repeat(s, around)

    def thing(self, kind: str, points: np.ndarray, tone: np.ndarray, rng: np.random.Generator) -> Solid:
        """Build what a hand of this kind holds; kinds of `HOLDING` hold something six times of ten."""
        things = KINDS[kind].things
        if not things:
            if kind not in HOLDING or rng.random() > 0.6:
                return NOTHING
            things = ("cup", "slab", "pen")
        which = str(rng.choice(things))
        return self.other_hand(points, tone, rng) if which == OTHER_HAND else THINGS[which](points, rng)

    def other_hand(self, points: np.ndarray, tone: np.ndarray, rng: np.random.Generator) -> Solid:
        """Build another hand, with its arm, palm to palm with this one and turned against it."""
        shape = str(rng.choice(["half", "relaxed", "grip", "fist_loose", "stop_closed"]))
        v, n, p = self.hand(shape, rng)
        arm_v, arm_n, arm_f, _ = self.arm(rng, 1.0)
        v, n = np.concatenate([v, arm_v]), np.concatenate([n, arm_n])
        turn = axis(0, rng.normal(0, 0.9)) @ axis(2, rng.normal(0, 0.25)) @ np.diag([-1.0, 1, 1])
        middle = p[[0, 5, 17]].mean(0)
        there = points[[5, 9, 13, 17, 8, 12, 16, 20]].mean(0)
        there = there + np.array([-rng.uniform(0.02, 0.045), 0, 0]) + rng.normal(0, 0.015, 3)
        if rng.random() < 0.2:  # another person's
            tone = TONES[rng.integers(len(TONES))]
        colours = np.tile(tone * np.exp(rng.normal(0, 0.04, 3)), (len(v), 1))
        if rng.random() < 0.5:
            colours[len(v) - len(arm_v) :] = rng.uniform(10, 240, 3)
        faces = np.concatenate([self.mesh.faces, arm_f + len(v) - len(arm_v)])
        return Solid((v - middle) @ turn.T + there, n @ turn.T, faces, colours)

    def picture(self, kind: str, rng: np.random.Generator, rooms: list[np.ndarray]) -> dict:
        """Render one random hand; return image, landmarks and label."""
        vertices, normals, points = self.hand(kind, rng)
        k = KINDS[kind]
        # skin
        level = rng.uniform(0, len(TONES) - 1.001)
        tone = TONES[int(level)] * (1 - level % 1) + TONES[int(level) + 1] * (level % 1)
        tone = tone * np.exp(rng.normal(0, 0.05, 3))
        pale = tone * 0.62 + np.array([236, 176, 156]) * 0.38
        colour = tone + (pale - tone) * self.palmar[:, None] * rng.uniform(0.3, 1.0)
        if rng.random() < 0.75:
            polish = (
                rng.uniform(0, 255, 3)
                if rng.random() < 0.15
                else tone * 0.6 + np.array([240, 200, 190]) * 0.4
            )
            colour[self.nail] = polish
        if rng.random() < 0.1:  # a glove or a painted, single-coloured hand
            colour = np.broadcast_to(rng.uniform(20, 235, 3), colour.shape)
        arm_v, arm_n, arm_f, s = self.arm(rng, float(np.exp(rng.normal(0, 0.12))))
        bare = rng.uniform(-0.15, 1.2)
        sleeve = s > bare
        arm_c = np.where(sleeve[:, None], rng.uniform(10, 240, 3), tone)
        arm_v = arm_v + arm_n * (sleeve * rng.uniform(0.003, 0.014))[:, None]
        thing = self.thing(kind, points, tone, rng)
        thing_v, thing_n, thing_f, thing_c = thing.vertices, thing.normals, thing.faces, thing.colours
        everything = np.concatenate([vertices, arm_v, thing_v]).astype(np.float32)
        all_normals = np.concatenate([normals, arm_n, thing_n])
        colours = np.concatenate([colour, arm_c, thing_c]) / 255
        rest = np.concatenate([self.mesh.vertices, arm_v, thing_v])
        faces = np.concatenate([self.mesh.faces, arm_f + len(vertices), thing_f + len(vertices) + len(arm_v)])
        # view: base turns the palm to the camera, fingers up
        base = np.array([[0, 0, -1.0], [0, -1.0, 0], [-1.0, 0, 0]])
        if k.view == "front":
            yaw = rng.normal(0, 0.5) + (np.pi if rng.random() < 0.3 else 0)
            pitch = rng.normal(0, 0.35)
        else:
            yaw, pitch = rng.uniform(-np.pi, np.pi), rng.normal(0, 0.5)
        roll = rng.normal(0, 0.45) if rng.random() < 0.8 else rng.uniform(-np.pi, np.pi)
        if kind == "thumb":
            roll = rng.normal(0, 0.4) + np.pi / 2 * rng.choice([-1, 1, 1, 0])
        if k.label == "stop" and abs(roll) > 2.0:
            roll = rng.normal(0, 0.5)
        turn = axis(2, roll) @ axis(0, pitch) @ axis(1, yaw) @ base
        flip = bool(rng.random() < 0.5)
        mirror = np.diag([-1.0, 1, 1]) if flip else np.eye(3)
        whole = mirror @ turn
        centre = points.mean(0)
        seen = (points - centre) @ whole.T
        distance = float(np.exp(rng.uniform(np.log(0.3), np.log(2.5))))
        x, y = rng.normal(0, 0.12, 2) * distance  # off the optical axis, so seen a little from the side
        depth = distance - seen[:, 2]
        flat = np.stack([(seen[:, 0] + x) / depth, (seen[:, 1] + y) / depth], 1)
        middle = (flat.min(0) + flat.max(0)) / 2
        radius = float(np.abs(flat - middle).max())
        zoom = rng.uniform(0.42, 0.62) / radius
        shift = rng.normal(0, 0.04, 2)
        # clip space from metres: x' = ((X + x) / depth - middle) * zoom + shift
        near, far = 0.05, 10.0
        view = np.eye(4)
        view[:3, :3] = whole
        view[:3, 3] = -whole @ centre + np.array([x, y, -distance])
        project = np.array(
            [
                [zoom, 0, middle[0] * zoom - shift[0], 0],
                [0, zoom, middle[1] * zoom - shift[1], 0],
                [0, 0, -(far + near) / (far - near), -2 * far * near / (far - near)],
                [0, 0, -1, 0],
            ]
        )
        clip = (flat - middle) * zoom + shift
        pixels = np.stack([(clip[:, 0] + 1) / 2 * SIDE, (1 - clip[:, 1]) / 2 * SIDE], 1)
        # light
        p = self.program
        gamma = 2.2

        def light() -> np.ndarray:
            d = rng.normal(0, 1, 3) + np.array([0, 0.6, 0.7])
            return d / np.linalg.norm(d)

        warm = np.exp(rng.normal(0, 0.12, 3))
        p["sun"].value = tuple(light())
        p["lamp"].value = tuple(light())
        p["sun_colour"].value = tuple(rng.uniform(0.15, 1.0) * warm)
        p["lamp_colour"].value = tuple(rng.uniform(0, 0.5) * np.exp(rng.normal(0, 0.12, 3)))
        p["ambient"].value = tuple(rng.uniform(0.08, 0.6) * np.exp(rng.normal(0, 0.08, 3)))
        p["gloss"].value = float(rng.uniform(0, 0.18))
        p["mottle"].value = float(rng.uniform(0.05, 0.35))
        p["grain"].value = float(rng.uniform(0.1, 0.5))
        p["turn"].value = tuple(whole.T.astype(np.float32).flatten())
        p["camera"].value = tuple((project @ view).T.astype(np.float32).flatten())
        corner = np.concatenate([everything, all_normals, colours**gamma, rest], 1).astype(np.float32)[
            faces.reshape(-1)
        ]
        data = corner.tobytes()
        if self.buffer is None or self.buffer.size != len(data):
            self.buffer = self.context.buffer(data)
            self.array = self.context.vertex_array(
                self.program, [(self.buffer, "3f 3f 3f 3f", "position", "normal", "tone", "rest")]
            )
        else:
            self.buffer.write(data)
        self.drawn.use()
        self.context.enable(moderngl.DEPTH_TEST)
        self.context.clear(0, 0, 0, 0)
        self.array.render()
        self.context.copy_framebuffer(self.plain, self.drawn)
        raw = (
            np.frombuffer(self.plain.read(components=4), np.uint8)
            .reshape(SIDE, SIDE, 4)[::-1]
            .astype(np.float32)
            / 255
        )
        alpha = raw[..., 3:]
        skin = np.power(np.clip(raw[..., :3] / np.maximum(alpha, 1e-3), 0, 1), 1 / gamma) * 255
        room = rooms[rng.integers(len(rooms))]
        if rng.random() < 0.5:
            room = room[:, ::-1]
        room = room.astype(np.float32) * rng.uniform(0.5, 1.15)
        if rng.random() < 0.6:
            room = cv2.GaussianBlur(room, (0, 0), rng.uniform(0.3, 4))
        alpha = cv2.GaussianBlur(alpha, (0, 0), 0.6)[..., None] if alpha.ndim == 3 else alpha
        image = np.clip(room * (1 - alpha) + skin * alpha, 0, 255).astype(np.uint8)
        return {
            "image": image,
            "points": pixels.astype(np.float32),
            "kind": kind,
            "label": k.label,
            "tone": level,
            "left": flip,
            "turn": whole.astype(np.float32),
        }


def axis(which: int, angle: float) -> np.ndarray:
    """Return the rotation (3, 3) about x, y or z by an angle in radians."""
    c, s = np.cos(angle), np.sin(angle)
    m = np.eye(3)
    i, j = [(1, 2), (2, 0), (0, 1)][which]
    m[i, i] = m[j, j] = c
    m[i, j], m[j, i] = -s, s
    return m


HOLDING = {"grip", "half", "claw", "relaxed", "pinch_half", "pinch"}


def shards(mesh: Path, rooms: list[np.ndarray], out: Path, numbers: range, *, held: bool = False) -> None:
    """Write the missing shards; `held`: only of hands that hold or clasp something."""
    renderer = Renderer(mesh)
    names = [name for name, kind in KINDS.items() if kind.things or not held]
    chance = np.array([KINDS[n].share for n in names])
    for number in numbers:
        target = out / f"{'held' if held else 'render'}-{number:03d}.pkl"
        if target.exists():
            continue
        rng = np.random.default_rng([98 if held else 99, number])
        own = rooms + [made_up(rng) for _ in range(max(30, len(rooms) // 3))]
        rows = []
        for kind in tqdm(rng.choice(names, PER_SHARD, p=chance / chance.sum()), desc=target.name):
            row = renderer.picture(str(kind), rng, own)
            image = row.pop("image")
            row["jpeg"] = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
            rows.append(row)
        target.write_bytes(pickle.dumps(rows))

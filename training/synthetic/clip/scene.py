"""Blender scene: a person with skin, clothes and hair, a room, a window's light and a webcam."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import bpy
import cv2
import numpy as np

from training.synthetic.clip.clothes import Garment, crew_shirt, trousers
from training.synthetic.clip.hair import add_hair
from training.synthetic.clip.materials import cloth, eye_white, nothing, plain, rgba, skin
from training.synthetic.clip.paint import masks

if TYPE_CHECKING:
    from pathlib import Path

    from training.synthetic.clip.body import Array, Body, Posed
    from training.synthetic.clip.colours import Colour, Look


def fresh_scene(width: int, height: int, samples: int, threads: int = 0) -> Any:
    """Create an empty scene that Cycles renders on the CPU, with OpenImageDenoise."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = (
        width,
        height,
        100,
    )
    scene.render.use_persistent_data = True
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.image_settings.compression = 30
    if threads:
        scene.render.threads_mode, scene.render.threads = "FIXED", threads
    cycles = scene.cycles
    cycles.device = "CPU"
    cycles.samples = samples
    cycles.use_adaptive_sampling = True
    cycles.adaptive_threshold = 0.05
    cycles.use_denoising = True
    cycles.denoiser = "OPENIMAGEDENOISE"
    cycles.denoising_prefilter = "FAST"
    cycles.seed = 0  # the same noise in every frame, so that static parts do not flicker
    cycles.use_fast_gi, cycles.ao_bounces_render = True, 1  # ambient light instead of a second bounce
    cycles.use_light_tree = False
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 2, 1, 1
    cycles.transmission_bounces, cycles.transparent_max_bounces = 1, 6
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 3.0
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    return scene


class Person:
    """Meshes of one person in the scene; `show` poses them."""

    def __init__(self, body: Body, look: Look) -> None:
        self.body = body
        self.look = look
        self._skin = _mesh("skin", body.vertices, body.quads, body.corner_uv)
        _paint_body(self._skin, body, look)
        self._garments: list[tuple[Garment, Any]] = []
        for garment, colour in ((trousers(body), look.trousers), (crew_shirt(body, look.sleeve), look.shirt)):
            mesh = _mesh(garment.name, garment.vertices, garment.quads)
            mesh.data.materials.append(cloth(garment.name, colour, knit=garment.name == "shirt"))
            thick = mesh.modifiers.new("thickness", "SOLIDIFY")
            thick.thickness, thick.offset = 0.003, -1
            _smooth(mesh)
            self._garments.append((garment, mesh))
        hidden = np.zeros(len(body.vertices), bool)
        for garment, _ in self._garments:
            hidden |= garment.covers
        _drop_hidden(self._skin, hidden[body.quads].all(axis=1))
        _smooth(self._skin)
        self._hair_rest = None
        if look.hair_length_m > 0:
            self._hair = add_hair(body, look)

    def show(self, posed: Posed, rest: Array | None = None) -> None:
        """Move skin, clothes and hair to the bones; `rest` is another face at rest."""
        _move(self._skin, posed.vertices(rest))
        for garment, mesh in self._garments:
            _move(mesh, garment.drape(posed))
        if self.look.hair_length_m > 0:
            head = posed.body.index("head")
            rest = posed.body.heads[head]
            matrix = np.eye(4)
            matrix[:3, :3] = posed.turns[head]
            matrix[:3, 3] = posed.at[head] - posed.turns[head] @ rest
            import mathutils

            for part in self._hair:
                part.matrix_world = mathutils.Matrix(matrix.tolist())


def _mesh(name: str, vertices: Array, quads: Array, corner_uv: Array | None = None) -> Any:
    data = bpy.data.meshes.new(name)
    data.from_pydata(vertices.tolist(), [], quads.tolist())
    if corner_uv is not None:
        layer = data.uv_layers.new(name="uv")
        layer.data.foreach_set("uv", corner_uv.reshape(-1).astype(np.float32))
    data.polygons.foreach_set("use_smooth", np.ones(len(quads), bool))
    rest = data.attributes.new("rest", "FLOAT_VECTOR", "POINT")  # texture coordinates of the rest pose
    rest.data.foreach_set("vector", vertices.reshape(-1).astype(np.float32))
    item = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(item)
    return item


def _smooth(item: Any) -> None:
    subdivision = item.modifiers.new("smooth", "SUBSURF")
    subdivision.levels = subdivision.render_levels = 1


def _move(item: Any, vertices: Array) -> None:
    item.data.vertices.foreach_set("co", vertices.reshape(-1).astype(np.float32))
    item.data.update()


def _drop_hidden(item: Any, faces: Array) -> None:
    """Remove the faces of the skin that lie under clothes."""
    index = len(item.data.materials)
    item.data.materials.append(nothing())
    current = np.zeros(len(item.data.polygons), np.int32)
    item.data.polygons.foreach_get("material_index", current)
    current[faces] = index
    item.data.polygons.foreach_set("material_index", current)


def _paint_body(item: Any, body: Body, look: Look) -> None:
    """Materials by body part, and vertex masks (lips, cheeks, palms, nails)."""
    materials = [skin(look), eye_white(look), plain("mouth", (0.09, 0.02, 0.02), 0.5)]
    for material in materials:
        item.data.materials.append(material)
    index = np.zeros(len(body.quads), np.int32)
    index[np.char.startswith(body.part, "eye_back")] = 1
    index[np.char.startswith(body.part, "eye_front")] = 1
    index[(body.part == "mouth_cavity") | (body.part == "tongue")] = 2
    item.data.polygons.foreach_set("material_index", index)
    for name, values in masks(body).items():
        attribute = item.data.attributes.new(name, "FLOAT", "POINT")
        attribute.data.foreach_set("value", values.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Webcam:
    """Position and direction of the camera, in metres, and its horizontal angle of view."""

    at: Array
    looks_at: Array
    degrees: float

    def place(self) -> None:
        """Add the camera to the scene, without depth of field."""
        data = bpy.data.cameras.new("webcam")
        data.sensor_fit = "HORIZONTAL"
        data.angle = math.radians(self.degrees)
        camera = bpy.data.objects.new("webcam", data)
        camera.location = self.at.tolist()
        camera.rotation_euler = _towards(self.looks_at - self.at)
        bpy.context.scene.collection.objects.link(camera)
        bpy.context.scene.camera = camera

    def project(self, points: Array, aspect: float) -> Array:
        """Project to (N, 2) fractions of the image from the upper left.

        Points behind the camera are left out.
        """
        forward = (self.looks_at - self.at) / np.linalg.norm(self.looks_at - self.at)
        right = np.cross(forward, [0, 0, 1])
        right /= np.linalg.norm(right)
        seen = (points - self.at) @ np.stack([right, np.cross(forward, right), forward], axis=1)
        ahead = seen[seen[:, 2] > 0.1]
        half = math.tan(math.radians(self.degrees) / 2)
        return 0.5 + 0.5 * ahead[:, :2] / ahead[:, 2:] / np.array([half, half / aspect])


def _towards(way: Array) -> Any:
    import mathutils

    return mathutils.Vector(way.tolist()).to_track_quat("-Z", "Y").to_euler()


def show_only_people(room_items: list[Any]) -> None:
    """Hide the room from the camera, but keep its light; images have alpha."""
    for item in room_items:
        item.visible_camera = False
    render = bpy.context.scene.render
    render.film_transparent = True
    render.image_settings.color_mode = "RGBA"
    render.use_border = True


def set_border(shares: Array, margin: float = 0.04) -> None:
    """Render only the rectangle around these points; the margin is for hair and cloth."""
    low, high = np.clip(shares.min(axis=0) - margin, 0, 1), np.clip(shares.max(axis=0) + margin, 0, 1)
    render = bpy.context.scene.render
    render.border_min_x, render.border_max_x = float(low[0]), float(high[0])
    render.border_min_y, render.border_max_y = float(1 - high[1]), float(1 - low[1])


def over(background: Array, person: Array) -> Array:
    """Compose uint8 (H, W, 3): the person (BGRA, straight alpha) before the room.

    At few samples alpha is grainy: it is smoothed, and the rim takes its colour from the inside.
    """
    colour, alpha = person[..., :3].astype(np.float32), person[..., 3].astype(np.float32) / 255
    inside = (alpha > 0.97).astype(np.float32)
    known = cv2.GaussianBlur(inside, (0, 0), 1.6)
    spread = cv2.GaussianBlur(colour * inside[..., None], (0, 0), 1.6) / np.maximum(known, 1e-3)[..., None]
    filled = np.where(inside[..., None] > 0, colour, spread)
    soft = cv2.GaussianBlur(cv2.medianBlur(person[..., 3], 3).astype(np.float32) / 255, (0, 0), 0.6)
    share = (soft * np.clip(known * 20, 0, 1))[..., None]
    return np.asarray(np.rint(np.clip(filled * share + background * (1 - share), 0, 255)), np.uint8)


def add_area_light(at: Array, look_at: Array, size: float, watts: float, colour: Colour = (1, 1, 1)) -> None:
    """Add an area light, such as a window or a lamp."""
    data = bpy.data.lights.new("area", "AREA")
    data.size, data.energy, data.color = size, watts, colour
    item = bpy.data.objects.new("area", data)
    item.location = at.tolist()
    item.rotation_euler = _towards(look_at - at)
    bpy.context.scene.collection.objects.link(item)


def set_sky(strength: float, colour: Colour = (0.8, 0.88, 1.0)) -> None:
    """Set uniform ambient light, for the rest of the room."""
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs[0].default_value = rgba(colour)
    background.inputs[1].default_value = strength
    bpy.context.scene.world = world


def render_to(path: Path) -> None:
    """Render one image to a file, without Blender's own output."""
    bpy.context.scene.render.filepath = str(path)
    saved, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        bpy.ops.render.render(write_still=True)
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(null)

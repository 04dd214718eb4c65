"""Blender materials: skin, eyes, cloth, base of the hair and plain surfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

if TYPE_CHECKING:
    from training.synthetic.clip.colours import Colour, Look


class Nodes:
    """Builder of a material's node tree."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.tree.nodes.clear()

    def add(self, kind: str, **values: Any) -> Any:
        """Add a node; values are inputs by name (spaces as _) or properties."""
        node = self.tree.nodes.new(kind)
        for key, value in values.items():
            label = key.replace("_", " ")
            if label in node.inputs:
                if hasattr(value, "is_output"):
                    self.tree.links.new(value, node.inputs[label])
                else:
                    node.inputs[label].default_value = value
            else:
                setattr(node, key, value)
        return node

    def attribute(self, name: str) -> Any:
        """Add the node of a vertex attribute."""
        return self.add("ShaderNodeAttribute", attribute_name=name)

    def mix(self, share: Any, a: Any, b: Any, blend: str = "MIX") -> Any:
        """Mix two colours; return a colour socket. a and b are colours or sockets."""
        node = self.tree.nodes.new("ShaderNodeMix")
        node.data_type, node.blend_type = "RGBA", blend
        for socket, value in ((node.inputs[0], share), (node.inputs[6], a), (node.inputs[7], b)):
            if hasattr(value, "is_output"):
                self.tree.links.new(value, socket)
            else:
                socket.default_value = value
        return node.outputs[2]

    def math(self, operation: str, a: Any, b: Any = 0.0) -> Any:
        """Add a math node; return a number socket."""
        node = self.tree.nodes.new("ShaderNodeMath")
        node.operation = operation
        for socket, value in zip(node.inputs, (a, b), strict=False):
            if hasattr(value, "is_output"):
                self.tree.links.new(value, socket)
            else:
                socket.default_value = value
        return node.outputs[0]

    def noise(self, scale: float, detail: float = 3.0, rest: bool = True) -> Any:
        """Add noise in the coordinates of the rest pose; return a number socket."""
        node = self.add("ShaderNodeTexNoise", Scale=scale, Detail=detail)
        if rest:
            self.tree.links.new(self.attribute("rest").outputs["Vector"], node.inputs["Vector"])
        return node.outputs[0]

    def done(self, shader: Any) -> Any:
        """Link the shader to the output and return the material."""
        out = self.tree.nodes.new("ShaderNodeOutputMaterial")
        self.tree.links.new(shader.outputs[0], out.inputs["Surface"])
        return self.material


def rgba(colour: Colour) -> tuple[float, float, float, float]:
    """Append alpha 1 to a colour, as Blender requires four values."""
    return (*colour, 1.0)


def plain(name: str, colour: Colour, roughness: float = 0.7, speckle: float = 0.0) -> Any:
    """Create a material of one colour, optionally uneven."""
    n = Nodes(name)
    base: Any = rgba(colour)
    if speckle:
        uneven = n.add("ShaderNodeTexNoise", Scale=9.0, Detail=5.0).outputs[0]
        base = n.mix(n.math("MULTIPLY", uneven, speckle), base, rgba(tuple(0.55 * c for c in colour)))  # type: ignore[arg-type]
    return n.done(n.add("ShaderNodeBsdfPrincipled", Base_Color=base, Roughness=roughness))


def nothing() -> Any:
    """Create an invisible material."""
    n = Nodes("nothing")
    return n.done(n.add("ShaderNodeBsdfTransparent"))


def skin(look: Look) -> Any:
    """Create skin: blotches, red knuckles, cheeks and lips, pale palms and nails, pores, scattering."""
    n = Nodes("skin")
    base = look.skin
    red = (min(1.0, base[0] * 1.05), base[1] * 0.66, base[2] * 0.62)
    pale = tuple(min(1.0, 0.72 * c + 0.28 * p) for c, p in zip(base, (0.72, 0.42, 0.33), strict=True))
    dark = tuple(0.15 * c + 0.85 * h for c, h in zip(base, look.hair, strict=True))
    colour = n.mix(n.math("MULTIPLY", n.noise(22), 0.55), rgba(base), rgba(red))
    colour = n.mix(n.attribute("palm").outputs["Fac"], colour, rgba(pale))  # type: ignore[arg-type]
    colour = n.mix(n.math("MULTIPLY", n.attribute("red").outputs["Fac"], 0.75), colour, rgba(red))
    lips = (base[0] * 0.85, base[1] * 0.5, base[2] * 0.52)
    colour = n.mix(n.attribute("lips").outputs["Fac"], colour, rgba(lips))
    colour = n.mix(n.math("MULTIPLY", n.attribute("dark").outputs["Fac"], 0.9), colour, rgba(dark))  # type: ignore[arg-type]
    colour = n.mix(
        n.attribute("crease").outputs["Fac"], colour, rgba((base[0] * 0.62, base[1] * 0.45, base[2] * 0.42))
    )
    colour = n.mix(n.math("MULTIPLY", n.attribute("scalp").outputs["Fac"], 0.9), colour, rgba(look.hair))
    bump = n.add("ShaderNodeBump", Strength=0.25, Distance=0.0015, Height=n.noise(420, 2.0))
    shader = n.add(
        "ShaderNodeBsdfPrincipled",
        Base_Color=colour,
        Roughness=0.48,
        Subsurface_Weight=0.18,
        Subsurface_Radius=(0.012, 0.004, 0.002),
        Subsurface_Scale=1.0,
        Normal=bump.outputs[0],
    )
    return n.done(shader)


def eye_white(look: Look) -> Any:
    """Create the eye material: white, iris and pupil by the angle from the eye's axis, glossy."""
    n = Nodes("eye")
    angle = n.attribute("iris").outputs["Fac"]
    colour = n.mix(n.math("GREATER_THAN", angle, 0.5), rgba((0.62, 0.58, 0.55)), rgba(look.iris))
    colour = n.mix(n.math("GREATER_THAN", angle, 0.8), colour, rgba((0.004, 0.004, 0.004)))
    return n.done(n.add("ShaderNodeBsdfPrincipled", Base_Color=colour, Roughness=0.12))


def cloth(name: str, colour: Colour, *, knit: bool) -> Any:
    """Create fabric: fine weave as a bump, soft folds, a little sheen."""
    n = Nodes(name)
    fold = n.noise(7.0, 4.0)
    weave = n.noise(900.0 if knit else 600.0, 1.0)
    height = n.math("ADD", n.math("MULTIPLY", fold, 8.0), n.math("MULTIPLY", weave, 0.25))
    bump = n.add("ShaderNodeBump", Strength=0.5, Distance=0.004, Height=height)
    base = n.mix(n.math("MULTIPLY", n.noise(60.0), 0.5), rgba(colour), rgba(tuple(0.7 * c for c in colour)))  # type: ignore[arg-type]
    return n.done(
        n.add(
            "ShaderNodeBsdfPrincipled",
            Base_Color=base,
            Roughness=0.9,
            Sheen_Weight=0.12,
            Normal=bump.outputs[0],
        )
    )

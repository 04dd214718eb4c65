"""Joins two networks into one: a hand-landmark network, and a small classifier head on its outputs.

The result takes an image and gives gesture probabilities, as GestureNet does, plus the landmarks.
"""

from __future__ import annotations

import onnx

from agent.errors import ModelError
from agent.inference.files.compose import compose_networks, named
from agent.inference.manifest import Manifest


def attach_head(base: bytes, head: bytes, manifest: Manifest) -> bytes:
    """Join two ONNX networks. A head input is fed by the output of the same name of `base`.

    The only other head input allowed is `manifest.input.angle`; it becomes an input of the result. Outputs
    are those that the manifest names, from the head or else from the base. Raises `ModelError` where an
    output is in neither, or the head has an input that the base does not provide.
    """
    body, top = onnx.load_from_string(base), onnx.load_from_string(head)
    fed, wants = {v.name: v for v in body.graph.output}, {v.name: v for v in top.graph.input}
    made = {v.name: v for v in top.graph.output}
    angle = manifest.input.angle
    if strangers := [name for name in wants if name not in fed and name != angle]:
        raise ModelError(
            f"{manifest.name}: its head wants {strangers}, the base gives {list(fed)}; match the names"
        )
    wanted = [name for name in manifest.output.model_dump().values() if name]
    if missing := [name for name in wanted if name not in made and name not in fed]:
        raise ModelError(
            f"{manifest.name}: outputs {missing} are neither of its head {list(made)} nor of {list(fed)}"
        )
    picture = body.graph.input[0]
    wires = [(manifest.input.name, f"base/{picture.name}")]
    wires += [(f"base/{name}" if name in fed else name, f"head/{name}") for name in wants]
    wires += [(f"head/{name}" if name in made else f"base/{name}", name) for name in wanted]
    inputs = [named(manifest.input.name, picture)]
    if angle and angle in wants:
        inputs.append(named(angle, wants[angle]))
    outputs = [named(name, made[name] if name in made else fed[name]) for name in wanted]
    return compose_networks(manifest.name, {"base": body, "head": top}, wires, inputs, outputs)

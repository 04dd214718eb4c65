"""Make one network of two: hand-landmark, and a small head trained on what it says of a hand.

The result takes a picture and gives gesture probabilities, GestureNet's contract, plus the landmarks.
"""

from __future__ import annotations

import onnx
from onnx import compose, helper, version_converter

from agent.errors import ModelError
from agent.inference.manifest import Manifest


def join(base: bytes, head: bytes, manifest: Manifest) -> bytes:
    """ONNX in, ONNX out. A head input is fed by the base's output of that name.

    The one head input that may be left over is `manifest.input.angle`; it becomes an input of the result.
    Outputs are those that the manifest names, from the head or else from the base. Raises `ModelError` when
    an output is in neither, or the head wants something that the base does not give.
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
    opset = max(_opset(body), _opset(top))
    body, top = (compose.add_prefix(_at(opset, m), p) for m, p in ((body, "base/"), (top, "head/")))
    first = body.graph.input[0].name
    links = [("base/" + name if name in fed else name, "head/" + name) for name in wants]
    links += [("head/" + name if name in made else "base/" + name, name) for name in wanted]
    edges = [helper.make_node("Identity", [start], [end]) for start, end in links]
    inputs = [_named(manifest.input.name, body.graph.input[0])]
    if angle and angle in wants:
        inputs.append(_named(angle, wants[angle]))
    graph = helper.make_graph(
        [
            helper.make_node("Identity", [manifest.input.name], [first]),
            *body.graph.node,
            *edges[: len(wants)],
            *top.graph.node,
            *edges[len(wants) :],
        ],
        manifest.name,
        inputs,
        [_named(name, made[name] if name in made else fed[name]) for name in wanted],
        [*body.graph.initializer, *top.graph.initializer],
    )
    ir = max(body.ir_version, top.ir_version)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _opset(model: onnx.ModelProto) -> int:
    return int(next(o.version for o in model.opset_import if o.domain in {"", "ai.onnx"}))


def _at(opset: int, model: onnx.ModelProto) -> onnx.ModelProto:
    return model if _opset(model) == opset else version_converter.convert_version(model, opset)


def _named(name: str, like: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    copy = onnx.ValueInfoProto()
    copy.CopyFrom(like)
    copy.name = name
    return copy

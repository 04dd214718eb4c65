"""Composition of several ONNX networks into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter

import onnx
from onnx import compose, helper, version_converter


def compose_networks(
    name: str,
    parts: Mapping[str, onnx.ModelProto],
    wires: Sequence[tuple[str, str]],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
) -> bytes:
    """Compose ONNX `parts`, which run in their order; `x` of part `p` is renamed to `p/x`.

    A wire connects an input, or an output of a part, to an input of a part or an output of the result.
    """
    opset = max(map(_opset, parts.values()))
    nodes: list[onnx.NodeProto] = []
    initializers: list[onnx.TensorProto] = []
    edges = {end: helper.make_node("Identity", [start], [end]) for start, end in wires}
    for part, model in parts.items():
        graph = compose.add_prefix(_at(opset, model), f"{part}/").graph
        nodes += [edges.pop(end) for end in list(edges) if end.startswith(f"{part}/")]
        nodes += graph.node
        initializers += graph.initializer
    graph = helper.make_graph([*nodes, *edges.values()], name, inputs, outputs, initializers)
    ir = max(model.ir_version for model in parts.values())
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def in_order(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the network with its nodes in topological order, which not every exporter ensures."""
    nodes = list(model.graph.node)
    makers = {name: number for number, node in enumerate(nodes) for name in node.output}
    feeds = {
        number: [makers[name] for name in node.input if name in makers] for number, node in enumerate(nodes)
    }
    ordered = onnx.ModelProto()
    ordered.CopyFrom(model)
    del ordered.graph.node[:]
    ordered.graph.node.extend(nodes[number] for number in TopologicalSorter(feeds).static_order())
    return ordered


def named(name: str, like: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    """Return an input or output called `name`, with the type and shape of `like`."""
    copy = onnx.ValueInfoProto()
    copy.CopyFrom(like)
    copy.name = name
    return copy


def _opset(model: onnx.ModelProto) -> int:
    return int(next(o.version for o in model.opset_import if o.domain in {"", "ai.onnx"}))


def _at(opset: int, model: onnx.ModelProto) -> onnx.ModelProto:
    return model if _opset(model) == opset else version_converter.convert_version(model, opset)

"""Joins two gesture classifiers into an ensemble that averages their log probabilities.

One classifies landmarks, the other images, and they err on different hands. The second one's image is cut
from that of the first within the network, so that each hand is cropped once, and alike by every engine.
"""

from __future__ import annotations

from string import Template

import numpy as np
import onnx
from onnx import numpy_helper, parser

from agent.errors import ModelError
from agent.inference.files.compose import compose_networks, in_order, named
from agent.inference.files.exposure import with_auto_exposure
from agent.inference.manifest import EnsembleSource, Manifest, ViewSource

OPSET, IR = 17, 8
LEAST = 1e-6  # lower bound of a probability: half precision has no smaller one, and the logarithm needs one

# A point of the second's upright image, -1 to 1, is rotated and scaled into the first's. Nearest sampling
# suffices: probabilities differ by 0.001, and bilinear sampling takes a CPU as long as the second network.
_VIEW = Template("""
<ir_version: $ir, opset_import: ["": $opset]>
view (float[N,3,$first_height,$first_width] picture, float[N,1] angle)
  => (float[N,3,$height,$width] seen)
<float ratio = {$ratio}, float gain = {$gain}, float lift = {$lift},
 int64[3] as_turn = {-1, 2, 2}, int64[4] as_grid = {0, $height, $width, 2}>
{
  cos = Cos(angle)
  sin = Sin(angle)
  along = Mul(cos, ratio)
  across = Mul(sin, ratio)
  back = Neg(across)
  row = Concat <axis = 1> (along, back, across, along)
  turn = Reshape(row, as_turn)
  where = MatMul(places, turn)
  grid = Reshape(where, as_grid)
  cut = GridSample <mode = "nearest", padding_mode = "border", align_corners = 0> (picture, grid)
  gained = Mul(cut, gain)
  seen = Add(gained, lift)
}
""")

_MEAN = Template("""
<ir_version: $ir, opset_import: ["": $opset]>
mean (float[N,$labels] first, float[N,$labels] second) => (float[N,$labels] both)
<float least = {$least}, float first_share = {$first_share}, float second_share = {$second_share}>
{
  first_above = Max(first, least)
  first_log = Log(first_above)
  first_part = Mul(first_log, first_share)
  second_above = Max(second, least)
  second_log = Log(second_above)
  second_part = Mul(second_log, second_share)
  claimed = Add(first_part, second_part)
  logits = Add(claimed, bias)
  both = Softmax <axis = 1> (logits)
}
""")


def ensemble(
    networks: tuple[bytes, bytes],
    members: tuple[Manifest, Manifest],
    manifest: Manifest,
    source: EnsembleSource,
) -> bytes:
    """Join two ONNX networks; inputs and outputs are those of the first, except for `scores`.

    Raises `ModelError` where the manifests do not fit together.
    """
    _check(members, manifest)
    if strange := source.bias.keys() - set(manifest.labels):
        named_so, known = ", ".join(sorted(strange)), ", ".join(manifest.labels)
        raise ModelError(f"{manifest.name}: bias names {named_so}; its labels are {known}")
    first, second = (in_order(onnx.load_from_string(network)) for network in networks)
    spec, other = members[0].input, members[1].input
    if source.auto_exposure:
        second = with_auto_exposure(second, other)
    parts = {
        "first": first,
        "view": _view(*members),
        "second": second,
        "mean": _mean(manifest.labels, source),
    }
    scores = str(manifest.output.scores)
    outputs = [name for name in manifest.output.model_dump().values() if name]
    inputs = [spec.name, str(spec.angle)]
    wires = [
        *((name, f"first/{name}") for name in inputs),
        (spec.name, "view/picture"),
        (str(spec.angle), "view/angle"),
        ("view/seen", f"second/{other.name}"),
        (f"first/{members[0].output.scores}", "mean/first"),
        (f"second/{members[1].output.scores}", "mean/second"),
        *((f"first/{name}" if name != scores else "mean/both", name) for name in outputs),
    ]
    shapes = {value.name: value for value in (*first.graph.input, *first.graph.output)}
    return compose_networks(
        manifest.name,
        parts,
        wires,
        [named(name, shapes[name]) for name in inputs],
        [named(name, shapes[name]) for name in outputs],
    )


def view(network: bytes, members: tuple[Manifest, Manifest], manifest: Manifest, source: ViewSource) -> bytes:
    """Convert the second network of an ensemble to a separate one: inputs of the first, its own `scores`.

    Raises `ModelError` where the manifests do not fit together.
    """
    _check_members(members, manifest)
    first, second = members
    spec, scores = first.input, str(second.output.scores)
    if (manifest.input, manifest.crop, manifest.labels) != (spec, first.crop, second.labels):
        raise ModelError(
            f"{manifest.name}: input and crop must be those of {first.name}, labels those of {second.name}"
        )
    model = in_order(onnx.load_from_string(network))
    if source.auto_exposure:
        model = with_auto_exposure(model, second.input)
    looking = _view(first, second)
    inputs = [
        named(name, like)
        for name, like in zip((spec.name, str(spec.angle)), looking.graph.input, strict=True)
    ]
    made = next(value for value in model.graph.output if value.name == scores)
    wires = [
        (spec.name, "view/picture"),
        (str(spec.angle), "view/angle"),
        ("view/seen", f"second/{second.input.name}"),
        (f"second/{scores}", str(manifest.output.scores)),
    ]
    parts = {"view": looking, "second": model}
    return compose_networks(manifest.name, parts, wires, inputs, [named(str(manifest.output.scores), made)])


def _check(members: tuple[Manifest, Manifest], manifest: Manifest) -> None:
    first, _ = members
    same = ("task", "labels", "input", "crop", "output")
    if unlike := [key for key in same if getattr(manifest, key) != getattr(first, key)]:
        raise ModelError(
            f"{manifest.name}: {', '.join(unlike)} differ from those of {first.name}; make them the same"
        )
    _check_members(members, manifest)


def _check_members(members: tuple[Manifest, Manifest], manifest: Manifest) -> None:
    first, second = members
    if second.labels != first.labels:
        raise ModelError(
            f"{manifest.name}: {second.name} has the labels {', '.join(second.labels)}, "
            f"{first.name} {', '.join(first.labels)}; an ensemble wants the same"
        )
    turned = first.input.angle is not None and first.crop.rotate
    if not turned or second.crop.rotate or second.input.angle:
        raise ModelError(
            f"{manifest.name}: {first.name} must be cut with fingers up and know the angle, "
            f"{second.name} must be cut upright and not want it"
        )
    for member in members:
        if member.input.layout != "NCHW" or member.input.color != first.input.color:
            raise ModelError(f"{manifest.name}: {member.name} is not NCHW {first.input.color}")


def _view(first: Manifest, second: Manifest) -> onnx.ModelProto:
    """The image of the second network, cut from the first's input; outside, the border is repeated."""
    (height, width), (first_height, first_width) = second.input.size, first.input.size
    gain = second.input.scale / first.input.scale
    lift = (first.input.offset - second.input.offset) * second.input.scale
    text = _VIEW.substitute(
        ir=IR, opset=OPSET, height=height, width=width, first_height=first_height, first_width=first_width,
        ratio=second.crop.margin / first.crop.margin, gain=gain, lift=lift,
    )  # fmt: skip
    model = parser.parse_model(text)
    x, y = (2 * (np.arange(count) + 0.5) / count - 1 for count in (width, height))
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(1, -1, 2).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(places, "places"))
    return model


def _mean(labels: tuple[str, ...], source: EnsembleSource) -> onnx.ModelProto:
    text = _MEAN.substitute(
        ir=IR, opset=OPSET, labels=len(labels), least=LEAST,
        first_share=1 - source.weight, second_share=source.weight,
    )  # fmt: skip
    model = parser.parse_model(text)
    bias = np.array([[source.bias.get(label, 0.0) for label in labels]], np.float32)
    model.graph.initializer.append(numpy_helper.from_array(bias, "bias"))
    return model

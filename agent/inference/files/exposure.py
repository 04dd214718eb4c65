"""Automatic exposure within a network: brightens dark images before they are processed.

MediaPipe's networks expect the well-exposed images of a telephone. At a tenth of the light they miss hands
that are visible but dark; scaling all values recovers most of them, and bright images are unchanged. It is
part of the network, so that every engine does the same.
"""

from __future__ import annotations

from string import Template

import onnx
from onnx import compose, parser

from agent.errors import ModelError
from agent.inference.manifest import Input

BRIGHT_ENOUGH = 0.25  # mean of the middle, black (0) to white (1), below which images are brightened
MOST = 6.0  # largest gain: beyond it noise dominates
BLOCK = 8  # px: the mean is computed from means of blocks, which are few
MARGIN = 1 / 6  # of the image at each side is ignored: the object is in the middle
BEYOND = 1e-4  # of white: darker blocks lie outside the camera's frame and are ignored
DARKEST = 1e-3  # avoids division by zero
PREFIX = "exposure/"

_STEPS = Template("""
<ir_version: $ir, opset_import: ["": $opset]>
exposure (float[N,3,$height,$width] picture) => (float[N,3,$height,$width] exposed)
<float black = {$black}, float white = {$white}, float range = {$range}, float one = {1},
 float beyond = {$beyond}, float darkest = {$darkest}, float enough = {$enough}, float most = {$most},
 int64[2] starts = {$top, $left}, int64[2] ends = {$bottom, $right}, int64[2] axes = {2, 3}>
{
  blocks = AveragePool <kernel_shape = [$block, $block], strides = [$block, $block]> (picture)
  middle = Slice(blocks, starts, ends, axes)
  above_black = Sub(middle, black)
  light = Div(above_black, range)
  mean = ReduceMean <axes = [1, 2, 3], keepdims = 1> (light)
  lit = Div(light, beyond)
  in_frame = Min(lit, one)
  share = ReduceMean <axes = [1, 2, 3], keepdims = 1> (in_frame)
  level = Max(mean, darkest)
  times = Div(share, level)
  wanted = Mul(times, enough)
  gain = Clip(wanted, one, most)
  moved_black = Mul(gain, black)
  back = Sub(black, moved_black)
  gained = Mul(picture, gain)
  brighter = Add(gained, back)
  exposed = Min(brighter, white)
}
""")


def with_auto_exposure(model: onnx.ModelProto, spec: Input) -> onnx.ModelProto:
    """Return the network with automatic exposure on its input `spec.name` (N, 3, H, W), for each image.

    Images are never darkened. Raises `ModelError` for another layout or sides that `BLOCK` does not divide.
    """
    height, width = spec.size
    if spec.layout != "NCHW" or height % BLOCK or width % BLOCK:
        raise ModelError(
            f"{spec.name}: automatic exposure wants NCHW and sides that {BLOCK} divides, not {spec.shape}"
        )
    black, white = ((value - spec.offset) * spec.scale for value in (0, 255))
    rows, columns = height // BLOCK, width // BLOCK
    top, left = round(rows * MARGIN), round(columns * MARGIN)
    text = _STEPS.substitute(
        ir=model.ir_version, opset=model.opset_import[0].version, height=height, width=width,
        block=BLOCK, top=top, left=left, bottom=rows - top, right=columns - left,
        black=black, white=white, range=white - black, beyond=BEYOND, darkest=DARKEST,
        enough=BRIGHT_ENOUGH, most=MOST,
    )  # fmt: skip
    steps = compose.add_prefix(parser.parse_model(text), PREFIX)
    whole = compose.merge_models(steps, model, [(f"{PREFIX}exposed", spec.name)], name=model.graph.name)
    del whole.opset_import[1:]  # both have the same one
    whole.graph.input[0].name = spec.name
    for node in whole.graph.node:
        node.input[:] = [spec.name if name == f"{PREFIX}picture" else name for name in node.input]
    return whole

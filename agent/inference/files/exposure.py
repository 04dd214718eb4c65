"""Automatic exposure inside a network: a dark picture is brightened before the network looks at it.

MediaPipe's networks were made for pictures that a telephone has exposed well. At a tenth of the light they
lose hands which are all there, only dark. To multiply every value brings most of them back, and where a
picture is bright enough nothing changes. It is part of the network so that every engine does the same.
"""

from __future__ import annotations

from string import Template

import onnx
from onnx import compose, parser

from agent.errors import ModelError
from agent.inference.manifest import Input

BRIGHT_ENOUGH = 0.25  # mean of black (0) to white (1) in the middle: darker pictures are brightened
MOST = 6.0  # times: beyond it there is little but noise
BLOCK = 8  # px: the mean is taken of means of blocks, which are few
MARGIN = 1 / 6  # of the picture at each side does not count: what is looked for is in the middle
BEYOND = 1e-4  # of white: a block that is darker lies beyond the camera's frame and does not count
DARKEST = 1e-3  # no division by nothing
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
    """The network with its one input `spec.name` (N, 3, H, W) exposed: each picture by itself, none darker.

    Raises `ModelError` where the layout is another or blocks do not fit.
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

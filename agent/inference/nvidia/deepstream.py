"""Export for DeepStream's nvinfer: configuration files, labels and networks.

nvinfer computes net-scale-factor * (pixel - offsets), as the manifests do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.core.thresholds import Thresholds
from agent.errors import ModelError
from agent.inference.bodies.skeleton import FIELDS, HEATMAPS, JOINTS, LIMBS
from agent.inference.files.disk import write_whole
from agent.inference.files.store import find, manifest_of
from agent.inference.manifest import Manifest

BODY_ID, HAND_ID = 1, 2  # gie-unique-id
HAND_CLASS = 0  # class-id of hands, as the probe that makes them sets it
BATCH = 8
FP16 = 2  # network-mode: 0 FP32, 1 INT8, 2 FP16
CLASSIFIER, OTHER = 1, 100  # network-type
WHOLE_FRAME, OBJECTS = 1, 2  # process-mode


@dataclass(frozen=True, slots=True)
class Exported:
    """Files written; `left_out` names missing networks and how to obtain them."""

    files: tuple[Path, ...]
    left_out: tuple[str, ...]


def export(folder: Path, cache_dir: Path, gestures: str, engines: Path | None = None) -> Exported:
    """Write everything that nvinfer needs into `folder`, replacing an earlier export. Raises `ModelError`.

    `gestures` is a classifier whose only input is an image. BodyPoseNet is omitted where it is not available.
    """
    manifest = manifest_of(gestures, cache_dir, engines)
    _must_suit(manifest)
    located = find(gestures, cache_dir, engines)
    scores = manifest.output.scores or ""
    network = with_one_output(located.path.read_bytes(), scores, gestures)
    files = {
        f"{gestures}.onnx": network,
        f"{gestures}_labels.txt": (";".join(manifest.labels) + "\n").encode(),
        f"{gestures}_sgie.txt": gesture_configuration(manifest, network).encode(),
        "README.md": notes(manifest).encode(),
    }
    left_out: tuple[str, ...] = ()
    body = manifest_of("bodyposenet", cache_dir, engines)
    files["bodyposenet_pgie.txt"] = body_configuration(body).encode()
    try:
        files["bodyposenet.onnx"] = find("bodyposenet", cache_dir, engines).path.read_bytes()
    except ModelError as exc:
        left_out = (str(exc),)
    for name, content in files.items():
        write_whole(folder / name, content)
    return Exported(tuple(folder / name for name in files), left_out)


def gesture_configuration(manifest: Manifest, network: bytes) -> str:
    """Return the nvinfer configuration of a secondary engine that classifies hands."""
    shape = manifest.input.shape
    name = manifest.name
    return _configuration(
        f"{name}: gestures of the hands that a primary engine (or a probe behind it) has found.",
        _common(manifest, HAND_ID) | {
            "onnx-file": f"{name}.onnx",
            "model-engine-file": f"{name}.onnx_b{BATCH}_gpu0_fp16.engine",
            "labelfile-path": f"{name}_labels.txt",
            "infer-dims": ";".join(map(str, shape[1:])),
            "network-input-order": "0",
            "batch-size": str(manifest.input.batch or BATCH),
            "network-type": str(CLASSIFIER),
            "classifier-type": "gesture",
            "classifier-threshold": str(Thresholds().confidence),
            "process-mode": str(OBJECTS),
            "operate-on-gie-id": str(BODY_ID),
            "operate-on-class-ids": str(HAND_CLASS),
            "classifier-async-mode": "0",
            "output-blob-names": manifest.output.scores or "",
        },
        [f"sha256 of {name}.onnx: {hashlib.sha256(network).hexdigest()}"],
    )  # fmt: skip


def body_configuration(manifest: Manifest) -> str:
    """Return the nvinfer configuration of the primary engine; maps are tensor meta for a custom parser."""
    _, height, width, channels = manifest.input.shape
    return _configuration(
        "BodyPoseNet: 19 heatmaps and 38 part affinity fields of the whole frame; the parser is yours.",
        _common(manifest, BODY_ID) | {
            "onnx-file": "bodyposenet.onnx",
            "model-engine-file": "bodyposenet.onnx_b1_gpu0_fp16.engine",
            "infer-dims": f"{height};{width};{channels}",
            "network-input-order": "1",
            "batch-size": str(manifest.input.batch or 1),
            "network-type": str(OTHER),
            "process-mode": str(WHOLE_FRAME),
            "output-tensor-meta": "1",
            "maintain-aspect-ratio": "1",
            "symmetric-padding": "1",
            "scaling-filter": "1",
        },
        ["network-input-order 1 is NHWC, so infer-dims is height;width;channels.",
         "nvinfer pads black; the network was trained with grey 128, which is 0 after normalising."],
    )  # fmt: skip


def with_one_output(content: bytes, output: str, name: str) -> bytes:
    """Return the network with a single output, without the nodes of others. Raises `ModelError`.

    nvinfer interprets every output of a classifier as an attribute with its own labels.
    """
    import onnx  # noqa: PLC0415 (heavy, and needed for an export alone)

    model = onnx.load_from_string(content)
    if output not in {o.name for o in model.graph.output}:
        raise ModelError(f'{name}: has no output "{output}"; fix its manifest')
    nodes = _leading_to(output, list(model.graph.node))
    used = {name for node in nodes for name in node.input}
    outputs = [o for o in model.graph.output if o.name == output]
    weights = [w for w in model.graph.initializer if w.name in used]
    for field, items in (
        (model.graph.node, nodes), (model.graph.output, outputs), (model.graph.initializer, weights)
    ):  # fmt: skip
        copies = [type(item).FromString(item.SerializeToString()) for item in items]
        del field[:]
        field.extend(copies)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _leading_to(output: str, nodes: list[Any]) -> list[Any]:
    """The nodes that an output needs, in topological order."""
    maker = {name: node for node in nodes for name in node.output}
    ordered: list[Any] = []
    placed: set[str] = set()
    waiting = [output]
    while waiting:
        node = maker.get(waiting[-1])
        if node is None or node.output[0] in placed:
            waiting.pop()
            continue
        before = [name for name in node.input if name in maker and maker[name].output[0] not in placed]
        if before:
            waiting += before
            continue
        placed.add(node.output[0])
        ordered.append(node)
    return ordered


def notes(manifest: Manifest) -> str:
    """Return the README of an export: what the configuration files cannot express."""
    joints = ", ".join(f"{i} {name}" for i, name in enumerate(JOINTS))
    limbs = " ".join(f"({a},{b})" for a, b in LIMBS)
    return f"""# For DeepStream's nvinfer

Written by `gesture-agent engines export --deepstream`. Two engines: `bodyposenet_pgie.txt` (primary, whole
frame) and `{manifest.name}_sgie.txt` (secondary, hands). They have not been run under DeepStream by us.

## Normalisation

nvinfer computes `net-scale-factor * (pixel - offsets)`. {manifest.name}: {_factor(manifest)} *
(pixel - {_offsets(manifest)}), {manifest.input.color}. BodyPoseNet: 0.00390625 * (pixel - 128), RGB.
The same values as in this agent's manifests.

## {manifest.name}

Labels, in the order of `{manifest.output.scores}`: {", ".join(manifest.labels)}. One line, split by
semicolons, as nvinfer wants it for classifiers. The exported network has that output alone: nvinfer takes
each output of a classifier for an attribute.

It looks at objects of class {HAND_CLASS} of engine {BODY_ID}: a probe behind BodyPoseNet must add one for
each hand. The box: centre = wrist + 0.33 x (wrist - elbow), side = 1.5 x the longer of forearm and 0.9 x
upper arm, times {manifest.crop.margin:g}; a square, limited to the frame **after** the padding was taken off.

## BodyPoseNet's parser

nvinfer attaches the maps as `NvDsInferTensorMeta` (network-type 100, output-tensor-meta 1). Tell them apart
by their channels, the last dimension: {HEATMAPS} heatmaps (the last is background) at a stride of 8 px,
{FIELDS} fields at a stride of 2 px; field k is channels 2k (x) and 2k + 1 (y).

* joints: {joints}
* limbs, in the order of the fields: {limbs}
* peaks above 0.1; a limb is read at 10 places, 8 of them above 0.05; a person has 4 joints, a score of 0.4
* input pixel -> frame pixel: take the padding off (symmetric), then divide by the scale

Mistakes of NVIDIA's own sample worth not repeating: an invalid right hand skips the left one; hand boxes are
limited while the padding is still on; the smoothing of hand boxes starts anew in every frame.
"""


def _must_suit(manifest: Manifest) -> None:
    spec = manifest.input
    if manifest.task != "gesture":
        raise ModelError(
            f"{manifest.name}: is of task {manifest.task}; nvinfer's classifier must be of gesture"
        )
    if spec.angle or manifest.crop.rotate:
        raise ModelError(
            f"{manifest.name}: wants its hands turned upright, which nvinfer cannot do; export gesturenet or "
            "gesturenet-nvidia"
        )
    if spec.layout != "NCHW":
        raise ModelError(f"{manifest.name}: is {spec.layout}; nvinfer's classifier must be NCHW")


def _common(manifest: Manifest, number: int) -> dict[str, str]:
    return {
        "gpu-id": "0",
        "gie-unique-id": str(number),
        "network-mode": str(FP16),
        "net-scale-factor": _factor(manifest),
        "offsets": _offsets(manifest),
        "model-color-format": "0" if manifest.input.color == "RGB" else "1",
    }


def _factor(manifest: Manifest) -> str:
    return f"{manifest.input.scale:.17g}"


def _offsets(manifest: Manifest) -> str:
    return ";".join([f"{manifest.input.offset:g}"] * 3)


def _configuration(title: str, properties: Mapping[str, str], remarks: list[str]) -> str:
    comments = [title, *remarks, "network-mode: 0 FP32, 1 INT8, 2 FP16; model-color-format: 0 RGB, 1 BGR"]
    lines = [f"# {comment}" for comment in comments]
    return "\n".join([*lines, "", "[property]", *(f"{k}={v}" for k, v in properties.items()), ""])

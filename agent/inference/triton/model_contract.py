"""Comparison of a network on a server with its manifest.

Pure: metadata and configuration are the JSON of the KServe v2 protocol (and of Triton's configuration
extension).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.inference.engine import Shape
from agent.inference.manifest import Manifest

FLOAT = "FP32"  # engines use float32 for inputs and outputs


@dataclass(frozen=True, slots=True)
class ModelContract:
    """Required inputs and outputs; an output of unknown shape is `()`."""

    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """The server's network: shapes as in `Engine`, version, and the largest batch."""

    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]
    version: str
    batch: int | None  # None: unlimited


def contract_of(manifest: Manifest) -> ModelContract:
    """Return the inputs and outputs that the manifest requires."""
    spec, out = manifest.input, manifest.output
    inputs: dict[str, Shape] = {spec.name: spec.shape}
    if spec.angle:
        inputs[spec.angle] = ("N", 1)
    outputs: dict[str, Shape] = {name: () for name in out.model_dump().values() if name}
    if manifest.anchors is not None:
        count = _anchors(manifest)
        if out.boxes:
            outputs[out.boxes] = ("N", count, 4 + 2 * manifest.anchors.keypoints)
        if out.scores:
            outputs[out.scores] = ("N", count, 1)
    elif out.scores and manifest.labels:
        outputs[out.scores] = ("N", len(manifest.labels))
    return ModelContract(inputs, outputs)


def _anchors(manifest: Manifest) -> int:
    assert manifest.anchors is not None  # noqa: S101 (the caller asked)
    height, width = manifest.input.size
    return sum(2 * -(-height // stride) * -(-width // stride) for stride in manifest.anchors.strides)


def remote_model(metadata: Mapping[str, Any], config: Mapping[str, Any] | None) -> RemoteModel:
    """Parse `v2/models/NAME` and, where available, `v2/models/NAME/config`.

    Raises `ValueError`, `KeyError` or `TypeError` for an invalid document.
    """
    inputs = {tensor["name"]: _shape(tensor["shape"]) for tensor in metadata["inputs"]}
    outputs = {tensor["name"]: _shape(tensor["shape"]) for tensor in metadata["outputs"]}
    most = int((config or {}).get("max_batch_size") or 0) or None
    firsts = {shape[0] for shape in inputs.values() if shape and isinstance(shape[0], int)}
    fixed = min(firsts) if firsts else None
    versions = metadata.get("versions") or ["?"]
    return RemoteModel(inputs, outputs, str(versions[-1]), most or fixed)


def _shape(dims: list[Any]) -> Shape:
    return tuple(
        "N" if int(d) < 0 and at == 0 else "?" if int(d) < 0 else int(d) for at, d in enumerate(dims)
    )


def contract_errors(contract: ModelContract, metadata: Mapping[str, Any]) -> Iterator[str]:
    """Yield every difference between a server's network and the manifest, as text."""
    for kind, wanted in (("input", contract.inputs), ("output", contract.outputs)):
        have = {tensor["name"]: tensor for tensor in metadata[f"{kind}s"]}
        for name, want in wanted.items():
            if name not in have:
                yield f'it has no {kind} "{name}", it has {", ".join(have) or "none"}'
                continue
            shape, datatype = _shape(have[name]["shape"]), have[name]["datatype"]
            if datatype != FLOAT or not _fits(want, shape):
                yield (
                    f'{kind} "{name}" is {datatype} {_shown(shape)}, '
                    f"the manifest says {FLOAT} {_shown(want) if want else '(any shape)'}"
                )
        if kind == "input" and (more := sorted(set(have) - set(wanted))):
            yield f"it also wants {', '.join(more)}, which the manifest does not know"


def _fits(want: Shape, have: Shape) -> bool:
    """Whether two shapes are compatible; the first dimension is the batch and may differ."""
    if not want:
        return True
    if len(want) != len(have):
        return False
    first = isinstance(want[0], str) or want[0] == have[0] or have[0] == "N"
    return first and all(
        w == h or isinstance(w, str) or isinstance(h, str) for w, h in zip(want[1:], have[1:], strict=True)
    )


def _shown(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))})"

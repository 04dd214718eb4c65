"""Identification of NVIDIA's networks in a file, and the manifest for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from agent.errors import ModelError
from agent.inference.bodies.skeleton import FIELDS, HEATMAPS
from agent.inference.engine import Shape
from agent.inference.manifest import Manifest
from agent.inference.nvidia.onnx_file import Network

Normalisation = Literal["deepstream", "older"]
NORMALISATIONS: dict[Normalisation, tuple[float, float]] = {
    "deepstream": (128.0, 1 / 256),
    "older": (0.0, 1 / 255),
}
"""(offset, scale) of value = (pixel - offset) * scale, as in NVIDIA's two samples."""


@dataclass(frozen=True, slots=True)
class Choices:
    """The user's options for an import; None: as in the shipped manifest."""

    name: str | None = None  # of the engine; None: NVIDIA's name
    normalisation: Normalisation | None = None
    margin: float | None = None
    labels: tuple[str, ...] | None = None


def match_model(
    network: Network, templates: list[Manifest], choices: Choices, file: str
) -> tuple[Manifest, list[str]]:
    """Return the manifest that fits a network, with its own names and sizes, and notes on differences.

    Raises `ModelError` that says what the file has and what each known network requires.
    """
    reasons = []
    for template in templates:
        try:
            return _TASKS[template.task](network, template, choices)
        except _MismatchError as exc:
            reasons.append(f"no {template.name}: {exc}")
    seen = "; ".join([*(f'input "{n}" {_text(s)}' for n, s in network.inputs.items()),
                      *(f'output "{n}" {_text(s)}' for n, s in network.outputs.items())])  # fmt: skip
    raise ModelError(f"{file}: has {seen} (opset {network.opset}). It is {' It is '.join(reasons)}")


class _MismatchError(Exception):
    """The reason why a network does not match a template."""


def _gestures(network: Network, template: Manifest, choices: Choices) -> tuple[Manifest, list[str]]:
    name, shape = _only_input(network)
    if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3) or not _ints(shape[2:]):
        raise _MismatchError(f"its input is {_text(shape)}, wanted (N, 3, height, width).")
    labels = choices.labels or template.labels
    fitting = [n for n, s in network.outputs.items() if len(s) == 2 and s[1] in (len(labels), "?")]
    if not fitting:
        raise _MismatchError(f"no output is (N, {len(labels)}), one score for each of {', '.join(labels)}.")
    wanted = template.output.scores
    scores = wanted if wanted in fitting else fitting[0]
    size = ("N" if not isinstance(shape[0], int) else shape[0], 3, *shape[2:])
    spec = template.input.model_copy(update={"name": name, "shape": size} | _normalised(choices))
    crop = (
        template.crop
        if choices.margin is None
        else template.crop.model_copy(update={"margin": choices.margin})
    )
    output = template.output.model_copy(update={"scores": scores})
    made = {"input": spec, "crop": crop, "output": output, "labels": labels}
    return template.model_copy(update=made), _unusual(template, name, size, scores)


def _bodies(network: Network, template: Manifest, choices: Choices) -> tuple[Manifest, list[str]]:
    name, shape = _only_input(network)
    if len(shape) != 4 or (isinstance(shape[3], int) and shape[3] != 3) or shape[1] == 3:
        raise _MismatchError(f"its input is {_text(shape)}, wanted (N, height, width, 3).")
    for channels, what in ((HEATMAPS, "heatmaps"), (FIELDS, "part affinity fields")):
        if [len(s) == 4 and s[3] == channels for s in network.outputs.values()].count(True) != 1:
            raise _MismatchError(
                f"not one output has {channels} channels, the {what}, as its last dimension."
            )
    if choices.margin is not None or choices.labels is not None:
        raise ModelError("--margin and --labels are for classifiers of hands; this file finds bodies")
    old = template.input.shape
    size = tuple(have if isinstance(have, int) else want for have, want in zip(shape, old, strict=True))
    spec = template.input.model_copy(update={"name": name, "shape": size} | _normalised(choices))
    return template.model_copy(update={"input": spec}), _unusual(template, name, size)


_TASKS: dict[str, Callable[[Network, Manifest, Choices], tuple[Manifest, list[str]]]] = {
    "gesture": _gestures,
    "pose-maps": _bodies,
}


def _only_input(network: Network) -> tuple[str, Shape]:
    if len(network.inputs) != 1:
        raise _MismatchError(f"it has {len(network.inputs)} inputs, wanted one.")
    return next(iter(network.inputs.items()))


def _normalised(choices: Choices) -> dict[str, float]:
    if choices.normalisation is None:
        return {}
    offset, scale = NORMALISATIONS[choices.normalisation]
    return {"offset": offset, "scale": scale}


def _unusual(template: Manifest, name: str, size: Shape, scores: str | None = None) -> list[str]:
    """Differences from NVIDIA's own file, which are allowed for a retrained network."""
    was = template.input
    notes = []
    if name != was.name:
        notes.append(f'its input is named "{name}", NVIDIA\'s "{was.name}"')
    if tuple(size[1:]) != tuple(was.shape[1:]):
        notes.append(f"its input is {_text(size)}, NVIDIA's {_text(was.shape)}")
    if scores != template.output.scores:
        notes.append(f'its output is named "{scores}", NVIDIA\'s "{template.output.scores}"')
    return notes


def _ints(dims: Shape) -> bool:
    return all(isinstance(d, int) for d in dims)


def _text(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))})"


def renamed(manifest: Manifest, name: str) -> Manifest:
    """Return the manifest under another name."""
    return manifest.model_copy(update={"name": name})

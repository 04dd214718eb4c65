"""Manifest of an imported network as TOML."""

from __future__ import annotations

from dataclasses import dataclass

from agent.config.toml_value import toml_value
from agent.inference.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Origin:
    """Origin of an imported file."""

    address: str  # URL or path
    sha256: str  # of the original file


def as_toml(manifest: Manifest, sha256: str, origin: Origin) -> str:
    """Return the manifest, as TOML, of a network stored beside it as `model.onnx`."""
    spec, crop = manifest.input, manifest.crop
    lines = [
        f"name = {toml_value(manifest.name)}",
        f"task = {toml_value(manifest.task)}",
        f"summary = {toml_value(manifest.summary.split(';')[0] + ', imported')}",
        f"license = {toml_value(manifest.license)}",
        *([f"labels = {toml_value(list(manifest.labels))}"] if manifest.labels else []),
        *([f"joints = {toml_value(list(manifest.joints))}"] if manifest.joints else []),
        "",
        "[source]",
        'kind = "file"',
        'file = "model.onnx"',
        f"sha256 = {toml_value(sha256)}",
        f"origin = {toml_value(origin.address)}",
        f"origin_sha256 = {toml_value(origin.sha256)}",
        "",
        "[input]",
        f"name = {toml_value(spec.name)}",
        f"shape = {toml_value(list(spec.shape))}",
        f"layout = {toml_value(spec.layout)}",
        f"color = {toml_value(spec.color)}",
        f"offset = {toml_value(float(spec.offset))} # value = (pixel - offset) * scale",
        f"scale = {toml_value(float(spec.scale))}",
        "",
        *(["[crop]", f"margin = {toml_value(float(crop.margin))} # side of the crop / side of the hand box",
           f"rotate = {toml_value(crop.rotate)}", ""] if manifest.task == "gesture" else []),
        "[output]",
        *([f"scores = {toml_value(manifest.output.scores)}"] if manifest.output.scores else []),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"

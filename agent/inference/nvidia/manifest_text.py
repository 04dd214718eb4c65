"""Manifest of an imported network as TOML."""

from __future__ import annotations

from dataclasses import dataclass

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
        f"name = {_toml(manifest.name)}",
        f"task = {_toml(manifest.task)}",
        f"summary = {_toml(manifest.summary.split(';')[0] + ', imported')}",
        f"license = {_toml(manifest.license)}",
        *([f"labels = {_toml(list(manifest.labels))}"] if manifest.labels else []),
        *([f"joints = {_toml(list(manifest.joints))}"] if manifest.joints else []),
        "",
        "[source]",
        'kind = "file"',
        'file = "model.onnx"',
        f"sha256 = {_toml(sha256)}",
        f"origin = {_toml(origin.address)}",
        f"origin_sha256 = {_toml(origin.sha256)}",
        "",
        "[input]",
        f"name = {_toml(spec.name)}",
        f"shape = {_toml(list(spec.shape))}",
        f"layout = {_toml(spec.layout)}",
        f"color = {_toml(spec.color)}",
        f"offset = {_toml(float(spec.offset))} # value = (pixel - offset) * scale",
        f"scale = {_toml(float(spec.scale))}",
        "",
        *(["[crop]", f"margin = {_toml(float(crop.margin))} # side of the crop / side of the hand box",
           f"rotate = {_toml(crop.rotate)}", ""] if manifest.task == "gesture" else []),
        "[output]",
        *([f"scores = {_toml(manifest.output.scores)}"] if manifest.output.scores else []),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    """A basic string, a number or a list of them as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text) + '"'
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value)

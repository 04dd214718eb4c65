"""Store of model files: locates them and verifies them against manifests and receipts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from agent.errors import ModelError
from agent.inference.files.disk import check_owner, receipt_of
from agent.inference.manifest import (
    EnsembleSource,
    FileSource,
    ImportSource,
    JoinSource,
    Manifest,
    NgcSource,
    ViewSource,
    engine_names,
    load_manifest,
)

RECIPE = 2  # version of the build steps; raising it rebuilds every cached file
MAKE = "run `gesture-agent models fetch`"


@dataclass(frozen=True, slots=True)
class Status:
    """State of one engine, as in `models list`. `detail` names the problem or the origin."""

    name: str
    task: str
    license: str
    state: Literal["ready", "missing", "broken"]
    detail: str


@dataclass(frozen=True, slots=True)
class EngineFile:
    """An engine's ONNX file and its sha256, in hexadecimal."""

    path: Path
    sha256: str


def locate(name: str, cache_dir: Path, engines: Path | None = None) -> Path:
    """Return the path of the engine's verified ONNX file. Raises `ModelError`."""
    return find(name, cache_dir, engines).path


def find(name: str, cache_dir: Path, engines: Path | None = None) -> EngineFile:
    """Return the engine's ONNX file, verified by its manifest or receipt.

    Raises `ModelError` that says what is missing or wrong and which command corrects it.
    """
    manifest = manifest_of(name, cache_dir, engines)
    source = manifest.source
    if isinstance(source, FileSource):
        return EngineFile(checked(manifest.folder / source.file, source.sha256, manifest), source.sha256)
    path = cached(name, cache_dir)
    if not path.is_file():
        where = "is not here" if isinstance(source, NgcSource) else f"{path} does not exist"
        raise ModelError(f"{name}: {where}; {_todo(manifest)}")
    check_owner(path)
    receipt = receipt_of(path)
    if not isinstance(source, ImportSource) and receipt.get("recipe") != recipe_of(manifest, engines):
        raise ModelError(f"{name}: {path} was made by another recipe; {MAKE}")
    seen = sha256_of(path)
    if receipt.get("sha256") != seen:
        raise ModelError(f"{name}: {path} is damaged, its sha256 is not the one of its receipt; {MAKE}")
    return EngineFile(path, seen)


def manifest_of(name: str, cache_dir: Path, engines: Path | None = None) -> Manifest:
    """Return an engine's manifest, shipped or imported. Raises `ModelError`.

    An imported file never replaces an engine that is built from its own source.
    """
    own = own_folder(cache_dir)
    if (own / name / "manifest.toml").is_file():
        if name not in engine_names(engines):
            return load_manifest(name, own)
        if load_manifest(name, engines).source.kind in {"import", "ngc"}:
            return load_manifest(name, own)
    return load_manifest(name, engines)


def own_folder(cache_dir: Path) -> Path:
    """Return the folder of imported engines, each in a folder with manifest and network."""
    return cache_dir / "engines"


def statuses(cache_dir: Path, engines: Path | None = None) -> list[Status]:
    """Return the state of every engine."""
    found = []
    for name in sorted({*engine_names(engines), *engine_names(own_folder(cache_dir))}):
        try:
            manifest = manifest_of(name, cache_dir, engines)
        except ModelError as exc:
            found.append(Status(name, "?", "?", "broken", str(exc)))
            continue
        try:
            state, detail = "ready", str(locate(name, cache_dir, engines))
        except ModelError as exc:
            state, detail = ("broken" if _exists(manifest, cache_dir) else "missing"), str(exc)
        found.append(Status(name, manifest.task, manifest.license, state, detail))  # type: ignore[arg-type]
    return found


def recipe_of(manifest: Manifest, engines: Path | None) -> str:
    """Return a hash of everything that determines the content of a built file."""
    source = manifest.source
    parts: list[Any] = [RECIPE, source.model_dump()]
    if isinstance(source, JoinSource):
        parts += [manifest.input.model_dump(), manifest.output.model_dump()]
        parts.append(recipe_of(load_manifest(source.base, engines), engines))
    names: list[str] = []
    if isinstance(source, EnsembleSource):
        names = [source.first, source.second]
    elif isinstance(source, ViewSource):
        names = [source.of, source.network]
    for member in (load_manifest(name, engines) for name in names):
        parts += [member.input.model_dump(), member.crop.model_dump(), member.output.model_dump()]
        parts.append(recipe_of(member, engines))
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def cached(name: str, cache_dir: Path) -> Path:
    """Return the path of a built engine."""
    return cache_dir / "engines" / f"{name}.onnx"


def _exists(manifest: Manifest, cache_dir: Path) -> bool:
    source = manifest.source
    path = (
        manifest.folder / source.file if isinstance(source, FileSource) else cached(manifest.name, cache_dir)
    )
    return path.is_file()


def _todo(manifest: Manifest) -> str:
    """How to obtain a missing engine."""
    source = manifest.source
    if isinstance(source, NgcSource):
        return (
            f"it is NVIDIA's: read its licence at {source.page}, then run `gesture-agent models fetch "
            f"{manifest.name} --accept-nvidia-licence`; or `gesture-agent models import FILE` if you have it"
        )
    return source.hint if isinstance(source, ImportSource) else MAKE


def checked(path: Path, sha256: str, manifest: Manifest) -> Path:
    """Return the path of a repository file after comparing its sha256. Raises `ModelError`."""
    if not path.is_file():
        raise ModelError(f"{manifest.name}: {path} does not exist; its card beside it says how it is made")
    seen = sha256_of(path)
    if seen != sha256:
        raise ModelError(
            f"{manifest.name}: {path} has sha256 {seen}, the manifest says {sha256}; "
            "restore the file, or write the new sum into the manifest if you made it"
        )
    return path


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    there = path.stat()
    return _sum(path, there.st_mtime_ns, there.st_size, there.st_ino)


@lru_cache(maxsize=64)
def _sum(path: Path, _mtime_ns: int, _size: int, _inode: int) -> str:
    """Cached for an unchanged file, because start-up asks several times."""
    return hashlib.sha256(path.read_bytes()).hexdigest()

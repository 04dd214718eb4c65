"""Import of a user's model file: decoded, inspected, tested, and stored with a manifest."""

from __future__ import annotations

import errno
import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.core.types import Floats
from agent.errors import EngineError, ModelError
from agent.inference.engine import load_engine
from agent.inference.files.disk import scratch_folder, write_whole
from agent.inference.files.store import own_folder
from agent.inference.manifest import Manifest, engine_names, load_manifest
from agent.inference.nvidia.etlt import decode
from agent.inference.nvidia.manifest_text import Origin, as_toml
from agent.inference.nvidia.model_matching import Choices, match_model, renamed
from agent.inference.nvidia.onnx_file import read_network

NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,63}$")
MOST_BYTES = 2_000_000_000  # protobuf's limit for one file
OTHER_KINDS = {
    ".tlt": "TAO's own training format; export it with TAO, as ONNX or .etlt",
    ".hdf5": "a Keras file of TAO; export it with TAO, as ONNX or .etlt",
    ".uff": "UFF, which TensorRT dropped and nothing else reads; export it again as ONNX",
    ".engine": "a plan for one kind of GPU and one version of TensorRT; bring the ONNX file it was made of",
    ".plan": "a plan for one kind of GPU and one version of TensorRT; bring the ONNX file it was made of",
    ".pth": "a PyTorch file; export it as ONNX",
}

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Imported:
    """Result of an import. `notes`: differences from NVIDIA's own network."""

    name: str
    task: str
    path: Path
    sha256: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """A model file as the user provides it: content, name, origin."""

    content: bytes
    file: str
    origin: str
    key: str = "nvidia_tlt"
    python: Path | None = None  # an interpreter with NVIDIA's decoder


def read_given(path: Path, key: str, python: Path | None = None) -> Given:
    """Read a file, or the only network in a .zip from NGC. Raises `ModelError`."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ModelError(f"{path}: {size:,} bytes; a network has at most {MOST_BYTES:,}")
        content = path.read_bytes()
    except OSError as exc:
        raise ModelError(f"{path}: {exc.strerror or exc}; expected an .onnx or .etlt file") from exc
    name = path.name
    if path.suffix.lower() == ".zip":
        name, content = _of_zip(path, content)
    return Given(content, name, str(path.absolute()), key, python)


def import_model(
    given: Given, cache_dir: Path, choices: Choices, progress: Progress = lambda _line: None,
    engines: Path | None = None,
) -> Imported:  # fmt: skip
    """Import a file as an engine, selectable by name. Raises `ModelError`, and then changes nothing."""
    content, key = given.content, None
    suffix = Path(given.file).suffix.lower()
    if suffix == ".etlt":
        progress(f"{given.file}: decoding")
        content, key = decode(content, given.key, given.file, given.python), given.key
    elif suffix in OTHER_KINDS:
        raise ModelError(f"{given.file}: is {OTHER_KINDS[suffix]}")
    network = read_network(content, given.file, key)
    manifest, notes = match_model(network, _templates(engines), choices, given.file)
    if choices.name:
        manifest = renamed(manifest, _own_name(choices.name, manifest, engines))
    sha256 = hashlib.sha256(content).hexdigest()
    origin = Origin(given.origin, hashlib.sha256(given.content).hexdigest())
    progress(f"{manifest.name}: trying it")
    _try(content, manifest, cache_dir)
    folder = own_folder(cache_dir) / manifest.name
    write_whole(folder / "model.onnx", content)
    write_whole(folder / "manifest.toml", as_toml(manifest, sha256, origin).encode())
    load_manifest(manifest.name, own_folder(cache_dir))  # verify what was written
    progress(f"{manifest.name}: ready")
    return Imported(manifest.name, manifest.task, folder / "model.onnx", sha256, tuple(notes))


def _templates(engines: Path | None) -> list[Manifest]:
    """The shipped manifests of NVIDIA's networks."""
    manifests = (load_manifest(name, engines) for name in engine_names(engines))
    return [manifest for manifest in manifests if manifest.source.kind == "ngc"]


def _own_name(name: str, manifest: Manifest, engines: Path | None) -> str:
    if not NAME.match(name):
        raise ModelError(f'"{name}" is no name for an engine; take 1 to 64 of a-z 0-9 -')
    if name in engine_names(engines) and load_manifest(name, engines).task != manifest.task:
        raise ModelError(f'"{name}" is an engine of another task; this file is of task {manifest.task}')
    if name in engine_names(engines) and load_manifest(name, engines).source.kind not in {"ngc", "import"}:
        raise ModelError(f'"{name}" is an engine that comes with the agent; choose another name')
    return name


def _try(content: bytes, manifest: Manifest, cache_dir: Path) -> None:
    """Run it once on a grey image, to check operators, sizes and values."""
    spec = manifest.input
    with scratch_folder(cache_dir) as scratch:
        path = scratch / "model.onnx"
        write_whole(path, content)
        engine = load_engine(manifest.name, path, backend="onnxruntime")
        try:
            feed: Floats = np.zeros((spec.batch or 1, *map(int, spec.shape[1:])), np.float32)
            results: Mapping[str, Floats] = engine.run({spec.name: feed})
        except EngineError as exc:
            raise ModelError(f"{exc}; it was tried with {spec.name} {feed.shape}") from exc
        finally:
            engine.close()
    if broken := [name for name, array in results.items() if not np.isfinite(array).all()]:
        raise ModelError(
            f"{manifest.name}: a grey picture gives outputs {broken} that are not finite; it is damaged"
        )


def _of_zip(path: Path, content: bytes) -> tuple[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inside = [i for i in archive.infolist() if i.filename.lower().endswith((".onnx", ".etlt"))]
            if len(inside) != 1 or inside[0].file_size > MOST_BYTES:
                listed = ", ".join(i.filename for i in inside) or "none"
                raise ModelError(
                    f"{path}: wanted one .onnx or .etlt file in it, there are: {listed}; unpack it"
                )
            return Path(inside[0].filename).name, archive.read(inside[0])
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as exc:
        why = exc.strerror if isinstance(exc, OSError) and exc.errno == errno.ENOSPC else exc
        raise ModelError(f"{path}: is a damaged or truncated .zip ({why}); download it again") from exc

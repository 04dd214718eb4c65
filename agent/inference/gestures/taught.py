"""Taught gestures on disk: `taught.npz` in the state folder. Numbers only, never a picture; it stays here.

They belong to one classifier, told by its file's sha256: another one means other numbers. Then the taught
gestures keep their names, so that rules still hold, but nobody is seen making them until they are taught
again.
"""

from __future__ import annotations

import math
import os
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from agent.config.regular_file import read_bytes
from agent.core.taught import HandSamples, StaleTaughtHead, TaughtHead, train, with_taught
from agent.errors import ConfigError, ModelError

FILE = "taught.npz"
VERSION = 1
MAX_BYTES = 100_000_000  # a hundred gestures of a hundred hands are 3 MB
_BAD_ZIP = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)  # what zipfile says of damage
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
AGAIN = "teach them again with `gesture-agent teach NAME`, or remove them with `teach --remove NAME`"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """All that was taught: examples, their gestures, and the head that was fitted to them."""

    classifier: str  # sha256
    built_in: tuple[str, ...]
    names: tuple[str, ...]  # one an example
    examples: HandSamples
    head: TaughtHead

    @property
    def counts(self) -> dict[str, int]:
        """Examples of each gesture."""
        return dict(Counter(self.names))

    def without(self, name: str) -> Taught | None:
        """The same with one gesture forgotten; None when nothing is left."""
        keep = np.array([one != name for one in self.names])
        names = tuple(one for one in self.names if one != name)
        head = self.head.without(name, self.built_in)
        return (
            Taught(self.classifier, self.built_in, names, self.examples.rows(keep), head) if names else None
        )


def teach(
    classifier: str,
    built_in: Sequence[str],
    background: HandSamples,
    examples: HandSamples,
    names: Sequence[str],
) -> Taught:
    """Fit a head to the examples."""
    head = train(built_in, background, examples, names)
    return Taught(classifier, tuple(built_in), tuple(names), examples, head)


def load_taught(state_dir: Path) -> Taught | None:
    """None: nothing was taught. Raises `ConfigError` for a file that is damaged or from a newer version."""
    path = state_dir / FILE
    try:
        packed = BytesIO(read_bytes(path, MAX_BYTES))
        _must_fit(packed)
        with np.load(packed, allow_pickle=False) as arrays:
            if (version := int(arrays["version"])) != VERSION:
                raise _other_version(path, version)
            return _unpacked({name: arrays[name] for name in arrays.files})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, EOFError, TypeError, MemoryError, *_BAD_ZIP) as exc:
        raise ConfigError(
            f"{path}: not a file of taught gestures ({exc}); remove it and teach again"
        ) from exc


def save_taught(state_dir: Path, taught: Taught | None) -> Path:
    """Replace what was there, whole or not at all; None removes it. Raises `ConfigError`: not writable."""
    path = state_dir / FILE
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        if taught is None:
            path.unlink(missing_ok=True)
            return path
        with tempfile.NamedTemporaryFile(dir=state_dir, prefix=FILE, delete=False) as file:
            np.savez(file, **_packed(taught))
            file.flush()
            os.fsync(file.fileno())
        if os.geteuid() == 0:  # a person with sudo taught it, the service shall read it
            os.chown(file.name, state_dir.stat().st_uid, state_dir.stat().st_gid)
        Path(file.name).replace(path)
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}; make the folder writable or set agent.state_dir") from exc
    return path


def taught_labels(state_dir: Path, built_in: tuple[str, ...]) -> tuple[str, ...]:
    """The labels of a classifier and those that were taught. Raises `ConfigError`."""
    taught = load_taught(state_dir)
    return with_taught(built_in, taught.names) if taught else built_in


def head_for(
    state_dir: Path, classifier: str, built_in: tuple[str, ...]
) -> TaughtHead | StaleTaughtHead | None:
    """What to put on the classifier of that sha256; None: nothing was taught. Tells the log of a misfit."""
    taught = load_taught(state_dir)
    if taught is None:
        return None
    if taught.classifier == classifier and taught.built_in == built_in:
        return taught.head
    gestures = sorted(set(taught.names))
    log.warning("taught_for_another_classifier", gestures=gestures, file=str(state_dir / FILE), todo=AGAIN)
    return StaleTaughtHead(with_taught(built_in, taught.names))


def must_fit(taught: Taught, classifier: str, state_dir: Path) -> None:
    """Raises `ModelError` when examples of another classifier would be mixed with new ones."""
    if taught.classifier != classifier:
        raise ModelError(
            f"{state_dir / FILE}: {', '.join(sorted(set(taught.names)))} were taught for a classifier with "
            f"sha256 {taught.classifier[:12]}..., this one has {classifier[:12]}...; remove them first "
            "(`gesture-agent teach --remove NAME`), then teach them again"
        )


def _must_fit(packed: BytesIO) -> None:
    """What the file claims to hold, before room is made for it. Raises `ValueError`."""
    with zipfile.ZipFile(packed) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                read = _HEADERS[version]
                shape, _, kind = read(file)
            claimed = math.prod(shape) * kind.itemsize
            if kind.hasobject or claimed > MAX_BYTES or member.file_size > MAX_BYTES:
                raise ValueError(f"{member.filename} claims to hold {claimed} bytes")
    packed.seek(0)


def _packed(taught: Taught) -> dict[str, Any]:
    head = taught.head
    return {
        "version": np.array(VERSION),
        "classifier": np.array(taught.classifier),
        "built_in": np.array(taught.built_in),
        "names": np.array(taught.names),
        "embeddings": taught.examples.embeddings,
        "scores": taught.examples.scores,
        "labels": np.array(head.labels),
        "rows": np.array(head.rows),
        "mean": head.mean,
        "scale": head.scale,
        "weights": head.weights,
    }


def _unpacked(arrays: dict[str, Any]) -> Taught:
    labels, rows = tuple(map(str, arrays["labels"])), tuple(map(int, arrays["rows"]))
    head = TaughtHead(labels, rows, arrays["mean"], arrays["scale"], arrays["weights"])
    if head.weights.shape != (len(rows), len(head.mean) + 1) or len(arrays["names"]) != len(arrays["scores"]):
        raise ValueError("its arrays do not fit together")
    numbers = ("embeddings", "scores", "mean", "scale", "weights")
    if not all(np.isfinite(arrays[name]).all() for name in numbers):
        raise ValueError("it holds what is no number")
    return Taught(
        str(arrays["classifier"]),
        tuple(map(str, arrays["built_in"])),
        tuple(map(str, arrays["names"])),
        HandSamples(arrays["embeddings"], arrays["scores"]),
        head,
    )


def _other_version(path: Path, version: int) -> ConfigError:
    return ConfigError(f"{path}: has version {version}, this program reads {VERSION}; teach again or upgrade")

"""Storage of taught gestures: `taught.npz` in the state folder. It holds numbers, never images.

They belong to one classifier, identified by the sha256 of its file, because another one gives other
embeddings. With another classifier the gestures keep their names, so that rules stay valid, but are not
recognised until they are taught again.
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
_BAD_ZIP = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)  # zipfile's errors for damage
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
AGAIN = "teach them again with `gesture-agent teach NAME`, or remove them with `teach --remove NAME`"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """All taught gestures: examples, their labels, and the head fitted to them."""

    classifier: str  # sha256
    built_in: tuple[str, ...]
    names: tuple[str, ...]  # label of each example
    examples: HandSamples
    head: TaughtHead

    @property
    def counts(self) -> dict[str, int]:
        """Number of examples of each gesture."""
        return dict(Counter(self.names))

    def without(self, name: str) -> Taught | None:
        """Return the taught gestures without one; None where nothing is left."""
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
    """Fit a head to the examples; `classifier` is the sha256 of the classifier's file."""
    head = train(built_in, background, examples, names)
    return Taught(classifier, tuple(built_in), tuple(names), examples, head)


def load_taught(state_dir: Path) -> Taught | None:
    """Load the taught gestures; None where there are none.

    Raises `ConfigError` for a damaged or newer file.
    """
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
    """Replace the file atomically; None removes it. Raises `ConfigError` where it cannot be written."""
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
        if os.geteuid() == 0:  # taught with sudo: the service must be able to read it
            os.chown(file.name, state_dir.stat().st_uid, state_dir.stat().st_gid)
        Path(file.name).replace(path)
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}; make the folder writable or set agent.state_dir") from exc
    return path


def taught_labels(state_dir: Path, built_in: tuple[str, ...]) -> tuple[str, ...]:
    """Return the classifier's labels followed by the taught ones. Raises `ConfigError`."""
    taught = load_taught(state_dir)
    return with_taught(built_in, taught.names) if taught else built_in


def head_for(
    state_dir: Path, classifier: str, built_in: tuple[str, ...]
) -> TaughtHead | StaleTaughtHead | None:
    """Return the head for the classifier with that sha256; None where nothing was taught.

    Logs a warning where the head belongs to another classifier. Raises `ConfigError` for a damaged file.
    """
    taught = load_taught(state_dir)
    if taught is None:
        return None
    if taught.classifier == classifier and taught.built_in == built_in:
        return taught.head
    gestures = sorted(set(taught.names))
    log.warning("taught_gestures_stale", gestures=gestures, file=str(state_dir / FILE), todo=AGAIN)
    return StaleTaughtHead(with_taught(built_in, taught.names))


def check_same_classifier(taught: Taught, classifier: str, state_dir: Path) -> None:
    """Raise `ModelError` where new examples would be mixed with those of another classifier."""
    if taught.classifier != classifier:
        raise ModelError(
            f"{state_dir / FILE}: {', '.join(sorted(set(taught.names)))} were taught for a classifier with "
            f"sha256 {taught.classifier[:12]}..., this one has {classifier[:12]}...; remove them first "
            "(`gesture-agent teach --remove NAME`), then teach them again"
        )


def _must_fit(packed: BytesIO) -> None:
    """Check the sizes that the file declares before memory is allocated. Raises `ValueError`."""
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

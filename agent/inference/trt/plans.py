"""Plan files: built by TensorRT and stored under a key of everything that decides about reuse.

Each plan has a receipt with its sha256. A plan with a wrong checksum is corrupt and never loaded; one
of another model, GPU or version is stale. Both are built again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from agent.errors import ModelError
from agent.inference.files.disk import check_owner, receipt_of, write_whole

RECIPE = 1  # raise it when a build of the same key would give a different plan
FOLDER = "plans"

State = Literal["ready", "missing", "stale", "corrupt"]
Batch = tuple[int, int, int]  # minimum, optimum and maximum images per run


@dataclass(frozen=True, slots=True)
class PlanKey:
    """Everything a plan depends on. `calibration` is the sha256 of the INT8 calibration data, else empty."""

    name: str
    model: str  # sha256 of the ONNX file
    gpu: str
    library: str
    precision: str
    batch: Batch
    calibration: str = ""
    recipe: int = RECIPE

    @property
    def fingerprint(self) -> str:
        """Short hash that identifies the key."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def file_name(self) -> str:
        """File name: readable first, unique at the end."""
        return f"{self.name}-{self.precision}-b{self.batch[2]}-{self.fingerprint[:16]}.plan"

    def differences(self, other: PlanKey) -> list[str]:
        """Describe in words what `other` was built for and what is required here."""
        pairs = [(f.name, getattr(other, f.name), getattr(self, f.name)) for f in fields(self)]
        return [
            f"{name} is {_short(was)}, wanted is {_short(want)}" for name, was, want in pairs if was != want
        ]

    def replaces(self, other: PlanKey) -> bool:
        """Return whether this key makes a plan of `other` obsolete: an old model or version."""
        return replace(other, model=self.model, library=self.library, recipe=self.recipe) == self


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan file. `key` is None where its receipt cannot be read."""

    path: Path
    key: PlanKey | None
    size_bytes: int
    took_s: float
    built_at: float  # seconds since 1970


@dataclass(frozen=True, slots=True)
class PlanLookup:
    """Result of a search for a plan; `detail` says what is wrong with it."""

    state: State
    path: Path
    detail: str = ""


def look_up(folder: Path, key: PlanKey) -> PlanLookup:
    """Look up the plan of a key, or else what exists instead. Reads receipts only."""
    path = folder / key.file_name
    if path.is_file():
        return PlanLookup("ready", path)
    others = [kept for kept in kept_plans(folder) if kept.key and _alike(kept.key, key)]
    if not others:
        return PlanLookup("missing", path, "not built yet")
    newest = max(others, key=lambda kept: kept.built_at)
    assert newest.key  # noqa: S101 (see above)
    return PlanLookup("stale", path, "; ".join(key.differences(newest.key)))


def read_plan(folder: Path, key: PlanKey) -> bytes:
    """Read a plan and verify its checksum. Raises `ModelError`, `FileNotFoundError`."""
    path = folder / key.file_name
    content = path.read_bytes()
    check_owner(path)
    receipt = receipt_of(path)
    seen = hashlib.sha256(content).hexdigest()
    if receipt.get("sha256") != seen:
        wanted = receipt.get("sha256", "none, its receipt is missing or damaged")
        raise CorruptPlanError(f"{path} is damaged: its sha256 is {seen}, its receipt says {wanted}")
    return content


class CorruptPlanError(ModelError):
    """Raised for a plan that must not be loaded."""


def keep_plan(folder: Path, key: PlanKey, plan: bytes, took_s: float) -> Path:
    """Write a plan atomically, and remove those that it replaces. Raises `ModelError`: disk full."""
    path = folder / key.file_name
    receipt = {
        "key": asdict(key),
        "sha256": hashlib.sha256(plan).hexdigest(),
        "size_bytes": len(plan),
        "took_s": round(took_s, 2),
        "built_at": time.time(),
    }
    write_whole(path, plan)
    write_whole(path.with_suffix(".json"), json.dumps(receipt, indent=1).encode())
    for kept in kept_plans(folder):
        if kept.key and kept.key != key and key.replaces(kept.key):
            remove_plan(kept.path)
    return path


def timing_file(key: PlanKey) -> str:
    """Return the file name of the timing cache shared by builds for one GPU, clocks and library."""
    return f"timing-{hashlib.sha256(f'{key.library}{key.gpu}'.encode()).hexdigest()[:16]}.cache"


def remove_plan(path: Path) -> None:
    """Remove a plan, its receipt, self-test sample and compiled kernels."""
    for suffix in (path.suffix, ".json", ".npz", ".kernels"):
        path.with_suffix(suffix).unlink(missing_ok=True)


def kept_plans(folder: Path) -> Iterator[StoredPlan]:
    """Return every plan in the folder, in name order."""
    for path in sorted(folder.glob("*.plan")):
        receipt = receipt_of(path)
        took, built = (_number(receipt.get(name)) for name in ("took_s", "built_at"))
        yield StoredPlan(path, _key(receipt), path.stat().st_size, took, built)


def last_build_s(folder: Path, key: PlanKey) -> float | None:
    """Return the seconds of the newest build of this network at this precision; None: never built."""
    before = [kept for kept in kept_plans(folder) if kept.key and _alike(kept.key, key)]
    return max(before, key=lambda kept: kept.built_at).took_s if before else None


def _alike(one: PlanKey, other: PlanKey) -> bool:
    return (one.name, one.precision, one.batch) == (other.name, other.precision, other.batch)


def _key(receipt: dict[str, Any]) -> PlanKey | None:
    given = receipt.get("key")
    if not isinstance(given, dict) or set(given) != {f.name for f in fields(PlanKey)}:
        return None
    batch = given["batch"]
    if not (isinstance(batch, list) and len(batch) == 3 and all(isinstance(n, int) for n in batch)):
        return None
    return PlanKey(**{**given, "batch": tuple(batch)})


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text or "none"

"""Selection of the model files that the settings need.

The repository holds only its own weights. `fetch` downloads the others into the cache folder, each with a
receipt; `locate` returns a verified file. Outdated or damaged files are rebuilt.
"""

import hashlib
from pathlib import Path

from agent.config.settings import RecognitionSettings
from agent.inference.files.fetch import fetch
from agent.inference.files.store import Status, find, locate, statuses

__all__ = [
    "Status",
    "classifier_of",
    "engines_of",
    "fetch",
    "files_of",
    "find",
    "locate",
    "runs_elsewhere",
    "statuses",
]


def engines_of(recognition: RecognitionSettings) -> tuple[str, ...]:
    """Return the names of the networks that the settings need."""
    bodies: tuple[str, ...] = ()
    if recognition.proposal != "palm":
        blazepose = recognition.pose == "blazepose"
        bodies = ("pose-detector", "pose-landmark") if blazepose else (recognition.pose,)
    palms = () if recognition.proposal == "arm" else ("palm-detector",)
    return recognition.gestures, *palms, *bodies


def runs_elsewhere(name: str, recognition: RecognitionSettings) -> bool:
    """Whether a network runs on a server, so that it needs no local file."""
    if recognition.backend != "triton":
        return False
    return recognition.triton.networks == "all" or name == recognition.gestures


def files_of(recognition: RecognitionSettings) -> tuple[str, ...]:
    """Return the names of the networks that the settings need and that run locally."""
    return tuple(name for name in engines_of(recognition) if not runs_elsewhere(name, recognition))


def classifier_of(recognition: RecognitionSettings, cache_dir: Path, engines: Path | None = None) -> str:
    """Return a hash of the classifier, to which taught gestures belong. Raises `ModelError`.

    It is the sha256 of its file, or of its name where it runs on a server.
    """
    if runs_elsewhere(recognition.gestures, recognition):
        return hashlib.sha256(f"{recognition.backend}:{recognition.gestures}".encode()).hexdigest()
    return find(recognition.gestures, cache_dir, engines).sha256

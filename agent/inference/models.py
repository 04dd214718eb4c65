"""Where the networks' files are, and how they come there.

No weights are in this repository but our own. `fetch` brings the others into the cache folder, each with
a receipt; `locate` gives a file that fits its receipt. A changed recipe or a damaged file is made again.
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
    """Names of the networks that the settings ask for."""
    bodies: tuple[str, ...] = ()
    if recognition.proposal != "palm":
        blazepose = recognition.pose == "blazepose"
        bodies = ("pose-detector", "pose-landmark") if blazepose else (recognition.pose,)
    palms = () if recognition.proposal == "arm" else ("palm-detector",)
    return recognition.gestures, *palms, *bodies


def runs_elsewhere(name: str, recognition: RecognitionSettings) -> bool:
    """Whether that network runs on a server, so that no file of it is needed here."""
    if recognition.backend != "triton":
        return False
    return recognition.triton.networks == "all" or name == recognition.gestures


def files_of(recognition: RecognitionSettings) -> tuple[str, ...]:
    """Names of the networks that the settings ask for and that run here."""
    return tuple(name for name in engines_of(recognition) if not runs_elsewhere(name, recognition))


def classifier_of(recognition: RecognitionSettings, cache_dir: Path, engines: Path | None = None) -> str:
    """What tells the classifier from every other one, in hexadecimal: what was taught belongs to it.

    The sha256 of its file; of its name where a server has the file. Raises `ModelError`.
    """
    if runs_elsewhere(recognition.gestures, recognition):
        return hashlib.sha256(f"{recognition.backend}:{recognition.gestures}".encode()).hexdigest()
    return find(recognition.gestures, cache_dir, engines).sha256

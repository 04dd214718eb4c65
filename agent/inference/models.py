"""Where the networks' files are, and how they come there.

No weights are in this repository but our own. `fetch` brings the others into the cache folder, each with
a receipt; `locate` gives a file that fits its receipt. A changed recipe or a damaged file is made again.
"""

from agent.config.settings import RecognitionSettings
from agent.inference.fetch import fetch
from agent.inference.store import Status, find, locate, statuses

__all__ = ["Status", "engines_of", "fetch", "find", "locate", "statuses"]


def engines_of(recognition: RecognitionSettings) -> tuple[str, ...]:
    """Names of the networks that the settings ask for."""
    bodies: tuple[str, ...] = ()
    if recognition.proposal != "palm":
        blazepose = recognition.pose == "blazepose"
        bodies = ("pose-detector", "pose-landmark") if blazepose else (recognition.pose,)
    return recognition.gestures, "palm-detector", *bodies

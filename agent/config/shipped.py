"""The folder of what ships beside the code: engines, rules, the unit, the template of the settings."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path

from agent.errors import CannotStart

SIGN = Path("config.toml")  # of the right folder: a file that every one of them has
CHECKOUT = Path(__file__).resolve().parents[2]


def shipped_folder(part: str = str(SIGN)) -> Path:
    """The first folder that holds `part`: a checkout, or `share/gesture-agent` of an installed wheel.

    It holds engines/, rules/, systemd/ and config.toml. Raises `CannotStart` that names where it looked.
    """
    for place in _places():
        if (place / part).exists():
            return place
    looked = " and ".join(str(place / part) for place in _places())
    raise CannotStart(f"{part} is missing; looked at {looked}; install gesture-agent again")


def demo_clip() -> Path:
    """The clip that the demo plays where there is no camera; whether it exists is for the caller to ask."""
    in_checkout = CHECKOUT / "tests" / "data" / "demo.mp4"
    return in_checkout if in_checkout.is_file() else shipped_folder() / "demo.mp4"


def _places() -> Iterator[Path]:
    """A checkout or an editable install first, then the prefix, then where `pip install --user` puts data."""
    if (CHECKOUT / "pyproject.toml").is_file():
        yield CHECKOUT
    for scheme in (sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")):
        yield Path(sysconfig.get_path("data", scheme)) / "share" / "gesture-agent"

"""What pip is told to install the agent once more, where no checkout is at hand."""

from __future__ import annotations

import json
from importlib import metadata

from agent import __version__

PACKAGE = "gesture-agent"


def requirement() -> str:
    """This version from the package registry, or the wheel or address that this one was installed from."""
    try:
        told = metadata.distribution(PACKAGE).read_text("direct_url.json")  # PEP 610
    except metadata.PackageNotFoundError:
        told = None
    url = json.loads(told).get("url") if told else None
    return f"{PACKAGE} @ {url}" if url else f"{PACKAGE}=={__version__}"

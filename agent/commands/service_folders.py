"""State and cache folders for commands that use the installed service's settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.commands.output import warn
from agent.installation.paths import InstallPaths

if TYPE_CHECKING:
    from agent.config.load import Loaded


def as_the_service(found: Loaded, environ: Mapping[str, str], places: InstallPaths | None = None) -> Loaded:
    """Return the settings with state and cache folders where the systemd unit keeps them.

    Only where the settings are the installed service's own and neither they nor the environment (systemd's
    own variables in the service itself) name other folders. Warns where the caller may not look there.
    """
    places = places or InstallPaths()
    if found.file is None or found.file.absolute() != places.settings / "config.toml":
        return found
    agent = found.settings.agent
    folders = {}
    if agent.state_dir is None and not environ.get("STATE_DIRECTORY") and os.path.lexists(places.state):
        folders["state_dir"] = places.state
    if agent.cache_dir is None and not environ.get("CACHE_DIRECTORY") and os.path.lexists(places.cache):
        folders["cache_dir"] = places.cache
    closed = [
        str(folder) for folder in folders.values() if not os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    ]
    if closed:
        warn(
            f"the service keeps its data in {' and '.join(closed)}, which you may not open; "
            "your own folders are used instead. Try again with sudo"
        )
        return found
    settings = found.settings.model_copy(update={"agent": agent.model_copy(update=folders)})
    return replace(found, settings=settings)

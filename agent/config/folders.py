"""Where the agent keeps what must survive (state) and what can be made again (cache)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import platformdirs

from agent.config.settings import AgentSettings

APP_NAME = "gesture-agent"


def state_folder(settings: AgentSettings, environ: Mapping[str, str]) -> Path:
    """Folder of the outbox: the setting, else systemd's $STATE_DIRECTORY, else the user's own."""
    return (
        settings.state_dir
        or _of_systemd(environ, "STATE_DIRECTORY")
        or platformdirs.user_state_path(APP_NAME)
    )


def cache_folder(settings: AgentSettings, environ: Mapping[str, str]) -> Path:
    """Folder of models and plans: the setting, else systemd's $CACHE_DIRECTORY, else the user's own."""
    return (
        settings.cache_dir
        or _of_systemd(environ, "CACHE_DIRECTORY")
        or platformdirs.user_cache_path(APP_NAME)
    )


def _of_systemd(environ: Mapping[str, str], name: str) -> Path | None:
    """The first of the folders that systemd lists, separated by colons."""
    first = environ.get(name, "").split(":")[0]
    return Path(first) if first else None

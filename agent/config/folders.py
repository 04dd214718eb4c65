"""Where the agent keeps what must survive (state) and what can be made again (cache)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from agent.config.settings import AgentSettings
from agent.errors import ConfigError

APP_NAME = "gesture-agent"


@dataclass(frozen=True, slots=True)
class Folders:
    """Where an agent keeps things; both exist."""

    state: Path
    cache: Path


def make_folders(settings: AgentSettings, environ: Mapping[str, str]) -> Folders:
    """Create what is missing. Raises `ConfigError` that names the folder and the setting."""
    folders = Folders(state_folder(settings, environ), cache_folder(settings, environ))
    for folder, setting in ((folders.state, "agent.state_dir"), (folders.cache, "agent.cache_dir")):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # what waits in the outbox is nobody else's
        except OSError as exc:
            raise ConfigError(f"{folder}: {exc.strerror}; make it writable or set {setting}") from exc
    return folders


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

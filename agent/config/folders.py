"""State folder (must survive) and cache folder (can be rebuilt) of an agent."""

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
    """Paths of an agent's state and cache folder; both exist."""

    state: Path
    cache: Path


def make_folders(settings: AgentSettings, environ: Mapping[str, str]) -> Folders:
    """Create the folders that are missing. Raises `ConfigError` that names the folder and the setting."""
    folders = Folders(state_folder(settings, environ), cache_folder(settings, environ))
    for folder, setting in ((folders.state, "agent.state_dir"), (folders.cache, "agent.cache_dir")):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # the outbox holds private data
        except OSError as exc:
            raise ConfigError(f"{folder}: {exc.strerror}; make it writable or set {setting}") from exc
    return folders


def state_folder(settings: AgentSettings, environ: Mapping[str, str]) -> Path:
    """Return the outbox folder: the setting, systemd's $STATE_DIRECTORY, or the user's state folder."""
    return (
        settings.state_dir
        or _of_systemd(environ, "STATE_DIRECTORY")
        or platformdirs.user_state_path(APP_NAME)
    )


def cache_folder(settings: AgentSettings, environ: Mapping[str, str]) -> Path:
    """Return the folder of models and plans: the setting, systemd's $CACHE_DIRECTORY, or the user's cache."""
    return (
        settings.cache_dir
        or _of_systemd(environ, "CACHE_DIRECTORY")
        or platformdirs.user_cache_path(APP_NAME)
    )


def _of_systemd(environ: Mapping[str, str], name: str) -> Path | None:
    """The first of the folders in a colon-separated variable set by systemd."""
    first = environ.get(name, "").split(":")[0]
    return Path(first) if first else None

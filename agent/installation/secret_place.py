"""Where a password file may lie: never where version control would take it along."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import platformdirs

from agent.config.atomic_file import NewFile
from agent.config.folders import APP_NAME

REPOSITORY_MARKS = (".git", ".hg", ".jj", ".svn")
PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """A path for one password; `repository` is the one that it lies in after all."""

    path: Path
    repository: Path | None = None


def repository_of(path: Path) -> Path | None:
    """The root of the repository that a path is in."""
    return next(
        (folder for folder in (path, *path.parents) if any((folder / m).exists() for m in REPOSITORY_MARKS)),
        None,
    )


def secret_place(folder: Path, name: str, secret: str) -> SecretPlace:
    """A free file name for a secret: beside the settings, outside of repositories where that can be.

    Settings in a repository have their secrets in the user's own folder. A file that holds the same secret
    already is taken again; none is overwritten.
    """
    own = platformdirs.user_config_path(APP_NAME)
    home = next((place for place in (folder, own) if repository_of(place) is None), folder)
    path = next(
        path
        for number in range(1, 1000)
        if _is_free(path := home / (name if number == 1 else f"{name}-{number}"), secret)
    )
    return SecretPlace(path, repository_of(path))


def _is_free(path: Path, secret: str) -> bool:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n") == secret
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False


def secret_files(place: SecretPlace, secret: str) -> list[NewFile]:
    """The file itself; in a repository its `.gitignore` too."""
    files = [NewFile(place.path, f"{secret}\n".encode(), PRIVATE)]
    if place.repository:
        ignore = place.repository / ".gitignore"
        line = f"/{place.path.relative_to(place.repository)}"
        before = ignore.read_text(encoding="utf-8") if ignore.is_file() else ""
        if line not in before.splitlines():
            gap = "" if before.endswith("\n") or not before else "\n"
            files.append(NewFile(ignore, f"{before}{gap}{line}\n".encode()))
    return files

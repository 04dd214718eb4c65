"""Loads `Settings` from file and environment, and reports all problems at once.

The first existing file is read: --config, $GESTURE_AGENT_CONFIG, ./config.toml,
/etc/gesture-agent/config.toml. Without any, the defaults apply.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from agent.config import environment
from agent.config.permissions import open_to_all
from agent.config.problems import ConfigProblems, Problem
from agent.config.renamed_keys import RENAMED_SETTINGS, with_new_names, without_removed
from agent.config.settings import AS_WRITTEN, Secret, Settings
from agent.config.sources import absolute_source
from agent.config.toml_document import KeyPath, TomlDocument, read
from agent.config.validation import problems_of
from agent.core.redaction import PASSWORD, secrets_in

PATH_VARIABLE = "GESTURE_AGENT_CONFIG"
SEARCHED = (Path("config.toml"), Path("/etc/gesture-agent/config.toml"))
BUILT_IN = "built-in defaults"

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Loaded:
    """Loaded settings and their origin."""

    settings: Settings
    file: Path | None  # None: no file, defaults apply
    written: TomlDocument  # position of every setting that is not a default
    warnings: tuple[str, ...] = ()


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Load the settings without their origin. Raises `ConfigProblems`."""
    return load(path, environ).settings


def load(path: Path | None, environ: Mapping[str, str], *, need_files: bool = True) -> Loaded:
    """Read the file, apply the environment, validate, make paths absolute. Raises `ConfigProblems`.

    `need_files` requires secrets and certificates to exist and be readable, and the settings file to be
    writable by its owner only; commands that connect to no broker or camera pass False.
    """
    file = find_file(path, environ)
    written = read(file) if file else TomlDocument(BUILT_IN, {})
    written, old_names = with_new_names(written, RENAMED_SETTINGS)
    written, removed = without_removed(written)
    written, problems = environment.overlay(written, environ)
    try:
        settings = Settings.model_validate(written.data, context={AS_WRITTEN: True})
    except ValidationError as exc:
        raise ConfigProblems([*problems, *problems_of(exc, Settings, written)]) from exc
    paths = _Paths(file.parent.absolute() if file else Path.cwd(), written, environ)
    settings = paths.absolute(settings)
    problems += _logins(settings, written)
    warnings = [*map(str, [*old_names, *removed]), *environment.old_names(environ)]
    if need_files:
        problems += _unreadable(settings, written)
        problems += _writable(file)
        warnings += _open_to_all(settings)
    if problems:
        raise ConfigProblems(problems)
    return Loaded(settings, file, written, tuple(warnings))


def find_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file to read, or None; a file named explicitly is returned even where it does not exist."""
    if path or environ.get(PATH_VARIABLE):
        return path or Path(environ[PATH_VARIABLE])
    return next((found for found in SEARCHED if found.is_file()), None)


class _Paths:
    """Resolves relative paths: of the file against its folder, of the environment against the current one."""

    def __init__(self, folder: Path, written: TomlDocument, environ: Mapping[str, str]) -> None:
        self._folder, self._written = folder, written
        credentials = environ.get("CREDENTIALS_DIRECTORY")
        self._credentials = Path(credentials) if credentials else None

    def absolute(self, model: M, at: KeyPath = ()) -> M:
        """The settings with absolute paths; defaults stay defaults."""
        values = {name: self._value(model, name, (*at, name)) for name in type(model).model_fields}
        changed = {name: value for name, value in values.items() if value != getattr(model, name)}
        return model.model_copy(update=changed)

    def _value(self, model: BaseModel, name: str, at: KeyPath) -> Any:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            return self.absolute(value, at)
        if isinstance(value, dict):
            return {
                key: self.absolute(entry, (*at, key)) if isinstance(entry, BaseModel) else entry
                for key, entry in value.items()
            }
        if isinstance(value, Path):
            return (isinstance(model, Secret) and self._credential(value)) or self._folder_of(at) / value
        if at[0] == "camera" and name == "source":
            return absolute_source(value, self._folder_of(at))
        return value

    def _credential(self, path: Path) -> Path | None:
        """The systemd credential of this name (LoadCredential=), if any."""
        found = self._credentials / path if self._credentials and len(path.parts) == 1 else None
        return found if found and found.exists() else None

    def _folder_of(self, at: KeyPath) -> Path:
        spot = self._written.spot(at)
        return Path.cwd() if spot.file.startswith(environment.PREFIX) else self._folder


def _logins(settings: Settings, written: TomlDocument) -> Iterator[Problem]:
    """Problems for sources that hold a password, which settings must not contain."""
    text = (
        'a source holds no password here; write user = "NAME" and password = { file = "PATH" }; where the '
        f"address asks for it elsewhere, write {PASSWORD} there (an @ that belongs to a path is written %40)"
    )
    for name, camera in settings.camera.items():
        if secrets_in(camera.source):
            yield written.problem(("camera", name, "source"), text)


def _needed_files(model: BaseModel, at: KeyPath = ()) -> Iterator[tuple[KeyPath, Path, bool]]:
    """(position, path, whether a secret) of every file that must exist."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, Secret):
            yield (*at, name, "file"), value.file, True
        elif isinstance(value, Path) and at[-1:] == ("tls",):
            yield (*at, name), value, name == "key"
        elif isinstance(value, BaseModel):
            yield from _needed_files(value, (*at, name))
        elif isinstance(value, dict):
            for key, entry in value.items():
                if isinstance(entry, BaseModel):
                    yield from _needed_files(entry, (*at, name, key))


def _writable(file: Path | None) -> Iterator[Problem]:
    """Problems for settings that others can write: they select rules, broker and cameras."""
    for path in (file, file.absolute().parent) if file else ():
        yield from open_to_all(path, "settings say which rules run and who hears of it")


def _unreadable(settings: Settings, written: TomlDocument) -> Iterator[Problem]:
    for at, path, _ in _needed_files(settings):
        if reason := _why_unreadable(path):
            yield written.problem(at, f"{'.'.join(map(str, at))}: {path} cannot be read: {reason}")


def _why_unreadable(path: Path) -> str | None:
    try:
        with path.open("rb"):
            return None
    except OSError as exc:
        return exc.strerror


def _open_to_all(settings: Settings) -> Iterator[str]:
    for at, path, secret in _needed_files(settings):
        if secret and path.exists() and path.stat().st_mode & stat.S_IROTH:
            name = ".".join(map(str, at))
            yield f"{name}: every user of this machine can read {path}; run: chmod o-r {path}"

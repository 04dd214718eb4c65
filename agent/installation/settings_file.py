"""Changes single settings in config.toml: comments and order stay, the text before goes to a history."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from agent.config.atomic_file import NewFile, write_all
from agent.config.load import load
from agent.config.problems import ConfigProblems, Problem
from agent.config.regular_file import read_bytes
from agent.config.settings import Settings
from agent.config.text_history import SETTINGS, TextHistory
from agent.config.toml_document import MAX_FILE_BYTES
from agent.errors import ConfigError

SettingPath: TypeAlias = tuple[str, ...]  # ("camera", "front", "source")
Changes: TypeAlias = Mapping[SettingPath, Any]
"""New values by path; None takes a key, or a whole table, out."""


class SettingsChangedError(ConfigError):
    """The file is another than the one that was read."""


class SettingsFile:
    """The settings file of a running agent. Thread-safe; everything here may wait for a disk."""

    def __init__(self, path: Path, environ: Mapping[str, str], state: Path) -> None:
        """`path` need not exist yet; `state` is the state folder, in which the history is kept."""
        self.path = path.absolute()
        self._environ, self._history = environ, TextHistory(state / SETTINGS)
        self._lock = threading.Lock()

    @property
    def etag(self) -> str:
        """Changes with every change of the file. Raises `ConfigError` where it cannot be read."""
        return _etag(self._text())

    def change(self, changes: Changes, etag: str, beside: Sequence[NewFile] = ()) -> Settings:
        """Write the changes, and the files `beside` them, all or nothing; the settings as they are then.

        The new text is read by the agent's own loader first. Raises `SettingsChangedError` where the file is
        another than `etag` says, `ConfigProblems` where the settings would be wrong or the environment
        overrules a change, `ConfigError` where it cannot be written.
        """
        with self._lock:
            before = self._text()
            if _etag(before) != etag:
                raise SettingsChangedError(
                    f"{self.path.name} was changed meanwhile; nothing was saved. Look at it again"
                )
            after = edited(before, changes)
            settings = self._tried(after, changes)
            if after == before and not beside:
                return settings
            if before == self._text():
                kept = [self._history.next_version(self.path.name, before)] if before else []
                write_all([*kept, *beside, NewFile(self.path, after.encode())])
                self._history.forget_oldest(self.path.name)
                return settings
            raise SettingsChangedError(f"{self.path.name} was changed meanwhile; nothing was saved")

    def _tried(self, text: str, changes: Changes) -> Settings:
        """The settings of a text. Raises `ConfigProblems`."""
        with tempfile.TemporaryDirectory(prefix="gesture-agent-settings-") as folder:
            trial = Path(folder) / self.path.name
            trial.write_text(text, encoding="utf-8")
            try:
                loaded = load(trial, self._environ, need_files=False)
            except ConfigProblems as exc:
                raise ConfigProblems(
                    Problem(
                        problem.file.replace(f"{folder}/", ""), problem.line, problem.column, problem.text
                    )
                    for problem in exc.problems
                ) from exc
            for path in changes:
                spot = loaded.written.keys.get(path)
                if spot is not None and spot.file != str(trial):
                    name = ".".join(path)
                    text = f"{name} is set by the environment ({spot.file}), which overrules the file"
                    raise ConfigProblems([Problem(spot.file, 0, 0, text)])
        return loaded.settings

    def _text(self) -> str:
        try:
            return read_bytes(self.path, MAX_FILE_BYTES).decode("utf-8")
        except FileNotFoundError:
            return ""
        except UnicodeDecodeError as exc:
            raise ConfigError(f"{self.path} is not UTF-8 text; save it as UTF-8") from exc
        except OSError as exc:
            raise ConfigError(f"{self.path}: {exc.strerror}") from exc


def edited(text: str, changes: Changes) -> str:
    """The text with other values; what is not changed stays as it is, to the letter.

    Raises `ConfigError` where a path leads through something that is no table.
    """
    import tomlkit  # noqa: PLC0415 (only where settings are changed)
    from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415

    try:
        document = tomlkit.parse(text)
        for path, value in changes.items():
            table: Any = document
            for number, part in enumerate(path[:-1]):
                if part not in table:
                    if value is None:
                        break
                    table[part] = tomlkit.table(is_super_table=number < len(path) - 2)
                table = table[part]
            else:
                if value is None:
                    table.pop(path[-1], None)
                else:
                    table[path[-1]] = _item(value)
        return tomlkit.dumps(document)
    except (TOMLKitError, TypeError, AttributeError) as exc:
        raise ConfigError(f"the settings cannot be changed here ({exc}); edit the file itself") from exc


def _item(value: Any) -> Any:
    """Tables as values are written on one line: { file = "password" }."""
    import tomlkit  # noqa: PLC0415

    if not isinstance(value, Mapping):
        return value
    inline = tomlkit.inline_table()
    inline.update(value)
    return inline


def _etag(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]

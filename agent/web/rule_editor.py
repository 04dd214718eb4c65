"""Rule files as text for the browser: read, checked with the daemon's loader, saved with a history."""

from __future__ import annotations

import hashlib
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from agent.config.atomic_file import NewFile, write_all
from agent.config.file_watcher import rule_paths
from agent.config.problems import ConfigProblems, Problem
from agent.config.regular_file import read_bytes, visible_files
from agent.config.rules.cases import CaseResult, run_cases
from agent.config.rules.files import LoadedRules, read_rules
from agent.config.settings import DebounceSettings
from agent.config.toml_document import MAX_FILE_BYTES
from agent.core.rules import RuleSet
from agent.errors import ConfigError

HISTORY = "rule-history"  # folder in the state folder
KEPT = 20  # versions of each rule file
PRIVATE = 0o600


class NoSuchRuleFileError(ConfigError):
    """There is no rule file, or no version, of that name."""


class EditConflictError(ConfigError):
    """The file was changed since it was read; `now` is what it holds."""

    def __init__(self, now: RuleText) -> None:
        self.now = now
        super().__init__(f"{now.name} was changed meanwhile; nothing was saved")


@dataclass(frozen=True, slots=True)
class RuleText:
    """A rule file as it is; `etag` changes with every change of its bytes."""

    name: str
    text: str

    @property
    def etag(self) -> str:
        """As HTTP quotes it."""
        return f'"{hashlib.sha256(self.text.encode()).hexdigest()[:32]}"'


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """A text that a rule file had, by the time at which it was replaced (ms since 1970)."""

    id: str
    replaced_ms: int
    size: int


class RuleEditor:
    """The rule files of the settings. Thread-safe; everything here may wait for a disk."""

    def __init__(
        self,
        source: Path,
        labels: Sequence[str],
        debounce: DebounceSettings,
        cameras: Collection[str] | None,
        *,
        state: Path,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """As `read_rules`; `state` is the state folder, in which the history is kept."""
        self._source, self._labels, self._debounce = source, tuple(labels), debounce
        self._cameras, self._history, self._wall = cameras, state / HISTORY, wall
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """In the order in which they are read. Raises `ConfigError`."""
        return [path.name for path in self._paths()]

    def read(self, name: str) -> RuleText:
        """Raises `NoSuchRuleFileError`, and `ConfigError` where it cannot be read."""
        return _text(self._path(name), name)

    def check(self, name: str, text: str) -> LoadedRules:
        """What all rule files say with this text in the place of that file. Raises `ConfigProblems`."""
        path = self._path(name)
        with tempfile.TemporaryDirectory(prefix="gesture-agent-rules-") as folder:
            trial = Path(folder)
            for other in self._paths():
                content = text.encode() if other == path else read_bytes(other, MAX_FILE_BYTES)
                (trial / other.name).write_bytes(content)
            try:
                found = read_rules(trial, self._labels, self._debounce, self._cameras)
            except ConfigProblems as exc:
                raise ConfigProblems(_named(problem, trial) for problem in exc.problems) from exc
        if added := self._new_commands(found.rule_set):
            spot = found.spots[added]
            raise ConfigProblems(
                [
                    Problem(
                        Path(spot.file).name,
                        spot.line,
                        spot.column,
                        f'"{added}" would start a program that no rule starts now; for safety programs are '
                        "written into the file on the machine itself, never from a browser",
                    )
                ]
            )
        return replace(found, warnings=tuple(_named(warning, trial) for warning in found.warnings))

    def run_cases(self, name: str, text: str) -> list[CaseResult]:
        """Plays the cases of this text. Raises `ConfigProblems`."""
        cases = [case for case in self.check(name, text).cases if Path(case.spot.file).name == name]
        return run_cases(cases, self._labels, self._debounce)

    def save(self, name: str, text: str, etag: str) -> RuleText:
        """Check, keep the old text in the history, and replace the file, all or nothing.

        Raises `EditConflictError` where the file is another than `etag` says, `ConfigProblems` where the
        rules are wrong, `ConfigError` where it cannot be written.
        """
        with self._lock:
            self._must_be(name, etag)
            self.check(name, text)
            before = self._must_be(name, etag)
            after = RuleText(name, text)
            if after.text != before.text:
                folder = self._folder(name)
                last = max((int(path.stem) for path in _versions(folder)), default=0)
                kept = folder / f"{max(int(self._wall() * 1000), last + 1):013}.toml"
                write_all(
                    [NewFile(kept, before.text.encode(), PRIVATE), NewFile(self._path(name), text.encode())]
                )
                self._forget_oldest(folder)
            return after

    def versions(self, name: str) -> list[RuleVersion]:
        """The texts before, the newest first."""
        self._path(name)
        return [
            RuleVersion(path.stem, int(path.stem), path.stat().st_size)
            for path in reversed(_versions(self._folder(name)))
        ]

    def version(self, name: str, version: str) -> RuleText:
        """One of them. Raises `NoSuchRuleFileError`."""
        path = next((path for path in _versions(self._folder(name)) if path.stem == version), None)
        if path is None:
            raise NoSuchRuleFileError(f"{name} has no version {version[:40]}; the last {KEPT} are kept")
        return _text(path, name)

    def _must_be(self, name: str, etag: str) -> RuleText:
        now = self.read(name)
        if now.etag != etag:
            raise EditConflictError(now)
        return now

    def _paths(self) -> list[Path]:
        try:
            return rule_paths(self._source)
        except OSError as exc:
            raise ConfigError(f"{self._source}: {exc.strerror}") from exc

    def _path(self, name: str) -> Path:
        """Only names from the list lead to a file."""
        for path in self._paths():
            if path.name == name:
                return path
        raise NoSuchRuleFileError(
            f"there is no rule file {name[:80]!r}; there: {', '.join(self.names()) or 'none'}"
        )

    def _folder(self, name: str) -> Path:
        return self._history / quote(name, safe="")

    def _forget_oldest(self, folder: Path) -> None:
        for path in _versions(folder)[:-KEPT]:
            path.unlink(missing_ok=True)

    def _new_commands(self, after: RuleSet) -> str | None:
        """The first rule that starts a program, with arguments, that the files on the disk do not start."""
        wanted = _commands(after)
        if not wanted:
            return None
        try:
            now = read_rules(self._source, self._labels, self._debounce, self._cameras).rule_set
        except ConfigProblems:  # nothing is known of the files: no program is
            now = RuleSet()
        allowed = {command for commands in _commands(now).values() for command in commands}
        return next((rule for rule, commands in wanted.items() if not commands <= allowed), None)


def _commands(rule_set: RuleSet) -> dict[str, set[tuple[str, tuple[tuple[str, str], ...]]]]:
    """Rule id: programs with their arguments; of rules that start any."""
    found = {
        rule.id: {(do.target, do.options) for do in rule.do if do.kind == "command"}
        for rule in rule_set.rules
    }
    return {rule: commands for rule, commands in found.items() if commands}


def _text(path: Path, name: str) -> RuleText:
    try:
        return RuleText(name, read_bytes(path, MAX_FILE_BYTES).decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{name} is not UTF-8 text; save it as UTF-8 on the machine itself") from exc
    except OSError as exc:
        raise ConfigError(f"{name}: {exc.strerror}") from exc


def _versions(folder: Path) -> list[Path]:
    """The oldest first."""
    try:
        return visible_files(folder, lambda name: name.endswith(".toml") and name[:-5].isdecimal())
    except OSError:
        return []


def _named(problem: Problem, trial: Path) -> Problem:
    """With the file's own name instead of its place during the check."""
    inside = f"{trial}/"
    return replace(problem, file=problem.file.replace(inside, ""), text=problem.text.replace(inside, ""))

"""Rule files as text for the browser: read, checked with the daemon's loader, saved with a history."""

from __future__ import annotations

import hashlib
import itertools
import re
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from agent.config.atomic_file import NewFile, write_all
from agent.config.file_watcher import rule_paths
from agent.config.problems import ConfigProblems, Problem
from agent.config.regular_file import read_bytes
from agent.config.rules.cases import CaseResult, run_cases
from agent.config.rules.files import LoadedRules, read_rules
from agent.config.settings import DebounceSettings
from agent.config.text_history import KEPT, RULES, TextHistory, TextVersion
from agent.config.toml_document import MAX_FILE_BYTES
from agent.core.rules import RuleSet
from agent.core.types import NO_GESTURE
from agent.errors import ConfigError

NEW_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,58}\.toml")

Template: TypeAlias = Callable[[str, str, str], str]
"""Rule id, gesture and what it does ("lamp:TOPIC"): the text of a new file. Raises `ConfigError`."""


class NoSuchRuleFileError(ConfigError):
    """There is no rule file, or no version, of that name."""


class EditConflictError(ConfigError):
    """The file is another than the one that was read, or there already; `now` is what it holds."""

    def __init__(self, now: RuleText, what: str = "was changed meanwhile") -> None:
        self.now = now
        super().__init__(f"{now.name} {what}; nothing was saved")


@dataclass(frozen=True, slots=True)
class RuleText:
    """A rule file as it is; `etag` changes with every change of its bytes."""

    name: str
    text: str

    @property
    def etag(self) -> str:
        """As HTTP quotes it."""
        return f'"{hashlib.sha256(self.text.encode()).hexdigest()[:32]}"'


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
        template: Template,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """As `read_rules`; `state` is the state folder, in which the history is kept."""
        self._source, self._labels, self._debounce = source, tuple(labels), debounce
        self._cameras, self._template, self._history = cameras, template, TextHistory(state / RULES, wall)
        self._lock = threading.Lock()

    @property
    def gestures(self) -> list[str]:
        """Those that a rule may name."""
        return [label for label in self._labels if label != NO_GESTURE]

    def names(self) -> list[str]:
        """In the order in which they are read. Raises `ConfigError`."""
        return [path.name for path in self._paths()]

    def deleted(self) -> list[str]:
        """Files of which only earlier versions are there."""
        there = self.names()
        return [name for name in self._history.names() if name not in there]

    def template(self, name: str, gesture: str, does: str) -> str:
        """A text for a new file: one rule, of an id that is free, and its case. Raises `ConfigError`."""
        if gesture not in self.gestures:
            raise ConfigError(f'no gesture "{gesture[:40]}"; known: {", ".join(self.gestures)}')
        stem = self._new_path(name).stem.replace("_", "-")
        taken = {rule.id for rule in self._rules_now().rules}
        ids = (stem if number == 1 else f"{stem}-{number}" for number in itertools.count(1))
        return self._template(next(free for free in ids if free not in taken), gesture, does)

    def read(self, name: str) -> RuleText:
        """Raises `NoSuchRuleFileError`, and `ConfigError` where it cannot be read."""
        return _text(self._path(name), name)

    def check(self, name: str, text: str) -> LoadedRules:
        """What all rule files say with this text in the place of that file, which may be a new one.

        Raises `ConfigProblems`.
        """
        self._path(name, or_new=True)
        return self._checked({name: text})

    def _checked(self, changes: Mapping[str, str | None]) -> LoadedRules:
        """What all rule files say with other texts, or without those that are None."""
        texts = {path.name: path for path in self._paths()}
        with tempfile.TemporaryDirectory(prefix="gesture-agent-rules-") as folder:
            trial = Path(folder)
            for other in {**texts, **changes}:
                text = changes.get(other)
                if text is not None:
                    (trial / other).write_bytes(text.encode())
                elif other not in changes:
                    (trial / other).write_bytes(read_bytes(texts[other], MAX_FILE_BYTES))
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
                kept = self._history.next_version(name, before.text)
                write_all([kept, NewFile(self._path(name), text.encode())])
                self._history.forget_oldest(name)
            return after

    def create(self, name: str, text: str) -> RuleText:
        """Check the rules and write a new file. A file that is there is never replaced.

        Raises `EditConflictError` where there is one, `ConfigProblems` where the rules are wrong,
        `ConfigError` where it cannot be written.
        """
        with self._lock:
            path = self._new_path(name)
            self._checked({name: text})
            try:
                write_all([NewFile(path, text.encode(), must_be_new=True)])
            except ConfigError as exc:
                if path.exists():
                    raise self._there(path) from exc
                raise
            return RuleText(name, text)

    def delete(self, name: str, etag: str) -> None:
        """Remove a file; its text becomes the newest of its earlier versions.

        Raises `ConfigError` for the only file of the settings, and what `save` raises.
        """
        with self._lock:
            self._must_be(name, etag)
            if self._paths() == [self._source]:
                raise ConfigError(f"{name} is the only rule file of the settings; empty it in place of that")
            self._checked({name: None})
            before = self._must_be(name, etag)
            write_all([self._history.next_version(name, before.text)])
            try:
                self._path(name).unlink()
            except OSError as exc:
                raise ConfigError(f"{name}: {exc.strerror}; nothing was deleted") from exc
            self._history.forget_oldest(name)

    def versions(self, name: str) -> list[TextVersion]:
        """The texts before, the newest first."""
        return self._history.versions(self._known(name))

    def version(self, name: str, version: str) -> RuleText:
        """One of them. Raises `NoSuchRuleFileError`."""
        path = self._history.path(self._known(name), version)
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

    def _path(self, name: str, *, or_new: bool = False) -> Path:
        """Only names from the list lead to a file, and those that a new one may have where it is wanted."""
        for path in self._paths():
            if path.name == name:
                return path
        if or_new:
            return self._new_path(name)
        raise NoSuchRuleFileError(
            f"there is no rule file {name[:80]!r}; there: {', '.join(self.names()) or 'none'}"
        )

    def _known(self, name: str) -> str:
        """A name that is there, or was. Raises `NoSuchRuleFileError`."""
        return name if name in self.deleted() else self._path(name).name

    def _new_path(self, name: str) -> Path:
        """Where a new file would be. Raises `ConfigError`, and `EditConflictError` where there is one."""
        if not NEW_NAME.fullmatch(name):
            raise NoSuchRuleFileError(
                f"{name[:80]!r} cannot be the name of a new rule file; expected a-z, 0-9, - and _, "
                'then ".toml": lamp.toml'
            )
        if not self._source.is_dir():
            raise ConfigError(
                f"agent.rules is the single file {self._source.name}; set it to a folder to have several"
            )
        path = self._source / name
        if path.exists() or path.is_symlink():
            raise self._there(path)
        return path

    def _there(self, path: Path) -> EditConflictError:
        return EditConflictError(_text(path, path.name), "is there already")

    def _rules_now(self) -> RuleSet:
        """The rules on the disk; none where they are wrong."""
        try:
            return read_rules(self._source, self._labels, self._debounce, self._cameras).rule_set
        except ConfigProblems:
            return RuleSet()

    def _new_commands(self, after: RuleSet) -> str | None:
        """The first rule that starts a program, with arguments, that the files on the disk do not start."""
        wanted = _commands(after)
        if not wanted:
            return None
        now = _commands(self._rules_now())  # where nothing is known of the files, no program is
        allowed = {command for commands in now.values() for command in commands}
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


def _named(problem: Problem, trial: Path) -> Problem:
    """With the file's own name instead of its place during the check."""
    inside = f"{trial}/"
    return replace(problem, file=problem.file.replace(inside, ""), text=problem.text.replace(inside, ""))

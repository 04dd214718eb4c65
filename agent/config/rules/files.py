"""Reads rule files into core rules, and reports all problems of all files at once."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from agent.config.file_watcher import rule_paths
from agent.config.permissions import open_to_all
from agent.config.problems import ConfigProblems, Problem
from agent.config.renamed_keys import RENAMED_RULE_KEYS, with_new_names
from agent.config.rules.building import build_rule_set
from agent.config.rules.cases import Case
from agent.config.rules.grammar import KNOWN, RuleFile
from agent.config.rules.overlaps import overlaps
from agent.config.settings import AS_WRITTEN, DebounceSettings
from agent.config.toml_document import KeyPath, SourcePosition, TomlDocument, read
from agent.config.validation import problems_of
from agent.core.rules import ANY, RuleSet
from agent.core.types import NO_GESTURE

MAX_FILES = 100
MAX_BYTES = 4_000_000  # in all files
MAX_RULES = 1000  # in all files: every pair is compared when rules are loaded
MAX_WARNINGS = 20
_DANGER = "rules start programs"

_Known: TypeAlias = Mapping[str, Collection[str] | None]


@dataclass(frozen=True)
class LoadedRules:
    """Rules, test cases and warnings read from the rule files."""

    rule_set: RuleSet = field(default_factory=RuleSet)
    cases: tuple[Case, ...] = ()
    spots: Mapping[str, SourcePosition] = field(default_factory=dict)  # rule id: position in its file
    files: tuple[Path, ...] = ()
    warnings: tuple[Problem, ...] = ()


def read_rules(
    source: Path, labels: Sequence[str], debounce: DebounceSettings, cameras: Collection[str] | None = None
) -> LoadedRules:
    """Read all `*.toml` of a folder in name order, or one file. Raises `ConfigProblems`.

    `labels` are the classifier's, taught ones included. `cameras` are the configured names; None accepts any.
    Zones, the wake gesture and rule ids are shared by all files.
    """
    paths = _paths(source)
    problems = [problem for path in (source, *paths) for problem in open_to_all(path, _DANGER)]
    old_names: list[Problem] = []
    written = list(_parse(paths, problems, old_names))
    known: _Known = {
        "gesture": [*(label for label in labels if label != NO_GESTURE), ANY],
        "zone": None if len(written) < len(paths) else [name for one in written for name in _zones(one)],
        "camera": cameras,
    }
    files = list(_validate(written, known, problems))
    if (count := sum(len(file.rule) for _, file in files)) > MAX_RULES:
        problems.append(Problem(str(source), 0, 0, f"holds {count} rules; at most {MAX_RULES} are read"))
    problems += _said_twice(written)
    problems += _never_true(files)
    if problems:
        raise ConfigProblems(problems)
    loaded = _bind(files, tuple(paths), debounce)
    return replace(loaded, warnings=(*old_names[:MAX_WARNINGS], *loaded.warnings))


def _paths(source: Path) -> list[Path]:
    """The files to read. Raises `ConfigProblems`; a folder that cannot be listed does not count as empty."""
    try:
        paths = rule_paths(source)
    except FileNotFoundError as exc:
        text = "is not there; make the folder, or set agent.rules"
        raise ConfigProblems([Problem(str(source), 0, 0, text)]) from exc
    except OSError as exc:
        text = f"cannot be read: {exc.strerror}; the agent must be able to enter and list it"
        raise ConfigProblems([Problem(str(source), 0, 0, text)]) from exc
    if len(paths) > MAX_FILES:
        text = f"holds {len(paths)} rule files; at most {MAX_FILES} are read"
        raise ConfigProblems([Problem(str(source), 0, 0, text)])
    if (size := sum(map(_size, paths))) > MAX_BYTES:
        text = f"holds {size} bytes of rule files; at most {MAX_BYTES} are read"
        raise ConfigProblems([Problem(str(source), 0, 0, text)])
    return paths


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # reported when it is read
        return 0


def _parse(
    paths: Sequence[Path], problems: list[Problem], old_names: list[Problem]
) -> Iterator[TomlDocument]:
    for path in paths:
        try:
            document, warnings = with_new_names(read(path), RENAMED_RULE_KEYS)
            old_names += warnings
            yield document
        except ConfigProblems as exc:
            problems += exc.problems


def _validate(
    written: Sequence[TomlDocument], known: _Known, problems: list[Problem]
) -> Iterator[tuple[TomlDocument, RuleFile]]:
    context = {AS_WRITTEN: True, KNOWN: {kind: names for kind, names in known.items() if names is not None}}
    for located in written:
        try:
            yield located, RuleFile.model_validate(located.data, context=context)
        except ValidationError as exc:
            problems += problems_of(exc, RuleFile, located)


def _said_twice(written: Sequence[TomlDocument]) -> Iterator[Problem]:
    """Problems for rule ids, zones or wake gestures defined more than once in all files."""
    first: dict[tuple[str, str], SourcePosition] = {}
    for located in written:
        for kind, name, path in _names(located):
            spot = located.spot(path)
            before = first.setdefault((kind, name), spot)
            if before != spot:
                yield located.problem(path, f'{kind} "{name}" is there already: {before.file}:{before.line}')


def _never_true(files: Sequence[tuple[TomlDocument, RuleFile]]) -> Iterator[Problem]:
    """Problems for rules whose zone belongs to another camera than the rule's."""
    zones = {name: zone for _, file in files for name, zone in file.zone.items()}
    for located, file in files:
        for index, rule in enumerate(file.rule):
            zone = zones.get(rule.when.zone or "")
            if zone and zone.camera and rule.when.camera not in {None, zone.camera}:
                text = f'zone "{rule.when.zone}" is of camera "{zone.camera}", not "{rule.when.camera}"'
                yield located.problem(("rule", index, "when", "zone"), text)


def _names(located: TomlDocument) -> Iterator[tuple[str, str, KeyPath]]:
    rules = located.data.get("rule")
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        if isinstance(rule, dict) and isinstance(rule.get("id"), str):
            yield "rule", rule["id"], ("rule", index, "id")
    for zone in _zones(located):
        yield "zone", zone, ("zone", zone)
    if "wake" in located.data and located.data.get("enabled") is not False:
        yield "table", "wake", ("wake",)


def _zones(located: TomlDocument) -> list[Any]:
    zones = located.data.get("zone")
    return list(zones) if isinstance(zones, dict) else []


def _bind(
    files: Sequence[tuple[TomlDocument, RuleFile]], paths: tuple[Path, ...], debounce: DebounceSettings
) -> LoadedRules:
    zones = {name: zone for _, file in files for name, zone in file.zone.items()}
    wakes = [file.wake for _, file in files if file.wake and file.enabled]
    wake = wakes[0] if wakes else None
    rules = [rule for _, file in files if file.enabled for rule in file.rule]
    rule_set = build_rule_set(rules, zones, wake, debounce)
    spots = {
        rule.id: located.spot(("rule", index, "id"))
        for located, file in files
        for index, rule in enumerate(file.rule)
    }
    cases = [
        Case(
            case, build_rule_set(file.rule, zones, file.wake or wake, debounce), located.spot(("case", index))
        )
        for located, file in files
        for index, case in enumerate(file.case)
    ]
    return LoadedRules(rule_set, tuple(cases), spots, paths, tuple(_warnings(rule_set, spots)))


def unusable_key_rules(rule_set: RuleSet) -> str | None:
    """Return a warning for rules that press keys although `actions.keys` is off; None without such rules."""
    ids = [rule.id for rule in rule_set.rules if any(do.kind == "key" for do in rule.do)]
    if not ids:
        return None
    return f"{', '.join(ids)} would press keys, but actions.keys is false: set it to true, or nothing happens"


def _warnings(rule_set: RuleSet, spots: Mapping[str, SourcePosition]) -> Iterator[Problem]:
    """The first warnings on overlaps; further ones have the same cause."""
    found = overlaps(rule_set, spots)
    for late, text in itertools.islice(found, MAX_WARNINGS):
        yield Problem(spots[late].file, spots[late].line, spots[late].column, text)
    if late_text := next(found, None):
        yield Problem(spots[late_text[0]].file, 0, 0, "more overlaps like these; only the first are told")

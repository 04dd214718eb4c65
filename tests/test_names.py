"""One name, one meaning: what a name stands for is found by searching for it."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Words of stories, as whole words of an identifier; the field has a term for each.
METAPHORS = {
    "bury", "deed", "deeds", "eyes", "fares", "farewell", "gallery", "glance", "goodbye",
    "kitchen", "mind", "misfits", "pulse", "rehearsal", "sight", "sights", "talk", "unheard",
    "upkeep", "vitals", "wish", "workshop",
}  # fmt: skip


def trees() -> dict[Path, ast.Module]:
    paths = sorted((ROOT / "agent").rglob("*.py"))
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def identifiers(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name():
                names.add(node.id)
            case ast.Attribute():
                names.add(node.attr)
            case ast.arg():
                names.add(node.arg)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
    return names


def words(identifier: str) -> set[str]:
    """`_CameraTalk` and `camera_talk` -> {"camera", "talk"}."""
    spaced = "".join(f"_{c}" if c.isupper() else c for c in identifier)
    return {part.lower() for part in spaced.split("_") if part}


def test_no_public_class_is_defined_twice():
    found = defaultdict(list)
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


def test_names_are_the_fields_terms():
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path, tree in trees().items()
        for name in identifiers(tree)
        if words(name) & METAPHORS
    }
    assert sorted(found) == []


def test_engines_holds_networks_and_nothing_that_runs():
    assert [str(path.relative_to(ROOT)) for path in (ROOT / "engines").rglob("*.py")] == []


def test_test_modules_have_names_of_their_own():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert {name for name in names if names.count(name) > 1} == set()

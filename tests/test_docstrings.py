"""Docstrings of public functions name the errors that the function itself raises."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
Function = ast.FunctionDef | ast.AsyncFunctionDef

# Not a promise to callers: how Python's protocols and frameworks are told something.
PROTOCOL = {"NotImplementedError", "StopIteration", "AttributeError", "AssertionError", "SystemExit"}


def modules() -> list[tuple[Path, ast.Module]]:
    return [
        (path, ast.parse(path.read_text(encoding="utf-8"))) for path in sorted((ROOT / "agent").rglob("*.py"))
    ]


def families() -> dict[str, set[str]]:
    """Every error class with all its bases, by name."""
    bases: dict[str, set[str]] = {
        name: {base.__name__ for base in kind.__mro__}
        for name, kind in vars(builtins).items()
        if isinstance(kind, type) and issubclass(kind, BaseException)
    }
    ours = {
        node.name: [
            base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases
        ]
        for _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    for _ in range(6):  # generations
        for name, parents in ours.items():
            if any(parent in bases for parent in parents):
                bases[name] = {name}.union(*(bases.get(parent, {parent}) for parent in parents))
    return bases


def public_functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    for node in tree.body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for inner in node.body:
                if isinstance(inner, Function) and not inner.name.startswith("_"):
                    yield f"{node.name}.{inner.name}", inner


def is_command(function: Function) -> bool:
    """Whether the docstring is the help text of a command, which says nothing of exceptions."""
    kinds = {name.id for name in ast.walk(function.args) if isinstance(name, ast.Name)}
    return "Annotated" in kinds or "ConfigFile" in kinds


def raised(function: Function) -> set[str]:
    """Names of the errors that escape from the function's own `raise` statements."""
    found: set[str] = set()

    def visit(node: ast.AST, caught: frozenset[str]) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() if node is not function:
                return
            case ast.Raise(exc=ast.Call(func=ast.Name(id=name)) | ast.Name(id=name)):
                if name not in caught:
                    found.add(name)
            case ast.Try():
                kinds = frozenset(
                    name.id
                    for handler in node.handlers
                    for name in ast.walk(handler.type or ast.Name("Exception"))
                    if isinstance(name, ast.Name)
                )
                for part in node.body:
                    visit(part, caught | kinds)
                for part in (*node.handlers, *node.orelse, *node.finalbody):
                    visit(part, caught)
                return
        for child in ast.iter_child_nodes(node):
            visit(child, caught)

    visit(function, frozenset())
    return found


def test_public_functions_name_the_errors_that_they_raise():
    kinds = families()
    silent = [
        f"{path.relative_to(ROOT)}:{function.lineno}: {name} raises {error}"
        for path, tree in modules()
        for name, function in public_functions(tree)
        if not is_command(function)
        for error in sorted(raised(function) & kinds.keys() - PROTOCOL)
        if not any(f"`{kind}`" in (ast.get_docstring(function) or "") for kind in kinds[error])
    ]
    assert silent == []

"""A document that names a test as its proof names one that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROOF = re.compile(r"(tests/[\w/]+\.py)::(\w+)")


@pytest.mark.parametrize("name", ["results/guarantees.md", "architecture/threat-model.md"])
def test_every_proof_is_a_test_that_exists(name: str):
    proofs = PROOF.findall((ROOT / "docs" / name).read_text(encoding="utf-8"))
    assert len(proofs) > 20
    missing = [f"{file}::{test}" for file, test in proofs if test not in _tests_of(ROOT / file)]
    assert missing == []


def _tests_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}

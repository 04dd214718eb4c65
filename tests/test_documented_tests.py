"""Tests that the documents name as proof are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if "`test" in page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    files = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py")}
    paths = set(re.findall(r"`(tests/[\w/]+\.py)`", text))
    assert sorted(path for path in paths if not (ROOT / path).is_file()) == []
    assert sorted(set(re.findall(r"`(?:[\w/]*/)?(test_\w+\.py)`", text)) - set(files)) == []
    functions = set(re.findall(r"`(test_\w+)`", text))
    written = "\n".join(files.values())
    assert sorted(name for name in functions if f"def {name}(" not in written) == []

"""The recipe writes what it measured into the model cards, and nothing else of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.inference.manifest import load_manifest
from training.gestures.card import table, write_between

CARD = "# net\n\nBefore.\n\n<!-- figures -->\n\nold\n\n<!-- /figures -->\n\nAfter.\n"


def test_figures_go_between_their_marks(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text(CARD, encoding="utf-8")
    for text in ("| \\1 | 0.9 |", "new"):  # a second time as the first; no text is a pattern
        write_between(card, "figures", text)
        assert card.read_text(encoding="utf-8") == CARD.replace("old", text)


def test_a_card_without_marks_is_left_alone(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("# net\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="<!-- figures -->"):
        write_between(card, "figures", "new")
    assert card.read_text(encoding="utf-8") == "# net\n"


def test_a_table_is_markdown() -> None:
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


@pytest.mark.parametrize("name", ["gesturenet", "gesturenet-landmark"])
def test_both_cards_have_room_for_them(name: str) -> None:
    card = (load_manifest(name).folder / "README.md").read_text(encoding="utf-8")
    assert card.count("<!-- figures -->") == card.count("<!-- /figures -->") == 1

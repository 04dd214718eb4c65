from pathlib import Path

import pytest

from agent.core.types import LABELS
from agent.errors import ConfigError
from agent.evaluation.photographs import read_photographs


def listing(folder: Path, text: str) -> Path:
    (folder / "a.jpg").write_bytes(b"")
    path = folder / "list.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_boxes_and_sources_are_optional(tmp_path: Path):
    (photograph,) = read_photographs(listing(tmp_path, "path,label\na.jpg,ok\n"), tmp_path, LABELS)
    assert (photograph.label, photograph.box, photograph.source) == ("ok", None, "")


def test_a_box_is_read_in_pixels(tmp_path: Path):
    text = "path,label,box_xyxy,source\na.jpg,ok,1 2 30.5 40,lab\n"
    (photograph,) = read_photographs(listing(tmp_path, text), tmp_path, LABELS)
    assert photograph.box == (1, 2, 30.5, 40)
    assert photograph.source == "lab"


def test_ambiguous_pictures_are_not_judged(tmp_path: Path):
    text = "path,label\na.jpg,exclude\na.jpg,fist\n"
    assert [p.label for p in read_photographs(listing(tmp_path, text), tmp_path, LABELS)] == ["fist"]


def test_every_bad_row_is_named_at_once(tmp_path: Path):
    text = "path,label,box_xyxy\na.jpg,thumb,\nb.jpg,ok,\na.jpg,ok,9 9 1 1\n"
    with pytest.raises(ConfigError) as caught:
        read_photographs(listing(tmp_path, text), tmp_path, LABELS)
    message = str(caught.value)
    assert "list.csv:2: column label: 'thumb'; expected one of thumbs_up" in message
    assert "list.csv:3:" in message
    assert "no such file" in message
    assert "list.csv:4: column box_xyxy: '9 9 1 1'" in message


@pytest.mark.parametrize("text", ["", "file,label\na.jpg,ok\n"])
def test_a_list_without_its_columns_says_which_it_wants(tmp_path: Path, text: str):
    with pytest.raises(ConfigError, match=r"expected path,label .* missing .*path"):
        read_photographs(listing(tmp_path, text), tmp_path, LABELS)


def test_a_list_with_nothing_to_judge_is_an_error(tmp_path: Path):
    with pytest.raises(ConfigError, match="no row to judge"):
        read_photographs(listing(tmp_path, "path,label\na.jpg,exclude\n"), tmp_path, LABELS)


def test_a_missing_list_says_what_was_expected(tmp_path: Path):
    with pytest.raises(ConfigError, match="expected a CSV file"):
        read_photographs(tmp_path / "none.csv", tmp_path, LABELS)

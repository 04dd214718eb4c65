from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.core.types import LABELS
from agent.errors import ConfigError
from agent.evaluation.label_table import read_table
from agent.evaluation.photographs import read_photographs
from agent.evaluation.truth import read_truth


def saved(folder: Path, content: bytes) -> Path:
    for name in ("a.jpg", "küche.jpg"):
        cv2.imencode(".jpg", np.zeros((40, 60, 3), np.uint8))[1].tofile(folder / name)
    (folder / "list.csv").write_bytes(content)
    return folder / "list.csv"


@pytest.mark.parametrize(
    "content",
    [
        "path,label\nküche.jpg,ok\n".encode(),
        "path,label\r\nküche.jpg,ok\r\n".encode("utf-8-sig"),
        "path,label\r\nküche.jpg,ok\r\n".encode("cp1252"),
        "path,label\r\nküche.jpg,ok\r\n".encode("utf-16"),
        "path;label\r\nküche.jpg;ok\r\n".encode(),
        "sep=;\r\npath;label\r\nküche.jpg;ok\r\n".encode("cp1252"),
        "path\tlabel\nküche.jpg\tok\n\n".encode(),
        "Path , Label\nküche.jpg, OK ,,\n".encode(),
        '"path","label"\n"küche.jpg","ok"\n'.encode(),
    ],
)
def test_a_list_is_read_as_any_spreadsheet_saves_it(tmp_path: Path, content: bytes):
    (photograph,) = read_photographs(saved(tmp_path, content), tmp_path, LABELS)
    assert (photograph.path.name, photograph.label) == ("küche.jpg", "ok")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'path,label\na.jpg,ok\n"kue\n', r'list\.csv:3:1: a quote \("\) opens here and is never closed'),
        (b'path,label\na.jpg,"o"k\n', r"list\.csv:2:7: .*inside quotes a quote is written twice"),
        (b"path,label\na.jpg,ok,left,right\n", r"list\.csv:2: 4 fields, the header has 2"),
        (b"path,label\na\x81.jpg,ok\n", r"list\.csv:2:2: byte 0x81 is no text"),
        (b"PK\x03\x04\0\0 a spreadsheet itself", r"list\.csv:1:5: byte 0x00 is no text"),
        (b'path,label,box_xyxy\na.jpg,ok,"nan nan nan nan"\n', r"list\.csv:2: column box_xyxy: 'nan nan"),
        (b"path,label,box_xyxy\na.jpg,ok,1 2 inf 9\n", r"list\.csv:2: column box_xyxy: .* in pixels"),
        (b"path,label,box_xyxy\na.jpg,ok,-9 -9 -1 -1\n", r"lies outside the picture \(60 x 40 pixels\)"),
        (b"path,label,box_xyxy\na.jpg,ok,60 0 90 9\n", r"lies outside the picture \(60 x 40 pixels\)"),
    ],
)
def test_what_cannot_be_read_is_reported_with_its_place(tmp_path: Path, content: bytes, said: str):
    with pytest.raises(ConfigError, match=said):
        read_photographs(saved(tmp_path, content), tmp_path, LABELS)


def test_a_field_may_go_over_several_lines(tmp_path: Path):
    table = read_table(saved(tmp_path, b'path,label\n"a\nb",ok\nc,fist\n'))
    assert [(row.line, row.values["path"]) for row in table.rows] == [(2, "a\nb"), (4, "c")]


def test_times_with_decimal_commas_are_read(tmp_path: Path):
    path = saved(tmp_path, b"gesture;from_s;to_s\r\nok;0,5;1,25\r\n")
    assert [(s.from_s, s.to_s) for s in read_truth(path, LABELS)[None]] == [(0.5, 1.25)]


def test_times_that_are_no_numbers_are_reported(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"line 2 lacks or garbles .nan. is not a number"):
        read_truth(saved(tmp_path, b"gesture,from_s,to_s\nok,0,nan\n"), LABELS)

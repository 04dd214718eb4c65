import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console
from verdicts import said, unreadable, unseen

from agent.core.thresholds import Thresholds
from agent.evaluation.calibration import calibrate
from agent.evaluation.figures import figures
from agent.evaluation.plots import confusion_svg, reliability_svg
from agent.evaluation.report import write_report
from agent.evaluation.report_text import as_json, show
from agent.evaluation.result import Evaluation

LABELS = ("ok", "two", "random")
SVG = "{http://www.w3.org/2000/svg}"


def parsed(drawing: str) -> ET.Element:
    return ET.fromstring(drawing)  # noqa: S314, it is our own


def evaluation(verdicts: list) -> Evaluation:
    at = Thresholds(confidence=0.85)
    return Evaluation(model="net", stage="crop", labels=LABELS, thresholds=at, verdicts=verdicts)


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "hand <1>.png"
    cv2.imwrite(str(path), np.full((120, 200, 3), 90, np.uint8))
    return path


def test_json_has_the_keys_that_programs_ask_for():
    facts = as_json(
        evaluation([said("ok", "ok", 0.9), said("two", "ok", 0.6, source="street"), unseen("ok")])
    )
    assert (facts["model"], facts["stage"], facts["images"], facts["found"]) == ("net", "crop", 3, 2)
    assert facts["per_class"]["ok"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    assert facts["confusion"]["ok"] == {"ok": 1, "two": 0, "random": 1}
    assert facts["sources"]["street"]["macro_f1"] == 0.0
    assert (facts["calibration"]["passed"], facts["calibration"]["mistaken"]) == (0.3333, 0.0)
    assert facts["calibration"]["bins"][-1] == {"probability": 0.9, "accuracy": 1.0, "images": 1}


def test_files_that_are_no_pictures_are_reported_and_not_judged():
    result = evaluation([said("ok", "ok", 0.9), unreadable("two")])
    assert as_json(result)["images"] == 1
    assert as_json(result)["unreadable"] == ["nowhere.jpg"]
    assert result.figures.macro_f1 == result.sources["lab"].macro_f1 == 1.0


def test_people_are_told_what_the_confidence_lets_through():
    console = Console(record=True, width=200, force_terminal=False)
    show(console, evaluation([said("ok", "ok", 0.9), said("two", "ok", 0.95), unreadable("two")]))
    text = console.export_text()
    assert "1 files could not be read as pictures" in text
    assert "at confidence 0.85 50.0% of the gestures pass, and 50.0% of the photographs pass as" in text


def test_the_page_shows_the_surest_mistakes_first_and_the_diagrams_lie_beside_it(tmp_path, photograph):
    unsure, sure = said("two", "ok", 0.6, path=photograph), said("random", "ok", 0.97, path=photograph)
    page = write_report(tmp_path / "report", evaluation([unsure, sure, said("ok", "ok", 0.9)]))
    text = page.read_text(encoding="utf-8")
    assert text.index("random taken for <b>ok</b> 0.97") < text.index("two taken for <b>ok</b> 0.60")
    assert text.count("data:image/jpeg;base64,") == 2
    assert "hand &lt;1&gt;.png" in text
    for name in ("confusion.svg", "reliability.svg"):
        alone = (page.parent / name).read_text(encoding="utf-8")
        assert alone in text
        assert parsed(alone).tag == SVG + "svg"


def test_the_matrix_has_a_row_for_each_class_that_occurs():
    drawn = parsed(confusion_svg(figures(LABELS, [("ok", "ok"), ("ok", "two"), ("two", "two")], 3)))
    assert len(drawn.findall(SVG + "rect")) == 2 * len(LABELS)
    shades = [rect.get("fill") for rect in drawn.findall(SVG + "rect")]
    assert shades[0] == "rgba(37, 126, 61, 0.48)"  # half of the oks, on the diagonal
    assert shades[1] == "rgba(190, 50, 40, 0.48)"  # the other half, off it


def test_a_dot_on_the_diagonal_means_what_it_says_and_a_modest_one_lies_above():
    honest = [said("ok", "ok", 0.5), said("ok", "two", 0.5)]
    modest = [said("ok", "ok", 0.75)] * 8
    drawn = parsed(reliability_svg(calibrate(honest + modest, LABELS, Thresholds())))
    diagonal, *_ = drawn.findall(SVG + "line")
    x1, y1, x2, y2 = (float(diagonal.get(key)) for key in ("x1", "y1", "x2", "y2"))
    on, above = drawn.findall(SVG + "circle")
    for dot, difference in ((on, 0.0), (above, 0.25)):
        x, y = float(dot.get("cx")), float(dot.get("cy"))
        assert (y1 - y) / (y1 - y2) - (x - x1) / (x2 - x1) == pytest.approx(difference, abs=0.005)
    assert float(above.get("r")) == pytest.approx(2 * float(on.get("r")))  # four times the photographs

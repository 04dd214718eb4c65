"""Sliders for thresholds in a real Chromium, on traces as the daemon writes them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from acting import AXE, faults, press, said
from browser import Browser, Tab, chromium, program
from film import Start
from visitors import Answer, ask

from agent.browser_tuning import BrowserTuning
from agent.config.load import load
from agent.config.settings import DebounceSettings
from agent.core.thresholds import thresholds_of
from agent.core.timestamps import rfc3339
from agent.core.trace import TraceHeader, TraceRecord
from agent.core.types import LABELS, HandObservation
from agent.installation.settings_file import SettingsFile
from agent.service.trace_files import FOLDER, TraceFile

SHOOTING = os.environ.get("GESTURE_AGENT_SCREENSHOTS")
TOKEN = "0123456789abcdef"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
WRITTEN = '# mine\n[debounce]\nhold = "300ms" # tried for a week\n'
FPS = 15
SHOWN = (("fist", 0.97), ("stop", 0.86), ("fist", 0.97))  # a second each, a second between

browsing = pytest.mark.skipif(program() is None, reason="no Chromium here; make test-web installs it")


def record_trace(folder: Path, began: float) -> None:
    """What the daemon would have written of `SHOWN`, from `began` in s since 1970."""
    folder.mkdir(parents=True, exist_ok=True)
    header = TraceHeader(100.0, LABELS, 0.15, thresholds_of(DebounceSettings()), started=rfc3339(began))
    with TraceFile(folder / f"{began:.0f}.jsonl", header) as file:
        for number in range(2 * FPS * len(SHOWN)):
            gesture, score = SHOWN[number // (2 * FPS)]
            shown = number % (2 * FPS) < FPS
            scores = np.full(len(LABELS), (1 - score) / (len(LABELS) - 1), np.float32)
            scores[LABELS.index(gesture)] = score
            at = 100.0 + number / FPS
            hand = HandObservation(at, "front", 0, "right", scores if shown else None)
            file.record(TraceRecord("frame", at, "front", (hand,)))


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(WRITTEN)
    path.chmod(0o600)
    return path


@pytest.fixture
def tuning(tmp_path: Path, settings: Path) -> BrowserTuning:
    file = SettingsFile(settings, {}, tmp_path / "state")
    return BrowserTuning(load(settings, {}).settings, file, {}, LABELS, tmp_path / "state")


@pytest.fixture
def url(start: Start, tuning: BrowserTuning, tmp_path: Path) -> str:
    record_trace(tmp_path / "state" / FOLDER, time.time() - 30)
    (tmp_path / "web-token").write_text(TOKEN, encoding="utf-8")
    return start(edit=True, token={"file": tmp_path / "web-token"}, tuning=tuning).page.url


Say = Callable[..., Answer]


@pytest.fixture
def say(url: str) -> Say:
    def said_to_it(method: str, path: str = "", body: Any = None, **headers: str) -> Answer:
        sent = None if body is None else json.dumps(body).encode()
        return ask(url, f"/api/tuning{path}", sent, method, **{**BEARER, **headers})

    return said_to_it


def starts(answer: Answer) -> list[tuple[str, str]]:
    assert answer.status == 200, answer.json
    return [(one["gesture"], one["with"]) for one in reversed(answer.json["starts"])]


def test_a_slider_shows_what_it_would_have_done(say: Say, settings: Path):
    assert starts(say("POST", "/evaluate", {"values": {}})) == [("fist", "both"), ("fist", "both")]
    lower = say("POST", "/evaluate", {"values": {"confidence_of.stop": 0.7}})
    assert starts(lower) == [("fist", "both"), ("stop", "then"), ("fist", "both")]
    longer = say("POST", "/evaluate", {"values": {"hold": 1.4}})
    assert starts(longer) == [("fist", "now"), ("fist", "now")]
    assert 5 < longer.json["seconds"] < 7
    assert time.time() * 1000 - 40_000 < longer.json["starts"][0]["at_ms"] < time.time() * 1000
    assert settings.read_text() == WRITTEN


def test_older_traces_do_not_count(say: Say, tmp_path: Path):
    record_trace(tmp_path / "state" / FOLDER, time.time() - 700)
    assert len(starts(say("POST", "/evaluate", {"values": {}}))) == 2


def test_what_is_saved_differs_by_its_values_alone(say: Say, settings: Path):
    state = say("GET").json
    values = {"hold": 0.5, "confidence_of.stop": 0.3, "intent.facing": 30}
    assert say("PUT", "", {"values": values}).status == 428
    late = say("PUT", "", {"values": values}, If_Match='"old"')
    assert (late.status, "changed meanwhile" in late.json["error"]) == (409, True)
    done = say("PUT", "", {"values": values}, If_Match=state["etag"])
    assert (done.status, done.json["restart"]) == (200, True)
    text = settings.read_text()
    assert text.startswith('# mine\n[debounce]\nhold = "500ms" # tried for a week\n')
    debounce = load(settings, {}).settings.debounce
    assert (debounce.hold, debounce.confidence_of["stop"], debounce.intent.facing) == (0.5, 0.3, 30)
    assert debounce.keep_confidence == 0.3  # never above what a gesture begins with
    assert debounce.confidence_of["fist"] == 0.75  # what was not touched is at its default


@pytest.mark.parametrize(
    "values", [{"hold": 9}, {"max_age": 1}, {"confidence_of.wink": 0.5}, {"intent.__class__": 1}]
)
def test_what_no_slider_says_is_refused(say: Say, values: dict[str, float], settings: Path):
    assert say("POST", "/evaluate", {"values": values}).status == 409
    assert say("PUT", "", {"values": values}, If_Match=say("GET").json["etag"]).status == 409
    assert settings.read_text() == WRITTEN


@pytest.mark.parametrize("body", [{}, {"values": 5}, {"values": {"hold": "1"}}, {"values": {"hold": True}}])
def test_what_are_no_values_is_refused(say: Say, body: Any):
    assert say("POST", "/evaluate", body).status == 400


def test_who_may_not_write_tunes_nothing(start: Start, url: str):
    closed = start().page.url
    for method, path in (("GET", ""), ("PUT", ""), ("POST", "/evaluate")):
        body = None if method == "GET" else b'{"values": {}}'
        assert ask(closed, f"/api/tuning{path}", body, method).status == 404
        assert ask(url, f"/api/tuning{path}", body, method).status == 401


def test_without_traces_it_says_how_to_get_them(tuning: BrowserTuning, start: Start, tmp_path: Path):
    (tmp_path / "web-token").write_text(TOKEN, encoding="utf-8")
    url = start(edit=True, token={"file": tmp_path / "web-token"}, tuning=tuning).page.url
    answer = ask(url, "/api/tuning/evaluate", b'{"values": {}}', "POST", **BEARER)
    assert answer.status == 409
    assert FOLDER in answer.json["error"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def opened(browser: Browser, url: str, width: int = 1280, **media: str) -> Tab:
    tab = browser.tab()
    tab.size(width, 844, mobile=width < 600)
    tab.media(prefers_reduced_motion="reduce", **media)
    tab.go(f"{url}tune#token={TOKEN}")
    said(tab, "sum", "2 gestures start as the agent runs, 2 with these")
    return tab


def key(tab: Tab, name: str) -> None:
    for kind in ("keyDown", "keyUp"):
        tab.send("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=37)


@browsing
def test_a_slider_is_moved_by_the_keyboard_saved_and_put_back(browser: Browser, url: str, settings: Path):
    tab = opened(browser, url)
    tab.run("document.getElementById('limit-confidence_of.stop').focus()")
    for _ in range(20):
        key(tab, "ArrowLeft")
    said(tab, "sum", "2 gestures start as the agent runs, 3 with these")
    assert "would have started as well" in tab.run("document.getElementById('starts').textContent")
    if SHOOTING:
        tab.picture(Path(SHOOTING) / "tune.png", whole=True)
    assert settings.read_text() == WRITTEN
    press(tab, "reset")
    said(tab, "sum", "2 gestures start as the agent runs, 2 with these")
    tab.run("document.getElementById('limit-confidence_of.stop').focus()")
    for _ in range(20):
        key(tab, "ArrowLeft")
    press(tab, "save")
    said(tab, "said", "Saved. The agent uses them once it has started again.")
    assert load(settings, {}).settings.debounce.confidence_of["stop"] == pytest.approx(0.7)
    assert tab.problems == []


@browsing
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_can_be_read_and_fits_in(browser: Browser, url: str, width: int, scheme: str):
    tab = opened(browser, url, width, prefers_color_scheme=scheme)
    tab.run("document.getElementById('limit-confidence_of.stop').focus()")
    for _ in range(20):
        key(tab, "ArrowLeft")
    said(tab, "sum", "3 with these")
    assert tab.run("document.documentElement.scrollWidth") == width
    assert faults(tab) == []
    names = [name for role, name in tab.accessibility() if role in {"slider", "button", "link"}]
    assert all(names)
    if not AXE.exists():
        pytest.skip("no axe-core here; make test-web installs it")

"""Teaching a gesture in a real Chromium: an agent that runs learns from its own camera."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from acting import AXE, camera_of_clip, faults, press, said, write
from browser import Browser, Tab, chromium, program
from daemons import daemon
from film import Start
from real_cameras import MjpegServer
from support.ports import free_port
from support.waiting import until
from visitors import ask

from agent.browser_teaching import BrowserTeaching
from agent.config.settings import RecognitionSettings
from agent.inference.gestures.taught import load_taught

SHOOTING = os.environ.get("GESTURE_AGENT_SCREENSHOTS")
TOKEN = "0123456789abcdef"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
START_S = 120.0  # the networks are loaded on a busy machine
SHOWN = slice(64, 84)  # frames of the clip in which a hand shows stop

browsing = pytest.mark.skipif(program() is None, reason="no Chromium here; make test-web installs it")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def camera() -> Iterator[MjpegServer]:
    server = camera_of_clip(SHOWN)
    yield server
    server.close()


@pytest.fixture
def teaching(tmp_path: Path, cache_dir: Path) -> BrowserTeaching:
    return BrowserTeaching(RecognitionSettings(), cache_dir, tmp_path / "state", ["front"])


@pytest.fixture
def url(start: Start, teaching: BrowserTeaching, tmp_path: Path) -> str:
    (tmp_path / "web-token").write_text(TOKEN, encoding="utf-8")
    return start(edit=True, token={"file": tmp_path / "web-token"}, teaching=teaching).page.url


def opened(browser: Browser, url: str, width: int = 1280, **media: str) -> Tab:
    tab = browser.tab()
    tab.size(width, 844, mobile=width < 600)
    tab.media(prefers_reduced_motion="reduce", **media)
    tab.go(f"{url}teach#token={TOKEN}")
    tab.until("document.getElementById('camera')?.value === 'front'", "the camera")
    return tab


@browsing
def test_a_gesture_is_refused_taught_and_known(
    browser: Browser, tmp_path: Path, cache_dir: Path, camera: MjpegServer
):
    port = free_port()
    (tmp_path / "rules").mkdir()
    (tmp_path / "web-token").write_text(TOKEN)
    (tmp_path / "web-token").chmod(0o600)
    config = tmp_path / "config.toml"
    config.write_text(
        f'[agent]\nrules = "rules"\nstate_dir = "state"\ncache_dir = "{cache_dir}"\n'
        f'[camera.front]\nsource = "{camera.url}"\n[mqtt]\nurl = "mqtt://127.0.0.1:1"\n'
        f"[web]\nenabled = true\nport = {port}\nedit = true\npreview = true\n"
        'token = { file = "web-token" }\n'
    )
    with daemon(config) as running:
        until(lambda: "web_page_ready" in running.said or running.process.poll(), "the page", START_S)
        tab = opened(browser, f"http://127.0.0.1:{port}/")
        write(tab, "gesture", "stop")
        press(tab, "start")
        said(tab, "said", "stop is built in; tick the box to adapt it to your hand")
        write(tab, "gesture", "palm")
        press(tab, "start")
        tab.until("!document.getElementById('count').hidden", "the countdown")
        tab.until("document.getElementById('progress').value > 3", "examples", START_S)
        if SHOOTING:
            tab.picture(Path(SHOOTING) / "teach.png", whole=True)
        said(tab, "said", "palm looks like stop", START_S)
        assert load_taught(tmp_path / "state") is None
        press(tab, "force")
        press(tab, "start")
        said(tab, "said", "palm: learned from 25 hands", START_S)
        taught = load_taught(tmp_path / "state")
        assert taught is not None
        assert taught.counts == {"palm": 25}
        press(tab, "restart")
        said(tab, "said", "It knows: Thumbs up", START_S)
        said(tab, "said", "Palm")


@browsing
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_can_be_read_and_fits_in(browser: Browser, url: str, width: int, scheme: str):
    tab = opened(browser, url, width, prefers_color_scheme=scheme)
    assert faults(tab) == []
    write(tab, "gesture", "rock")
    tab.press("Enter")  # by the keyboard alone
    tab.until("!document.getElementById('count').hidden", "the countdown")
    assert tab.run("document.documentElement.scrollWidth") == width
    assert faults(tab) == []
    names = [name for role, name in tab.accessibility() if role in {"button", "link", "textbox", "checkbox"}]
    assert all(names)
    press(tab, "cancel")
    tab.until(
        "document.getElementById('count').hidden && !document.getElementById('start').disabled", "the end"
    )
    if not AXE.exists():
        pytest.skip("no axe-core here; make test-web installs it")


def test_who_may_not_write_teaches_nothing(start: Start, url: str):
    closed = start().page.url
    for method in ("GET", "POST", "DELETE"):
        assert ask(closed, "/api/teaching", b"{}" if method == "POST" else None, method).status == 404
    assert ask(closed, "/teach").status == 404
    assert ask(url, "/api/teaching").status == 401
    assert ask(url, "/api/teaching", b"{}", "POST", **BEARER, Origin="http://evil.example").status == 403


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"gesture": "rock", "camera": "hall"}', 'no camera "hall"; there: front'),
        (b'{"gesture": "any", "camera": "front"}', "a gesture is called by"),
        (b'{"gesture": "Rock!", "camera": "front"}', "a gesture is called by"),
        (b'{"gesture": "stop", "camera": "front"}', "stop is built in; tick the box"),
        (b'{"gesture": "rock", "camera": "front", "improve": true}', "neither built in nor taught yet"),
        (b"[]", 'send {"gesture"'),
    ],
)
def test_what_cannot_be_taught_is_told(url: str, body: bytes, words: str):
    answer = ask(url, "/api/teaching", body, "POST", **BEARER)
    assert answer.status in {400, 409}
    assert words in answer.json["error"]


def test_one_lesson_at_a_time_and_it_may_be_stopped(url: str):
    body = b'{"gesture": "rock", "camera": "front"}'
    assert ask(url, "/api/teaching", body, "POST", **BEARER).json["lesson"]["phase"] == "collecting"
    late = ask(url, "/api/teaching", body, "POST", **BEARER)
    assert (late.status, "is being taught just now" in late.json["error"]) == (409, True)
    assert ask(url, "/api/teaching", None, "DELETE", **BEARER).json["lesson"] is None
    assert ask(url, "/api/teaching", body, "POST", **BEARER).status == 200


def test_without_a_hand_it_ends_and_says_so(tmp_path: Path, cache_dir: Path):
    now = [0.0]
    teaching = BrowserTeaching(RecognitionSettings(), cache_dir, tmp_path, ["front"], clock=lambda: now[0])
    teaching.begin("rock", "front", improve=False, force=False)
    assert teaching.state()["lesson"]["left_s"] == 3.0
    now[0] = 40.0
    lesson = teaching.state()["lesson"]
    assert (lesson["phase"], lesson["text"]) == ("failed", "no hand was seen for 30 s; nothing was learned")

"""The first visit in a real Chromium: a daemon without a camera is set up, gets its first rule, and fires."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from acting import AXE, camera_of_clip, faults, pick, press, said, write
from brokers import Mosquitto, Subscriber
from browser import Browser, Tab, chromium, program
from daemons import Daemon, daemon
from film import RULES, Start
from ingress_proxy import reverse_proxy
from real_cameras import MjpegServer
from support.ports import free_port
from support.waiting import until

from agent.browser_setup import BrowserSetup
from agent.browser_teaching import BrowserTeaching
from agent.browser_tuning import BrowserTuning
from agent.config.load import load
from agent.config.settings import RecognitionSettings
from agent.core.types import LABELS
from agent.installation.settings_file import SettingsFile

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHOOTING = os.environ.get("GESTURE_AGENT_SCREENSHOTS")
TOKEN = "0123456789abcdef"
STOP_AT = slice(50, 105)  # frames of the clip: a hand comes, shows stop, and goes
START_S = 120.0  # the networks are loaded on a busy machine

pytestmark = pytest.mark.skipif(program() is None, reason="no Chromium here; make test-web installs it")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def camera() -> Iterator[MjpegServer]:
    """A network camera in front of which somebody shows stop every few seconds."""
    server = camera_of_clip(STOP_AT)
    yield server
    server.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """It lets in anna, with her password."""
    folder = tmp_path / "broker"
    folder.mkdir()
    known = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(known), "anna", "sesame"], check=True)
    server = Mosquitto(folder, "allow_anonymous false", f"password_file {known}").start()
    yield server
    server.stop()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def config(tmp_path: Path, cache_dir: Path, port: int) -> Path:
    """Of an agent that has a page and a token, and nothing else."""
    home = tmp_path / "home"
    (home / "rules").mkdir(parents=True)
    (home / "web-token").write_text(TOKEN)
    (home / "web-token").chmod(0o600)
    path = home / "config.toml"
    path.write_text(
        f'# mine\n[agent]\nid = "hall"\nrules = "rules"   # one room each\nstate_dir = "state"\n'
        f'cache_dir = "{cache_dir}"\n[web]\nenabled = true\nport = {port}\nedit = true\n'
        'preview = true # to see oneself\ntoken = { file = "web-token" }\n'
    )
    return path


@pytest.fixture
def fresh(config: Path, port: int) -> Iterator[Daemon]:
    with daemon(config) as running:
        until(lambda: "web_page_ready" in running.said or running.process.poll(), "the page", START_S)
        yield running


PICTURES = {  # of the documents
    "setup-camera-desktop": "setup-camera",
    "setup-gesture-desktop": "setup-gesture",
    "setup-fire-phone": "setup-phone",
}


def shoot(tab: Tab, name: str) -> None:
    assert tab.run("document.documentElement.scrollWidth - innerWidth") == 0, name
    if SHOOTING and name in PICTURES:
        tab.picture(Path(SHOOTING) / f"{PICTURES[name]}.png", whole=True)


@dataclass(frozen=True)
class Place:
    """What a person has at the first visit."""

    config: Path
    url: str
    camera: MjpegServer
    broker: Mosquitto


@pytest.fixture
def place(fresh: Daemon, config: Path, port: int, camera: MjpegServer, broker: Mosquitto) -> Place:
    assert fresh.process.poll() is None, fresh.said
    return Place(config, f"http://127.0.0.1:{port}/", camera, broker)


@pytest.mark.parametrize("width", [1280, 390], ids=["desktop", "phone"])
def test_from_nothing_to_a_rule_that_fires(browser: Browser, place: Place, width: int):
    tab = browser.tab()
    tab.size(width, 844, mobile=width < 600)
    tab.media(prefers_reduced_motion="reduce")
    tab.go(f"{place.url}#token={TOKEN}")
    tab.until("document.getElementById('devices')?.childElementCount", "the list of cameras")  # led there
    size = "phone" if width < 600 else "desktop"
    before = place.config.read_text()
    choose_camera(tab, place, size)
    connect_broker(tab, place, size)
    must_be_written(place, before)
    write_rule(tab, place, size)
    expected = ("409", "ERR_CONNECTION_REFUSED", "WebSocket")  # refusals, and the time without an agent
    assert [problem for problem in tab.problems if not any(map(problem.__contains__, expected))] == []


def choose_camera(tab: Tab, place: Place, size: str) -> None:
    pick(tab, "device", "")
    write(tab, "address", "gst:filesrc location=/etc/passwd ! fakesink")
    press(tab, "try-camera")
    said(tab, "camera-said", "is no camera that can be set up here")
    write(tab, "address", place.camera.url.replace("/cam", "/page"))
    press(tab, "try-camera")
    said(tab, "camera-said", "/page")
    assert tab.run("document.getElementById('camera-done').hidden")
    write(tab, "address", place.camera.url)
    press(tab, "try-camera")
    said(tab, "camera-said", "gives pictures of 640 x 480 pixels")
    tab.until("document.getElementById('picture').naturalWidth === 640", "the picture")
    shoot(tab, f"setup-camera-{size}")
    press(tab, "camera-done")


def connect_broker(tab: Tab, place: Place, size: str) -> None:
    write(tab, "url", "127.0.0.1:1")
    press(tab, "try-broker")
    said(tab, "broker-said", "nothing listens at")
    write(tab, "url", f"127.0.0.1:{place.broker.port}")
    press(tab, "try-broker")
    said(tab, "broker-said", "user")  # it lets nobody in without one
    write(tab, "broker-user", "anna")
    write(tab, "broker-password", "sesame")
    press(tab, "try-broker")
    said(tab, "broker-said", "login and a message accepted")
    shoot(tab, f"setup-broker-{size}")
    press(tab, "save")
    tab.until("!document.getElementById('gesture').hidden", "the agent, started again", START_S)


def must_be_written(place: Place, before: str) -> None:
    """Camera and broker, the password apart, every line of before, and the way back."""
    after = place.config.read_text()
    assert [line for line in before.splitlines() if line not in after] == []
    written = tomllib.loads(after)
    assert written["camera"] == {"front": {"source": place.camera.url}}
    assert written["mqtt"] == {"url": place.broker.url, "user": "anna", "password": {"file": "mqtt-password"}}
    password = place.config.with_name("mqtt-password")
    assert (password.read_text(), password.stat().st_mode & 0o777) == ("sesame\n", 0o600)
    [kept] = (place.config.parent / "state/settings-history/config.toml").iterdir()
    assert kept.read_text() == before


def write_rule(tab: Tab, place: Place, size: str) -> None:
    tab.until("document.querySelector('[name=gesture]:checked')?.value === 'stop'", "the gesture", START_S)
    write(tab, "target", "home/lamp/set")
    said(tab, "rule-text", 'topic = "home/lamp/set"')
    tab.until("document.querySelector('#cards .has-picture')", "the picture with rings")
    shoot(tab, f"setup-gesture-{size}")
    subscriber = Subscriber(place.broker.port, "home/lamp/set", user="anna", password="sesame")
    press(tab, "write")
    said(tab, "fire-said", "stop-lamp fired", START_S)
    shoot(tab, f"setup-fire-{size}")
    assert not tab.run("document.getElementById('done').hidden")
    assert (place.config.parent / "rules/stop-lamp.toml").read_text().count("[[case]]") == 2
    until(lambda: subscriber.heard, "the lamp")
    assert subscriber.heard[0].payload.replace(" ", "") == '{"state":"TOGGLE"}'
    command = [sys.executable, "-m", "agent", "rules", "test", "--config", str(place.config)]
    tests = subprocess.run(command, capture_output=True, text=True, check=False)
    assert tests.returncode == 0, tests.stdout + tests.stderr


Open = Callable[..., Tab]
WRITTEN = '# mine\n[camera.front]\nsource = "v4l2:/dev/video7"\n'


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(WRITTEN)
    return path


@pytest.fixture
def opened(browser: Browser, start: Start, tmp_path: Path, settings: Path) -> Open:
    """The page of an agent that has its camera."""
    (tmp_path / "web-token").write_text(TOKEN, encoding="utf-8")
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "home.toml").write_text(RULES)
    file = SettingsFile(settings, {}, tmp_path / "state")
    setup = BrowserSetup(load(settings, {}, need_files=False).settings, file, {})
    agent = start(edit=True, token={"file": tmp_path / "web-token"}, rules=folder, setup=setup)

    def open_page(width: int = 1280, height: int = 844, **media: str) -> Tab:
        tab = browser.tab()
        tab.size(width, height, mobile=width < 600)
        tab.media(prefers_reduced_motion="reduce", **media)
        tab.go(f"{agent.page.url}setup#token={TOKEN}")
        tab.until("document.querySelector('[data-step=gesture]')?.disabled === false", "a camera that runs")
        tab.until("document.getElementById('devices').childElementCount", "the cameras")
        return tab

    return open_page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_step_can_be_read_and_fits_in(opened: Open, width: int, scheme: str):
    tab = opened(width, prefers_color_scheme=scheme)
    for step in ("camera", "broker", "gesture", "fire"):
        if step == "fire":
            said(tab, "rule-text", "[[rule]]")
            press(tab, "write")
        else:
            tab.run(f"document.querySelector('[data-step={step}]').click()")
        tab.until(f"!document.getElementById({step!r}).hidden", step)
        if step == "camera":
            pick(tab, "device", "")
            press(tab, "try-camera")
            said(tab, "camera-said", "Write the camera's address")
        assert tab.run("document.documentElement.scrollWidth") == width, step
        assert faults(tab) == [], step
    if not AXE.exists():
        pytest.skip("no axe-core here; make test-web installs it")


def test_a_rule_is_written_with_the_keyboard_alone(opened: Open, tmp_path: Path):
    tab = opened()
    tab.run("document.querySelector('[data-step=gesture]').focus()")
    tab.press("Enter")
    assert tab.run("document.activeElement.id") == "gesture-title"
    said(tab, "rule-text", "[[rule]]")
    for _ in range(40):
        tab.press("Tab")
        if tab.run("document.activeElement.id") == "write":
            break
    name = tab.run("document.getElementById('rule-file').value")
    tab.press("Enter")
    tab.until("!document.getElementById('fire').hidden", "the last step")
    assert tab.run("document.activeElement.id") == "fire-title"
    assert "[[case]]" in (tmp_path / "rules" / name).read_text()
    roles = tab.accessibility()
    assert [name for role, name in roles if role in {"button", "link", "textbox"} and not name] == []


def test_another_rule_that_fires_in_its_place_is_named(opened: Open):
    tab = opened()
    tab.run("document.querySelector('[data-step=gesture]').click()")
    tab.until(
        "document.querySelector('[name=gesture]:checked')?.value === 'stop'", "the gesture that is shown"
    )
    said(tab, "rule-text", 'gesture = "stop"')
    press(tab, "write")
    said(tab, "fire-said", "Rule lamp fired in its place")


def test_what_was_typed_survives_an_edit_meanwhile_and_a_login_that_ended(opened: Open, settings: Path):
    tab = opened()
    tab.run("document.querySelector('[data-step=broker]').click()")
    write(tab, "url", "embedded")
    press(tab, "try-broker")
    said(tab, "broker-said", "starts with the agent")
    settings.write_text(f"{WRITTEN}# by hand\n")
    press(tab, "save")
    said(tab, "broker-said", "changed meanwhile; nothing was saved")
    assert tab.run("document.getElementById('url').value") == "embedded"
    assert settings.read_text() == f"{WRITTEN}# by hand\n"
    press(tab, "save")  # once more, now that it is known
    said(tab, "broker-said", "Saved")
    text = settings.read_text()
    assert all(line in text for line in (*WRITTEN.splitlines(), "# by hand", 'url = "embedded"'))
    tab.send("Network.clearBrowserCookies")
    press(tab, "try-broker")
    said(tab, "broker-said", "Your login has ended")
    assert tab.run("document.getElementById('url').value") == "embedded"
    assert settings.read_text() == text


@pytest.mark.parametrize("prefix", ["/gestures/", "/api/hassio_ingress/Zm9v/"])
def test_all_of_it_works_below_any_path(
    browser: Browser, start: Start, tmp_path: Path, settings: Path, prefix: str
):
    (tmp_path / "web-token").write_text(TOKEN, encoding="utf-8")
    (tmp_path / "rules").mkdir()
    running, state = load(settings, {}, need_files=False).settings, tmp_path / "state"
    file = SettingsFile(settings, {}, state)
    agent = start(
        edit=True,
        proxies=["127.0.0.1"],
        token={"file": tmp_path / "web-token"},
        rules=tmp_path / "rules",
        setup=BrowserSetup(running, file, {}),
        teaching=BrowserTeaching(RecognitionSettings(), tmp_path, state, ["front"]),
        tuning=BrowserTuning(running, file, {}, LABELS, state),
    )
    with reverse_proxy(agent.page.url, prefix, X_Ingress_Path=prefix.rstrip("/")) as url:
        tab = browser.tab()
        tab.size(1280, 844)
        tab.watched()
        tab.go(f"{url}#token={TOKEN}")
        tab.until("document.getElementById('set-up')?.hidden === false", "the way to the set-up")
        tab.run("document.getElementById('set-up').click()")
        tab.until("document.querySelector('[data-step=gesture]')?.disabled === false", "a camera that runs")
        tab.run("document.querySelector('[data-step=gesture]').click()")
        said(tab, "rule-text", "[[rule]]")
        press(tab, "write")
        tab.until("!document.getElementById('fire').hidden", "the last step")
        assert len(list((tmp_path / "rules").iterdir())) == 1
        for page, ready in (
            ("teach", "document.getElementById('camera')?.value === 'front'"),
            ("tune", "document.querySelectorAll('.limit').length > 8"),
            ("rules", "document.getElementById('no-problems')?.textContent.startsWith('None: 1')"),
        ):
            tab.go(f"{url}{page}")
            tab.until(ready, page)
        outside = [at for at in tab.requests if at.startswith(("http", "ws")) and prefix not in at]
        assert outside == []
        assert [problem for problem in tab.problems if "/api/tuning/evaluate" not in problem] == []

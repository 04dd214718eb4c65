"""The pages in a real Chromium, as people use them. `make test-web` installs it.

With GESTURE_AGENT_SCREENSHOTS set to a folder (`make screenshots` says docs/images/) the pictures of the
documentation are made on the way.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import Browser, Tab, chromium, program
from film import CLIP, ROOT, Agent, Film, Start, drawn_film
from ingress_proxy import reverse_proxy

from agent.core.types import CameraState

AXE = Path(os.environ.get("GESTURE_AGENT_AXE", ROOT / ".venv/axe/node_modules/axe-core/axe.min.js"))
PAUSE = "document.getElementById('pause').click()"
SHOOTING = os.environ.get("GESTURE_AGENT_SCREENSHOTS")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(program() is None, reason="no Chromium here; make test-web installs it"),
]

TRUTH = json.loads(CLIP.with_suffix(".json").read_text(encoding="utf-8"))
MIDDLE = {
    span["gesture"]: round((span["from_s"] + span["to_s"]) / 2 * TRUTH["fps"]) for span in TRUTH["gestures"]
}
HOME = ROOT / "rules/home.toml"
FIRED = "document.querySelectorAll('.log .kind-gesture').length"
CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def shoot() -> Callable[[Tab, str], None]:
    """Keeps a picture for the documentation, where one is wanted."""

    def shot(tab: Tab, name: str, *, whole: bool = False) -> None:
        if SHOOTING:
            tab.picture(Path(SHOOTING) / f"{name}.png", whole=whole)

    return shot


def opened(
    browser: Browser, agent: Agent, path: str = "", width: int = 1280, height: int = 900, **media: str
) -> Tab:
    tab = browser.tab()
    tab.size(width, height, mobile=width < 600)
    tab.media(prefers_reduced_motion="reduce", **media)
    tab.go(agent.page.url + path)
    return tab


def settled(tab: Tab, agent: Agent, gesture: str) -> None:
    """Let a gesture go by (some, for a picture), then stay at one."""
    tab.until(f"{FIRED} >= {4 if SHOOTING else 1}", "gestures in the log")
    agent.reel.still = MIDDLE[gesture]
    name = "document.querySelector('.hand.is-on .name')?.textContent.toLowerCase()"
    tab.until(f"{name} === {gesture.replace('_', ' ')!r}", gesture)


def test_the_page_shows_what_the_clip_shows(browser: Browser, clip: Film, start: Start, shoot):
    agent = start(clip, rules=HOME)
    tab = opened(browser, agent, height=960)
    settled(tab, agent, "thumbs_up")
    tab.until("/\\d/.test(document.querySelector('#percentiles dd').textContent)", "the latency")
    shoot(tab, "web")
    heard = tab.run(
        "[...document.querySelectorAll('.log .kind-gesture strong')].map((node) => node.textContent)"
    )
    assert set(heard) <= {"Fist", "Stop", "Thumbs up", "Ok", "Two"}
    assert tab.run("document.querySelector('.hand .facts').textContent").startswith("right hand · held ")
    assert (
        tab.run("document.querySelector('#broker').innerText") == "connected to mqtt://localhost:1883, MQTT 5"
    )
    assert tab.run("document.title") == "hall · gesture-agent"
    assert tab.problems == []


def test_it_loads_nothing_from_elsewhere(browser: Browser, start: Start):
    agent = start(preview=True)
    tab = browser.tab()
    tab.watched()
    tab.go(agent.page.url)
    tab.until(f"{FIRED} >= 1 && document.querySelector('.has-picture')", "a gesture and a picture")
    tab.go(agent.page.url + "kiosk")
    tab.until("document.querySelector('.ring-on')", "a gesture")
    ours = (agent.page.url, agent.page.url.replace("http", "ws"), "blob:", "about:")
    assert [url for url in tab.requests if not url.startswith(ours)] == []
    assert {url.rpartition("/")[2] for url in tab.requests} >= {"page", "kiosk", "front", "gesture-client.js"}
    assert tab.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in(browser: Browser, clip: Film, start: Start, shoot, scheme: str):
    agent = start(clip, rules=HOME, preview=True)
    tab = opened(browser, agent, height=960, prefers_color_scheme=scheme)
    settled(tab, agent, "ok")
    if scheme == "dark":
        shoot(tab, "web-dark")
    assert tab.run(CONTRAST) == []


def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Browser, clip: Film, start: Start, shoot):
    agent = start(clip, rules=HOME)
    tab = opened(browser, agent, width=390, height=844)
    settled(tab, agent, "two")
    shoot(tab, "web-phone")
    assert tab.run("document.documentElement.scrollWidth") == 390
    small = tab.run(
        "[...document.querySelectorAll('button')].filter((b) => b.getBoundingClientRect().height < 36).length"
    )
    assert small == 0


def test_preview_is_off_unless_wanted_and_says_so_when_on(browser: Browser, clip: Film, start: Start, shoot):
    without = opened(browser, start(clip))
    without.until(f"{FIRED} >= 1", "a gesture")
    assert without.run(
        "document.querySelector('canvas') === null && document.getElementById('preview-on').hidden"
    )
    agent = start(clip, preview=True)
    tab = opened(browser, agent, height=960)
    tab.until("document.querySelector('.has-picture')", "a picture")
    settled(tab, agent, "ok")
    shoot(tab, "web-preview")
    assert tab.run("document.getElementById('preview-on').checkVisibility()")
    colours = tab.run(
        """(() => {
          const canvas = document.querySelector("canvas");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const seen = new Set();
          for (let i = 0; i < data.length; i += 400) seen.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
          return seen.size;
        })()"""
    )
    assert colours > 500  # a picture, not a blank


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_paused_page_says_paused_and_nothing_else(
    browser: Browser, start: Start, rules: Path, shoot, scheme: str
):
    rules.write_text(
        '[wake]\ngesture = "stop"\nwindow = "60s"\nhold = "300ms"\n' + rules.read_text(), encoding="utf-8"
    )
    agent = start(preview=True)
    tab = opened(browser, agent, prefers_color_scheme=scheme)
    tab.until("document.querySelector('.has-picture')", "a picture")
    tab.until(
        "/^Awake: rules are active, \\d+ s$/.test(document.querySelector('.armed').innerText.trim())",
        "awake",
    )
    tab.run("document.getElementById('pause').click()")
    tab.until("!document.getElementById('paused').hidden", "the pause")
    tab.until(
        "document.querySelector('.camera').innerText.trim().split(/\\s+/).join(' ') === 'front paused'",
        "paused",
    )
    assert tab.run("[...document.querySelectorAll('canvas')].every((canvas) => canvas.width === 0)")
    assert tab.run("document.getElementById('preview-on').hidden")
    assert "Awake" not in tab.run("document.body.innerText")
    shoot(tab, f"web-paused-{scheme}")
    tab.run("document.getElementById('pause').click()")
    tab.until("document.querySelector('.has-picture')", "a picture again")
    assert tab.problems == []


def test_a_page_from_before_preview_was_switched_off_keeps_no_picture(browser: Browser, start: Start):
    agent = start(preview=True)
    tab = opened(browser, agent)
    tab.until("document.querySelector('.has-picture')", "a picture")
    agent.page.close()
    tab.until("[...document.querySelectorAll('canvas')].every((canvas) => canvas.width === 0)", "it to go")
    start(port=int(agent.page.url.rstrip("/").rpartition(":")[2]))
    tab.until("document.getElementById('link').textContent === 'connected'", "the way back")
    tab.until("document.querySelector('canvas, .live') === null", "no trace of a preview")


def test_the_buttons_work_with_the_keyboard_alone(browser: Browser, start: Start):
    agent = start()
    tab = opened(browser, agent)
    tab.until(f"{FIRED} >= 1", "a gesture")
    focused = []
    for _ in range(12):
        tab.press("Tab")
        focused.append(tab.run("document.activeElement.textContent || document.activeElement.id"))
        if focused[-1] == "Pause":
            break
    assert focused[0] == "Skip to the current state"
    outline = tab.run("getComputedStyle(document.activeElement).outlineStyle")
    assert (focused[-1], outline) == ("Pause", "solid")
    tab.press("Enter")
    tab.until("!document.getElementById('paused').hidden", "the pause")
    assert agent.reel.on is False
    assert tab.run("document.activeElement.id") == "pause"
    tab.press(" ")
    tab.until("document.getElementById('paused').hidden", "the end of the pause")
    assert agent.reel.on is True
    tab.run("document.querySelector('[aria-label=\"Test rule bell\"]').focus()")
    tab.press("Enter")
    tab.until("document.activeElement.textContent === 'Cancel'", "the question")
    tab.press("Enter")
    tab.until("!document.querySelector('dialog')", "the question to go")
    assert tab.run("document.activeElement.getAttribute('aria-label')") == "Test rule bell"
    assert [action.rule for action in agent.out.done if action.rule == "bell"] == []
    tab.press("Enter")
    tab.until("document.activeElement.textContent === 'Cancel'", "the question again")
    assert "publish home/bell" in tab.run("document.querySelector('dialog').innerText")
    tab.press("Tab")
    tab.press("Enter")
    tab.until("document.getElementById('toast').textContent === 'Done: publish home/bell'", "the answer")
    assert [action.rule for action in agent.out.done if action.rule == "bell"] == ["bell"]


COUNT_TONES = """(() => {
  const start = AudioScheduledSourceNode.prototype.start;
  window.tones = [];
  AudioScheduledSourceNode.prototype.start = function (...at) {
    window.tones.push(this.frequency.value);
    return start.apply(this, at);
  };
})()"""


def test_sounds_are_off_until_somebody_wants_them_and_stay_on_in_this_browser(browser: Browser, start: Start):
    agent = start()
    tab = opened(browser, agent)
    tab.run(COUNT_TONES)
    tab.until(f"{FIRED} >= 1 && document.querySelector('.log .kind-rule')", "a rule that fired")
    assert tab.run("window.tones.length") == 0
    tab.run("document.getElementById('sounds').focus()")
    tab.press("Enter")
    assert tab.run("document.getElementById('sounds').getAttribute('aria-pressed')") == "true"
    tab.until("window.tones.length >= 4", "the tone of the button, and that of a rule that fires")
    assert set(tab.run("window.tones")) == {880, 1319}
    tab.go(agent.page.url)
    tab.until("document.getElementById('sounds')?.getAttribute('aria-pressed') === 'true'", "still on")
    assert tab.problems == []


def test_a_screen_reader_finds_its_way_and_hears_gestures(browser: Browser, start: Start):
    agent = start()
    tab = opened(browser, agent)
    tab.until(
        "document.getElementById('said').textContent === 'stop, right hand'", "words for a screen reader"
    )
    found = tab.accessibility()
    roles = [role for role, _ in found]
    assert {"banner", "main", "contentinfo", "navigation", "log", "table"} <= set(roles)
    names = {name for role, name in found if role == "region"}
    assert names >= {"Now", "Events", "Latency", "Delivery", "Rules"}
    assert [name for role, name in found if role in {"button", "link"} and not name] == []
    assert ("button", "Test rule lamp") in found
    assert tab.run("document.documentElement.lang") == "en"
    assert tab.run("document.getElementById('said').getAttribute('aria-live')") == "polite"


def test_a_bad_rule_file_is_shown_with_its_place(browser: Browser, start: Start, rules: Path):
    agent = start()
    tab = opened(browser, agent)
    tab.until(f"{FIRED} >= 1", "a gesture")
    rules.write_text(rules.read_text().replace("gesture", "gestrue"), encoding="utf-8")
    agent.loop.reload()
    tab.until("!document.getElementById('trouble').hidden", "the trouble")
    assert "rules.toml:4:" in tab.run("document.getElementById('problem').textContent")


@pytest.mark.parametrize(
    ("change", "besides"),
    [
        ({}, ""),
        ({'id = "lamp"': 'id = "lamp"\ncontinue = true'}, ", those marked also besides"),
        ({'"stop" }': '"stop", hold = "1s" }'}, ", rules with thresholds of their own besides"),
    ],
    ids=["one fires", "also", "thresholds"],
)
def test_the_page_says_how_many_rules_one_gesture_may_fire(
    browser: Browser, start: Start, rules: Path, change: dict[str, str], besides: str
):
    text = rules.read_text()
    for old, new in change.items():
        text = text.replace(old, new)
    rules.write_text(text, encoding="utf-8")
    tab = opened(browser, start())
    tab.until("document.querySelectorAll('.rules tbody tr').length === 2", "the rules")
    said = tab.run("document.getElementById('rules-order').textContent")
    assert said == f"tried from the top; the first that matches fires{besides}"


def test_a_page_that_lost_the_agent_says_so_and_comes_back(browser: Browser, start: Start):
    agent = start()
    tab = opened(browser, agent)
    tab.until(f"{FIRED} >= 1", "a gesture")
    agent.page.close()
    tab.until(
        "document.getElementById('link').textContent.startsWith('not connected')", "the loss to be told"
    )
    port = int(agent.page.url.rstrip("/").rpartition(":")[2])
    start(port=port)
    tab.until("document.getElementById('link').textContent === 'connected'", "the way back")


def test_logging_in_with_the_token_in_the_address_leaves_none_there(
    browser: Browser, start: Start, tmp_path: Path
):
    (tmp_path / "web-token").write_text("0123456789abcdef", encoding="utf-8")
    agent = start(token={"file": tmp_path / "web-token"})
    tab = opened(browser, agent, "#token=0123456789abcdef")
    tab.until(f"document.getElementById('log') && {FIRED} >= 1", "the page behind the token")
    assert "token" not in tab.run("location.href")
    assert "gesture_agent" not in tab.run("document.cookie")
    stranger = opened(browser, agent)
    stranger.until("document.getElementById('token')", "the question for the token")
    assert stranger.problems == []


# What a tool finds.


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core here; make test-web installs it")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", ["", "login", "kiosk"])
def test_axe_finds_nothing_serious(browser: Browser, start: Start, path: str, width: int, scheme: str):
    agent = start(preview=True)
    tab = opened(browser, agent, path, width=width, height=844, prefers_color_scheme=scheme)
    states = ["true"]
    if not path:
        tab.until(f"{FIRED} >= 1 && document.querySelector('#stages dd')", "a page with all it has")
        states += ["document.querySelector('td button').click()", PAUSE]
    for state in states:
        tab.run(state)
        tab.run(AXE.read_text(encoding="utf-8") + "; true")
        found = tab.run("axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations)")
        serious = [
            (violation["id"], node["html"], node["failureSummary"])
            for violation in found
            if violation["impact"] in {"serious", "critical"}
            for node in violation["nodes"]
        ]
        assert serious == [], state


# Behind a proxy.


INGRESS = "/api/hassio_ingress/Zm9v/"


@pytest.mark.parametrize("prefix", ["/gestures/", INGRESS])
def test_the_page_works_below_any_path(browser: Browser, start: Start, tmp_path: Path, prefix: str):
    (tmp_path / "web-token").write_text("0123456789abcdef", encoding="utf-8")
    agent = start(preview=True, proxies=["127.0.0.1"], token={"file": tmp_path / "web-token"})
    with reverse_proxy(agent.page.url, prefix, X_Ingress_Path=prefix.rstrip("/")) as url:
        tab = browser.tab()
        tab.size(1280, 900)
        tab.watched()
        tab.go(url)
        tab.until("document.getElementById('token')", "the question for the token")
        tab.run("document.getElementById('token').value = '0123456789abcdef'")
        tab.run("document.querySelector('form').requestSubmit()")
        tab.until(
            f"document.getElementById('log') && {FIRED} >= 1 && document.querySelector('.has-picture')",
            "a gesture and a picture",
        )
        assert tab.run("location.href") == url
        tab.run(PAUSE)
        tab.until("!document.getElementById('paused').hidden", "the pause")
        assert agent.reel.on is False
        tab.run(PAUSE)
        tab.run("document.querySelector('footer a[href$=kiosk]').click()")
        tab.until("document.querySelector('.ring-on')", "a gesture on the kiosk")
        outside = [
            asked for asked in tab.requests if asked.startswith(("http", "ws")) and prefix not in asked
        ]
        assert outside == []
        assert tab.problems == []


def test_who_comes_through_a_proxy_that_asks_for_a_login_needs_no_token(
    browser: Browser, start: Start, tmp_path: Path
):
    (tmp_path / "web-token").write_text("0123456789abcdef", encoding="utf-8")
    agent = start(proxies=["127.0.0.1"], proxies_log_in=True, token={"file": tmp_path / "web-token"})
    with reverse_proxy(agent.page.url, INGRESS, X_Ingress_Path=INGRESS.rstrip("/")) as url:
        tab = browser.tab()
        tab.go(url)
        tab.until(f"document.getElementById('log') && {FIRED} >= 1", "the page")


# The kiosk.


def test_the_kiosk_is_operated_by_the_clip(browser: Browser, clip: Film, start: Start, shoot):
    agent = start(clip, speed=1 if SHOOTING else 2)
    tab = opened(browser, agent, "kiosk", 1280, 720)
    tab.run(Path(__file__).with_name("kiosk_notes.js").read_text(encoding="utf-8"))
    tab.until("acted.some(([gesture], i) => gesture === 'fist' && acted.length >= i + 5)", "a whole clip", 90)
    acted = tab.run("acted.slice(acted.findIndex(([gesture]) => gesture === 'fist')).slice(0, 5)")
    rings = tab.run("rings")
    assert [gesture for gesture, _, _ in acted] == ["fist", "stop", "thumbs_up", "ok", "two"]
    views = {gesture: view for gesture, view, _ in acted}
    assert (views["stop"], views["ok"], views["two"]) == ("menu", "detail", "detail")
    planets = {gesture: planet for gesture, _, planet in acted}
    assert planets["stop"] == planets["fist"]  # back, at the start, changes nothing
    assert planets["thumbs_up"].removesuffix("★") == planets["fist"].removesuffix("★")
    assert planets["two"] != planets["ok"]
    assert any(0 < share < 100 for share in rings)
    assert 100 in rings
    assert tab.problems == []
    if SHOOTING:
        agent.reel.still = MIDDLE["two"]
        tab.until("document.body.dataset.view === 'detail' && document.querySelector('.ring-on')", "a planet")
        shoot(tab, "kiosk-detail")


def test_a_kiosk_says_whether_it_makes_sense_to_raise_a_hand(browser: Browser, start: Start):
    agent = start()
    tab = opened(browser, agent, "kiosk", 1280, 720)
    said = "document.getElementById('presence').textContent"
    tab.until(f"{said} === 'I see your right hand'", "a hand")
    agent.loop.ask("enabled", {"on": False})
    tab.until(f"{said} === 'The camera is switched off'", "the pause")
    late = opened(browser, agent, "kiosk", 1280, 720)
    late.until(f"{said} === 'The camera is switched off'", "the pause, for who comes later")
    agent.loop.ask("enabled", {"on": True})
    tab.until(f"{said} === 'I see your right hand'", "a hand again")
    agent.reel.tell(CameraState("front", "offline", "unplugged"))
    late.until(f"{said} === 'The camera is offline'", "the loss")


def test_a_page_says_why_nothing_fired(browser: Browser, start: Start, rules: Path):
    text = rules.read_text().replace('"stop" }', '"stop", armed = true }')
    rules.write_text('[wake]\ngesture = "ok"\n' + text, encoding="utf-8")
    tab = opened(browser, start())
    tab.until("document.querySelector('.hand.is-on .why')?.innerText.startsWith('lamp: not awake')", "it")
    tab.until("document.querySelector('.log .why')?.innerText.startsWith('lamp: not awake')", "it in the log")
    assert "nothing was done: lamp: not awake" in tab.run("document.getElementById('said').textContent")
    unsure = opened(browser, start(drawn_film("stop", 0.87), preview=True), width=375, height=667)
    unsure.until(
        "/^stop 0\\.\\d\\d, asks 0\\.9$/.test(document.querySelector('.hand .why')?.innerText)", "the score"
    )
    card = "document.querySelector('.hand').getBoundingClientRect().bottom"
    assert unsure.run(f"{card} <= innerHeight")  # on a phone the first screen has the camera and the gesture


def test_a_dwell_of_the_page_is_longer_than_the_hold_and_fires_once(
    browser: Browser, clip: Film, start: Start
):
    agent = start(clip)
    agent.reel.still = MIDDLE["ok"]
    tab = opened(browser, agent, "kiosk")
    tab.run(
        """import("/static/gesture-client.js").then(({ GestureClient }) => {
          window.seen = [];
          const client = new GestureClient({ dwell: { ok: 1500 } });
          client.addEventListener("fired", () => seen.push("fired"));
          client.addEventListener("choose", ({ detail }) => seen.push(`choose ${detail.gesture}`));
          client.addEventListener("ring", ({ detail }) => seen.push(detail.ring));
          client.addEventListener("state", ({ detail }) => detail.connected && setTimeout(() => agentGo()));
          const agentGo = () => (window.listening = true);
          client.start();
        })"""
    )
    tab.until("window.listening", "the client")
    tab.until("seen.some((share) => share > 0)", "the ring of the hand that is up")
    agent.reel.still = 0  # the hand goes down, and comes again
    tab.until("seen.at(-1) === 0", "the ring to be empty")
    tab.run("seen.length = 0")  # a slow browser may have chosen already
    agent.reel.still = MIDDLE["ok"]
    tab.until("seen.includes('choose ok')", "the choice")
    tab.until("seen.length > seen.lastIndexOf('choose ok') + 10", "some more rings")
    # on a machine with much else to do the film has gaps, and the hold may begin anew after the choice
    seen = tab.run(
        """(() => {
          const chosen = seen.lastIndexOf("choose ok");
          const again = seen.indexOf("fired", chosen);
          return seen.slice(seen.lastIndexOf("fired", chosen), again < 0 ? seen.length : again);
        })()"""
    )
    rings = [share for share in seen[: seen.index("choose ok") + 2] if isinstance(share, int | float)]
    assert seen.count("choose ok") == 1
    assert rings == sorted(rings)
    assert rings[0] < 0.5
    assert rings[-1] == 1


def test_the_kiosk_draws_the_ring_while_a_gesture_forms(browser: Browser, clip: Film, start: Start, shoot):
    agent = start(clip, hold_s=20.0)
    agent.reel.still = MIDDLE["ok"]
    tab = opened(browser, agent, "kiosk", 1280, 720)
    arc = "document.querySelector('.legend .is-forming .ring-arc')"
    tab.until(f"parseFloat({arc}?.getAttribute('stroke-dasharray')) > 30", "a third of the ring")
    assert tab.run("document.querySelector('.legend .is-forming').innerText") == "Open"
    shoot(tab, "kiosk")
    agent.reel.still = 0
    tab.until(f"{arc} === null", "the ring to go when the hand goes")
    assert tab.run("document.body.dataset.view") == "menu"

"""Editing rules in a real Chromium, with keyboard and screen reader, on a desktop and on a phone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import Browser, Tab, chromium, program
from film import ROOT, RULES, Agent, Start

AXE = Path(os.environ.get("GESTURE_AGENT_AXE", ROOT / ".venv/axe/node_modules/axe-core/axe.min.js"))
CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
SHOOTING = os.environ.get("GESTURE_AGENT_SCREENSHOTS")
TOKEN = "0123456789abcdef"
CASE = '\n[[case]]\ntitle = "lamp"\nright = "SSSSSS"\nexpect = [{ at = "0.3s", rule = "lamp" }]\n'

pytestmark = pytest.mark.skipif(program() is None, reason="no Chromium here; make test-web installs it")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def agent(start: Start, tmp_path: Path) -> Agent:
    (tmp_path / "web-token").write_text(TOKEN, encoding="utf-8")
    return start(edit=True, token={"file": tmp_path / "web-token"})


Open = Callable[..., Tab]


@pytest.fixture
def editor(browser: Browser, agent: Agent) -> Open:
    def opened(width: int = 1280, height: int = 900, **media: str) -> Tab:
        tab = browser.tab()
        tab.size(width, height, mobile=width < 600)
        tab.media(prefers_reduced_motion="reduce", **media)
        tab.go(f"{agent.page.url}#token={TOKEN}")
        tab.until("document.getElementById('edit-rules')?.hidden === false", "the way to the editor")
        tab.run("document.getElementById('edit-rules').click()")
        tab.until("document.getElementById('no-problems')?.textContent.startsWith('None: 2')", "the rules")
        return tab

    return opened


def write(tab: Tab, text: str) -> None:
    """Replace the text, as the browser tells it of typing."""
    tab.run("document.getElementById('text').focus()")
    tab.run("document.getElementById('text').select()")
    tab.send("Input.insertText", text=text)


def press(tab: Tab, button: str) -> None:
    tab.run(f"document.getElementById({button!r}).click()")


def said(tab: Tab, words: str) -> None:
    tab.until(f"document.getElementById('state').textContent.startsWith({words!r})", words)


def test_a_rule_is_changed_tried_and_saved(editor: Open, rules: Path):
    tab = editor()
    assert tab.run("document.getElementById('text').value") == RULES
    assert tab.run("document.getElementById('save').disabled")
    write(tab, RULES.replace('"bell"', '"gong"') + CASE)
    press(tab, "cases")
    said(tab, "1 cases pass, 0 fail")
    assert "lamp" in tab.run("document.getElementById('results').innerText")
    press(tab, "save")
    said(tab, "Saved; 2 rules are in force")
    assert rules.read_text() == RULES.replace('"bell"', '"gong"') + CASE
    tab.until("document.getElementById('history').options.length === 2", "the version before")
    tab.run(
        "(() => { const list = document.getElementById('history'); list.selectedIndex = 1;"
        " list.dispatchEvent(new Event('change')); })()"
    )
    said(tab, "An earlier version is in the editor")
    assert tab.run("document.getElementById('text').value") == RULES
    assert tab.problems == []


def test_a_mistake_stands_at_its_line_and_is_not_saved(editor: Open, rules: Path):
    tab = editor()
    write(tab, RULES.replace('gesture = "fist"', 'gesture = "fits"'))
    tab.until("document.querySelector('#problems button')", "the problem")
    assert tab.run("document.querySelector('#problems strong').textContent") == "line 9, column 20"
    assert tab.run("document.querySelector('.gutter .bad').textContent").strip() == "! 9"
    at = tab.run(
        """(() => {
          const note = document.querySelector(".notes span").getBoundingClientRect();
          const line = document.querySelector(".gutter .bad").getBoundingClientRect();
          return Math.abs(note.top - line.top);
        })()"""
    )
    assert at < 4
    assert tab.run("document.getElementById('text').getAttribute('aria-invalid')") == "true"
    press(tab, "save")
    said(tab, "Not saved: there are problems")
    assert rules.read_text() == RULES
    tab.run("document.querySelector('#problems button').click()")
    assert tab.run("document.activeElement.id") == "text"
    assert tab.run("document.getElementById('text').selectionStart") == RULES.index('"fist"')
    if SHOOTING:
        tab.picture(Path(SHOOTING) / "web-edit.png")


def test_two_browsers_are_told_of_each_other_and_both_texts_stay(editor: Open, rules: Path):
    first, second = editor(), editor()
    write(first, f"{RULES}# first\n")
    write(second, f"{RULES}# second\n")
    press(first, "save")
    said(first, "Saved")
    press(second, "save")
    second.until("!document.getElementById('conflict').hidden", "the conflict")
    assert second.run("document.activeElement.id") == "conflict"
    assert second.run("document.getElementById('theirs').value") == f"{RULES}# first\n"
    assert second.run("document.getElementById('text').value") == f"{RULES}# second\n"
    assert rules.read_text() == f"{RULES}# first\n"
    press(second, "mine")
    said(second, "Saved")
    assert rules.read_text() == f"{RULES}# second\n"
    assert second.run("document.getElementById('conflict').hidden")


def test_it_works_with_the_keyboard_alone(editor: Open, rules: Path):
    tab = editor()
    write(tab, f"{RULES}# typed\n")
    seen = []
    for _ in range(4):
        tab.press("Tab")
        seen.append(tab.run("document.activeElement.id"))
    assert seen[:3] == ["save", "cases", "revert"]
    tab.run("document.getElementById('text').focus()")
    event = {"key": "s", "code": "KeyS", "windowsVirtualKeyCode": 83, "modifiers": 2}
    tab.send("Input.dispatchKeyEvent", type="keyDown", **event)
    tab.send("Input.dispatchKeyEvent", type="keyUp", **event)
    said(tab, "Saved")
    assert rules.read_text() == f"{RULES}# typed\n"


def test_a_screen_reader_finds_names_and_hears_what_became_of_it(editor: Open):
    tab = editor()
    found = tab.accessibility()
    assert ("textbox", "Rules of this file (TOML)") in found
    assert {name for role, name in found if role == "combobox"} == {"File", "Earlier versions"}
    assert [name for role, name in found if role in {"button", "link"} and not name] == []
    assert tab.run("document.getElementById('state').getAttribute('role')") == "status"


def test_what_was_typed_survives_an_agent_that_is_gone(editor: Open, agent: Agent):
    tab = editor()
    write(tab, f"{RULES}# typed\n")
    agent.page.close()
    press(tab, "save")
    said(tab, "Not saved: The agent cannot be reached")
    assert tab.run("document.getElementById('text').value") == f"{RULES}# typed\n"


@pytest.fixture
def of_folder(browser: Browser, start: Start, tmp_path: Path) -> Open:
    (tmp_path / "web-token").write_text(TOKEN, encoding="utf-8")
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "home.toml").write_text(RULES)
    agent = start(edit=True, token={"file": tmp_path / "web-token"}, rules=folder)

    def opened(width: int = 1280, height: int = 900, **media: str) -> Tab:
        tab = browser.tab()
        tab.size(width, height, mobile=width < 600)
        tab.media(prefers_reduced_motion="reduce", **media)
        tab.go(f"{agent.page.url}rules#token={TOKEN}")
        tab.until("document.getElementById('no-problems')?.textContent.startsWith('None: 2')", "the rules")
        return tab

    return opened


def named(tab: Tab, name: str) -> None:
    """Answer the question for a name, with the keyboard alone."""
    tab.until("document.activeElement.id === 'question-field'", "the question")
    tab.send("Input.insertText", text=name)
    tab.press("Enter")


def test_a_file_is_begun_saved_deleted_and_taken_back(of_folder: Open, tmp_path: Path):
    tab, file = of_folder(), tmp_path / "rules/hall.toml"
    press(tab, "new")
    named(tab, "Hall!")
    assert tab.run("document.querySelector('dialog').open")  # such a name is not taken
    tab.run("document.getElementById('question-field').select()")
    named(tab, "hall.toml")
    said(tab, "A first rule with its case")
    assert not file.exists()
    press(tab, "cases")
    said(tab, "2 cases pass, 0 fail")
    press(tab, "save")
    said(tab, "Saved; 3 rules are in force")
    assert file.read_text() == tab.run("document.getElementById('text').value")
    names = "[...document.querySelectorAll('#file > option')].map(({ textContent }) => textContent)"
    assert tab.run(names) == ["hall.toml", "home.toml"]
    text = file.read_text()
    press(tab, "delete")
    tab.until("document.querySelector('dialog .primary')", "the question")
    tab.press("Enter")  # the first button keeps it
    assert file.exists()
    press(tab, "delete")
    tab.run("document.querySelector('dialog .primary').click()")
    said(tab, "hall.toml is deleted; 2 rules are in force")
    assert not file.exists()
    assert tab.run("document.querySelector('#file optgroup').label") == "Deleted"
    tab.run(
        "(() => { const list = document.getElementById('file'); list.value = 'hall.toml';"
        " list.dispatchEvent(new Event('change')); })()"
    )
    said(tab, "hall.toml was deleted; this is its last text")
    press(tab, "save")
    said(tab, "Saved; 3 rules are in force")
    assert file.read_text() == text
    assert tab.problems == []


def test_two_browsers_that_begin_the_same_file_lose_nothing(of_folder: Open, tmp_path: Path):
    first, second = of_folder(), of_folder()
    for tab in (first, second):
        press(tab, "new")
        named(tab, "hall.toml")
        said(tab, "A first rule with its case")
    press(first, "save")
    said(first, "Saved")
    write(second, "# mine\n")
    press(second, "save")
    said(second, "hall.toml is there already")
    assert second.run("document.getElementById('text').value") == "# mine\n"
    assert second.run("document.getElementById('theirs').value") == (tmp_path / "rules/hall.toml").read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_can_be_read_and_fits_in(editor: Open, width: int, scheme: str):
    tab = editor(width, 844, prefers_color_scheme=scheme)
    write(tab, RULES.replace('gesture = "fist"', 'gesture = "fits"'))
    tab.until("document.querySelector('#problems button')", "the problem")
    tab.run("document.activeElement.blur()")
    if SHOOTING and not (width == 1280 and scheme == "light"):
        tab.picture(Path(SHOOTING) / f"web-edit-{width}-{scheme}.png", whole=True)
    assert tab.run("document.documentElement.scrollWidth") == width
    assert tab.run(CONTRAST) == []
    if not AXE.exists():
        pytest.skip("no axe-core here; make test-web installs it")
    tab.run(AXE.read_text(encoding="utf-8") + "; true")
    found = tab.run("axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations)")
    assert [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in found] == []

"""Rule files over HTTP: who may, what is refused, and that nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from film import RULES, Agent, Start
from pydantic import ValidationError
from support.small_disk import mount_small_disk
from support.waiting import until
from visitors import Answer, ask

from agent.config.atomic_file import write_all
from agent.config.settings import WebSettings
from agent.config.text_history import KEPT, TextHistory
from agent.config.text_history import RULES as HISTORY

TOKEN = "open sesame, open sesame"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
CASE = '\n[[case]]\ntitle = "lamp"\nright = "SSSSSS"\nexpect = [{ at = "0.3s", rule = "lamp" }]\n'


@pytest.fixture
def token(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "web-token").write_text(TOKEN, encoding="utf-8")
    return {"file": str(tmp_path / "web-token")}


@pytest.fixture
def agent(start: Start, token: dict[str, str]) -> Agent:
    return start(edit=True, token=token)


Say = Callable[..., Answer]


@pytest.fixture
def say(agent: Agent) -> Say:
    """`say("PUT", "rules.toml", "text", If_Match=etag)`."""

    def said(method: str, path: str = "", text: str | None = None, **headers: str) -> Answer:
        body = None if text is None else json.dumps({"text": text}).encode()
        sent = {**BEARER, **({"Content_Type": "application/json"} if body else {}), **headers}
        return ask(agent.page.url, f"/api/rule-files{path and '/'}{path}", body, method, **sent)

    return said


def test_without_being_wanted_there_is_no_editor(start: Start):
    url = start().page.url
    for path in ("/api/rule-files", "/api/rule-files/rules.toml", "/rules"):
        assert ask(url, path).status == 404
    assert ask(url, "/api/state").json["about"]["edit"] is False


def test_editing_wants_a_token_in_the_settings():
    with pytest.raises(ValidationError, match="edit = true lets visitors change rules; write token"):
        WebSettings(enabled=True, edit=True)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong wrong wrong wrong"}, 401),
        ({**BEARER, "Origin": "http://evil.example"}, 403),
        ({**BEARER, "Sec_Fetch_Site": "cross-site"}, 403),
    ],
    ids=["no token", "wrong token", "another page", "another site"],
)
def test_strangers_and_pages_of_others_change_nothing(
    agent: Agent, rules: Path, headers: dict[str, str], status: int
):
    for method, path in (("PUT", ""), ("POST", "/check"), ("POST", "/cases")):
        body = json.dumps({"text": ""}).encode()
        answer = ask(
            agent.page.url, f"/api/rule-files/rules.toml{path}", body, method, If_Match="*", **headers
        )
        assert answer.status == status
    assert rules.read_text() == RULES


def test_a_file_is_read_changed_and_in_force(agent: Agent, say: Say, rules: Path):
    assert say("GET").json == {"files": ["rules.toml"], "deleted": []}
    read = say("GET", "rules.toml")
    assert (read.json["text"], read.headers["etag"]) == (RULES, read.json["etag"])
    rules.chmod(0o640)
    done = say("PUT", "rules.toml", RULES.replace('"bell"', '"gong"'), If_Match=read.json["etag"])
    assert (done.status, done.json["said"]) == (200, "2 rules are in force")
    assert '"gong"' in rules.read_text()
    assert rules.stat().st_mode & 0o777 == 0o640
    assert done.json["etag"] == say("GET", "rules.toml").json["etag"] != read.json["etag"]
    ids = until(
        lambda: (ids := [rule["id"] for rule in state(agent)["rules"]]) == ["lamp", "gong"] and ids,
        "the new rules",
    )
    assert ids


def state(agent: Agent) -> Any:
    return ask(agent.page.url, "/api/state", **BEARER).json


def test_two_who_edit_at_once_are_reported_and_both_texts_are_kept(say: Say, rules: Path):
    etag = say("GET", "rules.toml").json["etag"]
    assert say("PUT", "rules.toml", f"{RULES}# first\n", If_Match=etag).status == 200
    late = say("PUT", "rules.toml", f"{RULES}# second\n", If_Match=etag)
    assert late.status == 409
    assert late.json["now"]["text"] == f"{RULES}# first\n"
    assert late.headers["etag"] == late.json["now"]["etag"]
    assert rules.read_text() == f"{RULES}# first\n"
    assert say("PUT", "rules.toml", f"{RULES}# second\n", If_Match=late.headers["etag"]).status == 200
    [newest, _] = say("GET", "rules.toml/history").json["versions"]
    assert say("GET", f"rules.toml/history/{newest['id']}").json["text"] == f"{RULES}# first\n"


def test_an_edit_on_the_machine_itself_is_a_conflict_too(say: Say, rules: Path):
    etag = say("GET", "rules.toml").json["etag"]
    rules.write_text(f"{RULES}# by hand\n")
    assert say("PUT", "rules.toml", RULES, If_Match=etag).json["now"]["text"] == f"{RULES}# by hand\n"


def test_what_the_loader_refuses_is_not_saved_and_told_with_its_place(say: Say, rules: Path):
    wrong = RULES.replace('gesture = "fist"', 'gesture = "fits"')
    for method, path, headers in (
        ("POST", "rules.toml/check", {}),
        ("POST", "rules.toml/cases", {}),
        ("PUT", "rules.toml", {"If_Match": say("GET", "rules.toml").json["etag"]}),
    ):
        answer = say(method, path, wrong, **headers)
        assert answer.status == 422
        [problem] = answer.json["problems"]
        assert (problem["file"], problem["line"], problem["column"]) == ("rules.toml", 9, 20)
        assert 'did you mean "fist"?' in problem["text"]
    assert rules.read_text() == RULES


def test_a_rule_that_breaks_another_file_is_reported_with_that_file(start: Start, token, tmp_path: Path):
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.toml").write_text(RULES)
    (folder / "b.toml").write_text('[[rule]]\nid = "x"\nwhen = { gesture = "ok" }\nkey = "KEY_A"\n')
    url = start(edit=True, token=token, rules=folder).page.url
    assert ask(url, "/api/rule-files", **BEARER).json["files"] == ["a.toml", "b.toml"]
    body = json.dumps({"text": RULES.replace('"bell"', '"x"')}).encode()
    answer = ask(url, "/api/rule-files/a.toml/check", body, "POST", **BEARER)
    assert answer.status == 422
    assert 'rule "x" is there already' in answer.json["error"]
    assert str(tmp_path) not in answer.json["error"]
    assert "gesture-agent-rules-" not in answer.json["error"]


def test_cases_are_run_on_the_text_as_it_is_on_the_page(say: Say):
    [case] = say("POST", "rules.toml/cases", RULES + CASE).json["cases"]
    assert (case["title"], case["passed"]) == ("lamp", True)
    [case] = say("POST", "rules.toml/cases", RULES + CASE.replace("0.3s", "2s")).json["cases"]
    assert case["passed"] is False
    assert "expected at 2 s" in case["problems"][0]
    assert say("POST", "rules.toml/check", RULES + CASE).json == {"rules": 2, "cases": 1, "warnings": []}


def test_a_program_is_never_added_from_a_browser(say: Say, rules: Path):
    own = f'{RULES}\n[[rule]]\nid = "mine"\nwhen = {{ gesture = "ok" }}\ncommand = ["/bin/true", "a"]\n'
    etag = say("GET", "rules.toml").json["etag"]
    refused = say("PUT", "rules.toml", own, If_Match=etag)
    assert refused.status == 422
    assert "never from a browser" in refused.json["error"]
    rules.write_text(own)  # on the machine itself
    etag = say("GET", "rules.toml").json["etag"]
    moved = own.replace('gesture = "ok"', 'gesture = "two"')
    assert say("PUT", "rules.toml", moved, If_Match=etag).status == 200
    etag = say("GET", "rules.toml").json["etag"]
    assert say("PUT", "rules.toml", moved.replace('"a"', '"b"'), If_Match=etag).status == 422
    assert rules.read_text() == moved


def test_the_last_versions_are_kept_and_one_comes_back(say: Say, rules: Path):
    history = TextHistory(rules.parent / "state" / HISTORY)
    for number in range(KEPT - 1):  # as if saved already; each save of the page waits for a reload
        write_all([history.next_version("rules.toml", f"{RULES}# {number}\n")])
    rules.write_text(f"{RULES}# {KEPT - 1}\n")
    etag = say("GET", "rules.toml").json["etag"]
    for number in range(KEPT, KEPT + 3):
        etag = say("PUT", "rules.toml", f"{RULES}# {number}\n", If_Match=etag).json["etag"]
    assert (
        say("PUT", "rules.toml", rules.read_text(), If_Match=etag).json["etag"] == etag
    )  # no change, none kept
    versions = say("GET", "rules.toml/history").json["versions"]
    assert len(versions) == KEPT
    texts = [say("GET", f"rules.toml/history/{one['id']}").json["text"] for one in versions]
    assert texts == [f"{RULES}# {number}\n" for number in range(KEPT + 1, 1, -1)]
    folder = rules.parent / "state/rule-history/rules.toml"
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "rules"
    made.mkdir()
    (made / "home.toml").write_text(RULES)
    return made


@pytest.fixture
def of_folder(start: Start, token, folder: Path) -> Say:
    url = start(edit=True, token=token, rules=folder).page.url

    def said(method: str, path: str = "", body: Any = None, **headers: str) -> Answer:
        sent = None if body is None else json.dumps(body).encode()
        return ask(url, f"/api/rule-files{path and '/'}{path}", sent, method, **BEARER, **headers)

    return said


NEW = {"If_None_Match": "*"}
LAMP = {"gesture": "thumbs_up", "does": "lamp:zigbee2mqtt/lamp/set"}


def test_a_new_file_begins_with_a_rule_whose_case_passes(of_folder: Say, folder: Path):
    text = of_folder("POST", "lamp.toml/template", LAMP).json["text"]
    assert 'id = "lamp-2"' in text  # home.toml has a rule "lamp"
    cases = of_folder("POST", "lamp.toml/cases", {"text": text}).json["cases"]
    assert [case["passed"] for case in cases] == [True, True]
    assert sorted(path.name for path in folder.iterdir()) == ["home.toml"]  # looking writes nothing
    done = of_folder("PUT", "lamp.toml", {"text": text}, **NEW)
    assert (done.status, done.json["said"]) == (200, "3 rules are in force")
    assert (folder / "lamp.toml").read_text() == text
    assert of_folder("GET", "lamp.toml").json["etag"] == done.json["etag"]


@pytest.mark.parametrize("does", ["lamp:zigbee2mqtt/+/set", "command:reboot", "webhook:ftp://x", ""])
def test_a_template_of_what_no_gesture_can_do_says_what_it_can(of_folder: Say, does: str):
    answer = of_folder("POST", "lamp.toml/template", {**LAMP, "does": does})
    assert answer.status == 422
    answer = of_folder("POST", "lamp.toml/template", {**LAMP, "gesture": "wink"})
    assert (answer.status, "known: thumbs_up" in answer.json["error"]) == (422, True)


def test_a_new_file_never_replaces_one_that_is_there(of_folder: Say, folder: Path):
    late = of_folder("PUT", "home.toml", {"text": ""}, **NEW)
    assert (late.status, late.json["error"]) == (409, "home.toml is there already; nothing was saved")
    assert late.json["now"]["text"] == RULES
    (folder / "link.toml").symlink_to(folder / "nowhere")
    assert of_folder("PUT", "link.toml", {"text": ""}, **NEW).status != 200
    assert not (folder / "nowhere").exists()
    assert (folder / "home.toml").read_text() == RULES


@pytest.mark.parametrize(
    "name",
    ["..%2Fx.toml", ".toml", ".x.toml", "x", "x.txt", "X.toml", "a%20b.toml", f"{'x' * 70}.toml", "%00.toml"],
)
def test_names_of_new_files_are_plain(of_folder: Say, folder: Path, name: str):
    assert of_folder("PUT", name, {"text": ""}, **NEW).status == 404
    assert of_folder("POST", f"{name}/template", LAMP).status == 404
    assert [path.name for path in folder.parent.rglob("*.toml")] in (
        ["home.toml"],
        ["rules.toml", "home.toml"],
    )


def test_settings_with_a_single_file_have_no_second(say: Say, rules: Path):
    answer = say("PUT", "lamp.toml", "", **NEW)
    assert "agent.rules is the single file rules.toml; set it to a folder" in answer.json["error"]
    etag = say("GET", "rules.toml").json["etag"]
    answer = say("DELETE", "rules.toml", If_Match=etag)
    assert "is the only rule file of the settings" in answer.json["error"]
    assert rules.read_text() == RULES


def test_a_deleted_file_stays_in_the_history_and_comes_back(of_folder: Say, folder: Path):
    assert of_folder("DELETE", "home.toml").status == 428
    assert of_folder("DELETE", "home.toml", If_Match='"old"').status == 409
    etag = of_folder("GET", "home.toml").json["etag"]
    done = of_folder("DELETE", "home.toml", If_Match=etag)
    assert (done.status, done.json["said"]) == (200, "0 rules are in force")
    assert list(folder.iterdir()) == []
    assert of_folder("GET").json == {"files": [], "deleted": ["home.toml"]}
    [version] = of_folder("GET", "home.toml/history").json["versions"]
    text = of_folder("GET", f"home.toml/history/{version['id']}").json["text"]
    assert text == RULES
    assert of_folder("PUT", "home.toml", {"text": text}, **NEW).json["said"] == "2 rules are in force"
    assert of_folder("GET").json == {"files": ["home.toml"], "deleted": []}


def test_a_file_that_others_need_is_not_deleted(of_folder: Say, folder: Path):
    (folder / "zones.toml").write_text('[zone.sofa]\ncamera = "front"\nbox = [0.1, 0.1, 0.5, 0.9]\n')
    rule = '[[rule]]\nid = "x"\nwhen = { gesture = "ok", zone = "sofa" }\nkey = "KEY_A"\n'
    (folder / "x.toml").write_text(rule)
    etag = of_folder("GET", "zones.toml").json["etag"]
    answer = of_folder("DELETE", "zones.toml", If_Match=etag)
    assert answer.status == 422
    assert [(one["file"], one["line"]) for one in answer.json["problems"]] == [("x.toml", 3)]
    assert (folder / "zones.toml").exists()


@pytest.mark.parametrize("name", ["nothing.toml", "..%2Fweb-token", "web-token", "%2e%2e", ".hidden.toml"])
def test_no_name_leads_to_another_file(say: Say, name: str):
    assert say("GET", name).status == 404
    assert say("PUT", name, RULES, If_Match="*").status == 404
    assert say("GET", f"{name}/history").status == 404
    assert say("GET", "rules.toml/history/..%2F..%2Fweb-token").status == 404


@pytest.mark.parametrize("body", [b"", b"{", b'{"text": 5}', b"[]", b'{"text": "\\ud800"}'])
def test_what_is_no_text_is_refused(agent: Agent, body: bytes):
    answer = ask(agent.page.url, "/api/rule-files/rules.toml", body, "PUT", If_Match="*", **BEARER)
    assert answer.status == 400


def test_saving_needs_to_say_what_was_changed(say: Say):
    assert say("PUT", "rules.toml", RULES).status == 428


def test_a_large_file_is_taken_and_one_that_is_too_large_is_not(say: Say, agent: Agent):
    large = RULES + "# filling\n" * 50_000
    assert say("POST", "rules.toml/check", large).status == 200
    assert say("POST", "rules.toml/check", large * 4).status == 413
    body = json.dumps({"on": True, "filling": "x" * 5000}).encode()
    assert ask(agent.page.url, "/api/enabled", body, "POST", **BEARER).status == 413


@pytest.mark.root
def test_on_a_full_disk_nothing_is_lost_and_it_is_reported(start: Start, token, tmp_path: Path):
    with mount_small_disk(tmp_path / "disk", "16k") as disk:
        (disk / "rules.toml").write_text(RULES)
        agent = start(edit=True, token=token, rules=disk / "rules.toml")
        etag = ask(agent.page.url, "/api/rule-files/rules.toml", **BEARER).json["etag"]
        body = json.dumps({"text": RULES + "# filling\n" * 2000}).encode()
        answer = ask(agent.page.url, "/api/rule-files/rules.toml", body, "PUT", If_Match=etag, **BEARER)
        assert answer.status == 507
        assert "No space left on device; nothing was written" in answer.json["error"]
        assert (disk / "rules.toml").read_text() == RULES
        assert sorted(path.name for path in disk.rglob("*")) == ["rules.toml"]

"""Pages, buttons, figures: and who may not."""

from __future__ import annotations

import queue
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from film import RULES, Start
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus
from pydantic import ValidationError
from support.waiting import until
from visitors import ask, post, stream
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from agent.config.settings import WebSettings
from agent.core.gesture_pipeline import GesturePipeline
from agent.core.types import LABELS
from agent.errors import ConfigError
from agent.web.auth import TokenAuth
from agent.web.dashboard import About
from agent.web.page import WebPage
from agent.web.progress_monitor import STALLED_S
from agent.web.routes import STATIC

TOKEN = "open sesame, open sesame"


@pytest.fixture
def token(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "web-token"
    file.write_text(TOKEN + "\n", encoding="utf-8")
    return {"file": str(file)}


# What is served.


@pytest.mark.parametrize("path", ["/", "/kiosk", "/login", "/static/page.js", "/static/gesture-client.js"])
def test_a_page_is_served_that_may_load_nothing_from_elsewhere(start: Start, path: str):
    answer = ask(start().page.url, path)
    assert answer.status == 200
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers


@pytest.mark.parametrize("file", sorted(STATIC.iterdir()), ids=lambda file: file.name)
def test_no_file_of_the_page_names_another_host_or_has_a_script_inside(file: Path):
    text = re.sub(r"/\*.*?\*/", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert re.findall(r"https?://(?!www\.w3\.org/)[^\s\"'`]+", text) == []
    assert not re.search(r"<script(?![^>]* src=)|<style|\bon[a-z]+=\"|style=\"|innerHTML|eval\(", text)


def test_files_beside_the_page_are_not_served(start: Start):
    url = start().page.url
    for path in ("/static/../page.py", "/static/%2e%2e/page.py", "/static//etc/passwd", "/static/"):
        assert ask(url, path).status == 404


def test_the_state_is_there_for_programs(start: Start):
    agent = start()
    state = until(lambda: (s := ask(agent.page.url, "/api/state").json)["health"] and s, "the first health")
    assert [rule["id"] for rule in state["rules"]] == ["lamp", "bell"]
    assert state["rules"][0]["when"] == "stop"
    assert state["enabled"] is True


def test_metrics_are_in_the_formats_that_prometheus_reads(start: Start):
    agent = start()
    with stream(agent.page.url) as kiosk:
        kiosk.until("rule")
    until(lambda: b"uptime" in ask(agent.page.url, "/metrics").body, "the first health")
    plain = ask(agent.page.url, "/metrics")
    samples = [sample for family in prometheus(plain.body.decode()) for sample in family.samples]
    found: dict[str, float] = {}
    for sample in samples:
        found[sample.name] = found.get(sample.name, 0.0) + sample.value
    assert plain.headers["content-type"].startswith("text/plain")
    assert found["gesture_agent_gestures_total"] >= 1
    assert found["gesture_agent_rules_fired_total"] >= 1
    assert found["gesture_agent_camera_online"] == 1
    assert found["gesture_agent_step_seconds_count"] > 0
    strict = ask(agent.page.url, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert strict.headers["content-type"].startswith("application/openmetrics-text")
    assert {family.name for family in openmetrics(strict.body.decode())} >= {"gesture_agent_gestures"}


def test_metrics_have_zeros_from_the_start_and_the_process(start: Start):
    agent = start(cameras=("front", "attic"))  # the attic's never delivers
    agent.reel.still = 29  # nobody is there
    until(lambda: ask(agent.page.url, "/api/state").json["rules"], "the rules")
    text = ask(agent.page.url, "/metrics").body.decode()
    for zero in (
        'gesture_agent_gestures_total{camera="front",gesture="two"}',
        'gesture_agent_rules_fired_total{rule="bell"}',
        'gesture_agent_web_refused_total{reason="attempts"}',
        'gesture_agent_web_clients_dropped_total{reason="slow"}',
        'gesture_agent_step_seconds_count{camera="attic"}',
    ):
        assert f"{zero} 0.0" in text
    samples = {sample.name: sample.value for family in prometheus(text) for sample in family.samples}
    assert samples["process_resident_memory_bytes"] > 1_000_000
    assert samples["process_open_fds"] > 3
    assert samples["process_start_time_seconds"] > 1_000_000_000
    assert "process_cpu_seconds_total" in samples


# What is done.


def test_pause_closes_the_cameras_and_resume_opens_them(start: Start):
    agent = start()
    assert post(agent.page.url, "/api/enabled", {"on": False}).status == 200
    assert agent.reel.on is False
    assert post(agent.page.url, "/api/enabled", {"on": True}).status == 200
    assert agent.reel.on is True


@pytest.mark.parametrize("body", [b"", b"{}", b'{"on": "no"}', b"[1]", b"\xff", b'{"on": 1}'])
def test_what_is_no_switch_switches_nothing(start: Start, body: bytes):
    agent = start()
    answer = ask(agent.page.url, "/api/enabled", body)
    assert (answer.status, agent.reel.on) == (400, True)
    assert "send" in answer.json["error"]


def test_a_rule_is_tried_without_its_gesture(start: Start):
    agent = start()
    answer = post(agent.page.url, "/api/rules/bell/test")
    assert (answer.status, answer.json["data"]) == (200, {"actions": ["publish home/bell"]})
    assert [action.rule for action in agent.out.done if action.rule == "bell"] == ["bell"]


def test_the_address_of_a_webhook_is_reported_to_nobody(start: Start, rules: Path):
    hook = """webhook = { url = "http://me:pass@home.lan:8123/api/webhook/secret" }"""
    rules.write_text(
        RULES.replace('publish = { topic = "home/bell", payload = "ring" }', hook), encoding="utf-8"
    )
    agent = start()
    assert post(agent.page.url, "/api/rules/bell/test").json["data"]["actions"] == [
        "webhook http://home.lan:8123/..."
    ]
    told = ask(agent.page.url, "/api/state").body.decode()
    assert "webhook http://home.lan:8123/..." in told
    assert "secret" not in told
    assert "pass" not in told


def test_an_unknown_rule_is_answered_with_those_there_are(start: Start):
    answer = post(start().page.url, "/api/rules/cellar/test")
    assert (answer.status, answer.json["error"]) == (409, "no rule 'cellar'; there are lamp, bell")


def test_rules_are_read_again(start: Start, rules: Path):
    agent = start()
    rules.write_text(RULES.replace('"bell"', '"gong"'), encoding="utf-8")
    with stream(agent.page.url, "ws/page") as page:
        page.until("snapshot")
        assert post(agent.page.url, "/api/reload").json == {"data": {"rules": 2}}
        assert [rule["id"] for rule in page.until("rules")["rules"]] == ["lamp", "gong"]


def test_a_bad_rule_file_is_reported_on_the_page_and_the_old_rules_run_on(start: Start, rules: Path):
    agent = start()
    rules.write_text(RULES.replace("gesture", "gestrue"), encoding="utf-8")
    with stream(agent.page.url, "ws/page") as page:
        page.until("snapshot")
        answer = post(agent.page.url, "/api/reload")
        told = page.until("rules")
    assert answer.status == 409
    assert "gestrue" in answer.json["error"]
    assert told["trouble"] == answer.json["error"]
    assert [rule["id"] for rule in told["rules"]] == ["lamp", "bell"]


@pytest.mark.parametrize("path", ["/api/enabled", "/api/reload", "/api/rules/lamp/test"])
def test_a_link_does_nothing(start: Start, path: str):
    assert ask(start().page.url, path).status == 405


def test_a_megabyte_is_refused_and_the_loop_goes_on(start: Start):
    agent = start()
    for length in ({}, {"Transfer_Encoding": "chunked"}):
        answer = ask(agent.page.url, "/api/enabled", _chunked(length, b"x" * 1_000_000), "POST", **length)
        assert answer.status == 413
        assert "4096 bytes" in answer.json["error"]
    before = agent.loop.steps
    until(lambda: agent.loop.steps > before, "the loop to go on")
    assert post(agent.page.url, "/api/enabled", {"on": True}).status == 200


def _chunked(headers: dict[str, str], body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if headers else body


# Who may.


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[", "10.0.0.1"]
)
def test_a_name_that_is_not_ours_is_refused(start: Start, host: str):
    answer = ask(start().page.url, "/api/state", Host=host)
    assert answer.status in {400, 421}


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8765", "kiosk.local", "KIOSK.local:99"])
def test_names_of_this_machine_are_ours(start: Start, host: str):
    assert ask(start(names=["kiosk.local"]).page.url, "/api/state", Host=host).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_what_another_page_sends_does_nothing(start: Start, headers: dict[str, str]):
    agent = start()
    assert post(agent.page.url, "/api/enabled", {"on": False}, **headers).status == 403
    assert agent.reel.on is True


def test_another_page_cannot_listen(start: Start):
    agent = start()
    with pytest.raises(InvalidStatus) as refused:
        connect(agent.page.url.replace("http", "ws") + "ws/kiosk", origin="http://evil.example")
    assert refused.value.response.status_code == 403


def test_a_page_that_the_settings_name_may_listen_and_load_the_client(start: Start):
    origin = "http://localhost:3000"
    agent = start(origins=[origin])
    with stream(agent.page.url, origin=origin) as kiosk:
        kiosk.until("fired")
    answer = ask(agent.page.url, "/static/gesture-client.js", Origin=origin)
    assert answer.headers["access-control-allow-origin"] == origin
    assert f"frame-ancestors 'self' {origin}" in answer.headers["content-security-policy"]
    assert "access-control-allow-origin" not in ask(agent.page.url, "/", Origin="http://evil.example").headers


def test_our_own_page_may(start: Start):
    url = start().page.url
    assert post(url, "/api/enabled", {"on": True}, Origin=url.rstrip("/")).status == 200


def test_with_a_token_nothing_is_reported_without_it(start: Start, token: dict[str, str]):
    url = start(token=token).page.url
    for path in ("/api/state", "/metrics"):
        assert ask(url, path).status == 401
        assert ask(url, path, Authorization="Bearer wrong").status == 401
        assert ask(url, path, Authorization=f"Bearer {TOKEN}").status == 200
    assert ask(url, "/").headers["location"] == "login?next="
    assert ask(url, "/healthz").status == 200
    with pytest.raises(InvalidStatus) as refused:
        connect(url.replace("http", "ws") + "ws/kiosk")
    assert refused.value.response.status_code == 401


def test_the_token_is_given_once_and_a_cookie_remembers_it(start: Start, token: dict[str, str]):
    url = start(token=token).page.url
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    wrong = ask(url, "/login", b"token=guess&next=/kiosk", **form)
    assert (wrong.status, wrong.headers["location"]) == (303, "login?next=kiosk&wrong=1")
    assert "set-cookie" not in wrong.headers
    right = ask(url, "/login", f"token={TOKEN.replace(' ', '+')}&next=/kiosk".encode(), **form)
    assert (right.status, right.headers["location"]) == (303, "kiosk")
    cookie = right.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    assert ask(url, "/api/state", Cookie=cookie.partition(";")[0]).status == 200
    elsewhere = ask(url, "/login", f"token={TOKEN.replace(' ', '+')}&next=//evil.example".encode(), **form)
    assert elsewhere.headers["location"] == "./"


def test_a_kiosk_of_elsewhere_gives_the_token_with_its_connection(start: Start, token: dict[str, str]):
    url = start(token=token).page.url
    coded = "token.b3BlbiBzZXNhbWUsIG9wZW4gc2VzYW1l"  # base64url of the token
    with stream(url, subprotocols=["gesture-agent", coded]) as kiosk:
        assert kiosk.connection.subprotocol == "gesture-agent"
        kiosk.until("fired")


def test_a_cookie_wears_off_and_cannot_be_made_longer():
    now = [1_000_000.0]
    auth = TokenAuth(TOKEN, lambda: now[0])
    cookie = auth.cookie()
    assert auth.knows(f"gesture_agent={cookie}")
    until_s, seal = cookie.split(".")
    assert not auth.knows(f"gesture_agent={int(until_s) + 1}.{seal}")
    assert not auth.knows("gesture_agent=.")
    assert not TokenAuth("another token, as long", lambda: now[0]).knows(f"gesture_agent={cookie}")
    now[0] += 31 * 24 * 3600
    assert not auth.knows(f"gesture_agent={cookie}")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "kiosk.local"])  # noqa: S104
def test_other_machines_are_let_in_with_a_token_alone(host: str, token: dict[str, str]):
    with pytest.raises(ValidationError, match="lets other machines in; write token"):
        WebSettings.model_validate({"host": host})
    assert not WebSettings.model_validate({"host": host, "token": token}).loopback


# What cannot be.


@contextmanager
def page_of(web: WebSettings, **given: Any) -> Iterator[WebPage]:
    """A page without an agent."""
    about = About("hall", "1", (), (), 300, preview=False)
    parts: dict[str, Any] = {"health": dict, "progress": lambda: {"loop": 1}, "ask": _too_much, **given}
    page = WebPage(web, about, pipeline=GesturePipeline(LABELS), **parts)
    page.start()
    try:
        yield page
    finally:
        page.close()


def _too_much(*_: object) -> Any:
    raise queue.Full


def test_health_is_bad_news_when_the_loop_stands_still_and_good_when_it_goes_on():
    now, turns = [100.0], [1]
    free = WebSettings(enabled=True, port=0)
    with page_of(free, progress=lambda: {"loop": turns[0]}, clock=lambda: now[0]) as page:
        assert ask(page.url, "/healthz").status == 200
        now[0] += STALLED_S + 1
        ill = ask(page.url, "/healthz")
        assert (ill.status, ill.json["ok"]) == (503, False)
        assert ill.json["stalled"] == [f"loop: no progress for {STALLED_S + 1:.0f} s"]
        turns[0] += 1
        assert ask(page.url, "/healthz").status == 200


def test_a_loop_with_too_much_to_do_is_said():
    with page_of(WebSettings(enabled=True, port=0)) as page:
        answer = post(page.url, "/api/reload")
    assert (answer.status, answer.json["error"]) == (503, "the agent has too much to do; try again")


def test_a_port_that_is_taken_is_said_with_the_setting_to_change():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = WebSettings(enabled=True, port=other.getsockname()[1])
        with pytest.raises(ConfigError, match=r"web\.port \d+: Address already in use.*Set web\.port"):
            page_of(taken).__enter__()


def test_an_address_of_another_machine_is_said():
    with pytest.raises(ConfigError, match=r"web\.host 192\.0\.2\.1"):
        page_of(WebSettings.model_construct(host="192.0.2.1", port=0, token=None)).__enter__()


@pytest.mark.parametrize("text", ["", "short", "fifteen letters"])
def test_a_token_that_is_easily_guessed_is_refused(tmp_path: Path, text: str):
    file = tmp_path / "web-token"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="openssl rand"):
        page_of(WebSettings.model_validate({"token": {"file": file}})).__enter__()


def test_a_token_that_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"web\.token: .*nowhere cannot be read"):
        page_of(WebSettings.model_validate({"token": {"file": tmp_path / "nowhere"}})).__enter__()


def test_the_server_leaves_the_signals_of_the_agent_alone(start: Start):
    before = signal.getsignal(signal.SIGTERM)
    start()
    assert signal.getsignal(signal.SIGTERM) is before


def test_every_proof_of_the_manual_is_a_test_that_exists():
    root = STATIC.parents[2]
    manual = (root / "docs/architecture/threat-model.md").read_text(encoding="utf-8")
    proofs = re.findall(r"(tests/web/\w+\.py)::(\w+)", manual)
    assert len(proofs) > 10
    missing = [
        test for file, test in proofs if f"def {test}(" not in (root / file).read_text(encoding="utf-8")
    ]
    assert missing == []

"""The agents of a broker, as the retained topics tell of them; on a real broker, through the real command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from brokers import Mosquitto, Subscriber
from happenings import ended, started
from support.ports import free_port
from support.raising import does_not_raise
from support.waiting import until

from agent.config.settings import HomeAssistantSettings
from agent.delivery.delivery import Delivery
from agent.delivery.fleet.agents import AgentSeen, Fleet, span, when

Deliver = Callable[..., Delivery]
NOW = 1_800_000_000.0
UNWELL = 4


def fleet_of(**topics: str | bytes) -> Fleet:
    found = Fleet("gesture")
    for topic, payload in topics.items():
        data = payload.encode() if isinstance(payload, str) else payload
        found.take("gesture/" + topic.replace("__", "/"), data)
    return found


def test_agents_are_listed_by_id_with_their_cameras():
    found = fleet_of(
        kitchen__bridge__state='{"state":"online"}',
        attic__bridge__state='{"state":"offline"}',
        kitchen__camera__front__state='{"state":"online","reason":null}',
        kitchen__camera__front__gesture='{"gesture":"none","since":"2026-01-01T10:00:00.000Z","last":"ok"}',
    )
    attic, kitchen = found.agents
    assert (attic.id, list(attic.troubles(NOW))) == ("attic", ["offline"])
    assert list(kitchen.troubles(NOW)) == []
    assert kitchen.last() == ("ok", "front", "2026-01-01T10:00:00.000Z")


@pytest.mark.parametrize(
    ("health", "said"),
    [
        ({"mqtt": {"rival": "pi-2"}}, 'its id is also wanted by the agent on host "pi-2"'),
        ({"ts": "2027-01-15T07:50:00.000Z"}, "silent for 10 min"),
        ({"recognition": {"state": "away", "reason": "gpu gone"}}, "recognises nothing: gpu gone"),
        (
            {"mqtt": {"left_out": {"a/bridge/info": "5000 bytes"}, "left_out_count": 3}},
            "3 topics are left out: a/bridge/info: 5000 bytes",
        ),
        ({"outbox": {"trouble": "disk is full"}}, "outbox: disk is full"),
        (
            {"rules": {"refused": "a.toml:3:1: bad"}},
            "its rule files are refused, the previous rules stay in force: a.toml:3:1: bad",
        ),
    ],
)
def test_troubles_are_reported(health: dict[str, Any], said: str):
    found = fleet_of(a__bridge__state='{"state":"online"}', a__bridge__health=json.dumps(health))
    assert list(found.agents[0].troubles(NOW)) == [said]


def test_a_camera_that_is_away_is_reported_with_its_reason():
    camera = '{"state":"offline","reason":"unplugged"}'
    found = fleet_of(a__bridge__state='{"state":"online"}', a__camera__front__state=camera)
    assert list(found.agents[0].troubles(NOW)) == ["camera front is offline: unplugged"]


@pytest.mark.parametrize("junk", [b"", b"\xff\xfe", b"[]", b"null", b'"x"', b"{", b"[" * 9000, b"1e999"])
def test_junk_on_any_topic_breaks_nothing(junk: bytes):
    found = Fleet("gesture")
    tails = ("bridge/state", "bridge/info", "bridge/health", "enabled/state", "x", "")
    cameras = ("camera/front/state", "camera/front/gesture", "camera/front/event", "camera//state")
    with does_not_raise("junk from the broker"):
        for tail in (*tails, *cameras):
            found.take(f"gesture/a/{tail}", junk)
            found.take("gesture//", junk)
        for agent in found.agents:
            list(agent.troubles(NOW))
            agent.last()
            agent.number("latency", "p95")


def test_wrong_types_inside_are_no_facts():
    agent = AgentSeen("a", health={"latency": [1], "rss_mb": "many", "uptime_s": True, "camera": None})
    assert agent.number("latency", "p95") is None
    assert agent.number("rss_mb") is None
    assert agent.number("uptime_s") is None
    assert agent.number("camera", "front", "fps") is None


def test_no_control_character_reaches_the_terminal():
    found = fleet_of(**{"a\x1b[2J__bridge__state": '{"state":"\\u001b[31mon"}'})
    (agent,) = found.agents
    assert (agent.id, agent.state) == ("a [2J", " [31mon")


def test_spans_and_times():
    assert [span(s) for s in (-5, 3, 90, 7200, 200_000)] == ["0 s", "3 s", "2 min", "2 h", "2 d"]
    assert when("2027-01-15T08:00:00.000Z") == NOW
    assert when(None) is None
    assert when("tomorrow") is None


# The command.


class Command:
    """`gesture-agent fleet` as a user runs it, with settings that lead to a broker."""

    def __init__(self, folder: Path, url: str, **mqtt: str) -> None:
        self._config = folder / "fleet.toml"
        more = "".join(f"{key} = {value}\n" for key, value in mqtt.items())
        self._config.write_text(f'[mqtt]\nurl = "{url}"\n{more}')

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "agent", "fleet", "--config", str(self._config), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )

    def __call__(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


@pytest.fixture
def command(mosquitto: Mosquitto, tmp_path: Path) -> Command:
    return Command(tmp_path, mosquitto.url)


def lives(delivery: Delivery) -> Delivery:
    """Tells what a whole agent tells."""
    delivery.info({"version": "1.2.3", "models": {}})
    delivery.health(
        {"uptime_s": 90, "rss_mb": 250.0, "latency": {"p95": 31.2}, "camera": {"front": {"fps": 14.6}}}
    )
    delivery.enabled(True)
    delivery.camera_state("front", "online")
    delivery.event(started("ok"))
    delivery.event(ended("ok"))
    until(lambda: delivery.status().delivered == 3, "its events")
    return delivery


def test_the_table_shows_who_is_well_and_who_is_not(command: Command, mosquitto: Mosquitto, deliver: Deliver):
    lives(deliver(mosquitto.url, agent_id="attic"))
    gone = lives(deliver(mosquitto.url, agent_id="garage"))
    code, out, _ = command()
    assert code == 0
    lines = {line.split()[1]: line for line in out.splitlines()[1:]}
    for fact in ("ok", "1.2.3", "1/1, 15/s", "ok (front)", "31 ms", "250 MB", "2 min"):
        assert fact in lines["attic"]
    gone.close()
    code, out, _ = command()
    assert code == UNWELL
    lines = {line.split()[1]: line for line in out.splitlines()[1:]}
    assert "fail" in lines["garage"]
    assert lines["garage"].endswith("offline")


def test_json_has_everything(command: Command, mosquitto: Mosquitto, deliver: Deliver):
    lives(deliver(mosquitto.url, agent_id="attic"))
    code, out, _ = command("--json")
    (agent,) = json.loads(out)["agents"]
    assert code == 0
    assert agent["well"]
    assert agent["info"]["version"] == "1.2.3"
    assert agent["info"]["host"]
    assert agent["health"]["rss_mb"] == 250.0
    assert agent["last"]["gesture"] == "ok"
    assert agent["cameras"]["front"]["gesture"] == "none"


def test_a_rival_is_shown(command: Command, mosquitto: Mosquitto, deliver: Deliver, tmp_path: Path):
    lives(deliver(mosquitto.url, agent_id="attic"))
    rival = deliver(mosquitto.url, agent_id="attic", folder=tmp_path / "rival", wait=False)
    until(lambda: "in use" in (rival.status().trouble or ""), "it is told")
    until(lambda: command()[0] == UNWELL, "and shown")
    assert 'its id is also wanted by the agent on host "' in command()[1]


def test_nobody_there_is_not_well(command: Command):
    code, out, _ = command()
    assert code == UNWELL
    assert out.startswith("No agent has published anything below gesture/")


def test_a_broker_that_is_away_is_named(tmp_path: Path):
    code, out, err = Command(tmp_path, f"mqtt://127.0.0.1:{free_port()}")("--json")
    assert code == 1
    assert json.loads(out) == {"ok": False, "error": err.strip(), "exit_code": 1}
    assert "nothing listens at 127.0.0.1" in err


def test_a_url_that_is_none_is_wrong(command: Command):
    code, _, err = command("--url", "http://broker")
    assert code == 3
    assert "expected mqtt://HOST[:PORT]" in err


@pytest.mark.parametrize("version", ['"5"', '"3.1.1"'])
def test_both_versions_of_mqtt_are_spoken(
    mosquitto: Mosquitto, deliver: Deliver, tmp_path: Path, version: str
):
    lives(deliver(mosquitto.url, agent_id="attic"))
    assert Command(tmp_path, mosquitto.url, version=version)()[0] == 0


def test_a_login_that_may_only_read_will_do(tmp_path: Path, deliver: Deliver):
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite gesture/#\nuser guest\ntopic read gesture/#\n")
    acl.chmod(0o700)
    broker = Mosquitto(tmp_path, "allow_anonymous true", f"acl_file {acl}").start()
    (tmp_path / "secret").write_text("x\n")
    (tmp_path / "secret").chmod(0o600)
    login = {"user": '"guest"', "password": f'{{ file = "{tmp_path}/secret" }}'}
    try:
        lives(deliver(broker.url, agent_id="attic"))
        assert Command(tmp_path, broker.url, **login)()[0] == 0
    finally:
        broker.stop()


@pytest.fixture
def watching(command: Command) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started_: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        started_.append(command.start("--watch", *words))
        return started_[-1]

    yield start
    for process in started_:
        process.kill()
        process.communicate()


def test_watching_tells_of_changes_and_survives_the_broker(
    watching, mosquitto: Mosquitto, deliver: Deliver, listen
):
    delivery = lives(deliver(mosquitto.url, agent_id="attic"))
    process = watching()
    assert process.stdout is not None
    assert "attic: online; ok (front)" in process.stdout.readline()
    delivery.event(started("fist"))
    assert "fist (front)" in process.stdout.readline()
    mosquitto.kill()
    mosquitto.start()
    until(lambda: delivery.status().connected, "the agent is back")
    delivery.close()
    while "offline" not in (line := process.stdout.readline()):
        assert line
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


def test_watching_as_json_gives_a_document_a_change(watching, mosquitto: Mosquitto, deliver: Deliver):
    delivery = lives(deliver(mosquitto.url, agent_id="attic"))
    process = watching("--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["agents"][0]["last"]["gesture"] == "ok"
    delivery.event(started("fist"))
    assert json.loads(process.stdout.readline())["agents"][0]["last"]["gesture"] == "fist"


@pytest.mark.parametrize("form", ["device", "component"])
def test_an_agent_that_is_gone_can_be_forgotten_with_all_that_home_assistant_was_told(
    command: Command, mosquitto: Mosquitto, deliver, listen, form: Literal["device", "component"]
):
    gone = lives(
        deliver(mosquitto.url, agent_id="garage", homeassistant=HomeAssistantSettings(discovery=form))
    )
    gone.describe(version="1", cameras=["front"], gestures=["stop"])
    watcher: Subscriber = listen(mosquitto.port, "homeassistant/#")
    until(lambda: watcher.on("/config"), "the description")
    code, _, err = command("--forget", "garage")
    assert (code, "is online; stop it first" in err) == (3, True)
    gone.close()
    code, out, _ = command("--forget", "garage")
    assert code == 0
    assert "garage: " in out
    late: Subscriber = listen(mosquitto.port)
    late.publish("end", "of what is retained")
    until(lambda: late.on("end"), "all that is retained")
    assert [h.topic for h in late.heard if h.retained] == []
    assert command("--forget", "garage")[0] == 3
    assert command("--forget", "#")[0] == 3

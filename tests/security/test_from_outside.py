"""The running agent, looked at as its neighbours on the machine and on the broker see it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from brokers import Heard, Mosquitto, Subscriber
from daemons import CLIP, configured, daemon
from support.ports import free_port
from support.waiting import until

SECRETS = ("of-the-broker-7Qx", "of-the-camera-9Zk")
LARGEST = 32_000  # bytes: Home Assistant's description of all entities; a picture of 640 x 480 has 900,000
WRITES = os.O_WRONLY | os.O_RDWR


@dataclass(frozen=True)
class Seen:
    """What an agent with a camera, a locked camera and a login showed to others until it saw a gesture."""

    process_list: str
    log: str
    heard: list[Heard]
    written: list[Path]
    state: Path
    home: Path


@pytest.fixture(scope="module")
def seen(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder = tmp_path_factory.mktemp("outside")
    broker = _locked_broker(folder)
    subscriber = Subscriber(broker.port, user="agent", password=SECRETS[0])
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "home"),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }
    try:
        with daemon(_config(folder, broker, cache_dir), environ) as running:
            until(lambda: subscriber.on("camera/front/event"), "a gesture", 60)
            until(lambda: subscriber.on("camera/door/state"), "the other camera's state")
            listed, written = _process_list(running.process.pid), _written(running.process.pid)
    finally:
        subscriber.close()
        broker.stop()
    return Seen(listed, running.said, list(subscriber.heard), written, folder / "state", folder / "home")


def _locked_broker(folder: Path) -> Mosquitto:
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.skip("mosquitto_passwd is not installed (apt install mosquitto)")
    known = folder / "known"
    subprocess.run([program, "-b", "-c", str(known), "agent", SECRETS[0]], check=True)
    return Mosquitto(folder, "allow_anonymous false", f"password_file {known}").start()


def _config(folder: Path, broker: Mosquitto, cache_dir: Path) -> Path:
    for name, secret in zip(("mqtt-password", "door-password"), SECRETS, strict=True):
        (folder / name).write_text(secret + "\n")
        (folder / name).chmod(0o600)
    return configured(
        folder,
        "watched",
        broker.url,
        cache_dir,
        f"""
        user = "agent"
        password = {{ file = "mqtt-password" }}
        [camera.front]
        source = "{CLIP}"
        [camera.door]
        source = "http://127.0.0.1:{free_port()}/cam"
        user = "viewer"
        password = {{ file = "door-password" }}
        [log]
        level = "debug"
        """,
    )


def _process_list(pid: int) -> str:
    """Command line and environment of the agent and its children."""
    found = []
    for one in [pid, *_children(pid)]:
        found += [
            Path(f"/proc/{one}/{what}").read_bytes().decode(errors="replace")
            for what in ("cmdline", "environ")
        ]
    return "\n".join(found)


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _written(pid: int) -> list[Path]:
    """Regular files that the process holds open for writing, its log aside."""
    found = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        path = fd.readlink()
        flags = int(Path(f"/proc/{pid}/fdinfo/{fd.name}").read_text().split("flags:")[1].split()[0], 8)
        if flags & WRITES and path.exists() and path.is_relative_to("/dev") is False and path.name != "log":
            found.append(path)
    return found


@pytest.mark.parametrize("secret", SECRETS, ids=["broker", "camera"])
def test_no_secret_is_in_the_process_list_the_log_or_any_message(seen: Seen, secret: str):
    assert "config.toml" in seen.process_list
    assert "agent_ready" in seen.log
    assert secret not in seen.process_list
    assert secret not in seen.log
    assert not [h.topic for h in seen.heard if secret in h.payload or secret in str(h.properties)]
    assert not [
        path for path in seen.state.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
    ]


def test_what_is_published_is_text_and_far_too_small_for_a_picture(seen: Seen):
    assert len(seen.heard) > 10
    for heard in seen.heard:
        assert len(heard.payload.encode()) < LARGEST, heard.topic
        if heard.topic.startswith("gesture/watched/camera/front/event"):
            assert {type(value) for value in json.loads(heard.payload).values()} <= {
                str,
                float,
                int,
                type(None),
            }


def test_it_writes_nothing_but_its_outbox(seen: Seen):
    assert {path.parent for path in seen.written} == {seen.state, seen.state / "trace"}
    assert {path.name.split(".")[0] for path in seen.state.iterdir()} == {"outbox", "cameras", "trace"}
    assert {path.suffix for path in (seen.state / "trace").iterdir()} == {".jsonl"}  # numbers, no picture
    assert sum(path.stat().st_size for path in seen.state.rglob("*")) < 640 * 480


def test_nobody_else_on_the_machine_can_read_what_it_keeps(seen: Seen):
    assert {
        path.name: path.stat().st_mode & 0o077 for path in seen.state.iterdir() if path.stat().st_mode & 0o077
    } == {}


def test_no_library_keeps_an_id_of_the_machine_or_notes_to_send_home(seen: Seen):
    """ONNX Runtime would, from 1.29 on: its opt-out has to be set before it is loaded."""
    assert list(seen.home.rglob("*")) == []


def test_the_embedded_broker_listens_to_this_machine_alone():
    pytest.importorskip("amqtt", reason="the extra `embedded` is not installed")
    from agent.delivery.mqtt.embedded import EmbeddedBroker  # noqa: PLC0415 (needs the extra)

    broker = EmbeddedBroker(21_000)
    broker.start()
    try:
        assert _listeners(broker.port) == ["0100007F"]  # 127.0.0.1, as the kernel writes it
    finally:
        broker.close()


def _listeners(port: int) -> list[str]:
    """Addresses on which this machine listens at a port."""
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()
    ]
    return [row[1].split(":")[0] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")]

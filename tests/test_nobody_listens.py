"""The whole agent when nobody listens to it any more, and when one of its threads has died."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from brokers import Mosquitto, Subscriber
from daemons import CLIP, configured, daemon
from support.waiting import until

COMMAND = [sys.executable, "-m", "agent", "run", "--config"]


@pytest.fixture
def broker(tmp_path: Path):
    found = Mosquitto(tmp_path).start()
    yield found
    found.stop()


def _camera(broker: Mosquitto, tmp_path: Path, cache_dir: Path, agent: str) -> Path:
    camera = f'[camera.desk]\nsource = "{CLIP}"\nloop = true'
    return configured(tmp_path, agent, broker.url, cache_dir, camera)


def test_gestures_go_on_when_log_and_systemd_are_gone(broker: Mosquitto, tmp_path: Path, cache_dir: Path):
    config = _camera(broker, tmp_path, cache_dir, "unheard")
    subscriber = Subscriber(broker.port, "gesture/unheard/#")
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        environ = {**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"}
        process = subprocess.Popen([*COMMAND, str(config)], stderr=subprocess.PIPE, env=environ)
        systemd.settimeout(120)
        while b"READY=1" not in systemd.recv(4096):
            pass
    try:
        Path(address).unlink()
        assert process.stderr is not None
        process.stderr.close()
        subscriber.heard.clear()
        until(lambda: len(subscriber.on("/action")) >= 3, "gestures go on", 60)
        subscriber.publish("gesture/unheard/bridge/request/health", "{}")
        until(lambda: subscriber.on("bridge/response/health"), "health", 60)
        assert process.poll() is None
        assert '"log_lines":0' not in subscriber.on("bridge/response/health")[0].payload
        assert '"notifications":0' not in subscriber.on("bridge/response/health")[0].payload
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        subscriber.close()


def test_a_log_on_a_full_disk_ends_nothing(broker: Mosquitto, tmp_path: Path, cache_dir: Path):
    config = _camera(broker, tmp_path, cache_dir, "full")
    subscriber = Subscriber(broker.port, "gesture/full/#")
    with Path("/dev/full").open("wb") as full:
        process = subprocess.Popen([*COMMAND, str(config)], stderr=full)
    try:
        until(lambda: len(subscriber.on("/action")) >= 2, "gestures arrive", 120)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        subscriber.close()


def test_what_cannot_start_says_so_by_its_exit_code_when_nobody_can_read_why(tmp_path: Path):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*COMMAND, str(tmp_path / "missing.toml")], stderr=full, check=False)
    assert done.returncode == 3  # and is not started again and again


DIES = """
import sys
from agent.cli import main
from agent.delivery.outbox.worker import OutboxWorker

def measure(self, *, quiet):
    raise RuntimeError("a fault of ours")

if "--die" in sys.argv:
    sys.argv.remove("--die")
    OutboxWorker._measure = measure
main()
"""


def test_a_thread_that_dies_takes_the_process_with_it(broker: Mosquitto, tmp_path: Path, cache_dir: Path):
    config = _camera(broker, tmp_path, cache_dir, "dying")
    command = [sys.executable, "-c", DIES, "run", "--die", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=160, check=False)
    assert done.returncode == 1
    assert "the thread outbox has ended: RuntimeError('a fault of ours')" in done.stderr


def test_a_clean_stop_leaves_no_gesture_and_no_camera_behind(
    broker: Mosquitto, tmp_path: Path, cache_dir: Path
):
    config = _camera(broker, tmp_path, cache_dir, "stopped")
    subscriber = Subscriber(broker.port, "gesture/stopped/#")
    with daemon(config):
        until(lambda: subscriber.on("/action"), "a gesture", 120)
    subscriber.close()
    late = Subscriber(broker.port, "gesture/stopped/camera/desk/#")
    until(lambda: len(late.heard) == 4, "what is retained")
    told = {h.topic.rsplit("/", 1)[1]: h.payload for h in late.heard}
    assert '"offline"' in told["state"]
    assert '"none"' in told["gesture"]
    assert '"armed":false' in told["armed"]
    assert '"occupied":null' in told["occupancy"]
    late.close()

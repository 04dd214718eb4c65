"""The installed service, for real: `make test-service` boots a Debian with its own systemd.

The tests build on one another, in this order. Takes some minutes, needs root, debootstrap and
systemd-nspawn; where those are missing it says so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import platformdirs
import pytest
from booted import ROOT, Booted, base_system, wheels, why_not
from endless import NAME as ENDLESS
from endless import write_endless
from support.waiting import until

pytestmark = pytest.mark.container

UNIT = "gesture-agent.service"
PATIENCE_S = 90
SETTINGS = '[camera.front]\nsource = "/srv/clip"\nfps = 15\nloop = true\n'
RULE = '[[rule]]\nid = "lamp"\nwhen = { gesture = "fist" }\npublish = { topic = "t/lamp", payload = "on" }\n'


def wait_until(is_so: Callable[[], object], what: str) -> None:
    until(is_so, what, PATIENCE_S, every_s=0.3)  # each look is a process in the machine


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, shared_data: Path, cache_dir: Path) -> Iterator[Booted]:
    """A fresh Debian with a checkout set up as `make` does it, the networks at hand, the broker off."""
    if reason := why_not():
        pytest.skip(reason)
    cache = Path(platformdirs.user_cache_path("gesture-agent-tests"))
    root = tmp_path_factory.mktemp("machine") / "root"
    subprocess.run(["cp", "--archive", "--reflink=auto", base_system(cache), root], check=True)
    (root / "etc/systemd/system/multi-user.target.wants/mosquitto.service").unlink(missing_ok=True)
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n", encoding="ascii")  # debootstrap makes none
    checkout = root / "root/checkout"
    checkout.mkdir()
    for name in ("agent", "engines", "rules", "systemd", "config.toml", "pyproject.toml", "README.md"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, checkout / name)
    shutil.copytree(cache_dir / "engines", root / "root/.cache/gesture-agent/engines")
    clip = root / "srv/clip"
    shutil.copytree(shared_data / "sequences/desk/fist", clip)
    for number in range(1000, 1030):  # two seconds without a hand: the gesture ends, and starts anew
        cv2.imwrite(str(clip / f"{number}.png"), np.zeros((480, 640, 3), np.uint8))
    booted = Booted(root, {wheels(cache): "/wheels"})
    booted.run("python3", "-m", "venv", "/root/checkout/.venv")
    booted.run("/root/checkout/.venv/bin/pip", "install", "--quiet", "--editable", "/root/checkout")
    yield booted
    booted.close()


def install(machine: Booted) -> str:
    return machine.run("/root/checkout/.venv/bin/gesture-agent", "service", "install")


def state(machine: Booted) -> dict[str, Any]:
    """As `gesture-agent service status --json` tells it."""
    document: dict[str, Any] = json.loads(
        machine.run("gesture-agent", "service", "status", "--json", check=False)
    )
    return document


def write(machine: Booted, name: str, text: str) -> None:
    machine.path(f"/etc/gesture-agent/{name}").write_text(text, encoding="utf-8")


def restart(machine: Booted) -> None:
    machine.run("systemctl", "reset-failed", UNIT, check=False)
    machine.run("systemctl", "restart", UNIT)


def wait_for_another_life(machine: Booted, before: dict[str, Any]) -> None:
    """Until another process runs; between two lives there is none, and its number is 0."""

    def is_back() -> bool:
        now = state(machine)
        return now["running"] and now["pid"] not in (0, before["pid"])

    wait_until(is_back, "started again")


def next_event(machine: Booted, topic: str = "gesture/+/camera/+/event") -> str:
    """The next message, by a subscriber of the real broker."""
    return machine.run("mosquitto_sub", "-t", topic, "-C", "1", "-W", "60")


def watchdog_timeouts(machine: Booted) -> int:
    return machine.run("journalctl", "-u", UNIT, "--no-pager").count("Watchdog timeout")


def test_it_installs_and_is_ready_without_camera_and_without_broker(machine: Booted):
    said = install(machine)
    assert "gesture-agent is installed and running." in said
    now = state(machine)
    assert (now["running"], now["at_boot"], now["restarts"]) == (True, True, 0)
    [lost] = machine.journal("-u", UNIT, "EVENT=camera_lost", "-n", "1")
    assert "v4l2:/dev/video0: no such device" in lost["REASON"]


def test_it_runs_as_nobody_in_particular_and_sees_no_secret_of_others(machine: Booted):
    status = machine.run("cat", f"/proc/{state(machine)['pid']}/status")
    uid = next(line.split()[1] for line in status.splitlines() if line.startswith("Uid:"))
    assert int(uid) >= 61184  # systemd's range of dynamic users
    assert "NoNewPrivs:\t1" in status
    assert "CapEff:\t0000000000000000" in status


def test_a_gesture_goes_through_the_broker_and_into_the_journal(machine: Booted):
    write(machine, "config.toml", SETTINGS)
    machine.run("systemctl", "start", "mosquitto")
    restart(machine)
    event = json.loads(next_event(machine))
    assert event["event_type"] == "fist"
    entry = machine.journal("GESTURE=fist", "-n", "1")[0]
    assert entry["_SYSTEMD_UNIT"] == UNIT
    assert entry["CAMERA"] == "front"


def test_killed_it_is_back_and_goes_on(machine: Booted):
    before = state(machine)
    machine.run("kill", "-9", str(before["pid"]))
    wait_for_another_life(machine, before)
    assert state(machine)["restarts"] == before["restarts"] + 1
    assert json.loads(next_event(machine))["event_type"] == "fist"


def test_a_broker_that_goes_and_comes_does_not_restart_it(machine: Booted):
    before = state(machine)
    machine.run("systemctl", "stop", "mosquitto")
    wait_until(lambda: machine.journal("EVENT=broker_lost", "-n", "1"), "broker lost")
    machine.run("systemctl", "start", "mosquitto")
    assert json.loads(next_event(machine))["event_type"] == "fist"
    assert state(machine)["pid"] == before["pid"]


def test_a_good_reload_brings_the_new_rule_and_a_bad_one_keeps_it(machine: Booted):
    before = state(machine)
    write(machine, "rules/home.toml", RULE)
    machine.run("systemctl", "reload", UNIT)
    assert next_event(machine, "t/lamp").strip() == "on"
    write(machine, "rules/home.toml", "this is = no [rule")
    machine.run("systemctl", "reload", UNIT, check=False)
    assert next_event(machine, "t/lamp").strip() == "on"
    assert state(machine)["pid"] == before["pid"]
    write(machine, "rules/home.toml", RULE)


def test_frozen_it_is_killed_by_the_watchdog_and_is_back(machine: Booted):
    drop_in = machine.path(f"/etc/systemd/system/{UNIT}.d/soon.conf")
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nWatchdogSec=6\nTimeoutAbortSec=2\n")
    machine.run("systemctl", "daemon-reload")
    restart(machine)
    before = state(machine)
    machine.run("kill", "-STOP", str(before["pid"]))
    wait_for_another_life(machine, before)
    assert watchdog_timeouts(machine) == 1
    assert json.loads(next_event(machine))["event_type"] == "fist"


def test_an_inference_that_never_returns_is_ended_by_the_watchdog(machine: Booted):
    write_endless(machine.path("/opt/gesture-agent/share/gesture-agent/engines"))
    write(machine, "config.toml", SETTINGS + f'[recognition]\ngestures = "{ENDLESS}"\n')
    restart(machine)  # ready: the network is well until it sees a hand
    before = state(machine)
    timeouts = watchdog_timeouts(machine)
    write(machine, "config.toml", SETTINGS)  # for the next life
    wait_for_another_life(machine, before)
    assert watchdog_timeouts(machine) == timeouts + 1
    assert state(machine)["restarts"] == before["restarts"] + 1
    assert json.loads(next_event(machine))["event_type"] == "fist"


def test_what_cannot_start_says_why_and_is_not_tried_again(machine: Booted):
    write(machine, "config.toml", SETTINGS.replace("loop", "lop"))
    machine.run("systemctl", "restart", UNIT, check=False)
    now = state(machine)
    assert (now["running"], now["exit_code"], now["state"]) == (False, 3, "failed (failed)")
    assert 'did you mean "loop"' in machine.run("journalctl", "-u", UNIT, "--no-pager", "-n", "30")
    restarts = machine.show(UNIT, "NRestarts")
    time.sleep(5)  # RestartSec is 2 s: it would have been tried twice by now
    assert machine.show(UNIT, "NRestarts") == restarts
    assert state(machine)["state"] == "failed (failed)"


def test_the_password_comes_as_a_credential_and_shows_up_nowhere(machine: Booted):
    machine.path("/etc/mosquitto/conf.d/login.conf").write_text(
        "listener 1883\nallow_anonymous false\npassword_file /etc/mosquitto/logins\n"
    )
    machine.run("mosquitto_passwd", "-b", "-c", "/etc/mosquitto/logins", "agent", "s3cretword")
    machine.run("chown", "mosquitto", "/etc/mosquitto/logins")
    machine.run("systemctl", "restart", "mosquitto")
    write(machine, "mqtt-password", "s3cretword\n")
    mqtt = '[mqtt]\nuser = "agent"\npassword = { file = "mqtt-password" }\n'
    write(machine, "config.toml", SETTINGS + mqtt)
    restart(machine)
    login = ["-u", "agent", "-P", "s3cretword", "-C", "1", "-W", "60"]
    event = machine.run("mosquitto_sub", "-t", "gesture/+/camera/+/event", *login)
    assert json.loads(event)["event_type"] == "fist"
    number = state(machine)["pid"]
    for shown in (
        machine.run("journalctl", "--no-pager"),
        machine.run("systemctl", "show", UNIT),
        machine.run("cat", f"/proc/{number}/environ", f"/proc/{number}/cmdline"),
    ):
        assert "s3cretword" not in shown


def test_an_upgrade_keeps_what_is_the_users(machine: Booted):
    settings = machine.path("/etc/gesture-agent/config.toml").read_text()
    install(machine)
    assert machine.path("/etc/gesture-agent/config.toml").read_text() == settings
    assert "lamp" in machine.path("/etc/gesture-agent/rules/home.toml").read_text()
    assert state(machine)["running"]


def test_removed_it_leaves_nothing(machine: Booted):
    machine.run("gesture-agent", "service", "uninstall")
    words = ["/etc", "/opt", "/usr/local", "/var/lib", "/var/cache", "-name", "*gesture-agent*"]
    assert machine.run("find", *words) == ""
    assert machine.show(UNIT, "LoadState")["LoadState"] == "not-found"

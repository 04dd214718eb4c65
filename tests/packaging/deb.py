"""The Debian package, for real: `make test-deb` installs it in a Debian of its own, booted by systemd.

The tests build on one another, in this order. Needs root, mmdebstrap and systemd-nspawn; says so where they
are missing. The Debian is of this machine's suite: the package belongs to its Python.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from booted import Booted
from installed import ROOT

from agent import __version__

UNIT = "gesture-agent.service"
PACKAGES = "systemd,systemd-sysv,dbus,udev,procps,mosquitto,mosquitto-clients,dpkg-dev"
NEEDS = "python3,python3-systemd,ca-certificates"  # of the package: no network is in the container
SETTINGS = """\
[agent]
id = "tried"
[camera.front]
source = "/usr/lib/gesture-agent/share/gesture-agent/demo.mp4"
loop = true
"""
OURS = ("/etc", "/usr", "/var/lib", "/var/cache", "/opt", "-name", "*gesture-agent*")


def suite() -> str:
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "sid")


def package() -> Path:
    folder = Path(os.environ.get("GESTURE_AGENT_DEB", ROOT / "dist"))
    found = sorted(folder.glob(f"gesture-agent_{__version__}~{suite()}_*.deb"))
    if not found:
        pytest.skip(f"no package in {folder}: make deb")
    return found[-1]


def base(cache: Path) -> Path:
    """A Debian to copy, made once."""
    root = Path(os.environ.get("GESTURE_AGENT_DEB_ROOT", cache / f"deb-{suite()}"))
    if not root.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        words = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES},{NEEDS}", suite()]
        subprocess.run([*words, str(root.with_name(f"{root.name}.new"))], check=True)
        root.with_name(f"{root.name}.new").rename(root)
    return root


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    for program in ("mmdebstrap", "systemd-nspawn"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} here")
    if os.geteuid() != 0:
        pytest.skip("booting a container needs root")
    found = package()
    root = tmp_path_factory.mktemp("machine") / "root"
    made = base(Path(platformdirs.user_cache_path("gesture-agent-tests")))
    subprocess.run(["cp", "--archive", "--reflink=auto", str(made), str(root)], check=True)
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n", encoding="ascii")
    shutil.copy(found, root / "root/gesture-agent.deb")
    booted = Booted(root, {})
    yield booted
    booted.close()


def wait_until(is_so: Callable[[], object], what: str, patience_s: float = 90) -> None:
    deadline = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.3)


def state(machine: Booted) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        machine.run("gesture-agent", "service", "status", "--json", check=False)
    )
    return document


def install(machine: Booted, deb: str = "/root/gesture-agent.deb") -> str:
    environ = ["env", "DEBIAN_FRONTEND=noninteractive"]
    return machine.run(
        *environ, "apt-get", "install", "-y", "-q", "-o", "Dpkg::Options::=--force-confold", deb
    )


def next_event(machine: Booted) -> dict[str, Any]:
    words = ["mosquitto_sub", "-t", "gesture/tried/camera/front/event", "-C", "1", "-W", "60"]
    event: dict[str, Any] = json.loads(machine.run(*words))
    return event


def test_it_installs_without_a_network_and_runs(machine: Booted):
    install(machine)
    wait_until(lambda: state(machine)["running"], "running")
    assert state(machine)["at_boot"]
    assert __version__ in machine.run("gesture-agent", "version")


def test_it_runs_as_nobody_in_particular(machine: Booted):
    status = machine.run("cat", f"/proc/{state(machine)['pid']}/status")
    uid = next(line.split()[1] for line in status.splitlines() if line.startswith("Uid:"))
    assert int(uid) >= 61184  # systemd's range of dynamic users
    assert "CapEff:\t0000000000000000" in status


def test_the_packages_service_is_not_installed_a_second_time_by_the_agent_itself(machine: Booted):
    for word in ("install", "uninstall"):
        said = machine.run("gesture-agent", "service", word, check=False)
        assert f"apt {'install' if word == 'install' else 'remove'} gesture-agent" in said
    assert state(machine)["running"]


def test_its_rules_pass_their_cases_and_its_networks_are_there(machine: Booted):
    assert "passed, 0 failed" in machine.run("gesture-agent", "rules", "test", "/etc/gesture-agent/rules")
    networks = json.loads(machine.run("gesture-agent", "models", "list", "--json"))
    states = {network["name"]: network["state"] for network in networks}
    assert states["gesturenet-ensemble"] == "ready"


def test_a_gesture_goes_through_the_broker(machine: Booted):
    machine.path("/etc/gesture-agent/config.toml").write_text(SETTINGS, encoding="utf-8")
    machine.run("systemctl", "start", "mosquitto")
    machine.run("systemctl", "restart", UNIT)
    assert next_event(machine)["event_type"]


def test_every_file_of_it_belongs_to_the_package(machine: Booted):
    """But for what the service and Python made: state, cache, bytecode, systemd's link of enabling."""
    listed = set(machine.run("dpkg", "-L", "gesture-agent").splitlines())
    found = set(
        machine.run(
            "find", "/etc/gesture-agent", "/usr/lib/gesture-agent", "!", "-path", "*__pycache__*"
        ).split("\n")
    )
    assert found - {""} <= listed


def test_an_upgrade_keeps_what_is_the_users_and_runs_on(machine: Booted):
    machine.path("/etc/gesture-agent/rules/mine.toml").write_text("# mine\n", encoding="utf-8")
    before = state(machine)["pid"]
    newer = f"{__version__}+1"
    machine.run("dpkg-deb", "-R", "/root/gesture-agent.deb", "/root/newer")
    control = machine.path("/root/newer/DEBIAN/control")
    lines = control.read_text(encoding="utf-8").splitlines()
    lines = [f"Version: {newer}" if line.startswith("Version:") else line for line in lines]
    control.write_text("\n".join(lines) + "\n", encoding="utf-8")
    machine.run("dpkg-deb", "-b", "-Znone", "/root/newer", "/root/newer.deb")
    install(machine, "/root/newer.deb")
    assert newer in machine.run("dpkg-query", "-W", "gesture-agent")
    assert machine.path("/etc/gesture-agent/config.toml").read_text(encoding="utf-8") == SETTINGS
    assert machine.path("/etc/gesture-agent/rules/mine.toml").exists()
    wait_until(lambda: state(machine)["running"] and state(machine)["pid"] not in {0, before}, "restarted")
    assert next_event(machine)["event_type"]


def test_removed_it_keeps_settings_and_messages_that_wait(machine: Booted):
    machine.run("apt-get", "remove", "-y", "-q", "gesture-agent")
    assert machine.show(UNIT, "ActiveState")["ActiveState"] == "inactive"
    assert machine.path("/etc/gesture-agent/config.toml").exists()
    assert machine.path("/var/lib/private/gesture-agent").exists()
    assert not machine.path("/usr/lib/gesture-agent").exists()


def test_purged_it_leaves_nothing_but_what_the_user_added(machine: Booted):
    machine.path("/etc/gesture-agent/rules/mine.toml").unlink(missing_ok=True)
    machine.run("apt-get", "purge", "-y", "-q", "gesture-agent")
    assert machine.run("find", *OURS) == ""
    assert machine.show(UNIT, "LoadState")["LoadState"] == "not-found"

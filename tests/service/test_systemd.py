"""The test plays systemd: it binds the socket and listens."""

import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from agent.service.systemd import Notifier, Watchdog


class Systemd:
    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(30)

    def heard(self) -> str:
        return self._socket.recv(4096).decode()

    def heard_so_far(self) -> list[str]:
        self._socket.setblocking(False)
        messages = []
        try:
            while True:
                messages.append(self._socket.recv(4096).decode())
        except BlockingIOError:
            return messages
        finally:
            self._socket.settimeout(30)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@gesture-agent-{os.getpid()}"
    listener = Systemd(address)
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    yield listener
    listener.close()


def test_systemd_hears_of_every_state(systemd: Systemd):
    notifier = Notifier()
    notifier.ready()
    notifier.status("2 cameras online")
    notifier.reloading()
    notifier.extend_start(90)
    notifier.stopping()
    assert systemd.heard() == "READY=1"
    assert systemd.heard() == "STATUS=2 cameras online"
    assert systemd.heard().startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert systemd.heard() == "EXTEND_TIMEOUT_USEC=90000000"
    assert systemd.heard() == "STOPPING=1"


def test_it_is_heard_without_systemd_python_too(systemd: Systemd):
    hide = "import sys; sys.modules['systemd'] = None\n"
    code = hide + "from agent.service.systemd import Notifier; Notifier().ready()"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert systemd.heard() == "READY=1"


@pytest.mark.skipif(
    importlib.util.find_spec("systemd.daemon") is None, reason="systemd-python is not installed"
)
def test_with_systemd_python_the_same_is_heard(systemd: Systemd):
    code = "import systemd.daemon; from agent.service.systemd import Notifier; Notifier().ready()"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert systemd.heard() == "READY=1"


def test_without_systemd_nothing_is_said_and_nothing_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = Notifier()
    notifier.ready()
    assert not notifier.present


class Day:
    """A watchdog of 30 s, so fed every 10 s, with parts that move when told."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.now = 0.0
        self.loop = 0
        self.outbox = 0
        self.dog = Watchdog(Notifier(), lambda: (self.loop, self.outbox), environ, lambda: self.now)

    def pass_time(self, seconds: int, *, loop: bool = True, outbox: bool = True) -> None:
        for _ in range(seconds):
            self.now += 1
            self.loop += loop
            self.outbox += outbox
            self.dog.turn()


def test_the_watchdog_is_fed_while_all_parts_move(systemd: Systemd):
    Day({"WATCHDOG_USEC": "30000000"}).pass_time(60)
    assert systemd.heard_so_far() == ["WATCHDOG=1"] * 6


@pytest.mark.parametrize("stuck", ["loop", "outbox"])
def test_a_part_that_stands_still_stops_the_feeding(systemd: Systemd, stuck: str):
    day = Day({"WATCHDOG_USEC": "30000000"})
    day.pass_time(20)
    assert len(systemd.heard_so_far()) == 2
    day.pass_time(100, **{stuck: False})
    assert len(systemd.heard_so_far()) <= 1  # the step just before it stood still
    day.pass_time(20)
    assert systemd.heard_so_far()


@pytest.mark.parametrize("environ", [{}, {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}])
def test_without_a_watchdog_of_ours_nothing_is_fed(systemd: Systemd, environ: dict[str, str]):
    Day(environ).pass_time(60)
    assert systemd.heard_so_far() == []

"""The test plays systemd: it binds the socket and listens."""

import os
import socket
from collections.abc import Iterator

import pytest

from agent.service.sink import LostLines
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


def test_without_systemd_nothing_is_said_and_nothing_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = Notifier()
    notifier.ready()
    assert not notifier.present


class Day:
    """A watchdog of 30 s, so fed every 10 s."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.now = 0.0
        self.healthy = True
        self.dog = Watchdog(Notifier(), lambda: self.healthy, environ, lambda: self.now)

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            self.dog.on_step()


def test_the_watchdog_is_fed_while_all_threads_are_well(systemd: Systemd):
    Day({"WATCHDOG_USEC": "30000000"}).pass_time(60)
    assert systemd.heard_so_far() == ["WATCHDOG=1"] * 6


def test_a_thread_that_is_not_well_stops_the_feeding(systemd: Systemd):
    day = Day({"WATCHDOG_USEC": "30000000"})
    day.pass_time(20)
    assert len(systemd.heard_so_far()) == 2
    day.healthy = False
    day.pass_time(100)
    assert systemd.heard_so_far() == []
    day.healthy = True
    day.pass_time(20)
    assert systemd.heard_so_far()


def test_a_systemd_that_is_gone_ends_nothing_and_is_counted(tmp_path):
    lost = LostLines()
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
    notifier = Notifier({"NOTIFY_SOCKET": address}, lost)  # bound, and nobody reads there any more
    notifier.ready()
    (tmp_path / "notify").unlink()
    notifier.ping_watchdog()
    assert lost.notifications == 2


def test_a_systemd_that_does_not_read_ends_nothing_and_is_counted(tmp_path):
    lost = LostLines()
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        notifier = Notifier({"NOTIFY_SOCKET": address}, lost)
        while not lost.notifications:  # until its queue is full
            notifier.ping_watchdog()


@pytest.mark.parametrize("environ", [{}, {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}])
def test_without_a_watchdog_of_ours_nothing_is_fed(systemd: Systemd, environ: dict[str, str]):
    Day(environ).pass_time(60)
    assert systemd.heard_so_far() == []

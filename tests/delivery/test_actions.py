"""Webhooks against a real HTTP server, commands as real processes, keys on a real uinput."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from brokers import Mosquitto
from support.waiting import until

from agent.config.settings import ActionsSettings
from agent.core.types import Action
from agent.delivery.local_actions import command
from agent.delivery.outbox.outbox import list_rows


class Server:
    """Answers with the statuses it is given, the last one for ever; remembers requests."""

    def __init__(self) -> None:
        self.statuses = [200]
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.slow = threading.Event()
        self.slow.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.seen.append((self.path, body, {k.lower(): v for k, v in self.headers.items()}))
                status = outer.statuses.pop(0) if len(outer.statuses) > 1 else outer.statuses[0]
                outer.slow.wait(30)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            do_GET = do_POST  # noqa: N815 (the name that http.server looks for)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self.slow.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


def webhook(url: str, payload: str = '{"by":"front"}', *, max_age_s: float = 20.0, **headers: str) -> Action:
    options = tuple((k.replace("_", "-"), v) for k, v in headers.items())
    return Action("webhook", "a-rule", 0.0, max_age_s, url, payload, options=options)


def test_a_webhook_is_posted_with_its_headers(server: Server, deliver):
    delivery = deliver("mqtt://127.0.0.1:1", wait=False)  # needs no broker
    delivery.perform(webhook(f"{server.url}/hook", Content_Type="application/json", X_Token="t"))
    until(lambda: delivery.status().delivered == 1, "delivery")
    ((path, body, headers),) = server.seen
    assert (path, body) == ("/hook", '{"by":"front"}')
    assert (headers["content-type"], headers["x-token"]) == ("application/json", "t")
    assert headers["user-agent"].startswith("gesture-agent/")


def test_a_webhook_that_fails_is_tried_again_with_the_same_key(server: Server, deliver):
    server.statuses = [503, 429, 200]
    delivery = deliver("mqtt://127.0.0.1:1", wait=False)
    delivery.perform(webhook(server.url))
    until(lambda: delivery.status().delivered == 1, "delivery")
    assert len({headers["idempotency-key"] for _, _, headers in server.seen}) == 1
    assert len(server.seen) == 3


@pytest.mark.parametrize("status", [302, 400, 404])
def test_a_webhook_that_refuses_is_not_tried_again_and_no_redirect_is_followed(
    server: Server, deliver, tmp_path: Path, status: int
):
    server.statuses = [status]
    delivery = deliver("mqtt://127.0.0.1:1", wait=False, folder=tmp_path / "state")
    delivery.perform(webhook(f"{server.url}/hook"))
    until(lambda: [row for row in list_rows(tmp_path / "state") if row.dead], "dead letter")
    assert [path for path, _, _ in server.seen] == ["/hook"]
    assert str(status) in (list_rows(tmp_path / "state")[0].dead or "")


def test_a_webhook_nobody_answers_expires_and_is_counted(deliver):
    delivery = deliver("mqtt://127.0.0.1:1", wait=False)
    delivery.perform(webhook("http://127.0.0.1:1/", max_age_s=1.0))
    until(lambda: delivery.status().expired == 1, "expiry")
    assert delivery.status().refused == 0


def test_slow_webhooks_do_not_hold_up_mqtt(server: Server, mosquitto: Mosquitto, deliver):
    server.slow.clear()
    delivery = deliver(mosquitto.url)
    for _ in range(10):
        delivery.perform(webhook(server.url))
    until(lambda: len(server.seen) == 4, "all workers are busy")
    delivery.perform(Action("publish", "r", 0.0, 20.0, "home/lamp", "on"))
    until(lambda: delivery.status().delivered == 1, "MQTT goes on")
    server.slow.set()
    until(lambda: delivery.status().delivered == 11, "the webhooks follow")


def _read_to_the_end(client: socket.socket) -> None:
    while client.recv(65536):
        pass


class Trickle:
    """Accepts, and sends a byte of an answer that never ends, again and again; remembers how it ended."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self.ends: list[str] = []
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=self._serve) for _ in range(8)]
        for thread in self._threads:
            thread.start()

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                try:
                    client.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                    while not self._closing.wait(0.05):
                        client.sendall(b"x")
                except OSError as exc:
                    self.ends.append(type(exc).__name__)

    def close(self) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


def test_a_server_that_trickles_holds_no_worker_beyond_the_deadline(server: Server, deliver):
    trickle = Trickle()
    try:
        delivery = deliver("mqtt://127.0.0.1:1", wait=False)
        for _ in range(4):
            delivery.perform(webhook(trickle.url, max_age_s=0.5))
        delivery.perform(webhook(server.url))
        until(lambda: delivery.status().delivered == 1, "a worker is free again")
        until(lambda: delivery.status().unknown == 4, "each counted once: the server had them")
        until(lambda: len(trickle.ends) == 4, "we closed first")
        assert delivery.status().expired == 0
    finally:
        trickle.close()


def test_a_server_that_is_frozen_finds_the_connection_closed_and_the_call_counted_once(deliver):
    with socket.create_server(("127.0.0.1", 0)) as frozen:  # the kernel accepts, nobody else does
        delivery = deliver("mqtt://127.0.0.1:1", wait=False)
        delivery.perform(webhook(f"http://127.0.0.1:{frozen.getsockname()[1]}/", max_age_s=0.5))
        until(lambda: delivery.status().unknown == 1, "counted")
        client, _ = frozen.accept()
        with client, pytest.raises(ConnectionResetError):
            _read_to_the_end(client)
    assert (delivery.status().expired, delivery.status().delivered) == (0, 0)


def test_paths_and_headers_beyond_ascii_are_sent(server: Server, deliver):
    delivery = deliver("mqtt://127.0.0.1:1", wait=False)
    action = webhook(f"{server.url}/küche/licht an?wer=ü&a=%20b", Title="👍 Küche")
    delivery.perform(action)
    until(lambda: delivery.status().delivered == 1, "delivery")
    ((path, _, headers),) = server.seen
    assert path == "/k%C3%BCche/licht%20an?wer=%C3%BC&a=%20b"
    assert headers["title"].encode("latin-1").decode() == "👍 Küche"
    assert headers["expires-at"].endswith("Z")


def test_a_header_of_a_rule_replaces_ours_of_that_name(server: Server, deliver):
    delivery = deliver("mqtt://127.0.0.1:1", wait=False)
    delivery.perform(webhook(server.url, user_agent="my own"))
    until(lambda: delivery.status().delivered == 1, "delivery")
    assert server.seen[0][2]["user-agent"] == "my own"


def test_only_http_is_spoken_to(deliver, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("s")
    delivery = deliver("mqtt://127.0.0.1:1", wait=False)
    delivery.perform(webhook(f"file://{secret}"))
    until(lambda: delivery.status().refused == 1, "refusal")


def test_a_command_gets_its_arguments_as_they_are_without_a_shell(deliver, tmp_path: Path):
    out = tmp_path / "out"
    delivery = deliver("mqtt://127.0.0.1:1", wait=False)
    script = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    arguments = ("-c", script, str(out), "$(touch /tmp/x); `id` && 'quoted'")
    delivery.perform(
        Action("command", "r", 0.0, 5.0, sys.executable, options=tuple(("arg", a) for a in arguments))
    )
    until(lambda: out.exists() and out.read_text() == arguments[-1], "the command's output")


def test_a_command_is_never_done_late(deliver, tmp_path: Path):
    delivery = deliver("mqtt://127.0.0.1:1", wait=False)
    delivery.perform(Action("command", "r", -10.0, 5.0, "touch", options=(("arg", str(tmp_path / "late")),)))
    assert delivery.status().expired == 1
    delivery.close()
    assert not (tmp_path / "late").exists()


def test_a_command_that_waited_for_its_turn_until_it_was_late_is_not_done(deliver, tmp_path: Path):
    delivery = deliver("mqtt://127.0.0.1:1", wait=False)
    gate, late = tmp_path / "gate", tmp_path / "late"
    waits = (("", "-c"), ("", f"touch {tmp_path}/busy-$$; until [ -e {gate} ]; do sleep 0.05; done"))
    for _ in range(4):
        delivery.perform(Action("command", "r", 0.0, 60.0, "sh", options=waits))
    until(lambda: len(list(tmp_path.glob("busy-*"))) == 4, "every worker is busy")
    for _ in range(4):
        delivery.perform(Action("command", "r", 0.0, 0.3, "touch", options=(("", str(late)),)))
    ends = time.monotonic() + 0.3
    until(lambda: time.monotonic() > ends, "their time is over")
    gate.touch()
    until(lambda: delivery.status().expired == 4, "counted as too late")
    assert not late.exists()


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path):
    pid_file = tmp_path / "pid"
    script = f"sleep 60 & echo $! > {pid_file}; wait"
    assert not command.run("sh", ["-c", script], rule="r", timeout_s=0.5)
    child = int(pid_file.read_text())

    def gone() -> bool:
        try:
            return Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            return True

    until(gone, "the child is killed too")


@pytest.mark.parametrize(
    ("program", "arguments"), [("/no/such/program", []), ("false", []), ("true", ["a\0b"])]
)
def test_a_command_that_fails_is_logged_not_raised(program: str, arguments: list[str]):
    assert not command.run(program, arguments, rule="r", timeout_s=5)


def test_keys_are_off_unless_asked_for(deliver):
    delivery = deliver("mqtt://127.0.0.1:1", wait=False)
    delivery.perform(Action("key", "r", 0.0, 5.0, "KEY_ENTER"))
    assert delivery.status().committed == 0


def test_keys_reach_the_kernel(deliver):
    evdev = pytest.importorskip("evdev", reason="the extra `keys` is not installed")
    if not os.access("/dev/uinput", os.W_OK):
        pytest.skip("/dev/uinput is not there or not writable")
    delivery = deliver("mqtt://127.0.0.1:1", wait=False, actions=ActionsSettings(keys=True))
    (device,) = [d for d in map(evdev.InputDevice, evdev.list_devices()) if d.name == "gesture-agent"]
    delivery.perform(Action("key", "r", 0.0, 5.0, "KEY_LEFTCTRL+KEY_W"))
    seen: list[tuple[int, int]] = []
    until(
        lambda: seen.extend((e.code, e.value) for e in device.read() if e.type == 1) or len(seen) == 4,
        "events",
    )
    assert seen == [(29, 1), (17, 1), (17, 0), (29, 0)]

"""What listens on the broker's port answers wrongly: no thread ends, no event is lost.

GESTURE_AGENT_ATTACKS adds answers at random (a factor, 1 adds none); each costs two seconds.
"""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from brokers import Mosquitto
from happenings import started
from support.ports import free_port
from support.waiting import until

from agent.supervision import Threads

WELCOME = bytes.fromhex("2003000000")  # CONNACK of MQTT 5: accepted, no properties
ANSWERS = {
    "hangs up": b"",
    "is a web server": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "refuses for a reason that does not exist": bytes.fromhex("200300ee00"),
    "says properties and sends none": bytes.fromhex("20030000ff"),
    "announces a length without end": bytes.fromhex("20ffffffffff"),
    "welcomes twice": WELCOME * 2,
    "acknowledges what was never sent": WELCOME + bytes.fromhex("4002ffff"),
    "publishes to a topic that is no text": WELCOME + bytes.fromhex("32070002fffe000100"),
    "takes up a subscription nobody made": WELCOME + bytes.fromhex("9004ffff0000"),
    "cuts a packet": WELCOME + bytes.fromhex("30ff01000141"),
}
MORE = 3 * (int(os.environ.get("GESTURE_AGENT_ATTACKS", "1")) - 1)


def at_random(count: int) -> Iterator[bytes]:
    seed = int.from_bytes(os.urandom(3), "big")
    print(f"seed {seed}")  # noqa: T201 (pytest shows it with a failure)
    draw = random.Random(seed)  # noqa: S311 (repeatable, not secret)
    for _ in range(count):
        yield draw.choice((b"", WELCOME)) + draw.randbytes(draw.randint(1, 200))


class Impostor:
    """Gives each connection the next answer to whatever it says first, then hangs up; at last only that."""

    def __init__(self, answers: list[bytes]) -> None:
        self.port = free_port()
        self.left = list(answers)
        self._server = socket.create_server(("127.0.0.1", self.port))
        self._thread = threading.Thread(target=self._serve)

    @contextmanager
    def there(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._server.shutdown(socket.SHUT_RDWR)  # wakes accept
            self._thread.join()
            self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                with client, suppress(OSError):
                    client.settimeout(5)
                    client.recv(4096)
                    client.sendall(self.left[0] if self.left else b"")
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(4096):
                        pass
                del self.left[:1]


@pytest.mark.parametrize("first", [0, 5], ids=["before it welcomes", "after it welcomed"])
@pytest.mark.timeout(170 + 30 * MORE)
def test_a_port_that_answers_wrongly_ends_no_thread_and_loses_no_event(
    tmp_path: Path, deliver, first: int
) -> None:
    answers = [*list(ANSWERS.values())[first : first + 5], *at_random(MORE)]
    impostor, threads = Impostor(answers), Threads()
    with impostor.there():
        delivery = deliver(f"mqtt://127.0.0.1:{impostor.port}", wait=False, threads=threads)
        delivery.event(started(), max_age_s=3600)
        until(lambda: not impostor.left, "all was answered", 60 + 5 * len(answers))
        assert threads.trouble is None
        assert delivery.status().delivered == 0
    broker = Mosquitto(tmp_path, port=impostor.port).start()
    try:
        until(lambda: delivery.status().delivered == 2, "the event and its action arrive")
    finally:
        broker.stop()
    assert threads.trouble is None

"""The page under attack, for real and seeded: what a stranger does to it, nobody else may notice.

GESTURE_AGENT_ATTACKS makes the seeded ones longer (a factor, 1 is seconds).
"""

from __future__ import annotations

import base64
import os
import random
import socket
import string
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import structlog
from film import Agent, Start
from support.waiting import until
from visitors import Answer, ask, post, stream
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from agent.web.limits.addresses import visitor_of
from agent.web.limits.attempts import FREE, MAX_VISITORS, REFILL_S, SHUT, Attempts
from agent.web.limits.connections import LIMITS, UNAUTHENTICATED_OF_ONE, ConnectionLimits

TOKEN = "open sesame, open sesame"
SEED = 24
ROUNDS = 200 * int(os.environ.get("GESTURE_AGENT_ATTACKS", "1"))
UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
METHODS = b"GET POST HEAD OPTIONS BREW".split()
PATHS = (
    b"/ /login /api/state /api/enabled /ws/kiosk /ws/preview/front /static/%2e%2e/ /api/rules/%00/test *"
).split()
NAMES = (
    b"Host Origin Cookie Authorization Sec-WebSocket-Protocol Content-Length Transfer-Encoding"
    b" X-Forwarded-For X-Ingress-Path Accept Upgrade Connection Expect Range"
).split()
VALUES = (
    b"localhost",
    b"http://[",
    b"null",
    b"Bearer %s",
    b"gesture_agent=%s",
    b"token.%s",
    b"-1",
    b"chunked",
    b"%s",
    b"9" * 30,
)
FORM = {"Content_Type": "application/x-www-form-urlencoded"}
SECURITY = {"content-security-policy", "x-content-type-options", "referrer-policy", "permissions-policy"}


@pytest.fixture
def token(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "web-token"
    file.write_text(TOKEN + "\n", encoding="utf-8")
    return {"file": str(file)}


@pytest.fixture
def said() -> Iterator[list[dict[str, object]]]:
    """What the log got."""
    with structlog.testing.capture_logs() as lines:
        yield lines  # type: ignore[misc]


def bearer(url: str, text: str, path: str = "/api/state") -> Answer:
    return ask(url, path, Authorization=f"Bearer {text}")


@contextmanager
def idle(url: str, count: int) -> Iterator[list[socket.socket]]:
    """Connections that are opened and say nothing."""
    address = urlsplit(url)
    with ExitStack() as opened:
        yield [
            opened.enter_context(socket.create_connection((address.hostname, address.port)))
            for _ in range(count)
        ]


def exchange(url: str, request: bytes, timeout_s: float = 0.3) -> bytes:
    """What the server answers to these bytes; empty where it waits for more of them."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=timeout_s) as client:
        client.sendall(request)
        answer = b""
        with suppress(TimeoutError, ConnectionResetError):
            while b"\r\n\r\n" not in answer and (piece := client.recv(65536)):
                answer += piece
        return answer


# Guessing the token.


@pytest.mark.parametrize("way", ["bearer", "protocol", "login"])
def test_after_a_few_wrong_tokens_even_the_right_one_is_not_looked_at(start: Start, token, said, way: str):
    url = start(token=token).page.url

    def tried(text: str) -> int | str:
        if way == "bearer":
            return bearer(url, text).status
        if way == "login":
            answer = ask(url, "/login", f"token={text.replace(' ', '+')}".encode(), **FORM)
            return (
                "in" if "set-cookie" in answer.headers else answer.headers["location"].partition("&")[2][:4]
            )
        return bearer(url, text).status if way == "bearer" else _by_protocol(url, text)

    refused = {"bearer": 401, "protocol": 401, "login": "wron"}[way]
    waits = {"bearer": 429, "protocol": 429, "login": "wait"}[way]
    assert [tried(f"guess number {i}") for i in range(FREE)] == [refused] * FREE
    assert tried(TOKEN) == waits
    assert ask(url, "/healthz").status == 200
    told = [line["reason"] for line in said if line["event"] == "web_refused"]
    assert told == ["token", "attempts"]  # each kind once, however many there were


def _by_protocol(url: str, text: str) -> int:
    coded = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    try:
        connect(
            url.replace("http", "ws") + "ws/kiosk", subprotocols=["gesture-agent", f"token.{coded}"]
        ).close()
    except InvalidStatus as exc:
        return exc.response.status_code
    return 101


def test_who_is_logged_in_does_not_notice_that_somebody_guesses(start: Start, token):
    url = start(token=token).page.url
    cookie = ask(url, "/login", f"token={TOKEN.replace(' ', '+')}".encode(), **FORM).headers["set-cookie"]
    for number in range(2 * FREE):
        bearer(url, f"guess number {number}")
    assert ask(url, "/api/state", Cookie=cookie.partition(";")[0]).status == 200


def test_six_hundred_and_fifty_guesses_get_five_answers(start: Start, token):
    agent = start(token=token)
    answers = [bearer(agent.page.url, f"guess number {i}").status for i in range(650)]
    assert answers.count(401) <= FREE + 1  # one more each `REFILL_S`
    assert set(answers) == {401, 429}
    figures = bearer(agent.page.url, TOKEN, "/metrics")
    assert figures.status == 429  # not even those, from the address that guesses
    figures = agent.page._metrics.exposition("")[0].decode()
    assert f'gesture_agent_web_refused_total{{reason="attempts"}} {651 - answers.count(401)}.0' in figures


def test_attempts_come_back_slowly_and_who_goes_on_is_shut_out():
    now = [100.0]
    attempts = Attempts(lambda: now[0])
    for _ in range(FREE):
        assert attempts.wait_s("a") == 0
        attempts.failed("a")
    assert attempts.wait_s("a") == REFILL_S
    assert attempts.wait_s("b") == 0
    now[0] += REFILL_S
    assert attempts.wait_s("a") == 0
    for _ in range(10_000):
        attempts.failed("a")
    assert attempts.shut_out("a")
    now[0] += SHUT * REFILL_S
    assert not attempts.shut_out("a")


def test_many_addresses_take_little_memory_and_a_network_of_ipv6_is_one():
    attempts = Attempts(lambda: 0.0)
    for number in range(10 * MAX_VISITORS):
        attempts.failed(f"10.0.{number // 256}.{number % 256}")
    assert len(attempts._levels) == MAX_VISITORS
    assert visitor_of("2001:db8::1") == visitor_of("2001:db8::ffff:1") != visitor_of("2001:db8:0:1::1")
    assert visitor_of("::ffff:192.0.2.1") == visitor_of("192.0.2.1") == "192.0.2.1"


# Holding connections.


def test_a_hundred_and_forty_idle_connections_shut_nobody_out(start: Start, token):
    agent = start(token=token)
    url = agent.page.url
    with idle(url, 140):
        assert ask(url, "/healthz").status == 200
        assert bearer(url, TOKEN).status == 200
        assert bearer(url, TOKEN, "/metrics").status == 200
        assert ask(url, "/login").status == 200
        with connect(
            url.replace("http", "ws") + "ws/kiosk", additional_headers={"Authorization": f"Bearer {TOKEN}"}
        ):
            pass
    held = agent.page.connections
    assert held <= sum(LIMITS.values())


def test_headers_that_never_end_are_not_waited_for(start: Start, token):
    agent = start(token=token)
    address = urlsplit(agent.page.url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: ")
        client.settimeout(0.5)
        assert until(lambda: _cut_off(client), "the connection to be cut")
    assert agent.page._server.policy.refusals.counts["slow"] == 1


def _cut_off(client: socket.socket) -> bool:
    """One byte more, as slowly as it goes."""
    try:
        client.sendall(b"a")
        return client.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_places_of_one_address_are_few_and_the_idle_one_goes_first():
    places, closed = ConnectionLimits(), []
    held = [places.take("a", lambda n=n: closed.append(n)) for n in range(UNAUTHENTICATED_OF_ONE)]
    assert held[0] is not None
    held[0].busy = True
    assert places.take("a", lambda: None) is not None
    assert closed == [1]
    for place in held:
        assert place is not None
        place.busy = True
    newest = places.take("a", lambda: None)  # closes the one idle connection that is left
    assert newest is not None
    newest.busy = True
    assert places.take("a", lambda: None) is None
    assert places.take("b", lambda: None) is not None


def test_who_has_shown_the_token_does_not_share_places_with_strangers():
    places, closed = ConnectionLimits(), []
    visitors = [places.take(f"v{n}", lambda n=n: closed.append(n)) for n in range(LIMITS["visitor"] // 2)]
    assert all(place is not None and place.move("visitor") for place in visitors)
    for number in range(10 * LIMITS["stranger"]):
        places.take(f"s{number}", lambda: None)
    assert closed == []
    assert (places.count("visitor"), places.count("stranger")) == (len(visitors), LIMITS["stranger"])
    monitor = places.take("prometheus", lambda: None)
    assert monitor is not None
    assert monitor.move("monitor")


# Saying what nobody says.


@pytest.mark.parametrize(
    "origin", ["http://[", "http://[::1", "null", "http://]", "", "http://\u00e9.example"]
)
def test_an_origin_that_cannot_be_read_is_refused_in_a_sentence(start: Start, said, origin: str):
    url = start().page.url
    answer = post(url, "/api/enabled", {"on": False}, Origin=origin.encode("utf-8").decode("latin-1"))
    assert answer.status == 403
    assert answer.headers.keys() >= SECURITY
    told = [line for line in said if line["event"] == "web_refused"]
    assert len(told) == 1
    assert told[0]["reason"] == "origin"
    assert "exc_info" not in told[0]


@pytest.mark.parametrize(
    "name", [b"Authorization: Bearer ", b"Cookie: gesture_agent=", b"Sec-WebSocket-Protocol: token."]
)
def test_a_token_with_an_accent_is_one_line_in_the_log(start: Start, token, said, capfd, name: bytes):
    url = start(token=token).page.url
    for path, upgrade in ((b"/api/state", b""), (b"/ws/kiosk", UPGRADE)):
        head = b"GET %s HTTP/1.1\r\nHost: localhost\r\n" % path
        answer = exchange(url, head + upgrade + name + "sésame".encode() + b"\r\n\r\n", 30)
        assert answer.partition(b" ")[2][:3] in {b"400", b"401"}
        assert headers_of(answer) >= SECURITY
    assert len([line for line in said if line["event"] == "web_refused"]) <= 2
    assert "Traceback" not in "".join(capfd.readouterr())


def headers_of(answer: bytes) -> set[str]:
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1")
    return {line.partition(":")[0].lower() for line in head.split("\r\n")[1:]}


def garbage(chance: random.Random) -> bytes:
    """A request that is wrong in some way, or almost right."""
    letters = string.printable + "\x00\x7f\u00e9\u20ac[]%"
    noise = "".join(chance.choices(letters, k=chance.randrange(40))).encode()
    method = chance.choice([*METHODS, b"", noise[:8]])
    path = chance.choice([*PATHS, b"/" + noise])
    names = [*NAMES, noise[:9]]
    lines = [b"Host: localhost"] if chance.random() < 0.7 else []
    lines += [
        chance.choice(names) + b": " + chance.choice(VALUES).replace(b"%s", noise)
        for _ in range(chance.randrange(6))
    ]
    upgrade = UPGRADE if chance.random() < 0.3 else b""
    body = noise if chance.random() < 0.3 else b""
    return method + b" " + path + b" HTTP/1.1\r\n" + upgrade + b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_garbage_gets_an_answer_with_all_headers_or_none_and_never_a_traceback(
    start: Start, token, said, capfd
):
    agent = start(token=token)
    chance = random.Random(SEED)  # noqa: S311 (seeded, so that it is the same each time)
    answered = 0
    for number in range(ROUNDS):
        request = garbage(chance)
        answer = exchange(agent.page.url, request)
        if answer:
            answered += 1
            assert not answer.startswith(b"HTTP/1.1 5"), (SEED, number, request, answer)
            assert headers_of(answer) >= SECURITY, (SEED, number, request, answer)
    assert answered > ROUNDS / 2
    assert agent.page._server.policy.refusals.counts["failed"] == 0
    assert "Traceback" not in "".join(capfd.readouterr())
    assert len([line for line in said if line["event"] == "web_refused"]) < 20
    assert ask(agent.page.url, "/healthz").status == 200


# Watching too much.


def test_a_hundred_viewers_of_pictures_cost_no_event(start: Start):
    agent: Agent = start(preview=True)
    url = agent.page.url.replace("http", "ws") + "ws/preview/front"
    with ExitStack() as opened:
        turned_away = 0
        for _ in range(100):
            try:
                opened.enter_context(connect(url)).send("next")
            except InvalidStatus:
                turned_away += 1
        assert turned_away == 84
        with stream(agent.page.url) as kiosk:
            for _ in range(3):
                kiosk.until("fired")
                kiosk.until("ended")
    assert agent.page.updates.dropped == 0

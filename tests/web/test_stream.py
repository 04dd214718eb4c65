"""The WebSocket for kiosks: docs/reference/websocket.md, message by message."""

from __future__ import annotations

import json
import re
import struct
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest
from film import Start
from support.waiting import until
from visitors import ask, stream, who_never_reads
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from agent.web.broadcaster import MAX_CLIENTS
from agent.web.update_queue import RulesRefused

DOCS = Path(__file__).parents[2] / "docs"


def test_it_begins_with_who_speaks(start: Start):
    with stream(start().page.url) as kiosk:
        hello = kiosk.next()
    assert hello["type"] == "hello"
    assert (hello["agent"], hello["protocol"], hello["hold_ms"]) == ("hall", 1, 300)
    assert hello["gestures"] == ["thumbs_up", "fist", "stop", "ok", "two"]


def test_a_ring_fills_then_the_gesture_fires_then_it_ends_and_the_hand_is_gone(start: Start):
    with stream(start().page.url) as kiosk:
        kiosk.until("progress", hands=[])
        kiosk.heard.clear()  # from here on the film is seen from its beginning
        fired = kiosk.until("fired")
        rings = [m["hands"][0]["ring"] for m in kiosk.heard if m["type"] == "progress" and m["hands"]]
        phases = [m["hands"][0]["phase"] for m in kiosk.heard if m["type"] == "progress" and m["hands"]]
        kiosk.heard.clear()
        ended = kiosk.until("ended")
        kiosk.until("progress", hands=[])
    forming = [ring for ring, phase in zip(rings, phases, strict=True) if phase == "forming"]
    assert forming == sorted(forming)
    assert forming[0] == 0.0
    assert 0 < forming[-1] < 1
    assert (fired["gesture"], fired["hand"], fired["camera"]) == ("stop", "right", "front")
    assert ended["gesture"] == "stop"
    assert ended["ts_ms"] > fired["ts_ms"]


def test_it_tells_of_rules_that_fire_and_of_pauses(start: Start):
    agent = start()
    with stream(agent.page.url) as kiosk:
        assert kiosk.until("rule")["rule"] == "lamp"
        agent.loop.ask("enabled", {"on": False})
        assert kiosk.until("enabled")["enabled"] is False
        assert agent.loop.enabled is False


def test_a_kiosk_hears_only_what_the_manual_names(start: Start):
    manual = (DOCS / "reference/websocket.md").read_text(encoding="utf-8")
    with stream(start().page.url) as kiosk:
        kiosk.until("fired")
        kiosk.until("ended")
        kiosk.until("progress", hands=[])
    for message in kiosk.heard:
        assert f"`{message['type']}`" in manual
        for name in message:
            assert re.search(rf"`{name}`|\"{name}\"", manual), (message["type"], name)


def test_ten_browsers_hear_the_same(start: Start):
    url = start().page.url
    with ExitStack() as opened:
        pages = [opened.enter_context(stream(url, "ws/page")) for _ in range(10)]
        fired = pages[-1].until("fired")  # all of them were there by then
        for page in pages[:-1]:
            assert page.until("fired", ts_ms=fired["ts_ms"]) == fired


def test_who_never_reads_is_dropped_and_counted_and_nobody_waits_for_him(start: Start):
    agent = start(send_s=0.5)
    with stream(agent.page.url) as kiosk, who_never_reads(agent.page.url):
        until(lambda: len(agent.page.broadcaster) == 2, "both to be there")
        long = "x" * 20_000
        while not agent.page.broadcaster.counters.dropped:  # the page's log gets longer than any buffer
            agent.page.updates.put(RulesRefused(long))
            before = agent.loop.steps
            until(lambda at=before: agent.loop.steps > at, "the loop to go on")
        kiosk.until("fired")
        assert len(agent.page.broadcaster) == 1
        until(lambda: agent.page.connections == 1, "his connection to be cut")
        figures = ask(agent.page.url, "/metrics").body.decode()
    assert 'gesture_agent_web_clients_dropped_total{reason="slow"} 1.0' in figures


def test_too_many_at_once_are_turned_away(start: Start):
    agent = start()
    url = agent.page.url.replace("http", "ws") + "ws/kiosk"
    held = [connect(url) for _ in range(MAX_CLIENTS)]
    try:
        with pytest.raises((InvalidStatus, ConnectionClosed)):
            connect(url).recv(timeout=60)
        assert agent.page.broadcaster.counters.refused == 1
    finally:
        for connection in held:
            connection.close()


def test_a_long_word_of_a_client_ends_its_connection(start: Start):
    agent = start()
    with stream(agent.page.url) as kiosk:
        kiosk.connection.send("x" * 1_000_000)
        with pytest.raises(ConnectionClosed):
            kiosk.until("never")
    with stream(agent.page.url) as another:
        another.until("fired")


def test_without_preview_no_picture_leaves(start: Start):
    agent = start()
    with pytest.raises(InvalidStatus):
        connect(agent.page.url.replace("http", "ws") + "ws/preview/front")


def test_with_preview_there_is_a_picture_for_every_time_it_is_asked_for(start: Start):
    agent = start(preview=True)
    with connect(agent.page.url.replace("http", "ws") + "ws/preview/front") as watcher:
        seen = []
        for _ in range(2):
            watcher.send("next")
            message = watcher.recv(timeout=60)
            assert isinstance(message, bytes)
            (length,) = struct.unpack(">I", message[:4])
            found = json.loads(message[4 : 4 + length])
            image = cv2.imdecode(np.frombuffer(message[4 + length :], np.uint8), cv2.IMREAD_COLOR)
            assert image is not None
            seen.append((image.shape, found["camera"]))
    assert seen == [((48, 64, 3), "front")] * 2


def test_the_preview_of_a_camera_that_is_not_there_is_refused(start: Start):
    agent = start(preview=True)
    with pytest.raises(InvalidStatus):
        connect(agent.page.url.replace("http", "ws") + "ws/preview/cellar")

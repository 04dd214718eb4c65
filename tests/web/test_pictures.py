"""Pictures of people: who gets one, and when none is left."""

from __future__ import annotations

import asyncio
import json
import struct
from dataclasses import replace

import cv2
import numpy as np
import pytest
from film import CAMERA, RULES, Agent, Film, Start, drawn_film
from support.waiting import until
from visitors import ask, post, stream
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from agent.core.types import CameraState, Detections, Frame
from agent.web.preview import MAX_WATCHERS, STALE_S, Preview, Watcher

WAKE = """
[wake]
gesture = "stop"
window = "60s"
hold = "300ms"
"""


def painted(grey: int) -> Film:
    """The drawn film in another grey: tells what was seen before from what was seen after."""
    film = drawn_film()
    image = np.full((48, 64, 3), grey, np.uint8)
    return replace(film, frames=[replace(frame, pixels=image) for frame in film.frames])


def watch(agent: Agent) -> ClientConnection:
    return connect(agent.page.url.replace("http", "ws") + "ws/preview/front")


def grey_of(message: str | bytes) -> int | None:
    """Of the picture in a message of the preview, None where there is none."""
    assert isinstance(message, bytes)
    (length,) = struct.unpack(">I", message[:4])
    found = json.loads(message[4 : 4 + length])
    assert found["camera"] == CAMERA
    if len(message) == 4 + length:
        return None
    image = cv2.imdecode(np.frombuffer(message[4 + length :], np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return round(float(image.mean()) / 10) * 10


def seen(watcher: ClientConnection) -> int | None:
    watcher.send("next")
    return grey_of(watcher.recv(timeout=60))


def pause(agent: Agent) -> None:
    assert post(agent.page.url, "/api/enabled", {"on": False}).status == 200


def resume(agent: Agent) -> None:
    assert post(agent.page.url, "/api/enabled", {"on": True}).status == 200


def lose(agent: Agent) -> None:
    agent.reel.tell(CameraState(CAMERA, "offline", "unplugged"))
    until(lambda: ask(agent.page.url, "/api/state").json["log"][-1]["kind"] == "camera", "the loss")


def find(agent: Agent) -> None:
    agent.reel.tell(CameraState(CAMERA, "online"))


@pytest.mark.parametrize(("ends", "begins"), [(pause, resume), (lose, find)])
def test_a_picture_goes_without_being_asked_and_nobody_gets_it_any_more(start: Start, ends, begins):
    agent = start(painted(60), preview=True)
    with watch(agent) as before:
        assert seen(before) == 60
        before.send("next")
        ends(agent)
        while grey_of(before.recv(timeout=60)) is not None:
            pass
        with watch(agent) as after:
            after.send("next")
            agent.reel._film = painted(150)
            begins(agent)
            assert grey_of(after.recv(timeout=60)) == 150  # the first that a new visitor gets


def test_the_last_viewer_takes_the_picture_along(start: Start):
    agent = start(painted(60), preview=True)
    with watch(agent) as first:
        assert seen(first) == 60
    preview = agent.page._preview
    assert preview is not None
    until(lambda: not len(preview), "nobody to watch")
    assert preview._newest == {}


def test_while_paused_no_camera_is_awake_and_no_hand_is_shown(start: Start, rules):
    rules.write_text(WAKE + RULES, encoding="utf-8")
    agent = start()
    with stream(agent.page.url) as kiosk:
        awake = kiosk.until("armed", armed=True)
        assert 0 < awake["until_ms"] - awake["ts_ms"] <= 60_001  # both are rounded
        kiosk.heard.clear()
        pause(agent)
        kiosk.until("enabled", enabled=False)
        kiosk.until("armed", armed=False, until_ms=None)
        last = [message for message in kiosk.heard if message["type"] == "progress"][-1:]
        assert all(message["hands"] == [] for message in last)
    with stream(agent.page.url) as late:
        hello = late.next()
    assert (hello["enabled"], hello["armed"]) == (False, {CAMERA: False})


# Without a server: what no test of a whole agent can bring about at will.


class Room:
    """A preview, its clock, and pictures to give it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.preview = Preview(lambda: self.now)

    def show(self, grey: int) -> None:
        image = np.full((48, 64, 3), grey, np.uint8)
        frame = Frame(CAMERA, 0, self.now, image)
        self.preview.on_detections(Detections(frame, 0))
        self.preview.on_step()

    def watcher(self) -> Watcher:
        watcher = self.preview.join(CAMERA)
        watcher.want()
        return watcher


def test_a_picture_that_was_being_packed_when_its_camera_went_is_not_sent():
    async def scenario() -> int | None:
        room = Room()
        watcher = room.watcher()
        room.show(60)
        sent = asyncio.ensure_future(watcher.next())
        while not room.preview._packing:  # noqa: ASYNC110 (within a turn or two of this loop)
            await asyncio.sleep(0)
        room.preview.camera_changed(CameraState(CAMERA, "offline", "unplugged"))
        room.preview.camera_changed(CameraState(CAMERA, "online"))
        room.show(150)
        return grey_of(await sent)

    assert asyncio.run(scenario()) == 150


def test_a_pause_takes_the_picture_away_before_any_camera_has_closed():
    async def scenario() -> list[int | None]:
        room = Room()
        watcher = room.watcher()
        room.show(60)
        told = [grey_of(await watcher.next())]
        room.preview.switched(False)
        room.show(150)  # a frame that was on its way
        told.append(grey_of(await watcher.next()))
        return told

    assert asyncio.run(scenario()) == [60, None]


def test_a_picture_that_nothing_follows_is_taken_away():
    async def scenario() -> list[int | None]:
        room = Room()
        watcher = room.watcher()
        room.show(60)
        told = [grey_of(await watcher.next())]
        room.now += STALE_S + 1
        room.preview.on_step()
        told.append(grey_of(await watcher.next()))
        return told

    assert asyncio.run(scenario()) == [60, None]


def test_a_picture_is_packed_once_however_many_watch():
    async def scenario() -> list[bytes]:
        room = Room()
        watchers = [room.watcher() for _ in range(MAX_WATCHERS)]
        room.show(60)
        return list(await asyncio.gather(*(watcher.next() for watcher in watchers)))

    messages = asyncio.run(scenario())
    assert len({id(message) for message in messages}) == 1


def test_viewers_are_counted_and_too_many_are_turned_away(start: Start):
    agent = start(preview=True)
    held = [watch(agent) for _ in range(MAX_WATCHERS)]
    try:
        with pytest.raises((InvalidStatus, ConnectionClosed)):
            watch(agent).recv(timeout=60)
        with stream(agent.page.url) as kiosk:
            kiosk.until("fired")
        figures = ask(agent.page.url, "/metrics").body.decode()
        assert f"gesture_agent_web_preview_watchers {MAX_WATCHERS}.0" in figures
    finally:
        for connection in held:
            connection.close()

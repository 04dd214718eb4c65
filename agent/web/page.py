"""The page as the agent sees it: hooks that never block, a start and an end."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog

from agent.config.settings import WebSettings
from agent.core.interpreter import Interpreter, Understood
from agent.core.rules import Book
from agent.core.rules.words import public_doing, when
from agent.core.types import CameraState, Frame, Sight
from agent.supervision import Threads
from agent.web.board import About, Board
from agent.web.feed import (
    CameraChanged,
    Feed,
    RulesInForce,
    RulesRefused,
    RuleWords,
    Switched,
    Turn,
    Vitals,
)
from agent.web.gate import Gate, read_token
from agent.web.guard import Guard
from agent.web.headers import security_headers
from agent.web.hub import SEND_S, Hub
from agent.web.limits.attempts import Attempts
from agent.web.limits.connections import Places
from agent.web.limits.protocol import Door
from agent.web.limits.refusals import Refusals
from agent.web.metrics import Metrics
from agent.web.near import hands_of
from agent.web.preview import Preview
from agent.web.pulse import Pulse
from agent.web.server import Server, bind
from agent.web.site import Ask, Site
from agent.web.streams import Streams

VITALS_S = 1.0

log = structlog.get_logger(__name__)


class WebPage:
    """Made and fed by the agent; serves from a thread of its own."""

    def __init__(
        self,
        settings: WebSettings,
        about: About,
        *,
        mind: Interpreter,
        vitals: Callable[[], Mapping[str, Any]],
        progress: Callable[[], Mapping[str, int]],
        ask: Ask,
        threads: Threads | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        send_s: float = SEND_S,
    ) -> None:
        """`vitals` is called in the loop's thread; `progress` and `ask` in the web thread.

        Raises `ConfigError` for a token that cannot be used.
        """
        self.url = ""
        self._settings, self._mind, self._vitals, self._clock = settings, mind, vitals, clock
        self._vitals_due, self._send_s = clock(), send_s
        self._sights: dict[str, Sight] = {}
        self.feed = Feed()
        self.hub = Hub()
        self._board = Board(about, clock, wall)
        self._preview = Preview(clock) if settings.preview else None
        self._pulse = Pulse(progress, clock)
        gate = Gate(read_token(settings), wall)
        attempts, refusals = Attempts(clock), Refusals(clock)
        door = Door(Places(), attempts, refusals, security_headers(settings.origins))
        self._metrics = Metrics(self._board, self.hub, self.feed, self._preview, door)
        streams = Streams(self.hub, self._board, self._preview, send_s)
        site = Site(
            board=self._board,
            hub=self.hub,
            streams=streams,
            metrics=self._metrics,
            pulse=self._pulse,
            gate=gate,
            attempts=attempts,
            refusals=refusals,
            ask=ask,
        )
        guard = Guard(site.app(), settings, gate, attempts, refusals)
        self._server = Server(guard, door, self._fetch, threads)

    # Life.

    def start(self) -> None:
        """Raises `ConfigError` when the address cannot be had."""
        listener = bind(self._settings, self._send_s)
        self.url = address(self._settings, listener)
        self._server.start(listener)
        log.info(
            "web_page_ready",
            url=self.url,
            token=self._settings.token is not None,
            preview=self._settings.preview,
        )

    @property
    def connections(self) -> int:
        """How many are open."""
        return self._server.connections

    def close(self) -> None:
        """Takes seconds at most."""
        self._server.close()

    # In the loop's thread.

    def looked(self, frame: Frame, sight: Sight) -> None:
        """A frame was looked at."""
        self._sights[sight.camera] = sight
        if self._preview is not None:
            self._preview.looked(frame, sight)

    def understood(self, camera: str, at: float, understood: Understood) -> None:
        """That is what came of it, or of its absence."""
        sight = self._sights.pop(camera, None)
        now = self._clock()
        wakes = self._mind.rules.book.wake is not None
        armed = self._mind.armed(camera, now) if wakes else None
        hands, near = hands_of(self._mind, understood)
        self.feed.put(
            Turn(
                camera,
                at,
                latency_s=None if sight is None else now - sight.at,
                people=sight.people if sight else 0,
                hands=hands,
                near=near,
                events=understood.events,
                actions=understood.actions,
                armed=armed is not None if wakes else None,
                verdicts=understood.verdicts,
                armed_until=None if armed is None else armed.until,
            )
        )

    def turned(self) -> None:
        """After every turn of the loop; tells once a second how the agent fares."""
        if self._clock() >= self._vitals_due:
            self._vitals_due = self._clock() + VITALS_S
            self.feed.put(Vitals(self._vitals()))

    def switched(self, on: bool) -> None:
        """Pause, and no picture is left; or go on."""
        if self._preview is not None:
            self._preview.switched(on)
        self.feed.put(Switched(on))
        self._vitals_due = self._clock()

    def camera_changed(self, state: CameraState) -> None:
        """A camera came, went or was switched off."""
        if self._preview is not None:
            self._preview.camera_changed(state)
        self.feed.put(CameraChanged(state))

    def use(self, book: Book) -> None:
        """Other rules are in force."""
        thresholds = {by: number for number, by in enumerate(dict.fromkeys(r.thresholds for r in book.rules))}
        words = (
            RuleWords(rule.id, when(rule), public_doing(rule), rule.also, thresholds[rule.thresholds])
            for rule in book.rules
        )
        self.feed.put(RulesInForce(tuple(words)))

    def refuse(self, problem: str) -> None:
        """Other rules were wrong."""
        self.feed.put(RulesRefused(problem))

    # In the web thread.

    async def _fetch(self) -> None:
        """Takes what the loop left and tells everybody, for ever."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(news.set)

        self.feed.attach(wake)
        while True:
            for item in self.feed.take():
                if isinstance(item, Turn) and item.latency_s is not None:
                    self._metrics.observe(item.camera, item.latency_s)
                for message in self._board.take(item):
                    self.hub.tell(message)
            if self._preview is not None:
                self._preview.turned()
            self._pulse.look()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(news.wait(), VITALS_S)
            news.clear()


def address(settings: WebSettings, listener: socket.socket) -> str:
    """Where a browser finds the page."""
    host, port = listener.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 (compared, not bound)
        host = socket.gethostname()
    elif settings.loopback:
        host = "localhost" if settings.host == "localhost" else host
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

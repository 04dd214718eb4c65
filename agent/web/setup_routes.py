"""Endpoints that set an agent up: cameras, broker, settings; there are none unless `web.edit` is true."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from agent.web.answers import answered, json_of
from agent.web.setup import GivenBroker, GivenCamera, SetupProvider

MAX_CHARS = 1000  # of an address
BUSY = "another trial is running; try again when it is over"

_Given = TypeVar("_Given", GivenCamera, GivenBroker)


class SetupRoutes:
    """Below /api/setup. `restart` asks the loop for a restart."""

    def __init__(self, provider: SetupProvider, restart: Callable[[], Awaitable[Response]]) -> None:
        self._provider, self._restart_loop = provider, restart
        self._trial = asyncio.Lock()

    def routes(self) -> list[BaseRoute]:
        """For the app."""
        return [
            Route("/api/setup", self._state, methods=["GET"]),
            Route("/api/setup", self._save, methods=["PUT"]),
            Route("/api/setup/devices", self._devices, methods=["GET"]),
            Route("/api/setup/camera", self._camera, methods=["POST"]),
            Route("/api/setup/broker", self._broker, methods=["POST"]),
            Route("/api/setup/restart", self._restart, methods=["POST"]),
        ]

    async def _state(self, _request: Request) -> Response:
        return await answered(self._provider.state)

    async def _devices(self, _request: Request) -> Response:
        return await self._alone(self._provider.devices)

    async def _camera(self, request: Request) -> Response:
        camera = _given(GivenCamera, await json_of(request))
        if camera is None:
            return _wrong('{"name": "front", "source": "v4l2:/dev/video0", "user": null, "password": null}')
        return await self._alone(lambda: self._provider.try_camera(camera))

    async def _broker(self, request: Request) -> Response:
        broker = _given(GivenBroker, await json_of(request))
        if broker is None:
            return _wrong('{"url": "mqtt://HOST", "user": null, "password": null}')
        return await self._alone(lambda: self._provider.try_broker(broker))

    async def _save(self, request: Request) -> Response:
        sent = await json_of(request)
        camera, broker = _given(GivenCamera, sent.get("camera")), _given(GivenBroker, sent.get("broker"))
        etag = request.headers.get("if-match", "").strip('"')
        if not etag:
            return JSONResponse({"error": "send If-Match with the etag of GET /api/setup"}, 428)
        if (sent.get("camera") and not camera) or (sent.get("broker") and not broker):
            return _wrong('{"camera": {...}, "broker": {...}}, as to the trials')

        def save() -> dict[str, Any]:
            self._provider.save(camera, broker, etag)
            return self._provider.state()

        return await answered(save)

    async def _restart(self, _request: Request) -> Response:
        def check() -> dict[str, Any]:
            self._provider.can_start()
            return {}

        answer = await answered(check)
        return answer if answer.status_code != 200 else await self._restart_loop()

    async def _alone(self, work: Callable[[], dict[str, Any]]) -> Response:
        """Trials one at a time: a camera serves one program, and trials take seconds."""
        if self._trial.locked():
            return JSONResponse({"error": BUSY}, 409)
        async with self._trial:
            return await answered(work)


def _given(kind: type[_Given], sent: Any) -> _Given | None:
    """What was sent, without what is unknown; None where something is missing or is no text."""
    if not isinstance(sent, dict):
        return None
    fields = kind.__dataclass_fields__
    texts = {name: value for name in fields if (value := sent.get(name)) not in (None, "")}
    if not all(isinstance(text, str) and len(text) <= MAX_CHARS for text in texts.values()):
        return None
    try:
        return kind(**texts)
    except TypeError:  # one that is needed is missing
        return None


def _wrong(expected: str) -> Response:
    return JSONResponse({"error": f"send {expected}"}, 400)

"""Endpoints that teach a gesture; there are none unless `web.edit` is true."""

from __future__ import annotations

from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from agent.web.answers import answered, json_of


class TeachingProvider(Protocol):
    """Teaches one gesture at a time; implemented above the web server. Methods may wait for a disk."""

    def state(self) -> dict[str, Any]:
        """The lesson and its progress, and what was taught before."""

    def begin(self, gesture: str, camera: str, *, improve: bool, force: bool) -> None:
        """Begin with the countdown. Raises `ConfigError`."""

    def cancel(self) -> None:
        """Forget what was collected."""


class TeachingRoutes:
    """Below /api/teaching."""

    def __init__(self, provider: TeachingProvider) -> None:
        self._provider = provider

    def routes(self) -> list[BaseRoute]:
        """For the app."""
        return [
            Route("/api/teaching", self._state, methods=["GET"]),
            Route("/api/teaching", self._begin, methods=["POST"]),
            Route("/api/teaching", self._cancel, methods=["DELETE"]),
        ]

    async def _state(self, _request: Request) -> Response:
        return await answered(self._provider.state)

    async def _begin(self, request: Request) -> Response:
        sent = await json_of(request)
        gesture, camera = sent.get("gesture"), sent.get("camera")
        if not (isinstance(gesture, str) and isinstance(camera, str)):
            return JSONResponse({"error": 'send {"gesture": "rock", "camera": "front"}'}, 400)
        improve, force = sent.get("improve") is True, sent.get("force") is True

        def begin() -> dict[str, Any]:
            self._provider.begin(gesture, camera, improve=improve, force=force)
            return self._provider.state()

        return await answered(begin)

    async def _cancel(self, _request: Request) -> Response:
        def cancel() -> dict[str, Any]:
            self._provider.cancel()
            return self._provider.state()

        return await answered(cancel)

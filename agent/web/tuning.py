"""Endpoints of the sliders; there are none unless `web.edit` is true."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from agent.web.answers import answered, json_of


class TuningProvider(Protocol):
    """Other thresholds, tried on traces; implemented above the web server. Raises `ConfigError`."""

    def state(self) -> dict[str, Any]:
        """The sliders, and the `etag` of the settings file."""

    def evaluate(self, values: Mapping[str, float]) -> dict[str, Any]:
        """What would have started in the last minutes."""

    def save(self, values: Mapping[str, float], etag: str) -> None:
        """Write the values into the settings. They count from the next start on."""


class TuningRoutes:
    """Below /api/tuning."""

    def __init__(self, provider: TuningProvider) -> None:
        self._provider = provider
        self._evaluation = asyncio.Lock()

    def routes(self) -> list[BaseRoute]:
        """For the app."""
        return [
            Route("/api/tuning", self._state, methods=["GET"]),
            Route("/api/tuning", self._save, methods=["PUT"]),
            Route("/api/tuning/evaluate", self._evaluate, methods=["POST"]),
        ]

    async def _state(self, _request: Request) -> Response:
        return await answered(self._provider.state)

    async def _evaluate(self, request: Request) -> Response:
        values = _values(await json_of(request))
        if values is None:
            return _wrong()
        async with self._evaluation:  # one at a time: recognition goes first
            return await answered(lambda: self._provider.evaluate(values))

    async def _save(self, request: Request) -> Response:
        values = _values(await json_of(request))
        etag = request.headers.get("if-match", "").strip('"')
        if values is None:
            return _wrong()
        if not etag:
            return JSONResponse({"error": "send If-Match with the etag of GET /api/tuning"}, 428)

        def save() -> dict[str, Any]:
            self._provider.save(values, etag)
            return self._provider.state()

        return await answered(save)


def _values(sent: dict[str, Any]) -> dict[str, float] | None:
    """Numbers by the key of their slider; None where there is something else."""
    values = sent.get("values")
    if not isinstance(values, dict) or not all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        for value in values.values()
    ):
        return None
    return {key: float(value) for key, value in values.items()}


def _wrong() -> Response:
    return JSONResponse({"error": 'send {"values": {"hold": 0.3}}'}, 400)

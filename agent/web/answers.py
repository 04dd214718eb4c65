"""Bodies and answers of the endpoints that change something."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.config.problems import ConfigProblems
from agent.errors import GestureAgentError


async def json_of(request: Request) -> dict[str, Any]:
    """The object in the body; empty where there is none."""
    try:
        found = await request.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def answered(work: Callable[[], dict[str, Any]]) -> Response:
    """The result of work that waits for a disk or a device, or what was wrong with it."""
    try:
        return JSONResponse(await asyncio.to_thread(work))
    except ConfigProblems as exc:
        return JSONResponse({"error": "; ".join(problem.text for problem in exc.problems)}, 422)
    except GestureAgentError as exc:
        return JSONResponse({"error": str(exc)}, 409)
    except OSError as exc:
        return JSONResponse({"error": f"nothing was saved: {exc.strerror}"}, 507)

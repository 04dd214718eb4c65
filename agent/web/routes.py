"""HTTP routes: pages, API, metrics and streams."""

from __future__ import annotations

import asyncio
import json
import math
import queue
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from agent.web.auth import COOKIE, COOKIE_S, TokenAuth
from agent.web.broadcaster import Broadcaster
from agent.web.dashboard import DashboardState
from agent.web.editing import NO_EDITING, Editing
from agent.web.limits.attempts import Attempts
from agent.web.limits.refusals import Refusals
from agent.web.metrics import Metrics
from agent.web.progress_monitor import ProgressMonitor
from agent.web.rule_routes import RuleRoutes
from agent.web.security import VISITOR
from agent.web.setup_routes import SetupRoutes
from agent.web.streams import Streams
from agent.web.teaching import TeachingRoutes
from agent.web.tuning import TuningRoutes

STATIC = Path(__file__).with_name("static")
ANSWER_S = 5.0  # seconds for the loop to answer an API request
PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+/?")
PAGES = {"/": "index.html", "/kiosk": "kiosk.html"}
EDITOR_PAGES = {"/rules": "rules.html"}  # with web.edit
SETUP_PAGES = {"/setup": "setup.html"}  # so are these, where the settings file is known
TEACHING_PAGES = {"/teach": "teach.html"}
TUNING_PAGES = {"/tune": "tune.html"}

Ask: TypeAlias = Callable[[str, Mapping[str, Any]], "Future[tuple[dict[str, Any], str]]"]
"""A request to the loop and the future of its data and error; raises `queue.Full`."""


class Routes:
    """Endpoints of the web server."""

    def __init__(
        self,
        *,
        dashboard: DashboardState,
        broadcaster: Broadcaster,
        streams: Streams,
        metrics: Metrics,
        progress_monitor: ProgressMonitor,
        auth: TokenAuth,
        attempts: Attempts,
        refusals: Refusals,
        ask: Ask,
        editing: Editing = NO_EDITING,
    ) -> None:
        self._dashboard, self._broadcaster, self._streams = dashboard, broadcaster, streams
        self._metrics, self._progress_monitor, self._auth, self._ask = metrics, progress_monitor, auth, ask
        self._attempts, self._refusals = attempts, refusals
        self._rule_routes = RuleRoutes(editing.rules, self._saved) if editing.rules else None
        self._setup_routes = SetupRoutes(editing.setup, self._restart) if editing.setup else None
        self._teaching_routes = TeachingRoutes(editing.teaching) if editing.teaching else None
        self._tuning_routes = TuningRoutes(editing.tuning) if editing.tuning else None
        self._pages = {
            **PAGES,
            **(EDITOR_PAGES if editing.rules else {}),
            **(SETUP_PAGES if editing.setup else {}),
            **(TEACHING_PAGES if editing.teaching else {}),
            **(TUNING_PAGES if editing.tuning else {}),
        }

    def app(self) -> Starlette:
        """Build the ASGI app, without `SecurityMiddleware`."""
        return Starlette(
            routes=[
                *(Route(path, _page(file)) for path, file in self._pages.items()),
                *(self._rule_routes.routes() if self._rule_routes else ()),
                *(self._setup_routes.routes() if self._setup_routes else ()),
                *(self._teaching_routes.routes() if self._teaching_routes else ()),
                *(self._tuning_routes.routes() if self._tuning_routes else ()),
                Route("/favicon.ico", _page("icon.svg")),
                Route("/login", _page("login.html"), methods=["GET"]),
                Route("/login", self._log_in, methods=["POST"]),
                Route("/api/state", self._state),
                Route("/api/enabled", self._enable, methods=["POST"]),
                Route("/api/reload", self._reload, methods=["POST"]),
                Route("/api/rules/{rule}/test", self._test, methods=["POST"]),
                Route("/metrics", self._figures),
                Route("/healthz", self._healthz),
                WebSocketRoute("/ws/page", self._streams.page),
                WebSocketRoute("/ws/kiosk", self._streams.kiosk),
                WebSocketRoute("/ws/preview/{camera}", self._streams.pictures),
                Mount("/static", StaticFiles(directory=STATIC)),
            ]
        )

    # Login and logout.

    async def _log_in(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        target = form.get("next", [""])[0].strip("/")
        target = target if f"/{target}" in self._pages else ""
        visitor = request.scope[VISITOR]
        if not self._auth.open:
            if wait_s := self._attempts.wait_s(visitor):
                self._attempts.failed(visitor)
                self._refusals.note("attempts", address=visitor, wait_s=math.ceil(wait_s))
                return RedirectResponse(f"login?next={target}&wait={math.ceil(wait_s)}", 303)
            if not self._auth.is_token(form.get("token", [""])[0]):
                tries = self._attempts.failed(visitor)
                self._refusals.note("token", address=visitor, tries=math.ceil(tries))
                return RedirectResponse(f"login?next={target}&wrong=1", 303)
        answer = RedirectResponse(target or "./", 303)
        if not self._auth.open:
            answer.set_cookie(
                COOKIE,
                self._auth.cookie(),
                COOKIE_S,
                path=_prefix(request),
                httponly=True,
                samesite="strict",
                secure="https" in {request.url.scheme, request.headers.get("x-forwarded-proto")},
            )
        return answer

    # Queries.

    async def _state(self, _request: Request) -> Response:
        return JSONResponse(self._dashboard.snapshot())

    async def _figures(self, request: Request) -> Response:
        text, content_type = self._metrics.exposition(request.headers.get("accept", ""))
        return Response(text, headers={"content-type": content_type})

    async def _healthz(self, _request: Request) -> Response:
        stalled = self._progress_monitor.stalled()
        return JSONResponse({"ok": not stalled, "stalled": stalled}, 503 if stalled else 200)

    # Actions.

    async def _enable(self, request: Request) -> Response:
        try:
            wanted = (await request.json())["on"]
        except (ValueError, TypeError, KeyError):
            wanted = None
        if not isinstance(wanted, bool):
            return JSONResponse({"error": 'send {"on": true} or {"on": false}'}, 400)
        return await self._done(
            "enabled", {"on": wanted}, "resumed" if wanted else "paused: cameras are closed"
        )

    async def _reload(self, _request: Request) -> Response:
        return await self._done("reload", {}, "rules were read again")

    async def _saved(self, name: str) -> str:
        """Have the rules read again; what became of it, in words."""
        answer = await self._done("reload", {}, f"{name} was changed in the browser")
        found = json.loads(bytes(answer.body))
        return str(found.get("error", "")) or f"{found['data']['rules']} rules are in force"

    async def _restart(self) -> Response:
        return await self._done("restart", {}, "the agent starts again, with the settings as they are now")

    async def _test(self, request: Request) -> Response:
        rule = request.path_params["rule"]
        return await self._done("test_rule", {"rule": rule}, f"{rule} was tried")

    async def _done(self, name: str, data: Mapping[str, Any], words: str) -> Response:
        """Send a request to the loop, return its result, and log it on the page."""
        try:
            answer = asyncio.wrap_future(self._ask(name, data))
            found, error = await asyncio.wait_for(answer, ANSWER_S)
        except queue.Full:
            return JSONResponse({"error": "the agent has too much to do; try again"}, 503)
        except asyncio.TimeoutError:  # another class than TimeoutError in Python 3.10
            return JSONResponse({"error": f"the agent did not answer within {ANSWER_S:g} s"}, 504)
        if error:
            return JSONResponse({"error": error, "data": found}, 409)
        self._broadcaster.broadcast(self._dashboard.note("person", words))
        return JSONResponse({"data": found})


def _prefix(request: Request) -> str:
    """Path prefix of a reverse proxy, for the cookie path. It affects only the requesting client."""
    told = request.headers.get("x-ingress-path") or request.headers.get("x-forwarded-prefix") or ""
    return f"/{told.strip('/')}/" if PREFIX.fullmatch(told) else "/"


def _page(file: str) -> Callable[[Request], Response]:
    def page(_request: Request) -> Response:
        return FileResponse(STATIC / file)

    return page

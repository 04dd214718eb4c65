"""Endpoints that read and change rule files; there are none unless `web.edit` is true."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from agent.config.problems import ConfigProblems, Problem
from agent.config.rules.cases import CaseResult
from agent.errors import ConfigError
from agent.web.rule_editor import EditConflictError, NoSuchRuleFileError, RuleEditor, RuleText

READ_ONLY = "Read-only file system"
READ_ONLY_HINT = "; under systemd run `systemctl edit gesture-agent` and add ReadWritePaths= with its folder"


class RuleRoutes:
    """Below /api/rule-files. `saved` is called after a change, and answers what became of it."""

    def __init__(self, editor: RuleEditor, saved: Callable[[str], Awaitable[str]]) -> None:
        self._editor, self._saved = editor, saved

    def routes(self) -> list[BaseRoute]:
        """For the app."""
        one = "/api/rule-files/{name}"
        return [
            Route("/api/rule-files", self._list),
            Route(one, self._read, methods=["GET"]),
            Route(one, self._save, methods=["PUT"]),
            Route(f"{one}/check", self._check, methods=["POST"]),
            Route(f"{one}/cases", self._cases, methods=["POST"]),
            Route(f"{one}/history", self._versions),
            Route(f"{one}/history/{{version}}", self._version),
        ]

    async def _list(self, _request: Request) -> Response:
        return await _answered(lambda: {"files": self._editor.names()})

    async def _read(self, request: Request) -> Response:
        name = request.path_params["name"]
        return await _answered(lambda: _file(self._editor.read(name)))

    async def _versions(self, request: Request) -> Response:
        name = request.path_params["name"]
        return await _answered(lambda: {"versions": [asdict(one) for one in self._editor.versions(name)]})

    async def _version(self, request: Request) -> Response:
        name, version = request.path_params["name"], request.path_params["version"]
        return await _answered(lambda: {"text": self._editor.version(name, version).text})

    async def _check(self, request: Request) -> Response:
        name, text = request.path_params["name"], await _sent(request)
        if text is None:
            return _wrong_body()

        def check() -> dict[str, Any]:
            found = self._editor.check(name, text)
            return {
                "rules": len(found.rule_set.rules),
                "cases": sum(Path(case.spot.file).name == name for case in found.cases),
                "warnings": [asdict(warning) for warning in found.warnings],
            }

        return await _answered(check)

    async def _cases(self, request: Request) -> Response:
        name, text = request.path_params["name"], await _sent(request)
        if text is None:
            return _wrong_body()
        return await _answered(
            lambda: {"cases": [_result(one) for one in self._editor.run_cases(name, text)]}
        )

    async def _save(self, request: Request) -> Response:
        name, text = request.path_params["name"], await _sent(request)
        etag = request.headers.get("if-match")
        if text is None:
            return _wrong_body()
        if not etag:
            return JSONResponse({"error": "send If-Match with the ETag of the text that you changed"}, 428)
        answer = await _answered(lambda: _file(self._editor.save(name, text, etag)))
        if answer.status_code != 200:
            return answer
        said = await self._saved(name)
        return JSONResponse(
            {"etag": answer.headers["etag"], "said": said}, headers={"etag": answer.headers["etag"]}
        )


def _file(file: RuleText) -> dict[str, Any]:
    return {"name": file.name, "text": file.text, "etag": file.etag}


def _result(result: CaseResult) -> dict[str, Any]:
    return {
        "title": result.case.title,
        "line": result.case.spot.line,
        "passed": result.passed,
        "problems": list(result.problems),
        "fired": [str(fired) for fired in result.fired],
    }


async def _sent(request: Request) -> str | None:
    """The text in the body; None where there is none."""
    try:
        text = (await request.json())["text"]
        text.encode()
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return text if isinstance(text, str) else None


def _wrong_body() -> Response:
    return JSONResponse({"error": 'send {"text": "..."}'}, 400)


async def _answered(work: Callable[[], dict[str, Any]]) -> Response:
    """The result of work that may wait for a disk, or what was wrong with it."""
    try:
        found = await asyncio.to_thread(work)
    except NoSuchRuleFileError as exc:
        return JSONResponse({"error": str(exc)}, 404)
    except EditConflictError as exc:
        return JSONResponse({"error": str(exc), "now": _file(exc.now)}, 409, {"etag": exc.now.etag})
    except ConfigProblems as exc:
        return JSONResponse({"error": str(exc), "problems": list(map(_problem, exc.problems))}, 422)
    except ConfigError as exc:
        return JSONResponse({"error": f"{exc}{READ_ONLY_HINT if READ_ONLY in str(exc) else ''}"}, 507)
    except OSError as exc:
        return JSONResponse({"error": f"the rules could not be tried: {exc.strerror}"}, 507)
    return JSONResponse(found, headers={"etag": found["etag"]} if "etag" in found else None)


def _problem(problem: Problem) -> dict[str, Any]:
    return asdict(problem)

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
from agent.web.answers import json_of
from agent.web.rule_editor import EditConflictError, NoSuchRuleFileError, RuleEditor, RuleText

UNPROCESSABLE = 422
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
            Route(one, self._delete, methods=["DELETE"]),
            Route(f"{one}/template", self._template, methods=["POST"]),
            Route(f"{one}/check", self._check, methods=["POST"]),
            Route(f"{one}/cases", self._cases, methods=["POST"]),
            Route(f"{one}/history", self._versions),
            Route(f"{one}/history/{{version}}", self._version),
        ]

    async def _list(self, _request: Request) -> Response:
        return await _answered(lambda: {"files": self._editor.names(), "deleted": self._editor.deleted()})

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

    async def _template(self, request: Request) -> Response:
        name, sent = request.path_params["name"], await json_of(request)
        gesture, does = sent.get("gesture"), sent.get("does")
        if not (isinstance(gesture, str) and isinstance(does, str)):
            return JSONResponse({"error": 'send {"gesture": "thumbs_up", "does": "lamp:TOPIC"}'}, 400)
        return await _answered(
            lambda: {"text": self._editor.template(name, gesture, does)}, wrong_is=UNPROCESSABLE
        )

    async def _save(self, request: Request) -> Response:
        name, text = request.path_params["name"], await _sent(request)
        etag = request.headers.get("if-match")
        if text is None:
            return _wrong_body()
        if request.headers.get("if-none-match") == "*":
            return await self._reported(name, lambda: _file(self._editor.create(name, text)))
        if not etag:
            return _which_text("If-Match with the ETag of the text that you changed, or If-None-Match: *")
        return await self._reported(name, lambda: _file(self._editor.save(name, text, etag)))

    async def _delete(self, request: Request) -> Response:
        name, etag = request.path_params["name"], request.headers.get("if-match")
        if not etag:
            return _which_text("If-Match with the ETag of the text that you saw")

        def delete() -> dict[str, Any]:
            self._editor.delete(name, etag)
            return {}

        return await self._reported(name, delete)

    async def _reported(self, name: str, change: Callable[[], dict[str, Any]]) -> Response:
        """Carry out a change, have the rules read again, and say what became of it."""
        answer = await _answered(change)
        if answer.status_code != 200:
            return answer
        etag = answer.headers.get("etag")
        said = {"said": await self._saved(name)}
        return JSONResponse(said | ({"etag": etag} if etag else {}), headers={"etag": etag} if etag else None)


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
    text = (await json_of(request)).get("text")
    try:
        return text if isinstance(text, str) and text.encode() is not None else None
    except UnicodeEncodeError:
        return None


def _which_text(expected: str) -> Response:
    return JSONResponse({"error": f"send {expected}"}, 428)


def _wrong_body() -> Response:
    return JSONResponse({"error": 'send {"text": "..."}'}, 400)


async def _answered(work: Callable[[], dict[str, Any]], *, wrong_is: int = 507) -> Response:
    """The result of work that may wait for a disk, or what was wrong with it.

    `wrong_is`: the status of a `ConfigError`, by default that nothing could be stored.
    """
    try:
        found = await asyncio.to_thread(work)
    except NoSuchRuleFileError as exc:
        return JSONResponse({"error": str(exc)}, 404)
    except EditConflictError as exc:
        return JSONResponse({"error": str(exc), "now": _file(exc.now)}, 409, {"etag": exc.now.etag})
    except ConfigProblems as exc:
        return JSONResponse({"error": str(exc), "problems": list(map(_problem, exc.problems))}, 422)
    except ConfigError as exc:
        return JSONResponse({"error": f"{exc}{READ_ONLY_HINT if READ_ONLY in str(exc) else ''}"}, wrong_is)
    except OSError as exc:
        return JSONResponse({"error": f"the rules could not be tried: {exc.strerror}"}, 507)
    return JSONResponse(found, headers={"etag": found["etag"]} if "etag" in found else None)


def _problem(problem: Problem) -> dict[str, Any]:
    return asdict(problem)

"""Parsing of requests from the broker: any client may send them, so each is small, valid, or refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from agent.core.numbers import read_json
from agent.delivery.message import JSON, Message, as_json
from agent.delivery.topics import REQUESTS, Topics

MAX_BYTES = 4096
MAX_TRANSACTION = 64  # characters
ENABLE = "enabled"

Transaction: TypeAlias = "str | int | None"


@dataclass(frozen=True, slots=True)
class Request:
    """A request from outside: one of `REQUESTS`, or `enabled` with `{"on": bool}`.

    `also` holds the transactions of merged requests, which get the same answer.
    """

    name: str
    data: Mapping[str, Any] = field(default_factory=dict)
    transaction: Transaction = None
    also: tuple[Transaction, ...] = ()


class RequestError(ValueError):
    """Raised for an invalid request; `transaction` is set where it could be read."""

    def __init__(self, text: str, transaction: Transaction = None) -> None:
        super().__init__(text)
        self.transaction = transaction


def enabled(payload: bytes) -> Request:
    """Parse `ON` or `OFF`, in any case. Raises `RequestError`."""
    try:
        return Request(ENABLE, {"on": {b"ON": True, b"OFF": False}[payload[:4].upper()]})
    except KeyError:
        raise RequestError(f"enabled/set takes ON or OFF, got {_shown(payload)}") from None


def request(name: str, payload: bytes) -> Request:
    """Parse an empty payload or a JSON object with an optional `transaction`. Raises `RequestError`."""
    if name not in REQUESTS:
        raise RequestError(f"unknown request {_shown(name.encode())}; there are {', '.join(REQUESTS)}")
    if len(payload) > MAX_BYTES:
        raise RequestError(f"the payload has {len(payload)} bytes, at most {MAX_BYTES} are read")
    data = _object(payload)
    transaction = data.pop("transaction", None)
    if isinstance(transaction, bool) or not isinstance(transaction, str | int | None):
        raise RequestError("transaction must be a text or a whole number")
    if isinstance(transaction, str) and len(transaction) > MAX_TRANSACTION:
        raise RequestError(
            f"transaction has {len(transaction)} characters, at most {MAX_TRANSACTION} are kept"
        )
    rule = data.get("rule")
    if name == "test_rule" and not (isinstance(rule, str) and 0 < len(rule) <= 200):
        raise RequestError('test_rule takes {"rule": "<id of a rule>"}', transaction)
    return Request(name, data, transaction)


def response(
    topics: Topics,
    name: str,
    transaction: Transaction,
    *,
    data: Mapping[str, Any] | None = None,
    error: str = "",
) -> Message:
    """Build the response to a request; an error response if `error` is given."""
    body = {
        "status": "error" if error else "ok",
        "data": dict(data or {}),
        "error": error,
        "transaction": transaction,
    }
    return Message(topics.response(name), as_json(body), qos=1, content_type=JSON)


def _object(payload: bytes) -> dict[str, Any]:
    if not payload:
        return {}
    try:
        data = read_json(payload)
    except ValueError as exc:
        raise RequestError(f"the payload is no JSON: {exc}") from exc
    if not isinstance(data, dict):
        raise RequestError("the payload is JSON but no object; send {} or nothing")
    return data


def _shown(payload: bytes) -> str:
    text = payload[:40].decode("utf-8", "replace")
    return json.dumps(text) + ("..." if len(payload) > 40 else "")

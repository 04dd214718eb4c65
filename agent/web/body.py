"""Reading of request bodies, with limits in size and time."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import Message, Receive

MAX_BODY_BYTES = 4096  # as over MQTT
RULES_BODY_BYTES = 1_500_000  # a rule file has a million at most, as JSON some more
RULES_PATH = "/api/rule-files/"
DRAIN_BYTES = 2_000_000  # bytes of a too large body that are discarded, so that the client reads the response
BODY_S = 5.0


def most_bytes(path: str) -> int:
    """Return the largest body of a request to `path`, in bytes."""
    return RULES_BODY_BYTES if path.startswith(RULES_PATH) else MAX_BODY_BYTES


async def whole_body(receive: Receive, headers: Headers, most: int = MAX_BODY_BYTES) -> bytes | None:
    """Read the whole request body; None where it is too large or incomplete in time."""
    size, pieces = 0, []

    async def read() -> None:
        nonlocal size
        more = True
        while more and size <= DRAIN_BYTES:
            message = await receive()
            more = message["type"] == "http.request" and message.get("more_body", False)
            piece = message.get("body", b"")
            size += len(piece)
            if size <= most:
                pieces.append(piece)

    if not headers.get("content-length") and not headers.get("transfer-encoding"):
        return b""
    try:
        await asyncio.wait_for(read(), BODY_S)
    except asyncio.TimeoutError:  # another class than TimeoutError in Python 3.10
        return None
    return b"".join(pieces) if size <= most else None


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return an ASGI `receive` that yields the body as one message, then the rest."""
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay

"""One HTTP request to a target that the rules name, without following anyone elsewhere."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from agent import __version__


@dataclass(frozen=True, slots=True)
class Answer:
    """`delivered`, or the reason why not; `again` says whether another try makes sense."""

    delivered: bool
    again: bool
    reason: str


class _StayHere(urllib.request.HTTPRedirectHandler):
    """A rule names its target; a redirect is not followed but answered with an error."""

    def redirect_request(self, *_: Any) -> None:
        """None: the 3xx becomes an `HTTPError`."""


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _StayHere)


def post(
    url: str, body: bytes, *, content_type: str, event_id: str, headers: Mapping[str, str], timeout_s: float
) -> Answer:
    """POST `body`; 2xx is delivered, 408, 429, 5xx and network trouble may be tried again.

    `Idempotency-Key` carries the event's id, the same one at every try.
    """
    if not url.startswith(("http://", "https://")):
        return Answer(False, False, f'"{url}" is no http:// or https:// address')
    sent = {
        "User-Agent": f"gesture-agent/{__version__}",
        "Content-Type": content_type or "text/plain; charset=utf-8",
        "Idempotency-Key": event_id,
        **headers,
    }
    try:
        request = urllib.request.Request(url, data=body, headers=sent, method="POST")  # noqa: S310 (checked above)
        with _opener.open(request, timeout=timeout_s) as response:
            return Answer(True, False, str(response.status))
    except urllib.error.HTTPError as exc:
        again = exc.code in (408, 429) or exc.code >= 500
        exc.close()
        return Answer(False, again, f"HTTP {exc.code} {exc.reason}")
    except urllib.error.URLError as exc:
        return Answer(False, True, str(exc.reason))
    except (OSError, HTTPException) as exc:
        return Answer(False, True, str(exc) or type(exc).__name__)
    except ValueError as exc:
        return Answer(False, False, str(exc))

"""Validation of URLs in settings and rules: host, port, permitted characters."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from agent.core.redaction import server_only, url_secrets, without

MAX_PORT = 65535
_PORT = re.compile(r"\d{1,5}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PATH_SAFE = "/%:@!$&'()*+,;=~{}"  # RFC 3986; % keeps encoded characters, {} are template fields
_QUERY_SAFE = _PATH_SAFE + "?"


def checked_address(url: str) -> str:
    """Return a URL unchanged. Raises `ValueError` for an impossible host or port; "embedded" is accepted."""
    if "://" not in url:
        return url
    host_and_port(url)
    return url


def host_and_port(url: str) -> tuple[str, int | None]:
    """Return host and port (None where absent) of a URL. Raises `ValueError` that says what is wrong."""
    if _CONTROL.search(url):
        raise ValueError(f"{_shown(server_only(url))!a} holds a line end or another control character")
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as exc:
        raise ValueError(
            f'"{_shown(server_only(url))}" is no address: {without(str(exc), url_secrets(url))}'
        ) from exc
    behind = parts.netloc.rpartition("@")[2].rpartition("]")[2]
    _, colon, port = behind.rpartition(":")
    if not host:
        raise ValueError(f'"{_shown(server_only(url))}" names no host')
    if not colon or not port:
        return host, None
    if not _PORT.fullmatch(port) or not 0 < int(port) <= MAX_PORT:
        seen = f'"{_shown(port)}"' if port.isdigit() else "what stands behind the colon"  # half a password
        raise ValueError(f"{seen} is no port; ports go from 1 to {MAX_PORT}")
    return host, int(port)


def as_uri(iri: str) -> str:
    """Convert an IRI, as people write it, to a URI that HTTP can send (RFC 3987, section 3.1).

    Path and query are percent-encoded as UTF-8, the host as IDNA; template fields are kept. Raises
    `ValueError`.
    """
    host, port = host_and_port(iri)
    parts = urlsplit(iri)
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError as exc:
            raise ValueError(f'"{_shown(host)}" is no host name: {exc}') from exc
        login, at, _ = parts.netloc.rpartition("@")
        parts = parts._replace(netloc=f"{login}{at}{host}" + (f":{port}" if port else ""))
    if not parts.netloc.isascii():
        raise ValueError("user and password of an address must be ASCII; percent-encode them")
    return parts._replace(
        path=quote(parts.path, safe=_PATH_SAFE),
        query=quote(parts.query, safe=_QUERY_SAFE),
        fragment="",  # never sent
    ).geturl()


def _shown(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}..."

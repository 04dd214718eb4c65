"""Redaction: finds and masks the credentials inside a source string or URL.

The only place that knows where such strings hold secrets. Settings with secrets are rejected by it, and every
text that is shown (logs, states, errors, printed settings) passes through it.

* Login, `scheme://user:password@host`: everything before the last `@`, because people write passwords with
  `/`, `@`, `?` and `#` unescaped. Write an `@` in a path as `%40`.
* `name=value` where the name stands for a secret (`password=`, `loginpas=`, `admin_pwd=`, `token=`, ...), in
  a query, a path or the properties of a GStreamer pipeline. Servers disagree where such a value ends, so
  everything that follows in the same word counts as secret.

The placeholders `{user}` and `{password}` are not secrets.

Of a webhook the path itself may be the secret (Home Assistant, Slack, Discord), and no pattern tells an id
from a word: `server_only` shows the server and nothing of what follows. In payloads the values under names
that stand for secrets are masked (`redacted_payload`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote

from agent.core.numbers import read_json, write_json

MASK: Final = "***"
PASSWORD: Final = "{password}"  # noqa: S105 (a placeholder)
USER: Final = "{user}"
PART_CHARS: Final = 4  # a shorter part of a path is no secret, and masking it would garble every text

_LOCAL = re.compile(r"(?:file|folder|v4l2|csi):", re.IGNORECASE)  # followed by a path or number: no secrets
_PIPELINE = re.compile(r"gst:", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/+")
_ELEMENT_END = re.compile(r"(\s!\s)")  # between the elements of a pipeline
_NAME = re.compile(r"[^=&?#/;,!{}\s\"']+=")  # up to and with the "="
_PROPERTY = re.compile(r"(?:\"(?:[^\"\\]|\\.)*(?:\"|$)|'[^']*(?:'|$)|[^\s\"'])+")  # to a blank
_SECRET_PART = re.compile(
    r"passw|passphrase|passcode|passkey|pwd|psw|token|secret|credential|signature|loginpa|userpa|"
    r"api.?key|access.?key|auth.?key|authori[sz]ation|cookie"
)
_SECRET_WORD = frozenset(
    [
        "pass",
        "pas",
        "pw",
        "ps",
        "psd",
        "psk",
        "auth",
        "sig",
        "sid",
        "session",
        "sessionid",
        "otp",
        "pin",
        "jwt",
        "bearer",
    ]
)
_SECRET_NAME = frozenset({"key", "code", "ticket"})
_WORDS = re.compile(r"[a-z]+")


def redacted(text: str) -> str:
    """Replace every secret in a text by `***`; user names, hosts and paths stay.

    >>> redacted("rtsp://ann:s3:c@ret@cam/1?token=abc")
    'rtsp://ann:***@cam/1?token=***'
    """
    return _split(text)[0]


def server_only(url: str) -> str:
    """Return scheme, host and port of a URL; path, query and login are left out.

    >>> server_only("http://ann:pw@home:8123/api/webhook/x8Kq")
    'http://home:8123/...'
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    server = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" not in server and redacted(url) != url:
        server = "..."  # a password that contains a slash: the part before the slash is no server name
    path = "/..." if len(rest) > len(server) or server == "..." else ""
    return f"{scheme}{separator}{server.rpartition('@')[2]}{path}"


def url_secrets(url: str) -> tuple[str, ...]:
    """Return what `server_only` leaves out, whole and in parts, for `without`."""
    rest = url.partition("://")[2] or url
    begin = re.search(r"[/?#]", rest)
    path = rest[begin.start() :] if begin else ""
    parts = [part for part in re.split(r"[/?#&=]", path) if len(part) >= PART_CHARS]
    return tuple(text for text in (url, path, path.partition("?")[0], *parts) if len(text) >= PART_CHARS)


def redacted_payload(payload: Any) -> Any:
    """Mask the values of secret names in a payload: in JSON at any depth, in text after `name=`."""
    if isinstance(payload, dict):
        return {
            key: MASK if _names_a_secret(str(key)) and value else redacted_payload(value)
            for key, value in payload.items()
        }
    if isinstance(payload, list | tuple):
        return [redacted_payload(value) for value in payload]
    if not isinstance(payload, str):
        return payload
    if payload.lstrip().startswith(("{", "[")):
        try:
            document = read_json(payload)
        except ValueError:
            pass
        else:
            masked = redacted_payload(document)
            return payload if masked == document else write_json(masked)
    return _split_url_tail(payload, 0, _first_named(payload))[0]


def secrets_in(text: str) -> tuple[str, ...]:
    """Return the secrets in a text as written; empty where it may be shown as it is."""
    return tuple(_split(text)[1])


def without(text: str, secrets: Iterable[str]) -> str:
    """Mask known secrets, plain or percent-encoded, in the text of another program or library."""
    forms = {form for secret in secrets for form in _forms(secret) if form}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, MASK)
    return text


def _forms(secret: str) -> Iterator[str]:
    """As written and decoded, for `%41` may be either; each plain, encoded and as Python shows it."""
    secret = secret.strip("\"'")
    for plain in (secret, unquote(secret)):
        yield from (plain, quote(plain, safe=""), quote(plain), quote_plus(plain), repr(plain)[1:-1])


def _split(text: str) -> tuple[str, list[str]]:
    """The text to show, and the secrets removed from it."""
    if _LOCAL.match(text):
        return text, []
    if not _PIPELINE.match(text):
        return _split_url(text)
    parts = [_split_element(part) for part in _ELEMENT_END.split(text)]
    return "".join(shown for shown, _ in parts), [secret for _, found in parts for secret in found]


def _split_element(text: str) -> tuple[str, list[str]]:
    """Split one pipeline element: a login may hold blanks, a property ends at a blank outside quotes."""
    scheme = _SCHEME.search(text)
    if scheme and text.rpartition("@")[0].count(":", scheme.end()):
        head, url = text[: scheme.start()], text[scheme.start() :]
        parts = [_split_properties(head), _split_url(url[: (at := url.rindex("@"))] + "@")]
        parts.append(_split_properties(url[at + 1 :]))
        return "".join(shown for shown, _ in parts), [secret for _, found in parts for secret in found]
    return _split_properties(text)


def _split_properties(text: str) -> tuple[str, list[str]]:
    secrets: list[str] = []

    def show(word: re.Match[str]) -> str:
        shown, found = _split_url(word.group())
        secrets.extend(found)
        return shown

    return _PROPERTY.sub(show, text), secrets


def _split_url(text: str) -> tuple[str, list[str]]:
    """Split off the login (first colon to last `@`) and everything from the first secret name."""
    scheme = _SCHEME.match(text)
    begin = scheme.end() if scheme else 0
    at = text.rfind("@")
    colon = text.find(":", begin, max(at, begin))
    login = colon >= 0 and text[colon + 1 : at] not in {"", PASSWORD, MASK}
    named = _first_named(text)
    if login and at < named:
        shown, secrets = _split_url_tail(text, at, named)
        return text[: colon + 1] + MASK + shown, [text[colon + 1 : at], *secrets]
    if login:
        named = min(named, colon + 1)
    return _split_url_tail(text, 0, named)


def _split_url_tail(text: str, begin: int, named: int) -> tuple[str, list[str]]:
    return (text[begin:named] + MASK, [text[named:]]) if named < len(text) else (text[begin:], [])


def _first_named(text: str) -> int:
    """Index of the first value whose name stands for a secret; the text's length where there is none."""
    for name in _NAME.finditer(text):
        value = text[name.end() :]
        empty = value.strip("\"'") in {"", MASK} or value.startswith((PASSWORD, USER))
        if not empty and _names_a_secret(name.group()[:-1]):
            return name.end()
    return len(text)


def _names_a_secret(name: str) -> bool:
    plain = unquote(name).lower()
    words = _WORDS.findall(plain)
    return bool(_SECRET_PART.search(plain)) or plain in _SECRET_NAME or not _SECRET_WORD.isdisjoint(words)

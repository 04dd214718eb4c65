"""Writes the effective settings as TOML, with the origin of each and secrets masked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.config.load import Loaded
from agent.config.toml_document import KeyPath
from agent.config.toml_value import mapped_texts, toml_value

Mask = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class TomlLine:
    """One line of TOML. `origin` is where its setting was written; None for a default or a table's head."""

    text: str
    origin: str | None = None


def lines(loaded: Loaded, mask: Mask) -> Iterator[TomlLine]:
    """Yield all settings as TOML; `mask` is applied to every text, to hide logins in URLs."""
    yield from _table((), loaded.settings.model_dump(mode="json"), origins(loaded), mask)


def masked(loaded: Loaded, mask: Mask) -> Any:
    """Return all settings as plain data for JSON; `mask` is applied to every text."""
    return mapped_texts(loaded.settings.model_dump(mode="json"), mask)


def origins(loaded: Loaded) -> dict[str, str]:
    """Return the origin of each setting that is not a default, by its dotted name."""
    return {
        ".".join(map(str, at)): f"{spot.file}:{spot.line}" if spot.line else spot.file
        for at, spot in loaded.written.keys.items()
        if not isinstance(_value(loaded.written.data, at), dict)
    }


def _value(data: Any, at: KeyPath) -> Any:
    for part in at:
        data = data[part]
    return data


def _table(
    at: KeyPath, values: Mapping[str, Any], written: Mapping[str, str], mask: Mask
) -> Iterator[TomlLine]:
    tables = {key: value for key, value in values.items() if _is_table(value)}
    if at and (len(tables) < len(values) or not values):
        yield TomlLine(f"\n[{'.'.join(map(str, at))}]")
    for key, value in values.items():
        if key not in tables:
            yield _setting((*at, key), value, written, mask)
    for key, value in tables.items():
        yield from _table((*at, key), value, written, mask)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and set(value) != {"file"}  # a secret is written on one line


def _setting(at: KeyPath, value: Any, written: Mapping[str, str], mask: Mask) -> TomlLine:
    if value is None:
        return TomlLine(f"# {at[-1]} is not set")
    name = ".".join(map(str, at))
    return TomlLine(
        f"{at[-1]} = {toml_value(mapped_texts(value, mask))}",
        written.get(name) or written.get(f"{name}.file"),
    )

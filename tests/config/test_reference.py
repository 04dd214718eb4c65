"""`config.toml` is the reference manual: it lists every setting with its real default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from agent.config.load import load
from agent.config.settings import AS_WRITTEN, CameraSettings, Settings
from agent.config.toml_document import parse

REFERENCE = Path(__file__).parents[2] / "config.toml"
TEXT = REFERENCE.read_text(encoding="utf-8")
UNCOMMENTED = parse(re.sub(r"^#(?=[a-z_]+ = )", "", TEXT, flags=re.MULTILINE), "config.toml")
OF_THIS_MACHINE = {("agent", "id"), ("camera", "front", "source")}  # no default that a file could state


def keys(model: type[BaseModel], at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Path and default of every setting; a camera is called front."""
    for name, field in model.model_fields.items():
        default = field.default_factory() if field.default_factory else field.default  # type: ignore[call-arg]
        if (*at, name) == ("camera",):
            yield from keys(CameraSettings, ("camera", "front"))
        elif isinstance(default, BaseModel):
            yield from keys(type(default), (*at, name))
        elif isinstance(default, dict) and default:
            yield from (((*at, name, key), value) for key, value in default.items())
        else:
            yield (*at, name), default


def value(data: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        data = data[part]
    return data


def comment(path: tuple[str, ...]) -> str:
    """The words after a setting, on its line."""
    line = TEXT.splitlines()[UNCOMMENTED.keys[path].line - 1]
    return line.partition(" # ")[2]


def test_it_can_be_used_as_it_is() -> None:
    found = load(REFERENCE, {}).settings
    assert found.camera["front"].source == "v4l2:/dev/video0"
    assert found.mqtt == Settings().mqtt


def test_every_setting_is_in_it_and_nothing_else() -> None:
    listed = {path for path in UNCOMMENTED.keys if not isinstance(value(UNCOMMENTED.data, path), dict)}  # type: ignore[arg-type]
    known = {path for path, _ in keys(Settings)}
    secrets = {(*path, "file") for path in known if path[-1] in {"password", "token"}}
    assert listed - secrets == known - {path[:-1] for path in secrets}


def test_every_default_that_it_shows_is_the_real_one() -> None:
    shown = Settings.model_validate(UNCOMMENTED.data, context={AS_WRITTEN: True})
    for path, default in keys(Settings):
        found: Any = shown
        for part in path:
            found = found[part] if isinstance(found, dict) else getattr(found, part)
        if path in OF_THIS_MACHINE:
            assert default is PydanticUndefined or "default: this machine's" in comment(path)
        elif default is None:
            assert "example; " in comment(path), f"{path} has no default: say that it is an example"
            assert "default: " in comment(path), f"{path}: say what holds without it"
        else:
            assert found == default, f"{path} is shown as {found!r}"
            assert "example" not in comment(path)


def test_every_setting_is_explained_on_its_line_in_a_width_that_a_terminal_shows() -> None:
    assert [path for path, _ in keys(Settings) if not comment(path)] == []
    assert max(map(len, TEXT.splitlines())) <= 110

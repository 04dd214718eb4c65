"""Commands whose modules are imported when they are called: the list of all of them costs no import."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command, or a group of them.

    Its module, of the same name in agent.commands, holds a function of that name and EPILOG; a group: `app`.
    """

    name: str
    help: str
    group: bool = False

    def load(self, markup: Any) -> Any:
        """The command itself, as `typer` makes it of the module."""
        module = import_module(f"agent.commands.{self.name}")
        parent = typer.Typer(
            add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=markup, callback=_nothing
        )
        if self.group:
            parent.add_typer(module.app, name=self.name, help=self.help)
        else:
            parent.command(self.name, epilog=module.EPILOG, short_help=self.help)(getattr(module, self.name))
        made: Any = get_command(parent)
        return made.commands[self.name]


class LazyGroup(TyperGroup):
    """Lists what was announced with `announce`, and loads what is called."""

    announced: dict[str, Lazy] = {}  # noqa: RUF012 (one command line a process)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """As typer's, with the real command in the place of the one that only has a name."""
        name, command, rest = super().resolve_command(ctx, args)
        lazy = self.announced.get(name or "")
        return name, lazy.load(self.rich_markup_mode) if lazy else command, rest


def announce(app: typer.Typer, *commands: Lazy) -> None:
    """Put commands into the list of `app`, whose `cls` is `LazyGroup`."""
    for lazy in commands:
        LazyGroup.announced[lazy.name] = lazy
        app.command(lazy.name, short_help=lazy.help)(_nothing)


def _nothing() -> None:
    """Stand where the real command is loaded."""

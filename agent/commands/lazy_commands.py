"""Commands whose modules are imported only when they are called, so that the help is fast."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command, or a group of commands, loaded on demand.

    Its module, of the same name in agent.commands ("_" for "-"), holds a function of that name and EPILOG; a
    group: `app`.
    """

    name: str
    help: str
    group: bool = False

    @property
    def module(self) -> str:
        """Name of the module and of its function."""
        return self.name.replace("-", "_")

    def load(self, markup: Any) -> Any:
        """Import the module and return the command that `typer` makes of it."""
        module = import_module(f"agent.commands.{self.module}")
        parent = typer.Typer(
            add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=markup, callback=_nothing
        )
        if self.group:
            parent.add_typer(module.app, name=self.name, help=self.help)
        else:
            parent.command(self.name, epilog=module.EPILOG, short_help=self.help)(
                getattr(module, self.module)
            )
        made: Any = get_command(parent)
        return made.commands[self.name]


class LazyGroup(TyperGroup):
    """Group that lists commands added by `announce`, and loads the one that is called."""

    announced: dict[str, Lazy] = {}  # noqa: RUF012 (one command line a process)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Resolve as typer does, then replace the placeholder by the loaded command."""
        name, command, rest = super().resolve_command(ctx, args)
        lazy = self.announced.get(name or "")
        return name, lazy.load(self.rich_markup_mode) if lazy else command, rest


def announce(app: typer.Typer, *commands: Lazy) -> None:
    """Add placeholders of commands to `app`, whose `cls` is `LazyGroup`."""
    for lazy in commands:
        LazyGroup.announced[lazy.name] = lazy
        app.command(lazy.name, short_help=lazy.help)(_nothing)


def _nothing() -> None:
    """Placeholder callback."""

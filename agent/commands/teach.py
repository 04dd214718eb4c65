"""`gesture-agent teach`: teaches custom gestures and adapts built-in ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.models import make_ready
from agent.commands.options import AsJson, ConfigFile, examples, loaded
from agent.commands.output import echo_json, echo_table, quiet_logs, warn
from agent.config.folders import cache_folder, state_folder
from agent.core.taught import FEWEST
from agent.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from agent.config.settings import CameraSettings, Settings
    from agent.core.taught import HandSamples
    from agent.inference.recognizer import Recognizer
    from agent.teaching import LearnedGesture

EPILOG = examples(
    "gesture-agent teach rock --camera front            show it, move and turn the hand",
    "gesture-agent teach rock --folder anna/ --folder ben/",
    "gesture-agent teach fist --improve --camera front  as you make it",
    "gesture-agent teach random --improve --folder no/  what is no gesture",
    "gesture-agent teach --list",
    "gesture-agent teach --remove rock",
)


def teach(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Name of the gesture: letters a-z, digits, _.", show_default=False
        ),
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Learn from this camera of the settings.", show_default=False),
    ] = None,
    folder: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="Learn from a folder of images; may be repeated.", show_default=False
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="CLIP", help="Learn from a clip or gst:PIPELINE.", show_default=False),
    ] = None,
    count: Annotated[int, typer.Option(min=FEWEST, max=200, help="Examples to take from the camera.")] = 25,
    improve: Annotated[
        bool, typer.Option("--improve", help="Add examples to a built-in or taught gesture.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Teach it even if it resembles a built-in gesture.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="List taught gestures.")] = False,
    remove: Annotated[
        str | None, typer.Option(metavar="NAME", help="Remove this gesture.", show_default=False)
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Teach a custom gesture, or adapt a built-in one to your hand.

    20 to 40 hands are enough. Images are not kept and nothing leaves this machine: embeddings of
    the hands are stored in taught.npz in the state folder. Rules may name the gesture at once; the agent
    recognises it from its next start.
    """
    quiet_logs()
    settings = loaded(config).settings
    if list_:
        _list(settings, as_json=as_json)
    elif remove is not None:
        _remove(settings, remove, as_json=as_json)
    else:
        sources = [given for given in (camera, folder, source) if given]
        if name is None or len(sources) != 1:
            raise typer.BadParameter("give NAME and one of --camera, --folder, --source; or --list, --remove")
        given = _Given(camera, folder or [], source, count)
        _teach(settings, name, given, improve=improve, force=force, as_json=as_json)


class _Given:
    """Sources of the examples."""

    def __init__(self, camera: str | None, folders: list[Path], source: str | None, count: int) -> None:
        self.camera, self.folders, self.source, self.count = camera, folders, source, count

    def collect(self, recognizer: Recognizer, settings: Settings, gesture: str) -> HandSamples:
        """Collect the examples. Raises `ConfigError` when too few hands were found."""
        from agent.capture.source import settings_of
        from agent.commands.collect import of_camera, of_clip, of_folder
        from agent.commands.teach_tui import screen
        from agent.inference.gestures.background import hands_of
        from agent.teaching import must_be_enough

        with screen(gesture, self.count if self.camera else None) as show:
            if self.camera:
                chosen = _camera(settings, self.camera)
                hands = of_camera(recognizer, chosen, self.camera, self.count, show)
            elif self.source:
                hands = of_clip(recognizer, settings_of(self.source), show)
            else:
                hands = [hand for one in self.folders for hand in of_folder(recognizer, one, show)]
        must_be_enough(gesture, len(hands))
        return hands_of(hands)


def _camera(settings: Settings, name: str) -> CameraSettings:
    if name not in settings.camera:
        known = ", ".join(settings.camera) or "none is set"
        raise ConfigError(f'no camera "{name}" in the settings; there: {known}')
    return settings.camera[name]


def _teach(
    settings: Settings, name: str, given: _Given, *, improve: bool, force: bool, as_json: bool
) -> None:
    from agent.teaching import Teacher

    teacher = Teacher(
        settings.recognition, make_ready(settings), state_folder(settings.agent, os.environ), name,
        improve=improve, force=force,
    )  # fmt: skip
    with teacher:
        new = given.collect(teacher.recognizer, settings, name)
        with _bar("how other hands look to the classifier") as step:
            learned = teacher.learn(new, step)
    _tell(learned, as_json=as_json)


def _tell(learned: LearnedGesture, *, as_json: bool) -> None:
    if as_json:
        echo_json(learned.facts())
    else:
        typer.echo(f"{learned.summary}\n{learned.file}; the agent uses it from its next start.")
    for doubt in learned.doubts:
        warn(doubt)


def _list(settings: Settings, *, as_json: bool) -> None:
    from agent.inference.gestures.taught import load_taught
    from agent.inference.models import classifier_of

    taught = load_taught(state_folder(settings.agent, os.environ))
    try:
        now = classifier_of(settings.recognition, cache_folder(settings.agent, os.environ))
    except ModelError:
        now = ""
    rows = (
        [
            {
                "gesture": name,
                "examples": count,
                "kind": "improved" if name in taught.built_in else "new",
                "in_use": taught.classifier == now,
            }
            for name, count in sorted(taught.counts.items())
        ]
        if taught
        else []
    )
    if as_json:
        echo_json(rows)
    elif not rows:
        typer.echo("Nothing was taught yet.")
    else:
        state = {True: "in use", False: "for another classifier: teach it again"}
        cells = [
            (str(row["gesture"]), str(row["examples"]), str(row["kind"]), state[bool(row["in_use"])])
            for row in rows
        ]
        echo_table(("gesture", "hands", "", ""), cells)


def _remove(settings: Settings, name: str, *, as_json: bool) -> None:
    from agent.inference.gestures.taught import load_taught, save_taught

    folder = state_folder(settings.agent, os.environ)
    taught = load_taught(folder)
    if taught is None or name not in taught.counts:
        known = ", ".join(sorted(taught.counts)) if taught else "nothing"
        raise ConfigError(f"{name} was not taught; taught: {known}")
    save_taught(folder, taught.without(name))
    if as_json:
        echo_json({"removed": name, "examples": taught.counts[name]})
    else:
        typer.echo(f"{name}: forgotten. Rules that name it must go too, unless it is built in.")


@contextmanager
def _bar(title: str) -> Iterator[Callable[[], None]]:
    """Progress line on stderr, in a terminal only."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda: None
        return
    with console.status(title):
        yield lambda: None

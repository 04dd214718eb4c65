"""`gesture-agent teach`: teaches custom gestures and adapts built-in ones."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.commands.models import make_ready
from agent.commands.options import AsJson, ConfigFile, examples, loaded
from agent.commands.output import echo_json, echo_table, quiet_logs, warn
from agent.config.folders import cache_folder, state_folder
from agent.core.types import NO_GESTURE
from agent.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from agent.config.settings import CameraSettings, Settings
    from agent.core.taught import HandSamples
    from agent.inference.gestures.taught import Taught
    from agent.inference.recognizer import Recognizer

EPILOG = examples(
    "gesture-agent teach rock --camera front            show it, move and turn the hand",
    "gesture-agent teach rock --folder anna/ --folder ben/",
    "gesture-agent teach fist --improve --camera front  as you make it",
    "gesture-agent teach random --improve --folder no/  what is no gesture",
    "gesture-agent teach --list",
    "gesture-agent teach --remove rock",
)
NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
RESERVED = ("any",)  # reserved: has another meaning in rules
FEWEST = 8  # minimum examples
DOUBTFUL = 0.8  # share of left-out examples that should be recognised


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

        with screen(gesture, self.count if self.camera else None) as show:
            if self.camera:
                chosen = _camera(settings, self.camera)
                hands = of_camera(recognizer, chosen, self.camera, self.count, show)
            elif self.source:
                hands = of_clip(recognizer, settings_of(self.source), show)
            else:
                hands = [hand for one in self.folders for hand in of_folder(recognizer, one, show)]
        if len(hands) < FEWEST:
            raise ConfigError(
                f"{gesture}: {len(hands)} hands were found, at least {FEWEST} are needed; "
                "show one hand, well lit, larger than a tenth of the picture"
            )
        return hands_of(hands)


def _camera(settings: Settings, name: str) -> CameraSettings:
    if name not in settings.camera:
        known = ", ".join(settings.camera) or "none is set"
        raise ConfigError(f'no camera "{name}" in the settings; there: {known}')
    return settings.camera[name]


def _teach(
    settings: Settings, name: str, given: _Given, *, improve: bool, force: bool, as_json: bool
) -> None:
    from agent.core.taught import left_out
    from agent.inference.build import build_recognizer
    from agent.inference.files.store import manifest_of
    from agent.inference.gestures.background import background
    from agent.inference.gestures.taught import check_same_classifier, load_taught, save_taught
    from agent.inference.gestures.taught import teach as fit
    from agent.inference.models import classifier_of

    cache, state = make_ready(settings), state_folder(settings.agent, os.environ)
    manifest = manifest_of(settings.recognition.gestures, cache)
    before = load_taught(state)
    _check_name(name, manifest.labels, before, improve=improve)
    if manifest.output.embedding is None:
        raise ModelError(f"{manifest.name}: has no output embedding, so it cannot learn gestures")
    classifier = classifier_of(settings.recognition, cache)
    kept = before if improve or before is None else before.without(name)
    if kept is not None:
        check_same_classifier(kept, classifier, state)
    recognizer = build_recognizer(settings.recognition, cache)
    try:
        new = given.collect(recognizer, settings, name)
        with _bar("how other hands look to the classifier") as step:
            others = background(recognizer, classifier, cache, step)
    finally:
        recognizer.close()
    likeness = _likeness(new, manifest.labels, name)
    if likeness and not (force or improve):
        raise ConfigError(
            f"{name} looks like {likeness}, so {likeness.partition(':')[0]} would be taken for it; nothing "
            "was learned. Choose another shape of the hand, or teach it all the same with --force"
        )
    hands, names = new, [name] * len(new)
    if kept is not None:
        hands, names = kept.examples.joined(new), [*kept.names, *names]
    taught = fit(classifier, manifest.labels, others, hands, names)
    right, of = left_out(manifest.labels, others, hands, names, name)
    file = save_taught(state, taught)
    facts = {
        "gesture": name,
        "examples": taught.counts[name],
        "left_out_right": right,
        "left_out": of,
        "others": len(others),
        "others_mistaken": _mistaken(taught, others, name),
        "file": str(file),
    }
    _tell(facts, likeness, name, as_json=as_json)


def _check_name(name: str, built_in: tuple[str, ...], before: Taught | None, *, improve: bool) -> None:
    if not NAME.fullmatch(name) or name in RESERVED:
        raise ConfigError(
            f'"{name}": a gesture is called by a letter a-z, then letters, digits or _ (32 at most)'
        )
    if name in built_in and not improve:
        raise ConfigError(f"{name} is built in; `gesture-agent teach {name} --improve` adapts it to you")
    if improve and name not in {*built_in, *(before.names if before else ())}:
        raise ConfigError(f"{name} is neither built in nor taught yet; leave out --improve")


def _mistaken(taught: Taught, others: HandSamples, name: str) -> int:
    """Rendered hands that are misread as this gesture now and were not before."""
    wanted = taught.head.labels.index(name)
    return sum(
        int(taught.head.scores(base, embedding).argmax()) == wanted != int(base.argmax())
        for base, embedding in zip(others.scores, others.embeddings, strict=True)
    )


def _likeness(new: HandSamples, built_in: tuple[str, ...], name: str) -> str | None:
    """Built-in gesture that most of the new hands are classified as, with the count.

    None if there is none.
    """
    read_as = [built_in[i] for i in new.scores.argmax(axis=1)]
    most = max(set(read_as), key=read_as.count)
    if most in {name, NO_GESTURE} or read_as.count(most) <= len(read_as) / 2:
        return None
    return f"{most}: {read_as.count(most)} of {len(read_as)} hands are read so"


def _tell(facts: dict[str, Any], likeness: str | None, name: str, *, as_json: bool) -> None:
    if as_json:
        echo_json(facts)
    else:
        typer.echo(
            f"{name}: learned from {facts['examples']} hands. Left out in turn, {facts['left_out_right']} of "
            f"{facts['left_out']} were recognised; of {facts['others']} other hands, rendered, "
            f"{facts['others_mistaken']} are taken for it.\n{facts['file']}; the agent uses it "
            "from its next start."
        )
    if likeness:
        warn(f"{name} looks like {likeness} without it")
    if facts["left_out_right"] < DOUBTFUL * facts["left_out"]:
        warn("that is little; teach more hands (--improve): other turns and distances, or another shape")


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

"""`gesture-agent init`: from nothing to settings, a rule and a login that work."""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.options import examples
from agent.commands.output import echo_below, quiet_logs, sign, warn
from agent.errors import ConfigError, GestureAgentError

if TYPE_CHECKING:
    from agent.commands.init_questions import Answers
    from agent.config.atomic_file import NewFile
    from agent.installation.starter import Starter

CONFIG, RULES, RULE_FILE = "config.toml", "rules", "first.toml"
CANNOT_START = 3

EPILOG = examples(
    "gesture-agent init                    asks, writes into the current folder",
    "gesture-agent init ~/gestures",
    "gesture-agent init ~/gestures --page    asks nothing here; the browser does",
    "gesture-agent init ~/gestures --yes --camera rtsp://192.168.1.20/1 \\",
    "    --broker 192.168.1.2 --user agent --password-file ~/.mqtt-password \\",
    "    --gesture thumbs_up --do lamp:zigbee2mqtt/lamp/set",
)


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write.")] = Path(),
    camera: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help='"v4l2:/dev/video0", "rtsp://..", ...', show_default="asked"),
    ] = None,
    broker: Annotated[
        str | None, typer.Option(metavar="HOST|URL", help="The MQTT broker.", show_default="asked")
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="Login at the broker.", show_default="asked")
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file that holds its password and nothing else."),
    ] = None,
    gesture: Annotated[
        str | None, typer.Option(metavar="NAME", help="The first gesture.", show_default="asked")
    ] = None,
    do: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="event, lamp:TOPIC, webhook:URL, key:KEY or publish:TOPIC=PAYLOAD.",
            show_default="asked",
        ),
    ] = None,
    page: Annotated[
        bool, typer.Option("--page", help="Ask in the browser: write only what the page needs.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing: take what is found, and the defaults.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that are there; the old ones stay as NAME.old.")
    ] = False,
    no_fetch: Annotated[bool, typer.Option("--no-fetch", help="Do not fetch the networks now.")] = False,
) -> None:
    """Write settings and a first rule: camera, broker, a gesture and what it does.

    Camera and broker are tried at once. All files are written together or none; a password gets a file of
    its own that only you can read, outside of repositories. Nothing is replaced without your word.
    """
    from agent.commands.init_files import agreed, write_files
    from agent.commands.init_page import set_up_in_browser
    from agent.commands.init_questions import Answers, ask_all

    quiet_logs()
    target = folder.expanduser().absolute()
    _must_be_folder(target)
    given = Answers(camera, broker, user, password_file, gesture, do)
    if page:
        if given != Answers(None, None, None, None, None, None):
            raise typer.BadParameter(
                "--page asks for camera, broker and gesture in the browser; leave them out"
            )
        set_up_in_browser(target, yes=yes, force=force, fetch=not no_fetch)
        return
    try:
        answers = ask_all(given, yes=yes)
        files, starter = _files(target, answers)
        files = agreed(files, yes=yes, force=force)
    except (EOFError, typer.Abort, KeyboardInterrupt) as exc:
        typer.echo("\nStopped; nothing was written.", err=True)
        raise typer.Exit(1) from exc
    write_files(files)
    _finish(target, starter, fetch=not no_fetch)


def _must_be_folder(target: Path) -> None:
    nearest = next(path for path in (target, *target.parents) if path.exists())
    if not nearest.is_dir():
        raise ConfigError(f"{nearest}: is a file, not a folder; name another one")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(f"{nearest}: cannot be written by you; name a folder of yours")


def _files(target: Path, answers: Answers) -> tuple[list[NewFile], Starter]:
    """What is to be written, tried in a folder of its own first. Raises `ConfigError`."""
    from agent.config.atomic_file import NewFile
    from agent.installation.secret_place import secret_files, secret_place
    from agent.installation.starter import Login, Starter, config_text, rule_text

    secrets: list[NewFile] = []

    def login(user: str | None, password: str | None, file: Path | None, name: str) -> Login | None:
        if user is None:
            return None
        if password is None:
            return Login(user, file.expanduser().absolute() if file else None)
        place = secret_place(target, name, password)
        if place.repository:
            warn(
                f"{place.path} is inside the repository {place.repository}; it is added to its .gitignore, "
                "keep it out of commits"
            )
        secrets.extend(secret_files(place, password))
        return Login(user, place.path)

    starter = Starter(
        answers.camera_source,
        answers.broker_url,
        answers.gesture_name,
        answers.action,
        login(answers.camera_user, answers.camera_password, None, "camera-password"),
        login(answers.user, answers.password, answers.password_file, "mqtt-password"),
    )
    files = [
        NewFile(target / CONFIG, config_text(starter, relative_to=target).encode()),
        NewFile(target / RULES / RULE_FILE, rule_text(starter.gesture, starter.action).encode()),
    ]
    _try_out(target, files)
    return [*files, *secrets], starter


def _try_out(target: Path, files: list[NewFile]) -> None:
    """Settings load, rules load beside those that are there, and every case passes. Raises `ConfigError`."""
    from agent.config.folders import cache_folder, state_folder
    from agent.config.load import load
    from agent.config.rules.cases import run_cases
    from agent.config.rules.files import read_rules
    from agent.diagnostics import labels_of

    with tempfile.TemporaryDirectory(prefix="gesture-agent-init-") as name:
        trial = Path(name)
        (trial / RULES).mkdir()
        for rule_file in (target / RULES).glob("*.toml"):
            (trial / RULES / rule_file.name).write_bytes(rule_file.read_bytes())
        for file in files:
            (trial / file.path.relative_to(target)).write_bytes(file.data)
        settings = load(trial / CONFIG, {}, need_files=False).settings
        folders = [of(settings.agent, os.environ) for of in (state_folder, cache_folder)]
        labels = labels_of(settings.recognition, *folders)
        rules = read_rules(trial / RULES, labels, settings.debounce)
        failed = [result for result in run_cases(rules.cases, labels, settings.debounce) if not result.passed]
    if failed:
        said = "; ".join(f"{result.case.title}: {', '.join(result.problems)}" for result in failed)
        raise ConfigError(f"the rules' own cases fail ({said}); mend the rules in {target / RULES} first")


def _finish(target: Path, starter: Starter, *, fetch: bool) -> None:
    """Fetch the networks, try all parts, and say the one command."""
    from agent.commands.models import make_ready
    from agent.commands.this_program import this_program
    from agent.config.load import load
    from agent.diagnostics import run_checks

    found = load(target / CONFIG, os.environ)
    for warning in found.warnings:
        warn(warning)
    if fetch:
        try:
            make_ready(found.settings)
        except GestureAgentError as exc:
            warn(f"{exc}\nwithout them the agent does not start; again later: {this_program()} models fetch")
    typer.echo()
    worst = "ok"
    for verdict in run_checks(found.settings, os.environ):
        if verdict.state != "ok" or verdict.part in {"rules", "camera", "broker"}:
            text = verdict.text.replace("\n", "\n     ")
            echo_below(f"{sign(verdict.state)} {verdict.part} {verdict.name}: {text}")
        worst = "fail" if "fail" in {worst, verdict.state} else verdict.state if worst == "ok" else worst
    here = target == Path.cwd()
    option = "" if here else f" --config {shlex.quote(str(target / CONFIG))}"
    typer.echo()
    if worst == "fail":
        typer.echo("All is written, but the agent cannot start yet; mend what is marked above, then run:")
    else:
        echo_below(f"Show {starter.gesture} to the camera for half a second. This runs the agent:")
    typer.echo(f"\n  {this_program()} run{option}\n")
    if worst == "fail":
        raise typer.Exit(CANNOT_START)

"""What `gesture-agent init` asks: camera, broker, gesture and what it does; each is tried at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from agent.commands.output import echo_below, sign
from agent.errors import ConfigError

if TYPE_CHECKING:
    from agent.capture.camera_list import CameraInfo
    from agent.diagnostics import CheckResult
    from agent.installation.starter import StarterAction

FIRST_GESTURE = "thumbs_up"
ALL_THE_SAME = "Use it all the same?"


@dataclass(frozen=True, slots=True)
class Answers:
    """What was given as options, completed by what was asked. `None`: not known yet, or none."""

    camera: str | None
    broker: str | None
    user: str | None
    password_file: Path | None
    gesture: str | None
    do: str | None
    password: str | None = None
    camera_user: str | None = None
    camera_password: str | None = None

    @property
    def camera_source(self) -> str:
        """Once all is known."""
        return self.camera or ""

    @property
    def broker_url(self) -> str:
        """Once all is known."""
        return self.broker or ""

    @property
    def gesture_name(self) -> str:
        """Once all is known."""
        return self.gesture or FIRST_GESTURE

    @property
    def action(self) -> StarterAction:
        """Once all is known. Raises `ConfigError`."""
        from agent.installation.starter import parse_action

        return parse_action(self.do or "event")


def ask_all(given: Answers, *, yes: bool) -> Answers:
    """Ask what is missing; with `yes` take what is found. Raises `ConfigError` and `typer.Abort`."""
    if given.do:
        given.action  # noqa: B018 (wrong usage is told before anything is asked)
    if given.gesture:
        _must_be_gesture(given.gesture)
    answers = _gesture(_broker(_camera(given, yes=yes), yes=yes), yes=yes)
    return _action(answers, yes=yes)


# --- the camera ---------------------------------------------------------------------------------


def _camera(answers: Answers, *, yes: bool) -> Answers:
    from agent.capture.camera_list import list_cameras, without_cameras

    typer.echo("1 of 4  The camera")
    if answers.camera:
        return _tried_camera(answers, answers.camera, ask=False)
    cameras = list_cameras()
    usable = [camera for camera in cameras if not camera.problem]
    _show_cameras(cameras)
    if yes:
        if not usable:
            why = cameras[0].problem if cameras else without_cameras()
            raise ConfigError(f"no camera to take ({why}); name one with --camera")
        return _tried_camera(answers, usable[0].source, ask=False)
    if not cameras:
        echo_below(without_cameras())
    default = str(cameras.index(usable[0]) + 1) if usable else None
    while True:
        said = typer.prompt(
            "Its number, or an address such as rtsp://192.168.1.20/1", default=default
        ).strip()
        chosen = _numbered(said, cameras)
        try:
            tried = _tried_camera(answers, chosen, ask=True)
        except ConfigError as exc:
            echo_below(f"{sign('fail')} {exc}")
            continue
        if tried.camera:
            return tried


def _show_cameras(cameras: list[CameraInfo]) -> None:
    for number, camera in enumerate(cameras, 1):
        echo_below(f"  {number}  {camera.name or camera.device}  {camera.best_mode or ''}  {camera.device}")
        if camera.problem:
            echo_below(f"     {camera.problem}")


def _numbered(said: str, cameras: list[CameraInfo]) -> str:
    if said.isdecimal() and 1 <= int(said) <= len(cameras):
        return cameras[int(said) - 1].source
    return said


def _tried_camera(answers: Answers, said: str, *, ask: bool) -> Answers:
    """With the camera in it, its login apart; without one where it gave no picture and is not wanted."""
    from agent.config.sources import absolute_source
    from agent.connection_trials import split_camera, try_camera

    source, user, password = split_camera(said)
    source = absolute_source(source, Path.cwd())
    verdict = try_camera(source, user, password)
    _echo(verdict)
    if verdict.state == "fail":
        raise ConfigError(verdict.text)
    if verdict.state != "ok" and ask and not typer.confirm(ALL_THE_SAME, default=False):
        return answers
    return replace(answers, camera=source, camera_user=user, camera_password=password)


# --- the broker ---------------------------------------------------------------------------------


def _broker(answers: Answers, *, yes: bool) -> Answers:
    from agent.connection_trials import HOSTS, PORT, find_brokers

    typer.echo("\n2 of 4  The MQTT broker")
    if answers.broker or yes:
        found = answers.broker or next(iter(find_brokers()), None)
        if found is None:
            raise ConfigError(
                f"no broker answers on port {PORT} of {', '.join(HOSTS)}; name it with --broker"
            )
        return _tried_broker(_with_address(answers, found), ask=False)
    default: str | None = next(iter(find_brokers()), None)
    echo_below(f"Found: {default}" if default else f"None answers on port {PORT} of {', '.join(HOSTS)}.")
    while True:
        said = typer.prompt('Its host or URL; "embedded" for one inside the agent', default=default).strip()
        try:
            tried = _tried_broker(_login(_with_address(answers, said)), ask=True)
        except ConfigError as exc:
            echo_below(f"{sign('fail')} {exc}")
            continue
        if tried.broker:
            return tried


def _with_address(answers: Answers, said: str) -> Answers:
    """A bare host becomes a URL; a login in the URL is taken out of it."""
    from agent.connection_trials import split_broker

    url, user, password = split_broker(said)
    if user is None:
        return replace(answers, broker=url)
    return replace(answers, broker=url, user=user, password=password)


def _login(answers: Answers) -> Answers:
    if answers.broker == "embedded" or answers.user is not None:
        return answers
    user = typer.prompt("User (empty: no login)", default="", show_default=False).strip()
    if not user:
        return answers
    password = typer.prompt("Password", default="", show_default=False, hide_input=True)
    return replace(answers, user=user, password=password or None)


def _tried_broker(answers: Answers, *, ask: bool) -> Answers:
    """With the broker in it; without one where it refused and is not wanted."""
    from agent.config.settings import MqttSettings
    from agent.connection_trials import try_broker

    if answers.password_file is not None and answers.user is None:
        raise ConfigError("--password-file needs --user")
    file = answers.password_file.expanduser().absolute() if answers.password_file else None
    if file is not None and not file.is_file():
        raise ConfigError(f"{file}: no such file; write the password into it, readable by you only")
    password = answers.password if answers.password is not None else file
    verdict = try_broker(MqttSettings(), answers.broker_url, answers.user, password, "init")
    _echo(verdict)
    if verdict.state == "fail":
        raise ConfigError(verdict.text)
    if verdict.state != "ok" and ask and not typer.confirm(ALL_THE_SAME, default=False):
        return replace(answers, broker=None, user=None, password=None)
    return answers


# --- the gesture and what it does ---------------------------------------------------------------


def _gestures() -> list[str]:
    """Those that a rule may name: built in, and taught."""
    import os

    from agent.config.folders import cache_folder, state_folder
    from agent.config.settings import Settings
    from agent.core.types import NO_GESTURE
    from agent.diagnostics import labels_of

    settings = Settings()
    folders = [of(settings.agent, os.environ) for of in (state_folder, cache_folder)]
    return [label for label in labels_of(settings.recognition, *folders) if label != NO_GESTURE]


def _must_be_gesture(name: str) -> None:
    if name not in (known := _gestures()):
        raise ConfigError(f'no gesture "{name}"; known: {", ".join(known)}')


def _gesture(answers: Answers, *, yes: bool) -> Answers:
    if answers.gesture or yes:
        return replace(answers, gesture=answers.gesture or FIRST_GESTURE)
    known = _gestures()
    typer.echo(f"\n3 of 4  The first gesture: {', '.join(known)}")
    while (said := typer.prompt("Which", default=FIRST_GESTURE).strip()) not in known:
        echo_below(f'{sign("fail")} no gesture "{said}"')
    return replace(answers, gesture=said)


def _action(answers: Answers, *, yes: bool) -> Answers:
    from agent.installation.starter import KINDS, parse_action

    if answers.do or yes:
        return replace(answers, do=answers.do or "event")
    typer.echo(f"\n4 of 4  What {answers.gesture} does")
    for kind, what in KINDS.items():
        echo_below(f"  {kind:8} {what}")
    while True:
        said = typer.prompt("Which", default="event").strip()
        try:
            parse_action(said)
        except ConfigError as exc:
            echo_below(f"{sign('fail')} {exc}")
            continue
        return replace(answers, do=said)


def _echo(verdict: CheckResult) -> None:
    echo_below(f"{sign(verdict.state)} {verdict.text}")

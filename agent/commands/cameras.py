"""`gesture-agent cameras`: which cameras there are, and what they see."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.commands.options import AsJson, examples
from agent.commands.output import State, echo_below, echo_json, echo_table, quiet_logs, sign, warn
from agent.errors import ConfigError, GestureAgentError

if TYPE_CHECKING:
    from agent.capture.camera_list import CameraInfo

app = typer.Typer(no_args_is_help=True)
PICTURE_HELP = "Write what is seen into FILE (.jpg or .png)."
FORMATS = {".jpg", ".jpeg", ".png"}
COLUMNS = 64  # of a picture in the terminal


@app.command(
    "list",
    epilog=examples(
        "gesture-agent cameras list",
        "gesture-agent cameras list --modes",
        "gesture-agent cameras list --picture seen.jpg",
        "gesture-agent cameras list --json | jq -r '.cameras[] | select(.problem == null) | .source'",
    ),
)
def list_cameras(
    modes: Annotated[bool, typer.Option("--modes", help="Every format, size and rate too.")] = False,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help=f"{PICTURE_HELP} Several: FILE-video0 and so on.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the cameras of this machine, and why one cannot be opened. Exit code 1 where none can.

    Cameras are asked for their names and formats only; none is switched on unless you want a picture.
    """
    from agent.capture.camera_list import list_cameras as found_cameras
    from agent.capture.camera_list import without_cameras

    quiet_logs()
    cameras = found_cameras()
    pictures = _pictures(cameras, picture) if picture else {}
    if as_json:
        facts = [_facts(camera, pictures.get(camera.device)) for camera in cameras]
        echo_json({"cameras": facts, "problem": None if cameras else without_cameras()})
    elif cameras:
        echo_table(("", "name", "best for gestures", "source"), [_row(camera) for camera in cameras])
        for camera in cameras:
            _echo_more(camera, modes=modes)
            if camera.device in pictures:
                typer.echo(f"{camera.device}: picture in {pictures[camera.device]}")
    else:
        echo_below(f"{sign('fail')} {without_cameras()}")
    if all(camera.problem for camera in cameras):
        raise typer.Exit(1)


@app.command(
    "show",
    epilog=examples(
        "gesture-agent cameras show v4l2:/dev/video0",
        "gesture-agent cameras show rtsp://192.168.1.20/stream1 --picture seen.jpg",
    ),
)
def show_camera(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="As in the settings.")],
    picture: Annotated[Path | None, typer.Option(metavar="FILE", help=PICTURE_HELP)] = None,
    as_json: AsJson = False,
) -> None:
    """Open a camera, stream or clip, and show one picture: in the terminal, or in a file."""
    from agent.capture.source import public_name, settings_of
    from agent.commands.camera_picture import in_terminal, write_picture
    from agent.connection_trials import first_frame

    quiet_logs()
    if picture:
        _must_be_format(picture)
    frame = first_frame(settings_of(source))
    if picture:
        write_picture(frame, picture)
    facts = {
        "source": public_name(source),
        "width": frame.shape[1],
        "height": frame.shape[0],
        "picture": str(picture) if picture else None,
    }
    if as_json:
        echo_json(facts)
        return
    shown = None if picture else in_terminal(frame, COLUMNS)
    if shown:
        typer.echo(shown)
    typer.echo(f"{facts['source']}: {facts['width']} x {facts['height']} pixels")
    if picture:
        typer.echo(f"picture in {picture}")
    elif not shown:
        typer.echo("no picture here: this terminal has no true colours; try --picture FILE")


def _pictures(cameras: list[CameraInfo], picture: Path) -> dict[str, str]:
    """Device: file, of every camera that gives a picture; the others are told on stderr."""
    from agent.capture.source import settings_of
    from agent.commands.camera_picture import write_picture
    from agent.connection_trials import first_frame

    _must_be_format(picture)
    usable = [camera for camera in cameras if not camera.problem]
    written = {}
    for camera in usable:
        name = f"{picture.stem}-{Path(camera.device).name}{picture.suffix}"
        path = picture if len(usable) == 1 else picture.with_name(name)
        try:
            frame = first_frame(settings_of(camera.source))
        except GestureAgentError as exc:
            warn(str(exc))
            continue
        write_picture(frame, path)
        written[camera.device] = str(path)
    return written


def _must_be_format(path: Path) -> None:
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"{path}: pictures are written as {', '.join(sorted(FORMATS))}; name it like that")


def _row(camera: CameraInfo) -> tuple[str, str, str, str]:
    state: State = "fail" if camera.problem else "ok"
    return sign(state), camera.name or camera.device, str(camera.best_mode or "-"), camera.source


def _echo_more(camera: CameraInfo, *, modes: bool) -> None:
    if camera.problem:
        echo_below(f"{camera.device}: {camera.problem}")
    for mode in camera.modes if modes else ():
        typer.echo(f"{camera.device}: {mode}")


def _facts(camera: CameraInfo, picture: str | None) -> dict[str, Any]:
    return {**asdict(camera), "picture": picture}

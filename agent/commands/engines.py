"""`gesture-agent engines`: plans for the NVIDIA GPU of this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.commands import engines_export
from agent.commands.options import AsJson, ConfigFile, examples, loaded
from agent.commands.output import State, echo_json, echo_table, is_fancy, quiet_logs, sign, wants_colour
from agent.config.folders import cache_folder

if TYPE_CHECKING:
    from agent.config.settings import Settings, TensorRtSettings
    from agent.inference.trt.orders import Place
    from agent.inference.trt.progress import Progress
    from agent.inference.trt.workshop import Order

app = typer.Typer(no_args_is_help=True)
app.command(epilog=engines_export.EPILOG)(engines_export.export)

_STATES: dict[str, State] = {"ready": "ok", "missing": "warn", "stale": "warn", "corrupt": "fail"}

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Only these networks.", show_default="all that the settings ask for"),
]


class Precision(str, Enum):
    """Number formats."""

    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


class Level(str, Enum):
    """How much of TensorRT's own log is shown, on stderr."""

    none = "none"
    error = "error"
    warning = "warning"
    info = "info"
    verbose = "verbose"


WantedPrecision = Annotated[
    Precision | None, typer.Option(help="Number format.", show_default="recognition.tensorrt.precision")
]
WantedBatch = Annotated[
    str | None,
    typer.Option(
        help="Pictures a run: smallest, usual, largest.",
        metavar="MIN,OPT,MAX",
        show_default="recognition.tensorrt.batch",
    ),
]
WantedCalibration = Annotated[
    Path | None,
    typer.Option(
        help="For int8: a folder of pictures, or NVIDIA's calibration file (TensorRT up to 10).",
        metavar="PATH",
        show_default="recognition.tensorrt.calibration",
    ),
]


@app.command(
    "build",
    epilog=examples(
        "gesture-agent engines build",
        "gesture-agent engines build gesturenet --precision int8 --calibration pictures/",
        "gesture-agent engines build --log-level info 2> build.log",
    ),
)
def build_engines(
    names: Names = None,
    precision: WantedPrecision = None,
    batch: WantedBatch = None,
    calibration: WantedCalibration = None,
    force: Annotated[bool, typer.Option("--force", help="Build also what is in order.")] = False,
    log_level: Annotated[Level, typer.Option(help="Of TensorRT's own log, on stderr.")] = Level.none,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Build plans with TensorRT: what the daemon would do at its first start, which takes minutes.

    Plans are kept in the cache folder by network, GPU, TensorRT version, precision and batch. What is in
    order is left alone; what is stale or damaged is built again.
    """
    from agent.inference.trt.orders import find_place, orders_of, state_of
    from agent.inference.trt.workshop import build

    quiet_logs()
    settings = loaded(config).settings
    place = find_place(cache_folder(settings.agent, os.environ))
    if place.note:
        typer.secho(f"note: {place.note}", fg="yellow", err=True, color=wants_colour())
    wanted = _overridden(settings.recognition.tensorrt, precision, batch, calibration)
    done = []
    for order in orders_of(_names(settings, names), place, wanted):
        found = state_of(order)
        if found.state == "ready" and not force:
            done.append(_told(order, "ready", as_json))
            continue
        if found.state in {"stale", "corrupt"}:
            typer.echo(f"{order.name}: {found.state}, {found.detail}", err=True)
        began = time.monotonic()
        with _progress(order.name, quiet=as_json or log_level is not Level.none) as watch:
            plan = build(order, watch, _teller(log_level))
        took = time.monotonic() - began
        done.append(_told(order, "built", as_json, took_s=round(took, 1), size_bytes=len(plan)))
    if as_json:
        echo_json(done)


@app.command(
    "list",
    epilog=examples(
        "gesture-agent engines list",
        "gesture-agent engines list --json | jq -r '.wanted[] | select(.state != \"ready\") | .name'",
    ),
)
def list_engines(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show which backend runs the networks and why, the plans that are asked for, and all there are."""
    from agent.errors import ModelError
    from agent.inference.engine import choose_backend
    from agent.inference.trt.orders import find_place, orders_of, state_of
    from agent.inference.trt.plans import FOLDER, kept_plans

    settings = loaded(config).settings
    cache = cache_folder(settings.agent, os.environ)
    backend, why = choose_backend(settings.recognition.backend)
    wanted: list[dict[str, Any]] = []
    trouble = ""
    try:
        place = find_place(cache)
        for order in orders_of(_names(settings, None), place, settings.recognition.tensorrt):
            found = state_of(order)
            wanted.append(_row(order) | {"state": found.state, "detail": found.detail or str(found.path)})
    except ModelError as exc:
        trouble = str(exc)
    kept = list(kept_plans(cache / FOLDER))
    if as_json:
        plans = [
            {
                "file": str(plan.path),
                "name": plan.key.name if plan.key else None,
                "gpu": plan.key.gpu if plan.key else None,
                "library": plan.key.library if plan.key else None,
                "precision": plan.key.precision if plan.key else None,
                "batch": plan.key.batch if plan.key else None,
                "size_bytes": plan.size_bytes,
                "took_s": plan.took_s,
                "built_at": plan.built_at,
            }
            for plan in kept
        ]
        echo_json({"backend": backend, "why": why, "trouble": trouble, "wanted": wanted, "plans": plans})
        return
    typer.echo(f"backend: {backend} ({why})")
    if trouble:
        typer.echo(f"{sign('warn')} no plans can be used or built here: {trouble}")
    if wanted:
        rows = [
            (sign(_STATES[r["state"]]), r["name"], r["precision"], _sizes(r["batch"]), r["detail"])
            for r in wanted
        ]
        echo_table(("", "wanted", "precision", "batch", "where, or what is wrong"), rows)
    if kept:
        typer.echo()
        echo_table(
            ("kept", "precision", "batch", "for", "MB", "built in"),
            [
                (
                    plan.key.name if plan.key else plan.path.name,
                    plan.key.precision if plan.key else "?",
                    _sizes(plan.key.batch) if plan.key else "?",
                    f"{plan.key.library}, {plan.key.gpu} GPU" if plan.key else "no receipt",
                    f"{plan.size_bytes / 1e6:.1f}",
                    f"{plan.took_s:.0f} s",
                )
                for plan in kept
            ],
        )


@app.command(
    "clean",
    epilog=examples("gesture-agent engines clean --dry-run", "gesture-agent engines clean --all"),
)
def clean_engines(
    all_plans: Annotated[bool, typer.Option("--all", help="Every plan, also those in use.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Remove plans that cannot be used here: damaged, of other versions, other GPUs, changed networks."""
    from agent.errors import ModelError
    from agent.inference.trt.orders import find_place, useless
    from agent.inference.trt.plans import FOLDER, kept_plans, remove_plan

    cache = cache_folder(loaded(config).settings.agent, os.environ)
    if all_plans:
        doomed = [(kept, "all are removed") for kept in kept_plans(cache / FOLDER)]
    else:
        try:
            place: Place | None = find_place(cache)
        except ModelError as exc:
            typer.secho(f"note: only damaged plans are looked for: {exc}", err=True, color=wants_colour())
            place = None
        doomed = useless(cache, place)
    for kept, reason in doomed:
        if not dry_run:
            remove_plan(kept.path)
        if not as_json:
            typer.echo(f"{'would remove' if dry_run else 'removed'} {kept.path.name}: {reason}")
    freed = sum(kept.size_bytes for kept, _ in doomed)
    if as_json:
        echo_json(
            {
                "removed": [{"file": str(kept.path), "reason": reason} for kept, reason in doomed],
                "bytes": freed,
                "dry_run": dry_run,
            }
        )
    else:
        typer.echo(f"{len(doomed)} plans, {freed / 1e6:.1f} MB")


def _names(settings: Settings, names: list[str] | None) -> list[str]:
    from agent.inference.models import engines_of

    return names or list(engines_of(settings.recognition))


def _overridden(
    settings: TensorRtSettings, precision: Precision | None, batch: str | None, calibration: Path | None
) -> TensorRtSettings:
    from pydantic import ValidationError

    given: dict[str, Any] = {"precision": precision.value if precision else None, "calibration": calibration}
    if batch is not None:
        given["batch"] = batch.split(",")
    changed = {name: value for name, value in given.items() if value is not None}
    try:
        return type(settings).model_validate({**settings.model_dump(), **changed})
    except ValidationError as exc:
        raise typer.BadParameter("; ".join(error["msg"] for error in exc.errors())) from exc


def _row(order: Order) -> dict[str, Any]:
    key = order.key
    return {
        "name": key.name, "precision": key.precision, "batch": key.batch, "gpu": key.gpu,
        "library": key.library,
    }  # fmt: skip


def _told(order: Order, state: str, as_json: bool, **more: Any) -> dict[str, Any]:
    """What was done, as a row; for people at once."""
    if not as_json:
        how = f" in {more['took_s']:.1f} s, {more['size_bytes'] / 1e6:.1f} MB" if more else ""
        key = order.key
        typer.echo(
            f"{sign('ok')} {order.name}: {state}{how} ({key.precision}, batch {_sizes(key.batch)}, "
            f"{key.library}, {'for any GPU' if key.gpu == 'any' else key.gpu})"
        )
    return _row(order) | {"state": state, "file": str(order.folder / order.key.file_name), **more}


def _sizes(batch: tuple[int, int, int]) -> str:
    return "/".join(map(str, batch))


def _teller(level: Level) -> Callable[[str, str], None]:
    from agent.inference.trt.log import LEVELS

    shown = () if level is Level.none else LEVELS[: LEVELS.index(level.value) + 1]

    def tell(severity: str, text: str) -> None:
        if severity in shown:
            typer.echo(f"{severity}: {text}", err=True)

    return tell


@contextmanager
def _progress(name: str, *, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar with the time left in a terminal; nothing elsewhere."""
    if quiet or not is_fancy():
        yield lambda _progress: None
        return
    from rich.progress import BarColumn, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(), TextColumn("{task.fields[network]}"), BarColumn(), TaskProgressColumn(),
        TimeElapsedColumn(), TextColumn("{task.fields[left]}"), TextColumn("{task.description}", style="dim"),
    )  # fmt: skip
    with Bars(*columns, transient=True) as bar:
        task = bar.add_task("starting", total=1.0, network=name, left="")

        def watch(progress: Progress) -> None:
            left = f"about {progress.left_s:.0f} s left" if progress.left_s else ""
            bar.update(task, description=progress.phase, completed=progress.share or 0.0, left=left)

        yield watch

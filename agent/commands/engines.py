"""`gesture-agent engines`: TensorRT plans for the NVIDIA GPU of this machine."""

from __future__ import annotations

import os
import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.commands import engines_export
from agent.commands.engines_show import (
    Level,
    build_result,
    log_printer,
    plan_document,
    progress_bar,
    request_document,
    show_plans,
)
from agent.commands.options import AsJson, ConfigFile, examples, loaded
from agent.commands.output import echo_json, quiet_logs, wants_colour
from agent.config.folders import cache_folder

if TYPE_CHECKING:
    from agent.config.settings import Settings, TensorRtSettings
    from agent.inference.trt.plan_requests import BuildTarget

app = typer.Typer(no_args_is_help=True)
app.command(epilog=engines_export.EPILOG)(engines_export.export)

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME", help="Use only these networks.", show_default="all that the settings ask for"
    ),
]


class PlanPrecision(str, Enum):
    """Number formats."""

    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


WantedPrecision = Annotated[
    PlanPrecision | None, typer.Option(help="Number format.", show_default="recognition.tensorrt.precision")
]
WantedBatch = Annotated[
    str | None,
    typer.Option(
        help="Images per run: minimum, optimum, maximum.",
        metavar="MIN,OPT,MAX",
        show_default="recognition.tensorrt.batch",
    ),
]
WantedCalibration = Annotated[
    Path | None,
    typer.Option(
        help="For int8: a folder of images, or NVIDIA's calibration file (TensorRT up to 10).",
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
    force: Annotated[bool, typer.Option("--force", help="Rebuild valid plans too.")] = False,
    log_level: Annotated[Level, typer.Option(help="Level of TensorRT's own log, on stderr.")] = Level.none,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Build TensorRT plans ahead of the first start of the daemon, which takes minutes.

    Plans are kept in the cache folder by network, GPU, TensorRT version, precision and batch. Valid plans
    are kept; stale or damaged ones are built again.
    """
    from agent.errors import ModelError
    from agent.inference.trt.plan_builder import build
    from agent.inference.trt.plan_requests import find_build_target, plan_request, state_of

    quiet_logs()
    settings = loaded(config).settings
    place = find_build_target(cache_folder(settings.agent, os.environ))
    if place.note:
        typer.secho(f"note: {place.note}", fg="yellow", err=True, color=wants_colour())
    wanted = _overridden(settings.recognition.tensorrt, precision, batch, calibration)
    done = []
    failed: list[str] = []
    for name in _names(settings, names):
        request = None
        try:
            request = plan_request(name, place, wanted)
            found = state_of(request)
            if found.state == "ready" and not force:
                done.append(build_result(request, "ready", as_json))
                continue
            if found.state in {"stale", "corrupt"}:
                typer.echo(f"{name}: {found.state}, {found.detail}", err=True)
            began = time.monotonic()
            with progress_bar(name, quiet=as_json or log_level is not Level.none) as watch:
                plan = build(request, watch, log_printer(log_level))
            took = round(time.monotonic() - began, 1)
            done.append(build_result(request, "built", as_json, took_s=took, size_bytes=len(plan)))
        except ModelError as exc:  # the others may still build
            failed.append(str(exc))
            if request is not None:
                done.append(build_result(request, "failed", as_json))
    if as_json:
        echo_json(done)
    if failed:
        raise ModelError("\n".join(failed))


@app.command(
    "list",
    epilog=examples(
        "gesture-agent engines list",
        "gesture-agent engines list --json | jq -r '.wanted[] | select(.state != \"ready\") | .name'",
    ),
)
def list_engines(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show which backend runs the networks and why, the required plans, and all stored plans."""
    from agent.errors import ModelError
    from agent.inference.engine import choose_backend
    from agent.inference.trt.plan_requests import find_build_target, plan_request, state_of
    from agent.inference.trt.plans import FOLDER, kept_plans

    settings = loaded(config).settings
    cache = cache_folder(settings.agent, os.environ)
    backend, why = choose_backend(settings.recognition.backend)
    wanted: list[dict[str, Any]] = []
    troubles: list[str] = []
    try:
        place = find_build_target(cache)
        for name in _names(settings, None):
            try:
                request = plan_request(name, place, settings.recognition.tensorrt)
                found = state_of(request)
            except ModelError as exc:  # the others are told
                troubles.append(str(exc))
                continue
            detail = found.detail or str(found.path)
            wanted.append(request_document(request) | {"state": found.state, "detail": detail})
    except ModelError as exc:
        troubles.append(str(exc))
    trouble = "\n".join(troubles)
    kept = list(kept_plans(cache / FOLDER))
    if as_json:
        plans = [plan_document(plan) for plan in kept]
        echo_json({"backend": backend, "why": why, "trouble": trouble, "wanted": wanted, "plans": plans})
    else:
        show_plans(f"{backend} ({why})", trouble, wanted, kept)


@app.command(
    "clean",
    epilog=examples("gesture-agent engines clean --dry-run", "gesture-agent engines clean --all"),
)
def clean_engines(
    all_plans: Annotated[bool, typer.Option("--all", help="Remove every plan, also those in use.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Remove plans that cannot be used here: damaged, or of other versions, GPUs or networks."""
    from agent.errors import ModelError
    from agent.inference.trt.plan_requests import find_build_target, useless
    from agent.inference.trt.plans import FOLDER, kept_plans, remove_plan

    cache = cache_folder(loaded(config).settings.agent, os.environ)
    if all_plans:
        doomed = [(kept, "all are removed") for kept in kept_plans(cache / FOLDER)]
    else:
        try:
            place: BuildTarget | None = find_build_target(cache)
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
    settings: TensorRtSettings, precision: PlanPrecision | None, batch: str | None, calibration: Path | None
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

"""Output of `gesture-agent engines`: plans, build progress and results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any

import typer

from agent.commands.output import State, echo_table, is_fancy, sign

if TYPE_CHECKING:
    from agent.inference.trt.plan_builder import PlanRequest
    from agent.inference.trt.plans import StoredPlan
    from agent.inference.trt.progress import Progress

_STATES: dict[str, State] = {"ready": "ok", "missing": "warn", "stale": "warn", "corrupt": "fail"}


class Level(str, Enum):
    """Levels of TensorRT's own log, on stderr."""

    none = "none"
    error = "error"
    warning = "warning"
    info = "info"
    verbose = "verbose"


def plan_document(plan: StoredPlan) -> dict[str, Any]:
    """Return a stored plan as JSON data."""
    key = plan.key
    return {
        "file": str(plan.path),
        "name": key.name if key else None,
        "gpu": key.gpu if key else None,
        "library": key.library if key else None,
        "precision": key.precision if key else None,
        "batch": key.batch if key else None,
        "size_bytes": plan.size_bytes,
        "took_s": plan.took_s,
        "built_at": plan.built_at,
    }


def show_plans(
    backend: str, trouble: str, wanted: Sequence[dict[str, Any]], kept: Sequence[StoredPlan]
) -> None:
    """Print why plans are used or not, the required plans, and the stored plans."""
    typer.echo(f"backend: {backend}")
    if trouble:
        what = "not all" if wanted else "no"
        typer.echo(f"{sign('warn')} {what} plans can be used or built here: {trouble}")
    if wanted:
        rows = [
            (sign(_STATES[r["state"]]), r["name"], r["precision"], _sizes(r["batch"]), r["detail"])
            for r in wanted
        ]
        echo_table(("", "wanted", "precision", "batch", "where, or what is wrong"), rows)
    if kept:
        typer.echo()
        echo_table(("kept", "precision", "batch", "for", "MB", "built in"), [_line(plan) for plan in kept])


def _line(plan: StoredPlan) -> tuple[str, ...]:
    key = plan.key
    return (
        key.name if key else plan.path.name,
        key.precision if key else "?",
        _sizes(key.batch) if key else "?",
        f"{key.library}, {key.gpu} GPU" if key else "no receipt",
        f"{plan.size_bytes / 1e6:.1f}",
        f"{plan.took_s:.0f} s",
    )


def request_document(request: PlanRequest) -> dict[str, Any]:
    """Return a requested plan as JSON data."""
    key = request.key
    return {
        "name": key.name, "precision": key.precision, "batch": key.batch, "gpu": key.gpu,
        "library": key.library,
    }  # fmt: skip


def build_result(request: PlanRequest, state: str, as_json: bool, **more: Any) -> dict[str, Any]:
    """Return the result of a build as JSON data; print it too, unless in JSON mode."""
    if not as_json:
        how = f" in {more['took_s']:.1f} s, {more['size_bytes'] / 1e6:.1f} MB" if more else ""
        key, mark = request.key, sign("fail" if state == "failed" else "ok")
        typer.echo(
            f"{mark} {request.name}: {state}{how} ({key.precision}, batch {_sizes(key.batch)}, "
            f"{key.library}, {'for any GPU' if key.gpu == 'any' else key.gpu})"
        )
    return request_document(request) | {
        "state": state,
        "file": str(request.folder / request.key.file_name),
        **more,
    }


def _sizes(batch: tuple[int, int, int]) -> str:
    return "/".join(map(str, batch))


def log_printer(level: Level) -> Callable[[str, str], None]:
    """Return a callback that prints lines of TensorRT's log from a level on."""
    from agent.inference.trt.trt_log import LEVELS

    shown = () if level is Level.none else LEVELS[: LEVELS.index(level.value) + 1]

    def tell(severity: str, text: str) -> None:
        if severity in shown:
            typer.echo(f"{severity}: {text}", err=True)

    return tell


@contextmanager
def progress_bar(name: str, *, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Progress bar with the time left in a terminal; nothing elsewhere."""
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

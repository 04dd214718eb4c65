"""Soak test of the whole agent with failing cameras and broker: detects growth and lost rows.

python bench/soak [--minutes 30] [--seed N]

`gesture-agent run` as a child process, four cameras: `front` plays the clip in a loop without faults;
a folder of images (`shelf`), a short video (`tape`) and a GStreamer pipeline (`pipe`) vanish, are
truncated, killed and frozen; so is the mosquitto that it publishes to. Times and faults depend on the seed.
Every row of the outbox is accounted for. Ctrl-C ends the faults early.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / name) for name in ("", "chaos", "delivery"))]

from course import Course  # noqa: E402
from growth import growth, second_half, trend_mb_min  # noqa: E402
from reckoning import Reckoning, reckon  # noqa: E402
from stage import LIGHT_EVERY, TRUTH, Stage  # noqa: E402


def report(course: Course, seed: int) -> bool:
    """Print the report; return whether all checks passed."""
    console, health = course.console, course.end.health
    console.print()
    console.print(_table(course))
    peak, trend = max(s.rss_mb for s in course.samples), trend_mb_min(second_half(course.samples))
    console.print(f"memory: peak {peak:.1f} MB, trend of the second half {trend:+.3f} MB a minute")
    happened = dict(sorted(course.happened.items()))
    console.print(f"faults: {sum(happened.values())}, {happened}; seed {seed}")
    console.print(f"cameras: {health['camera']}")
    console.print(f"delivery: {health['outbox']} {health['mqtt']}")
    console.print(f"log: {dict(log_counts(course.stage.log.read_text().splitlines()))}")
    rows = reckon(course.stage.folder / "state", list(course.stage.subscriber.heard))
    console.print(_gestures(course, rows))
    console.print(
        f"rows: {rows.committed} committed, {rows.delivered} delivered ({rows.duplicates} duplicates), "
        f"{rows.expired} expired ({rows.counted_expired} counted), {rows.waiting} waiting, {rows.late} late "
        f"(the latest {rows.latest_s:+.2f} s past its deadline), {rows.lost} lost"
    )
    return _verdict(course, rows)


def _table(course: Course) -> Table:
    table = Table("", "start", "end", title="in peace", title_justify="left")
    names = {"rss_mb": "memory, MB", "threads": "threads", "fds": "file descriptors", "children": "children"}
    both = course.start, course.end
    for what, name in names.items():
        table.add_row(name, *(f"{peace.median(what):.1f}".removesuffix(".0") for peace in both))
    for p in ("p50", "p95", "p99"):
        table.add_row(f"frame to decision {p}, ms", *(str(peace.health["latency"].get(p)) for peace in both))
    return table


def _gestures(course: Course, rows: Reckoning) -> str:
    truth = json.loads(TRUTH.read_text(encoding="utf-8"))
    pictures = truth["frames"] / (LIGHT_EVERY if course.stage.light else 1)
    loops = course.end.health["camera"]["front"]["frames"] / pictures
    seen = sum(times for topic, times in rows.topics.items() if topic.endswith("/front/action"))
    return f"gestures: {seen} seen of {int(loops * len(truth['gestures']))} expected ({loops:.2f} loops)"


def _verdict(course: Course, rows: Reckoning) -> bool:
    grew = growth(course.start.samples, course.end.samples, course.samples)
    minutes, code = course.samples[-1].at_s / 60, course.stage.agent.returncode
    course.console.print(
        f"after {minutes:.1f} minutes{' (ended early)' if course.early else ''}: "
        f"{'GROWS: ' + ' and '.join(grew) if grew else 'no growth'}; "
        f"{'nothing lost, nothing late' if rows.kept_the_promise else 'PROMISE BROKEN'}; "
        f"the agent ended with {code}"
    )
    return not grew and rows.kept_the_promise and code == 0


def log_counts(lines: Iterable[str]) -> Counter[str]:
    """Count the log events by name, errors marked."""
    counts: Counter[str] = Counter()
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            counts["(not a log line)"] += 1
            continue
        error = told.get("level") in {"error", "critical"}
        counts[f"{told.get('event')}{' (error)' if error else ''}"] += 1
    return counts


def main() -> int:
    """Run the soak test."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--minutes", type=float, default=30.0)
    options.add_argument("--seed", type=int, default=random.randrange(2**32))  # noqa: S311
    options.add_argument("--keep-log", type=Path, help="the agent's log is copied here")
    options.add_argument(
        "--leak", type=float, default=0.0, metavar="MB", help="the agent leaks MB a minute: is it noticed?"
    )
    options.add_argument(
        "--light", action="store_true", help="a third of the pictures: for a machine that is busy otherwise"
    )
    given = options.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder), leak_mb_min=given.leak, light=given.light)
        try:
            course = Course(stage, given.seed, given.minutes * 60, console)
            course.run()
            return 0 if report(course, given.seed) else 1
        finally:
            stage.close()
            if given.keep_log:
                shutil.copy(stage.log, given.keep_log)


if __name__ == "__main__":
    sys.exit(main())

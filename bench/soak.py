"""The whole agent for as long as you like, with cameras and a broker that fail: does it grow.

    python bench/soak.py [--minutes 30] [--seed N]

`gesture-agent run` as a child, four cameras: `front` plays the clip in a loop and is left in peace;
a folder of pictures (`shelf`), a short video (`tape`) and a GStreamer pipeline (`pipe`) vanish, are cut
off, killed and frozen; so is the mosquitto that it publishes to. Times and faults are drawn by the seed.
The minutes are divided into fifteenths: one to warm up, one of peace that is measured, eleven of faults,
one to recover, one of peace that is measured again. A trigger inside the outbox's database notes when
each row came and went, so that every row is accounted for. Ctrl-C ends the faults early.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests/chaos"), str(ROOT / "tests/delivery")]

from brokers import Heard, Mosquitto, Subscriber, until  # noqa: E402
from proxy import Wire  # noqa: E402
from run import AUDIT  # noqa: E402

from agent.config.settings import OutboxSettings  # noqa: E402
from agent.delivery.clocks import Clocks  # noqa: E402
from agent.delivery.outbox import FILE, Outbox  # noqa: E402

CLIP, TRUTH = ROOT / "tests/data/demo.mp4", ROOT / "tests/data/demo.json"
PIPELINE = "gst:videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=10/1"
CONFIG = """
[agent]
id = "soak"
state_dir = "state"
[camera.front]
source = "{clip}"
loop = true
[camera.shelf]
source = "shelf"
fps = 5
loop = true
[camera.tape]
source = "tape.avi"
loop = true
{pipe}
[mqtt]
url = "mqtt://127.0.0.1:{port}"
keepalive = 5
[log]
format = "json"
"""
RULES = """
[[rule]]
id = "lamp"
when = { gesture = "stop" }
publish = { topic = "gesture/soak/lamp", payload = "ON" }
"""
SAMPLE_S = 2.0
LINE_S = 60.0  # between two lines of progress where nobody watches a terminal
LATE_S = 1.0  # beyond the deadline: MQTT counts expiry in whole seconds
MEMORY_GROWTH = 0.05  # of what it was at the start; allocators breathe
FAULTS_APART_S, AWAY_S = (3.0, 20.0), (0.5, 12.0)


@dataclass(frozen=True)
class Sample:
    """The daemon from outside, at one moment."""

    at_s: float
    rss_mb: float
    threads: int
    fds: int
    children: int


def sample(pid: int, at_s: float) -> Sample:
    """Read from /proc."""
    process = Path(f"/proc/{pid}")
    status = dict(
        line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line
    )
    fds = len(list((process / "fd").iterdir()))
    rss_mb = int(status["VmRSS"].split()[0]) * 1024 / 1e6
    return Sample(at_s, rss_mb, int(status["Threads"]), fds, len(children(pid)))


def children(pid: int) -> list[int]:
    """Ids of the child processes, zombies too."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


@dataclass
class Peace:
    """A phase without faults, in which the daemon is measured."""

    samples: list[Sample] = field(default_factory=list)
    health: dict[str, Any] = field(default_factory=dict)

    def median(self, what: str) -> float:
        """The middle one of a field of the samples."""
        return statistics.median(getattr(sample, what) for sample in self.samples)


class Soak:
    """The parts, and what can happen to them."""

    def __init__(self, folder: Path, seed: int, seconds: float, console: Console) -> None:
        self.random = random.Random(seed)  # noqa: S311 (repeatable, not secret)
        self.folder, self.seconds, self.console = folder, seconds, console
        self.faults: Counter[str] = Counter()
        self.samples: list[Sample] = []
        self.start, self.end = Peace(), Peace()
        self.phase = "warm-up"
        self.early = False
        self._line_due = 0.0
        self._films()
        self.broker = Mosquitto(folder, "allow_anonymous true", "max_queued_messages 0").start()
        self.subscriber = Subscriber(self.broker.port, "gesture/soak/#")
        self.wire = Wire(self.broker.port)
        self._prepare()
        self.wire.join()
        self.began = time.monotonic()
        with (folder / "agent.log").open("ab") as log:
            self.agent = subprocess.Popen(
                [sys.executable, "-m", "agent", "run", "--config", str(folder / "config.toml")],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _films(self) -> None:
        """Pictures of the two cameras that are files, of noise: nobody is in them."""
        draw = np.random.default_rng(1)
        pictures = [draw.integers(60, 90, (240, 320, 3), np.uint8) for _ in range(20)]
        (self.folder / "shelf").mkdir()
        for number, image in enumerate(pictures):
            cv2.imwrite(str(self.folder / f"shelf/{number:03}.jpg"), image)
        writer = cv2.VideoWriter(
            str(self.folder / "tape.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240)
        )
        for image in pictures:
            writer.write(image)
        writer.release()

    def _prepare(self) -> None:
        self.piped = shutil.which("gst-launch-1.0") is not None
        pipe = f'[camera.pipe]\nsource = "{PIPELINE}"\nwidth = 320\nheight = 240\nfps = 10' * self.piped
        (self.folder / "config.toml").write_text(
            CONFIG.format(clip=CLIP, pipe=pipe, port=self.wire.port), encoding="utf-8"
        )
        (self.folder / "rules").mkdir()
        (self.folder / "rules/soak.toml").write_text(RULES, encoding="utf-8")
        box = Outbox(self.folder / "state", OutboxSettings(), Clocks())
        box.open()
        box.close()
        with contextlib.closing(sqlite3.connect(self.folder / "state" / FILE)) as db:
            db.executescript(AUDIT)

    # Faults. Each is over when it returns.

    def shelf_vanishes(self) -> None:
        """A folder that goes away and comes back, as a share or a stick does."""
        (self.folder / "shelf").rename(self.folder / "gone")
        self._away()
        (self.folder / "gone").rename(self.folder / "shelf")

    def shelf_damaged(self) -> None:
        """Pictures that end in the middle."""
        paths = sorted((self.folder / "shelf").iterdir())[::2]
        whole = {path: path.read_bytes() for path in paths}
        for path, data in whole.items():
            path.write_bytes(data[: len(data) // 2])
        self._away()
        for path, data in whole.items():
            path.write_bytes(data)

    def tape_removed(self) -> None:
        """A file that is gone when its next round begins."""
        tape, gone = self.folder / "tape.avi", self.folder / "tape.gone"
        tape.rename(gone)
        self._away()
        gone.rename(tape)

    def tape_truncated(self) -> None:
        """A file that ends anywhere, also before its first frame."""
        tape = self.folder / "tape.avi"
        whole = tape.read_bytes()
        os.truncate(tape, self.random.randrange(len(whole)))
        self._away()
        tape.write_bytes(whole)

    def pipe_killed(self) -> None:
        """The camera stack crashes."""
        self._signal_pipe(signal.SIGKILL)
        self._away()

    def pipe_frozen(self) -> None:
        """The camera stack hangs."""
        frozen = self._signal_pipe(signal.SIGSTOP)
        self._away()
        for pid in frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _signal_pipe(self, number: int) -> list[int]:
        running = children(self.agent.pid)
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return running

    def broker_killed(self) -> None:
        """Ended with SIGKILL, in the middle of whatever it does."""
        self._without_broker(self.broker.kill)

    def broker_restarted(self) -> None:
        """In order, as at an upgrade."""

        def stop() -> None:
            self.broker.signal(signal.SIGTERM)
            time.sleep(0.5)
            self.broker.stop()

        self._without_broker(stop)

    def _without_broker(self, end: Callable[[], None]) -> None:
        """The agent comes back only when the subscriber listens: a broker forgets what nobody waits for."""
        self.subscriber.ready.clear()
        end()
        self.wire.cut()
        self._away()
        self.broker.start()
        until(self.subscriber.ready.is_set, "the subscriber is back", 60)
        self.wire.join()

    def broker_frozen(self) -> None:
        """It holds its connections and does nothing."""
        self.broker.signal(signal.SIGSTOP)
        self._away()
        self.broker.signal(signal.SIGCONT)

    def network_cut(self) -> None:
        """Between the agent and the broker."""
        self.wire.cut()
        self._away()
        self.wire.join()

    def _away(self) -> None:
        self._wait(self.random.uniform(*AWAY_S))

    # The course of it.

    def run(self) -> None:
        """Peace, faults, peace."""
        part = self.seconds / 15
        self._wait(part)
        self._peace("peace", self.start, part)
        self.phase = "faults"
        with contextlib.suppress(KeyboardInterrupt):
            self._rage(self.began + 13 * part)
        self.phase = "recovery"
        self._wait(part)
        self._peace("peace again", self.end, part)
        self.phase = "end"
        self.agent.send_signal(signal.SIGTERM)
        self.agent.wait(60)
        time.sleep(1.0)  # the subscriber hears the farewell

    def _rage(self, ends: float) -> None:
        faults = [
            *(self.shelf_vanishes, self.shelf_damaged, self.tape_removed, self.tape_truncated),
            *((self.pipe_killed, self.pipe_frozen) if self.piped else ()),
            *(self.broker_killed, self.broker_restarted, self.broker_frozen, self.network_cut),
        ]
        try:
            while time.monotonic() < ends:
                fault = self.random.choice(faults)
                self.faults[fault.__name__] += 1
                fault()
                self._wait(self.random.uniform(*FAULTS_APART_S))
        finally:
            self.early = time.monotonic() < ends

    def _peace(self, name: str, peace: Peace, seconds: float) -> None:
        self.phase = name
        before = len(self.samples)
        self._wait(seconds)
        peace.samples = self.samples[before:]
        asked = time.time()
        self.subscriber.publish("gesture/soak/bridge/request/health", "{}")
        answers = "bridge/response/health"
        until(lambda: any(h.at > asked for h in self.subscriber.on(answers)), "the answer about health")
        peace.health = json.loads(self.subscriber.on(answers)[-1].payload)["data"]

    def _wait(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            time.sleep(min(left, SAMPLE_S))
            self._look()

    def _look(self) -> None:
        if self.agent.poll() is not None:
            said = (self.folder / "agent.log").read_text()[-3000:]
            raise SystemExit(f"the agent ended with {self.agent.returncode}:\n{said}")
        now_s = time.monotonic() - self.began
        self.samples.append(sample(self.agent.pid, now_s))
        line = self._line(self.samples[-1])
        if self.console.is_terminal:
            self.console.print(line, end="\r", highlight=False, no_wrap=True)
        elif now_s >= self._line_due:
            self._line_due = now_s + LINE_S
            self.console.print(line, highlight=False)

    def _line(self, seen: Sample) -> str:
        started = len(self.subscriber.on("camera/front/action"))
        return (
            f"{seen.at_s / 60:5.1f} of {self.seconds / 60:g} min  {self.phase:<12}"
            f"{seen.rss_mb:6.1f} MB  {seen.threads} threads  {seen.fds} fds  {seen.children} children  "
            f"{sum(self.faults.values())} faults  {started} gestures heard "
        )

    def close(self) -> None:
        """End what was started."""
        if self.agent.poll() is None:
            self.agent.kill()
            self.agent.wait()
        self.subscriber.close()
        self.wire.close()
        self.broker.stop()


@dataclass
class Account:
    """What became of the gestures and of the rows."""

    loops: float
    expected: int
    gestures: int
    committed: int
    delivered: int
    duplicates: int
    expired: int
    counted_expired: int
    waiting: int
    late: int
    lost: int


def account(soak: Soak) -> Account:
    """From the outbox's own notes and from what was heard."""
    with contextlib.closing(sqlite3.connect(soak.folder / "state" / FILE)) as db:
        rows = db.execute("SELECT event_id, target, deadline, gone FROM audit").fetchall()
        counters = dict(db.execute("SELECT name, value FROM counters").fetchall())
        waiting = db.execute("SELECT count(*) FROM rows").fetchone()[0]
    heard: Counter[tuple[str, str]] = Counter()
    late = 0
    for message in list(soak.subscriber.heard):
        event_id = event_id_of(message)
        if not event_id:
            continue
        heard[event_id, message.topic] += 1
        if message.topic.endswith("/event"):
            happened = datetime.fromisoformat(json.loads(message.payload)["ts"].replace("Z", "+00:00"))
            late += message.at - happened.timestamp() > 5.0 + LATE_S
    unheard = [row for row in rows if (row[0], row[1]) not in heard]
    lost = [row for row in unheard if row[3] is not None and row[3] < row[2]]
    truth = json.loads(TRUTH.read_text(encoding="utf-8"))
    loops = soak.end.health["camera"]["front"]["frames"] / truth["frames"]
    return Account(
        loops=round(loops, 2),
        expected=int(loops * len(truth["gestures"])),
        gestures=sum(row[1].endswith("/front/action") for row in rows),
        committed=len(rows),
        delivered=len(rows) - len(unheard),
        duplicates=sum(heard.values()) - len(heard),
        expired=len(unheard) - len(lost) - waiting,
        counted_expired=counters["expired"],
        waiting=waiting,
        late=late,
        lost=len(lost),
    )


def event_id_of(message: Heard) -> str:
    """Of the messages that went through the outbox; empty for states."""
    properties = dict(message.properties.get("UserProperty", []))  # type: ignore[call-overload]
    return str(properties.get("event_id", ""))


def log_counts(lines: Iterable[str]) -> Counter[str]:
    """How often each event of the log was told, errors marked."""
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


def slope_mb_h(samples: list[Sample]) -> float:
    """Of memory, by least squares over the second half."""
    half = samples[len(samples) // 2 :]
    return float(np.polyfit([s.at_s / 3600 for s in half], [s.rss_mb for s in half], 1)[0])


def growth(soak: Soak) -> list[str]:
    """What is more than at the start; empty when nothing grew."""
    grew = []
    before, after = soak.start.median("rss_mb"), soak.end.median("rss_mb")
    if after > before * (1 + MEMORY_GROWTH):
        grew.append(f"memory by {after / before - 1:.1%}")
    for what in ("threads", "fds", "children"):
        more = soak.end.median(what) - soak.start.median(what)
        if more > 0:
            grew.append(f"{what} by {more:g}")
    return grew


def report(soak: Soak, seed: int) -> bool:
    """Print it; True when all is well."""
    console = soak.console
    console.print()
    table = Table("", "start", "end", title="in peace", title_justify="left")
    for what, name in (
        ("rss_mb", "memory, MB"),
        ("threads",) * 2,
        ("fds", "file descriptors"),
        ("children",) * 2,
    ):
        table.add_row(
            name, *(f"{peace.median(what):.1f}".removesuffix(".0") for peace in (soak.start, soak.end))
        )
    for p in ("p50", "p95", "p99"):
        table.add_row(
            f"frame to decision {p}, ms",
            *(str(peace.health["latency"].get(p)) for peace in (soak.start, soak.end)),
        )
    console.print(table)
    peak = max(s.rss_mb for s in soak.samples)
    console.print(
        f"memory: peak {peak:.1f} MB, slope of the second half {slope_mb_h(soak.samples):+.1f} MB/h"
    )
    console.print(f"faults: {sum(soak.faults.values())}, {dict(sorted(soak.faults.items()))}; seed {seed}")
    console.print(f"cameras: {soak.end.health['camera']}")
    console.print(f"delivery: {soak.end.health['outbox']} {soak.end.health['mqtt']}")
    console.print(f"log: {dict(log_counts((soak.folder / 'agent.log').read_text().splitlines()))}")
    told = account(soak)
    console.print(
        f"gestures: {told.gestures} seen of {told.expected} expected ({told.loops} loops of the clip)\n"
        f"rows: {told.committed} committed, {told.delivered} delivered ({told.duplicates} duplicates), "
        f"{told.expired} expired ({told.counted_expired} counted), {told.waiting} waiting, {told.late} late, "
        f"{told.lost} lost"
    )
    grew = growth(soak)
    minutes = soak.samples[-1].at_s / 60
    console.print(f"after {minutes:.1f} minutes{' (ended early)' if soak.early else ''}: ", end="")
    console.print(f"GROWS: {', '.join(grew)}" if grew else "no growth", end="; ")
    kept = not (told.lost or told.waiting or told.late or told.expired > told.counted_expired)
    console.print("nothing lost, nothing late" if kept else "PROMISE BROKEN", end="; ")
    console.print(f"the agent ended with {soak.agent.returncode}")
    return not grew and kept and soak.agent.returncode == 0


def main() -> int:
    """Run it."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--minutes", type=float, default=30.0)
    options.add_argument("--seed", type=int, default=random.randrange(2**32))  # noqa: S311
    options.add_argument("--keep-log", type=Path, help="the agent's log is copied here")
    given = options.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), given.seed, given.minutes * 60, console)
        try:
            soak.run()
            return 0 if report(soak, given.seed) else 1
        finally:
            soak.close()
            if given.keep_log:
                shutil.copy(Path(folder) / "agent.log", given.keep_log)


if __name__ == "__main__":
    sys.exit(main())

"""Kill, freeze and cut, for as long as you like; then account for every single row.

    python tests/chaos/run.py [--seconds 120] [--seed N] [--max-age 600] [--rate 40]

A producer (the agent's delivery) makes events; a durable subscriber hears them through a real mosquitto.
In random order, by the seed: kill -9 of the producer, kill -9 of the broker, SIGSTOP of either, the wire
between them cut, and where events live long enough to wait for it, the subscriber's connection too. In
the end every committed row is accounted for (see `reckoning`).

The broker is given the producer's connection only while the subscriber listens, and dies only when the
subscriber has heard whatever the producer knows to be acknowledged: what a broker without persistence forgets
after that, or what lies unread in the socket of a broker that is gone, is not the agent's to lose.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "delivery")]  # it is a program, too

from brokers import Mosquitto, Subscriber  # noqa: E402
from proxy import Wire  # noqa: E402
from reckoning import Reckoning, reckon, take_notes  # noqa: E402
from support.waiting import until  # noqa: E402

SETTLE_S = 300.0  # to start once more and to drain, on a busy machine
MISSED_S = 60.0  # events that live longer than this are not late when the subscriber was away for a moment


@dataclass(frozen=True)
class Report:
    """One campaign, and what became of the rows."""

    seed: int
    seconds: float
    faults: dict[str, int]
    rows: Reckoning

    @property
    def kept_the_promise(self) -> bool:
        """Nothing lost, late or left over."""
        return self.rows.kept_the_promise


class Chaos:
    """The parts, and what can happen to them."""

    def __init__(self, folder: Path, seed: int, rate: float, max_age_s: float) -> None:
        self.random = random.Random(seed)  # noqa: S311 (repeatable, not secret)
        self.folder = folder
        self.rate, self.max_age_s = rate, max_age_s
        self.producing = folder / "producing"
        self.broker = Mosquitto(
            folder,
            "allow_anonymous true",
            "max_inflight_messages 0",
            "max_queued_messages 0",
            "log_type none",
        ).start()
        self.subscriber = Subscriber(self.broker.port, "gesture/chaos/camera/#", durable="ear")
        self.wire = Wire(self.broker.port)
        self.faults: Counter[str] = Counter()
        self._marks = itertools.count()
        take_notes(folder / "state")
        self.wire.join()
        self.producer = self._produce()

    def _produce(self) -> subprocess.Popen[bytes]:
        self.producing.unlink(missing_ok=True)
        with (self.folder / "producer.log").open("ab") as log:
            return subprocess.Popen(
                [
                    sys.executable, str(HERE / "producer.py"), f"mqtt://127.0.0.1:{self.wire.port}",
                    str(self.folder / "state"), str(self.rate), str(self.max_age_s), str(self.producing),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
            )  # fmt: skip

    # Faults.

    def kill_producer(self) -> None:
        """Not before it has made something: on a busy machine it would never come to that."""
        until(self.producing.exists, "the producer produces", 120)
        self.producer.kill()
        self.producer.wait()
        self.producer = self._produce()

    def kill_broker(self) -> None:
        self.wire.cut()
        self._all_heard()
        self.subscriber.ready.clear()
        self.broker.kill()
        self._pause(2.0)
        self.broker.start()
        self._listen()

    def freeze_broker(self) -> None:
        self.broker.signal(signal.SIGSTOP)
        self._pause(4.0)
        self.broker.signal(signal.SIGCONT)

    def freeze_producer(self) -> None:
        self.producer.send_signal(signal.SIGSTOP)
        self._pause(2.0)
        self.producer.send_signal(signal.SIGCONT)

    def cut_wire(self) -> None:
        self.wire.cut()
        self._pause(3.0)
        self.wire.join()

    def kill_broker_in_flight(self) -> None:
        """Events keep coming while it dies: they have arrived, and their acknowledgements have not."""
        self.wire.mute()
        self._all_heard()
        self.subscriber.ready.clear()
        self.broker.kill()
        self.wire.cut()
        self.broker.start()
        self._listen()

    def drop_subscriber(self) -> None:
        """The broker keeps what it misses: its session is durable."""
        self.subscriber.drop()
        until(self.subscriber.ready.is_set, "the subscriber is back", 30)

    def _all_heard(self) -> None:
        """What the broker had taken before this is in the subscriber's hands: a mark behind it is."""
        mark = f"mark/{next(self._marks)}"
        self.subscriber.publish(f"gesture/chaos/camera/{mark}", "")
        until(lambda: self.subscriber.on(mark), "the subscriber hears the mark", 30)

    def _listen(self) -> None:
        until(self.subscriber.ready.is_set, "the subscriber is back", 30)
        self.wire.join()

    def _pause(self, at_most_s: float) -> None:
        time.sleep(self.random.uniform(0.1, at_most_s))

    def rage(self, seconds: float) -> None:
        """One fault after another."""
        faults: list[Callable[[], None]] = [
            self.kill_producer,
            self.kill_broker,
            self.kill_broker_in_flight,
            self.freeze_broker,
            self.freeze_producer,
            self.cut_wire,
        ]
        if self.max_age_s > MISSED_S:
            faults.append(self.drop_subscriber)
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self._pause(1.5)
            fault = self.random.choice(faults)
            self.faults[fault.__name__] += 1
            fault()

    def settle(self) -> None:
        """No more faults, no more events: everything has to find its end."""
        self.rate = 0.0
        self.kill_producer()
        if self.producer.wait(SETTLE_S + self.max_age_s) != 0:
            raise RuntimeError((self.folder / "producer.log").read_text())

    def close(self) -> None:
        if self.producer.poll() is None:
            self.producer.send_signal(signal.SIGCONT)
            self.producer.kill()
            self.producer.wait()
        self.subscriber.close()
        self.wire.close()
        self.broker.stop()


def run(*, seconds: float, seed: int, max_age_s: float, rate: float, folder: Path) -> Report:
    """One campaign."""
    began = time.monotonic()
    chaos = Chaos(folder, seed, rate, max_age_s)
    try:
        chaos.rage(seconds)
        chaos.settle()
        rows = reckon(folder / "state", chaos.subscriber.heard)
        return Report(seed, round(time.monotonic() - began, 1), dict(chaos.faults), rows)
    finally:
        chaos.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="kill, freeze and cut; then account for every row")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))  # noqa: S311
    parser.add_argument(
        "--max-age", type=float, default=600.0, help="seconds until an event is worth nothing"
    )
    parser.add_argument("--rate", type=float, default=40.0, help="events a second")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(
            seconds=chosen.seconds,
            seed=chosen.seed,
            max_age_s=chosen.max_age,
            rate=chosen.rate,
            folder=Path(folder),
        )
    told = {"seed": report.seed, "seconds": report.seconds, "faults": report.faults}
    for name, value in {**told, **vars(report.rows)}.items():
        if name != "topics":
            print(f"{name:>16}  {value}")
    print("promise kept" if report.kept_the_promise else f"PROMISE BROKEN (repeat with --seed {report.seed})")
    return 0 if report.kept_the_promise else 1


if __name__ == "__main__":
    sys.exit(main())

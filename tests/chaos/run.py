"""Kill, freeze and cut, for as long as you like; then account for every single row.

    python tests/chaos/run.py [--seconds 120] [--seed N] [--max-age 600] [--rate 40]

A producer (the agent's delivery) makes events; a subscriber hears them through a real mosquitto. In
random order, by the seed: kill -9 of the producer, kill -9 of the broker, SIGSTOP of either, the wire
between them cut. A trigger inside the outbox's database notes, in the same transaction as the row
itself, when each row came and went. In the end every committed row was heard, or left at its deadline:
what is neither is lost.

The broker is given the producer's connection only while the subscriber listens: what a broker
without persistence forgets after it has acknowledged is not the agent's to lose.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "delivery")]

from brokers import Mosquitto, Subscriber, until  # noqa: E402
from proxy import Wire  # noqa: E402

from agent.config.settings import OutboxSettings  # noqa: E402
from agent.delivery.clocks import Clocks  # noqa: E402
from agent.delivery.outbox import FILE, Outbox  # noqa: E402

LATE_S = 1.0  # beyond the deadline: MQTT counts expiry in whole seconds, and this machine is busy
AUDIT = """
CREATE TABLE audit (id INTEGER PRIMARY KEY, event_id TEXT, target TEXT, deadline REAL, gone REAL);
CREATE TRIGGER came AFTER INSERT ON rows BEGIN
    INSERT OR IGNORE INTO audit VALUES (new.id, new.event_id, new.target, new.wall_s, NULL);
END;
CREATE TRIGGER went AFTER DELETE ON rows BEGIN
    UPDATE audit SET gone = (julianday('now') - 2440587.5) * 86400 WHERE id = old.id;
END;
"""


@dataclass
class Report:
    """What became of the rows."""

    seed: int
    seconds: float
    faults: dict[str, int]
    committed: int
    delivered: int  # rows that were heard
    duplicates: int  # heard more than once, by event id
    expired: int  # rows that left at their deadline, unheard
    counted_expired: int  # what the outbox says of it
    waiting: int
    late: int  # heard more than LATE_S after the deadline
    latest_s: float  # how much after its deadline the latest one was heard; negative: before
    lost: int

    @property
    def kept_the_promise(self) -> bool:
        return self.committed > 0 and not (
            self.lost or self.late or self.waiting or self.expired > self.counted_expired
        )


class Chaos:
    """The parts, and what can happen to them."""

    def __init__(self, folder: Path, seed: int, rate: float, max_age_s: float) -> None:
        self.random = random.Random(seed)  # noqa: S311 (repeatable, not secret)
        self.folder = folder
        self.rate, self.max_age_s = rate, max_age_s
        self.broker = Mosquitto(
            folder,
            "allow_anonymous true",
            "max_inflight_messages 0",
            "max_queued_messages 0",
            "log_type none",
        ).start()
        self.subscriber = Subscriber(self.broker.port, "gesture/chaos/camera/#")
        self.wire = Wire(self.broker.port)
        self.faults: Counter[str] = Counter()
        self._prepare()
        self.wire.join()
        self.producer = self._produce()

    def _prepare(self) -> None:
        box = Outbox(self.folder / "state", OutboxSettings(), Clocks())
        box.open()
        box.close()
        with sqlite3.connect(self.folder / "state" / FILE) as db:
            db.executescript(AUDIT)
        db.close()

    def _produce(self) -> subprocess.Popen[bytes]:
        with (self.folder / "producer.log").open("ab") as log:
            return subprocess.Popen(
                [
                    sys.executable, str(HERE / "producer.py"), f"mqtt://127.0.0.1:{self.wire.port}",
                    str(self.folder / "state"), str(self.rate), str(self.max_age_s),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
            )  # fmt: skip

    # Faults.

    def kill_producer(self) -> None:
        self.producer.kill()
        self.producer.wait()
        self.producer = self._produce()

    def kill_broker(self) -> None:
        self.wire.cut()
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
        """Not through the wire first: acknowledgements are torn in the middle."""
        self.subscriber.ready.clear()
        self.broker.kill()
        self.wire.cut()
        self.broker.start()
        self._listen()

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
        if self.producer.wait(60 + self.max_age_s) != 0:
            raise RuntimeError((self.folder / "producer.log").read_text())

    def close(self) -> None:
        if self.producer.poll() is None:
            self.producer.send_signal(signal.SIGCONT)
            self.producer.kill()
            self.producer.wait()
        self.subscriber.close()
        self.wire.close()
        self.broker.stop()

    # The reckoning.

    def account(self, seed: int, seconds: float) -> Report:
        with sqlite3.connect(self.folder / "state" / FILE) as db:
            rows = db.execute("SELECT event_id, target, deadline, gone FROM audit").fetchall()
            counters = dict(db.execute("SELECT name, value FROM counters").fetchall())
            waiting = db.execute("SELECT count(*) FROM rows").fetchone()[0]
        db.close()
        heard, latest_s, late = self._heard()
        unheard = [row for row in rows if (row[0], row[1]) not in heard]
        lost = [row for row in unheard if row[3] is not None and row[3] < row[2]]
        return Report(
            seed=seed,
            seconds=round(seconds, 1),
            faults=dict(self.faults),
            committed=len(rows),
            delivered=len(rows) - len(unheard),
            duplicates=sum(heard.values()) - len(heard),
            expired=len(unheard) - len(lost) - waiting,
            counted_expired=counters["expired"],
            waiting=waiting,
            late=late,
            latest_s=round(latest_s, 2),
            lost=len(lost),
        )

    def _heard(self) -> tuple[Counter[tuple[str, str]], float, int]:
        """How often each row was heard, how late the latest was, and how many were too late."""
        heard: Counter[tuple[str, str]] = Counter()
        latest, late = -1e9, 0
        for message in self.subscriber.heard:
            if message.topic.endswith("/gesture"):
                continue  # a state
            event_id = dict(message.properties.get("UserProperty", []))["event_id"]  # type: ignore[call-overload]
            heard[event_id, message.topic] += 1
            if message.topic.endswith("/event"):
                happened = json.loads(message.payload)["ts"].replace("Z", "+00:00")
                over = message.at - datetime.fromisoformat(happened).timestamp() - self.max_age_s
                latest = max(latest, over)
                late += over > LATE_S
        return heard, latest, late


def run(*, seconds: float, seed: int, max_age_s: float, rate: float, folder: Path) -> Report:
    """One campaign."""
    began = time.monotonic()
    chaos = Chaos(folder, seed, rate, max_age_s)
    try:
        chaos.rage(seconds)
        chaos.settle()
        return chaos.account(seed, time.monotonic() - began)
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
    for name, value in asdict(report).items():
        print(f"{name:>16}  {value}")
    print("promise kept" if report.kept_the_promise else f"PROMISE BROKEN (repeat with --seed {report.seed})")
    return 0 if report.kept_the_promise else 1


if __name__ == "__main__":
    sys.exit(main())

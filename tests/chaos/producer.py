"""An agent's delivery that makes events without end; SIGTERM: no more events, drain, leave.

producer.py URL FOLDER EVENTS_PER_S MAX_AGE_S SIGN: the file SIGN appears with the first event
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from agent.config.settings import MqttSettings, OutboxSettings
from agent.core.types import GestureStarted
from agent.delivery.delivery import Delivery
from agent.delivery.outbox.outbox import list_rows


def main(url: str, folder: str, rate: str, max_age_s: str, sign: str) -> None:
    settings = OutboxSettings(rows=1_000_000, queue_bytes=1_000_000_000)
    delivery = Delivery("chaos", MqttSettings(url=url, keepalive=5, version="5"), settings, Path(folder))
    delivery.start()
    while float(rate):
        time.sleep(1 / float(rate))
        event = GestureStarted(time.monotonic(), "front", 0, "right", "stop", 0.9, 0.3)
        delivery.event(event, max_age_s=float(max_age_s))
        Path(sign).touch()
    while list_rows(Path(folder), 1):
        time.sleep(0.1)
    delivery.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brokers import Mosquitto, Subscriber
from support.waiting import until

from agent.config.settings import MqttSettings, OutboxSettings
from agent.delivery.delivery import Delivery

Build = Callable[..., Delivery]


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path).start()
    yield broker
    broker.stop()


@pytest.fixture
def listen() -> Iterator[Callable[..., Subscriber]]:
    opened: list[Subscriber] = []

    def make(*args: object, **kwargs: object) -> Subscriber:
        opened.append(Subscriber(*args, **kwargs))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for subscriber in opened:
        subscriber.close()


@pytest.fixture
def deliver(tmp_path: Path) -> Iterator[Build]:
    """Builds and starts deliveries; closes them."""
    built: list[Delivery] = []

    def make(
        url: str, *, agent_id: str = "kitchen", start: bool = True, wait: bool = True, **more: object
    ) -> Delivery:
        mqtt = more.pop("mqtt", {})
        outbox = OutboxSettings(**more.pop("outbox", {}))  # type: ignore[arg-type]
        folder = more.pop("folder", tmp_path / f"state-{agent_id}")
        delivery = Delivery(
            agent_id, MqttSettings(url=url, **mqtt), outbox, folder, clock=lambda: 0.0, **more
        )  # type: ignore[arg-type]
        built.append(delivery)
        if start:
            delivery.start()
            if wait:
                until(lambda: delivery.status().connected, f"connection; {delivery.status().trouble}")
        return delivery

    yield make
    for delivery in built:
        delivery.close(0.5)

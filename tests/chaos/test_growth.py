"""The soak's verdict, on soaks that were made up."""

from __future__ import annotations

import random
from collections.abc import Callable

from growth import growth
from process import Sample


def verdict(memory: Callable[[float], float], *, minutes: float = 30, threads_end: int = 30) -> list[str]:
    """Of a soak that is sampled every two seconds; `memory` gives MB at a minute."""
    draw = random.Random(1)  # noqa: S311 (repeatable, not secret)
    samples = [
        Sample(
            at_s=at_s,
            rss_mb=memory(at_s / 60) + draw.gauss(0, 1.5) + 12 * (draw.random() < 0.05),
            threads=30 if at_s < 600 else threads_end,
            fds=20,
            children=1,
        )
        for at_s in range(0, int(minutes * 60), 2)
    ]
    part_s = minutes * 60 / 15
    peace = [sample for sample in samples if part_s <= sample.at_s < 2 * part_s]
    return growth(peace, [sample for sample in samples if sample.at_s >= 14 * part_s], samples)


def test_memory_that_breathes_does_not_grow():
    assert verdict(lambda _: 300) == []


def test_memory_that_fills_its_caches_and_then_stays_does_not_grow():
    assert verdict(lambda minute: 290 + min(minute, 8)) == []


def test_a_leak_of_half_a_megabyte_a_minute_is_reported():
    assert verdict(lambda minute: 300 + minute / 2)[-1].startswith("memory by 0.5")


def test_a_slow_leak_is_reported_by_its_trend_alone():
    [told] = verdict(lambda minute: 300 + minute * 0.3)
    assert told.endswith("MB a minute in the second half")


def test_a_step_at_the_first_fault_is_reported():
    assert verdict(lambda minute: 300 + 20 * (minute > 5))[0].startswith("memory by 6")


def test_a_thread_more_is_reported():
    assert verdict(lambda _: 300, threads_end=31) == ["threads by 1"]

"""Between the loop and the page."""

from __future__ import annotations

from agent.web.broadcaster import Client
from agent.web.messages import WebMessage
from agent.web.progress_monitor import STALLED_S, ProgressMonitor
from agent.web.update_queue import RulesRefused, UpdateQueue


def problems(updates: UpdateQueue) -> list[str]:
    return [news.problem for news in updates.take() if isinstance(news, RulesRefused)]


def test_what_is_left_is_fetched_in_order():
    updates = UpdateQueue()
    for word in ("a", "b", "c"):
        updates.put(RulesRefused(word))
    assert problems(updates) == ["a", "b", "c"]
    assert problems(updates) == []


def test_a_page_that_never_fetches_costs_the_loop_nothing_but_the_oldest_news():
    updates = UpdateQueue(size=3)
    for number in range(1000):
        updates.put(RulesRefused(str(number)))
    assert problems(updates) == ["997", "998", "999"]
    assert updates.dropped == 997


def test_the_page_is_woken_once_until_it_has_fetched():
    updates, woken = UpdateQueue(), []
    updates.attach(lambda: woken.append(1))
    updates.put(RulesRefused("a"))
    updates.put(RulesRefused("b"))
    assert len(woken) == 1
    updates.take()
    updates.put(RulesRefused("c"))
    assert len(woken) == 2


def test_a_page_that_is_closing_does_not_trouble_the_loop():
    def closed() -> None:
        raise RuntimeError("Event loop is closed")

    updates = UpdateQueue()
    updates.attach(closed)
    updates.put(RulesRefused("a"))
    updates.put(RulesRefused("b"))
    assert problems(updates) == ["a", "b"]


def queue_of(client: Client) -> list[str]:
    return [first.text if isinstance(first, WebMessage) else client._newest[first] for first in client._order]


def test_of_progress_only_the_newest_waits_and_of_events_all():
    client = Client(page=False)
    for number in range(500):
        client.offer(WebMessage(f"p{number}", slot="progress front"))
        if number % 250 == 0:
            client.offer(WebMessage(f"fired {number}"))
    assert queue_of(client) == ["p499", "fired 0", "fired 250"]


def test_kiosks_are_not_told_what_is_for_the_page():
    client = Client(page=False)
    client.offer(WebMessage("log", page_only=True))
    client.offer(WebMessage("fired"))
    assert queue_of(client) == ["fired"]


class Hands:
    """A clock and counters that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.counters = {"loop": 1, "outbox": 1}

    def progress_monitor(self) -> ProgressMonitor:
        return ProgressMonitor(lambda: self.counters, lambda: self.now)


def test_a_part_that_moves_is_well_and_one_that_stands_still_is_named():
    hands = Hands()
    progress_monitor = hands.progress_monitor()
    assert progress_monitor.stalled() == []
    hands.now += STALLED_S + 1
    hands.counters = {"loop": 1, "outbox": 2}
    assert progress_monitor.stalled() == [f"loop: no progress for {STALLED_S + 1:.0f} s"]
    hands.counters = {"loop": 2, "outbox": 3}
    assert progress_monitor.stalled() == []


def test_a_part_that_is_not_there_any_more_does_not_stand_still():
    hands = Hands()
    progress_monitor = hands.progress_monitor()
    hands.counters = {"loop": 1, "camera-front": 1}
    assert progress_monitor.stalled() == []
    hands.now += STALLED_S + 1
    hands.counters = {"loop": 2}
    assert progress_monitor.stalled() == []

"""Between the loop and the page."""

from __future__ import annotations

from agent.web.feed import Feed, RulesRefused
from agent.web.hub import Client
from agent.web.messages import Message
from agent.web.pulse import STALLED_S, Pulse


def problems(feed: Feed) -> list[str]:
    return [news.problem for news in feed.take() if isinstance(news, RulesRefused)]


def test_what_is_left_is_fetched_in_order():
    feed = Feed()
    for word in ("a", "b", "c"):
        feed.put(RulesRefused(word))
    assert problems(feed) == ["a", "b", "c"]
    assert problems(feed) == []


def test_a_page_that_never_fetches_costs_the_loop_nothing_but_the_oldest_news():
    feed = Feed(size=3)
    for number in range(1000):
        feed.put(RulesRefused(str(number)))
    assert problems(feed) == ["997", "998", "999"]
    assert feed.dropped == 997


def test_the_page_is_woken_once_until_it_has_fetched():
    feed, woken = Feed(), []
    feed.attach(lambda: woken.append(1))
    feed.put(RulesRefused("a"))
    feed.put(RulesRefused("b"))
    assert len(woken) == 1
    feed.take()
    feed.put(RulesRefused("c"))
    assert len(woken) == 2


def test_a_page_that_is_closing_does_not_trouble_the_loop():
    def closed() -> None:
        raise RuntimeError("Event loop is closed")

    feed = Feed()
    feed.attach(closed)
    feed.put(RulesRefused("a"))
    feed.put(RulesRefused("b"))
    assert problems(feed) == ["a", "b"]


def queue_of(client: Client) -> list[str]:
    return [first.text if isinstance(first, Message) else client._newest[first] for first in client._order]


def test_of_progress_only_the_newest_waits_and_of_events_all():
    client = Client(page=False)
    for number in range(500):
        client.offer(Message(f"p{number}", slot="progress front"))
        if number % 250 == 0:
            client.offer(Message(f"fired {number}"))
    assert queue_of(client) == ["p499", "fired 0", "fired 250"]


def test_kiosks_are_not_told_what_is_for_the_page():
    client = Client(page=False)
    client.offer(Message("log", page_only=True))
    client.offer(Message("fired"))
    assert queue_of(client) == ["fired"]


class Hands:
    """A clock and counters that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.counters = {"loop": 1, "outbox": 1}

    def pulse(self) -> Pulse:
        return Pulse(lambda: self.counters, lambda: self.now)


def test_a_part_that_moves_is_well_and_one_that_stands_still_is_named():
    hands = Hands()
    pulse = hands.pulse()
    assert pulse.stalled() == []
    hands.now += STALLED_S + 1
    hands.counters = {"loop": 1, "outbox": 2}
    assert pulse.stalled() == [f"loop: no progress for {STALLED_S + 1:.0f} s"]
    hands.counters = {"loop": 2, "outbox": 3}
    assert pulse.stalled() == []

"""The window of messages on their way, with clocks whose hands the test turns and no broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hands import Hands

from agent.config.settings import OutboxSettings
from agent.delivery.link import Ack, LinkDown, LinkUp
from agent.delivery.message import Message
from agent.delivery.outbox.mqtt_sender import ABORT_S, ACK_LIMIT_S, REFUSALS, STRIKES, MqttSender
from agent.delivery.outbox.outbox import Outbox, Row


class Wire:
    """A connection that notes what it is given; messages get mids 1, 2, 3, ..."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.aborted: list[str] = []
        self.gone = False
        self.frozen = False
        self.questions = 0
        self.alive: Callable[[int], None] = lambda _generation: None

    def probe(self, generation: int) -> None:
        self.questions += 1
        if not self.frozen:
            self.alive(generation)

    def publish(self, message: Message, _generation: int | None = None) -> int | None:
        if self.gone:
            return None
        self.sent.append(message.payload.decode())
        return len(self.sent)

    def abort(self, _generation: int, reason: str) -> None:
        self.aborted.append(reason)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.clocks = Hands()
        self.box = Outbox(folder, OutboxSettings(), self.clocks)
        self.box.open()
        self.wire = Wire()
        self.sender = MqttSender(self.box, self.clocks, self.wire)
        self.wire.alive = self.sender.broker_seen

    def add(self, *texts: str, left_s: float = 60.0) -> list[Row]:
        return self.box.add(
            [Row("publish", "t", text.encode(), self.clocks.deadline(left_s), text) for text in texts]
        )

    def up(self, generation: int = 1, window: int = 20, max_packet: int | None = None) -> None:
        self.sender.handle(LinkUp(generation, window, max_packet))

    def send(self) -> list[str]:
        """What goes out now."""
        before = len(self.wire.sent)
        self.sender.send()
        return self.wire.sent[before:]

    def ack(self, mid: int, code: int = 0, generation: int = 1) -> list[str]:
        """Texts of the rows that end with it."""
        outcomes = self.sender.handle(Ack(generation, mid, code, "Not authorized"))
        return [f"{o.row.payload.decode()} {'delivered' if o.delivered else o.reason}" for o in outcomes]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.box.close()


def test_no_more_than_the_window_is_on_its_way(bench: Bench):
    bench.add(*"abcde")
    assert bench.send() == []
    bench.up(window=2)
    assert bench.send() == ["a", "b"]
    assert bench.send() == []
    assert bench.ack(1) == ["a delivered"]
    assert bench.send() == ["c"]


def test_nothing_is_sent_twice_on_one_connection(bench: Bench):
    bench.add(*"ab")
    bench.up()
    assert bench.send() + bench.send() == ["a", "b"]


def test_on_the_next_connection_all_that_was_not_acknowledged_goes_again_in_order(bench: Bench):
    bench.add(*"abc")
    bench.up()
    bench.send()
    bench.box.mark_delivered([outcome.row.id for outcome in bench.sender.handle(Ack(1, 2, 0, ""))])
    bench.sender.handle(LinkDown(1, "gone"))
    bench.up(generation=2)
    assert bench.send() == ["a"]  # one by one: one of them may be what broke the connection
    bench.ack(4, generation=2)
    assert bench.send() == ["c"]


def test_acknowledgements_of_a_former_connection_count_for_nothing(bench: Bench):
    bench.add("a")
    bench.up()
    bench.send()
    bench.sender.handle(LinkDown(1, "gone"))
    bench.up(generation=2)
    bench.send()
    assert bench.ack(1, generation=1) == []
    assert bench.ack(2, generation=2) == ["a delivered"]


def test_a_row_that_is_just_late_does_not_cost_the_connection(bench: Bench):
    bench.add("a", left_s=1.0)
    bench.clocks.both(0.7)
    bench.up()
    assert bench.send() == ["a"]
    bench.clocks.both(ABORT_S - 0.1)
    bench.send()
    assert bench.wire.aborted == []
    assert bench.ack(1) == ["a delivered"]


def test_a_row_past_its_deadline_that_is_not_acknowledged_is_cut_off(bench: Bench):
    bench.add("a", left_s=1.0)
    bench.up()
    bench.send()
    bench.clocks.both(1.1)
    bench.send()
    assert bench.wire.aborted == ["the broker did not acknowledge an event before its deadline"]


def test_a_row_with_hardly_any_time_left_stays(bench: Bench):
    bench.add("a", left_s=1.0)
    bench.clocks.both(0.95)
    bench.up()
    assert bench.send() == []


def test_a_broker_that_hangs_is_given_no_more_and_then_left(bench: Bench):
    bench.add("a", left_s=3600)
    bench.up()
    bench.send()
    bench.clocks.both(1.5)
    bench.add("b", left_s=3600)
    assert bench.send() == []
    bench.clocks.both(ACK_LIMIT_S)
    bench.send()
    assert len(bench.wire.aborted) == 1


def test_a_refused_row_is_tried_again_then_ends_and_holds_up_nobody(bench: Bench):
    bench.add("no", left_s=3600)
    bench.add("yes", left_s=3600)
    bench.up()
    assert bench.send() == ["no", "yes"]
    assert bench.ack(2) == ["yes delivered"]
    mid, ends = 1, bench.ack(1, code=135)
    for _ in range(REFUSALS - 1):
        assert ends == []
        assert bench.send() == []
        bench.clocks.both(120)
        assert bench.send() == ["no"]
        mid = len(bench.wire.sent)
        ends = bench.ack(mid, code=135)
    assert ends == ["no the broker refused it: Not authorized"]


def test_a_refused_row_ends_at_its_deadline_as_refused(bench: Bench):
    bench.add("no", left_s=2.0)
    bench.up()
    bench.send()
    bench.ack(1, code=135)
    bench.clocks.both(3)
    (outcome,) = bench.sender.send()
    assert not outcome.delivered
    assert "refused" in outcome.reason


def test_a_row_that_breaks_connections_ends_and_the_others_go_on(bench: Bench):
    bench.add("good", "poison", "later", left_s=3600)
    convicted: list[str] = []
    acked = False
    for generation in range(1, STRIKES + 2):
        bench.up(generation=generation)
        sent = bench.send()
        if "good" in sent and len(sent) == 1:
            bench.box.mark_delivered(
                [o.row.id for o in bench.sender.handle(Ack(generation, len(bench.wire.sent), 0, ""))]
            )
            acked = True
            sent = bench.send()
        assert "poison" in sent
        outcomes = bench.sender.handle(LinkDown(generation, "broke"))
        for outcome in outcomes:
            convicted.append(outcome.row.payload.decode())
            bench.box.dead_letter(outcome.row, outcome.reason)
    assert acked
    assert convicted == ["poison"]
    bench.up(generation=99)
    assert bench.send() == ["later"]


def test_unheard_and_too_large_are_reported(bench: Bench):
    bench.add("a", "x" * 500)
    bench.up(max_packet=300)
    outcomes = bench.sender.send()
    assert [o.reason for o in outcomes] == ["501 bytes and headers exceed the broker's 300"]
    (heard,) = bench.sender.handle(Ack(1, 1, 16, "No matching subscribers"))
    assert (heard.delivered, heard.no_subscriber) == (True, True)


def test_a_row_goes_out_only_after_a_sign_of_life_of_the_last_instant(bench: Bench):
    bench.up()
    bench.add("a", "b")
    bench.wire.frozen = True
    assert bench.send() == []
    bench.clocks.both(5)
    assert bench.send() == []  # asked again, and again no answer
    assert bench.wire.questions == 2
    bench.wire.frozen = False
    bench.clocks.both(5)
    assert bench.send() == ["a", "b"]


def test_an_acknowledgement_is_a_sign_of_life_and_spares_the_question(bench: Bench):
    bench.up(window=1)
    bench.add("a", "b", "c")
    bench.send()
    bench.sender.broker_seen(1)
    assert bench.ack(1) == ["a delivered"]
    assert bench.send() == ["b"]
    assert bench.wire.questions == 1


def test_a_sign_of_life_on_a_former_connection_is_none_on_this_one(bench: Bench):
    bench.up(1)
    bench.sender.broker_seen(1)
    bench.wire.frozen = True
    bench.up(2)
    bench.add("a")
    assert bench.send() == []


def test_what_was_in_flight_when_the_connection_broke_is_of_unknown_fate_should_it_expire(bench: Bench):
    bench.up()
    _, acknowledged = bench.add("in flight", "acknowledged", left_s=5)
    bench.send()
    bench.ack(2)
    bench.box.mark_delivered([acknowledged.id])
    bench.add("never sent", left_s=5)
    bench.sender.handle(LinkDown(1, "cut"))
    bench.clocks.both(6)
    late = bench.box.expire(bench.sender.busy, bench.sender.maybe_arrived)
    assert [row.payload for row in late] == [b"in flight", b"never sent"]
    assert (bench.box.counters["unknown"], bench.box.counters["expired"]) == (1, 1)


def test_what_arrived_at_the_second_try_is_no_riddle(bench: Bench):
    bench.up(1)
    bench.add("a")
    bench.send()
    bench.sender.handle(LinkDown(1, "cut"))
    bench.up(2)
    bench.send()
    assert bench.ack(2, generation=2) == ["a delivered"]
    assert bench.sender.maybe_arrived == set()

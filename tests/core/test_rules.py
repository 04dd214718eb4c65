from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from timelines import LETTERS, readings

from agent.core.interpreter import Interpreter
from agent.core.rules import (
    ANY,
    Between,
    Book,
    Dial,
    Do,
    Rule,
    RuleEngine,
    ValueIs,
    Verdict,
    Wake,
    When,
    World,
    Zone,
)
from agent.core.thresholds import Thresholds
from agent.core.types import LABELS, Action, GestureHeld, GestureStarted, Hand, Place, Reading

NORMAL = Thresholds()
SLOW = Thresholds(hold_s=0.6)
SAY = Do("publish", "said", "{rule}")


def rule(name: str, *gestures: str, do: Do = SAY, **more: Any) -> Rule:
    """A rule by name; keys of `When` go there, the others to the rule itself."""
    when = {key: more.pop(key) for key in list(more) if key in When.__slots__}
    trigger = when.pop("trigger", "gesture")
    return Rule(name, When(trigger, gestures, **when), (do,), more.pop("thresholds", NORMAL), **more)


class Play:
    """Timelines against rules: characters as in `timelines`, ten a second, not smoothed."""

    def __init__(self, *rules: Rule, wake: Wake | None = None, zones: tuple[Zone, ...] = ()) -> None:
        self.mind = Interpreter(LABELS, smoothing_s=0, book=Book(rules, zones, wake))
        self.why: list[Verdict] = []
        self.at = 0.0

    def show(
        self,
        right: str,
        left: str = "",
        *,
        world: World | None = None,
        path: dict[float, tuple[float, float]] | None = None,
        **who: Any,
    ) -> list[tuple[float, str]]:
        """(second since the beginning, rule) of all that fired."""
        return [(round(a.at, 3), a.rule) for a in self.actions(right, left, world=world, path=path, **who)]

    def actions(
        self,
        right: str,
        left: str = "",
        *,
        world: World | None = None,
        path: dict[float, tuple[float, float]] | None = None,
        place: Place | None = None,
        **who: Any,
    ) -> list[Action]:
        hands: dict[Hand, str] = {"right": right, "left": left}
        steps = {hand: readings(timeline, hand, **who) for hand, timeline in hands.items()}
        done = []
        for i in range(-1, max(len(right), len(left))):
            frame = [moved(row[i], place, path) for row in steps.values() if 0 <= i < len(row)]
            frame = frame or [
                Reading(-0.1, who.get("camera", "front"), who.get("person", 0), hand, None) for hand in hands
            ]
            frame = [Reading(r.at + self.at, r.camera, r.person, r.hand, r.scores, r.place) for r in frame]
            done += self.mind.read(frame, world or World(), self.why).actions
        self.at = round(self.at + max(len(right), len(left)) / 10, 3)
        return done

    def reasons(self) -> dict[str, str]:
        """The last verdict on each rule."""
        return {verdict.rule: verdict.reason for verdict in self.why}


def moved(reading: Reading, place: Place | None, path: dict[float, tuple[float, float]] | None) -> Reading:
    """The same somewhere else; `path` jumps from place to place."""
    if reading.scores is None:
        return reading
    if path:
        x, y = path[max(at for at in path if at <= reading.at + 1e-6)]
        place = Place(x, y, 0.2)
    return Reading(
        reading.at, reading.camera, reading.person, reading.hand, reading.scores, place or reading.place
    )


# gesture, hand, hold, cooldown, repeat


def test_a_rule_fires_when_its_gesture_starts_and_not_again_while_it_is_held() -> None:
    assert Play(rule("a", "stop")).show("SSSSSSSSSSSSSSSSSSSS") == [(0.3, "a")]


def test_another_gesture_fires_nothing() -> None:
    assert Play(rule("a", "stop")).show("FFFFFFFF") == []


def test_any_gesture_and_one_of_several() -> None:
    assert Play(rule("a", ANY)).show("FFFF.....TTTT") == [(0.3, "a"), (1.2, "a")]
    assert Play(rule("a", "fist", "ok")).show("FFFF.....TTTT.....OOOO") == [(0.3, "a"), (2.1, "a")]


def test_the_first_match_wins() -> None:
    play = Play(rule("one", "stop"), rule("two", "stop"), rule("three", "fist"))
    assert play.show("SSSS") == [(0.3, "one")]
    assert play.reasons() == {"one": "fired", "two": "first_match", "three": "gesture"}


def test_also_fires_in_addition_and_blocks_nobody() -> None:
    play = Play(
        rule("first", "stop", also=True),
        rule("a", "stop"),
        rule("b", "stop"),
        rule("last", "stop", also=True),
    )
    assert [name for _, name in play.show("SSSS")] == ["first", "a", "last"]


@pytest.mark.parametrize(("hand", "fires"), [("right", True), ("left", False), (None, True)])
def test_a_hand(hand: Hand | None, fires: bool) -> None:
    assert bool(Play(rule("a", "stop", hand=hand)).show("SSSS")) == fires


def test_a_camera_and_a_person() -> None:
    play = Play(rule("door", "stop", camera="door"), rule("me", "stop", person=2))
    assert play.show("SSSS.....", camera="front") == []
    assert play.show("SSSS.....", camera="door") == [(1.2, "door")]
    assert play.show("SSSS.....", person=2) == [(2.1, "me")]


def test_a_hold_of_its_own_is_counted_by_thresholds_of_its_own() -> None:
    play = Play(rule("long", "stop", thresholds=SLOW), rule("short", "stop"))
    assert play.show("SSSSSSSSSS") == [(0.3, "short"), (0.6, "long")]


def test_rules_by_different_thresholds_that_start_at_one_moment_still_compete() -> None:
    patient = Thresholds(release_s=2.0)
    assert Play(rule("a", "stop", thresholds=patient), rule("b", "stop")).show("SSSS") == [(0.3, "a")]


def test_a_match_in_the_cooldown_is_swallowed_and_not_passed_on() -> None:
    play = Play(rule("a", "stop", cooldown_s=2.0), rule("b", "stop"))
    assert play.show("SSSS......" * 4) == [(0.3, "a"), (2.3, "a")]
    assert [(v.rule, v.reason) for v in play.why[2:4]] == [("a", "cooldown"), ("b", "first_match")]


def test_a_cooldown_per_person_counts_for_each_by_itself() -> None:
    def fired(rule_: Rule) -> int:
        play = Play(rule_)
        return len(
            play.show("SSSS.....", person=0) + play.show("SSSS.....", person=1) + play.show("SSSS", person=0)
        )

    assert fired(rule("a", "stop", cooldown_s=9.0)) == 1
    assert fired(rule("a", "stop", cooldown_s=9.0, per_person=True)) == 2


def test_repeat_fires_again_while_held_and_stops_with_the_gesture() -> None:
    assert Play(rule("a", "two", repeat_s=0.3)).show("22222222222.......") == [
        (0.3, "a"),
        (0.6, "a"),
        (0.9, "a"),
    ]


def test_repeat_pauses_while_the_hand_is_not_seen() -> None:
    assert [at for at, _ in Play(rule("a", "two", repeat_s=0.1)).show("22222...222")] == [
        0.3,
        0.4,
        0.8,
        0.9,
        1.0,
    ]


def test_a_repeat_keeps_its_pace_when_frames_do_not_fit_it() -> None:
    fired = [at for at, _ in Play(rule("a", "two", repeat_s=0.25)).show("2" * 24)]
    assert fired == [0.3, 0.6, 0.8, 1.1, 1.3, 1.6, 1.8, 2.1, 2.3]


# places


SOFA = Zone("sofa", (0.1, 0.2, 0.5, 0.9), camera="front", min_hand=0.1)


@pytest.mark.parametrize(
    ("place", "camera", "reason"),
    [
        (Place(0.3, 0.5, 0.2), "front", "fired"),
        (Place(0.1, 0.9, 0.1), "front", "fired"),
        (Place(0.6, 0.5, 0.2), "front", "zone"),
        (Place(0.3, 0.1, 0.2), "front", "zone"),
        (Place(0.3, 0.5, 0.09), "front", "min_hand"),
        (Place(0.3, 0.5, 0.2), "door", "camera"),
    ],
)
def test_a_zone_is_a_part_of_one_camera_with_a_distance(place: Place, camera: str, reason: str) -> None:
    play = Play(rule("a", "stop", zone=SOFA), zones=(SOFA,))
    play.show("SSSS", place=place, camera=camera)
    assert play.reasons() == {"a": reason}


def test_a_hand_of_unknown_place_is_in_no_zone() -> None:
    engine = RuleEngine(Book((rule("a", "stop", zone=SOFA),), (SOFA,)))
    why: list[Verdict] = []
    assert engine.feed(GestureStarted(1.0, "front", 0, "right", "stop", 1.0, 0.3), why=why) == []
    assert (why[0].reason, why[0].seen) == ("zone", "an unknown place")


def test_the_zone_of_an_event_is_known_without_a_rule() -> None:
    engine = RuleEngine(Book(zones=(SOFA,)))
    inside = GestureStarted(1.0, "front", 0, "right", "stop", 1.0, 0.3, Place(0.3, 0.5, 0.2))
    outside = GestureStarted(1.0, "front", 0, "right", "stop", 1.0, 0.3, Place(0.9, 0.5, 0.2))
    assert (engine.zone_of(inside), engine.zone_of(outside)) == ("sofa", None)


# wake


WAKE = Wake("stop", 2.0, Thresholds(hold_s=0.8))


def test_an_armed_rule_is_deaf_until_the_wake_gesture() -> None:
    play = Play(rule("lamp", "thumbs_up", armed=True), rule("bare", "fist"), wake=WAKE)
    assert play.show("TTTT.....") == []
    assert play.reasons()["lamp"] == "armed"
    assert play.show("FFFF.....") == [(1.2, "bare")]
    assert play.show("SSSSSSSSS.....TTTT.....") == [(3.5, "lamp")]


def test_the_wake_window_ends_and_each_armed_firing_renews_it() -> None:
    play = Play(rule("lamp", "thumbs_up", armed=True), wake=WAKE)
    play.show("SSSSSSSSS")
    assert play.mind.armed("front", 0.9) is not None
    assert play.mind.armed("front", 2.9) is None
    assert play.mind.armed("door", 0.9) is None
    fired = play.show("." * 10 + "TTTT" + "." * 12 + "TTTT" + "." * 30 + "TTTT")
    assert fired == [(2.2, "lamp"), (3.8, "lamp")]
    assert (play.why[-1].reason, play.why[-1].seen) == ("armed", "it ran out 1.4 s ago")


def test_without_a_wake_gesture_everything_is_armed() -> None:
    assert Play(rule("lamp", "thumbs_up", armed=True)).show("TTTT") == [(0.3, "lamp")]


def test_showing_the_wake_gesture_does_not_fire_a_rule_for_it_at_once() -> None:
    play = Play(rule("a", "stop", armed=True, thresholds=Thresholds(hold_s=1.2)), wake=WAKE)
    assert play.show("SSSSSSSSSSSSSS......") == []
    assert (play.why[-1].reason, play.why[-1].seen) == ("armed", "the wake gesture itself")
    assert play.show("SSSSSSSSSSSSSS") == [(3.2, "a")]


def test_only_the_wake_hand_wakes() -> None:
    play = Play(rule("a", "fist", armed=True), wake=Wake("stop", 9.0, NORMAL, "left"))
    assert play.show("SSSS.....FFFF.....") == []
    assert play.show("....", "SSSS") == []
    assert play.show("FFFF") == [(2.5, "a")]


# sequences, both hands


def sequence(*gestures: str, within_s: float = 2.0, **more: Any) -> Rule:
    return rule("seq", *gestures, trigger="sequence", within_s=within_s, **more)


def test_a_sequence_fires_at_its_last_step() -> None:
    assert Play(sequence("fist", "stop")).show("FFFF....SSSS") == [(1.1, "seq")]
    assert Play(sequence("fist", "stop")).show("FFFFSSSS") == [(0.7, "seq")], "a direct change is fine"


@pytest.mark.parametrize(
    "timeline", ["SSSS....FFFF", "FFFF", "SSSS", "FFFF....OOOO....SSSS", "FFFF" + "." * 20 + "SSSS"]
)
def test_other_orders_other_gestures_between_and_slowness_are_no_sequence(timeline: str) -> None:
    play = Play(sequence("fist", "stop"))
    assert play.show(timeline) == []
    assert {verdict.reason for verdict in play.why} <= {"sequence", "gesture"}


def test_a_sequence_with_the_same_gesture_twice() -> None:
    assert Play(sequence("stop", "stop")).show("SSSS......" * 4) == [(1.3, "seq"), (3.3, "seq")]


def test_a_sequence_that_began_wrong_counts_from_its_right_beginning() -> None:
    play = Play(sequence("fist", "fist", "stop", within_s=5))
    assert play.show("FFFF......FFFF......FFFF......SSSS") == [(3.3, "seq")]


def test_a_sequence_belongs_to_one_person_and_may_change_hands() -> None:
    play = Play(sequence("fist", "stop"))
    play.show("FFFF....", person=0)
    assert play.show("SSSS....", person=1) == []
    play = Play(sequence("fist", "stop"))
    assert play.show("FFFF....", "........SSSS") == [(1.1, "seq")]
    play = Play(sequence("fist", "stop", hand="right"))
    assert play.show("FFFF....", "........SSSS") == []


def test_both_hands_of_one_person() -> None:
    both = rule("both", "thumbs_up", trigger="both")
    assert Play(both).show("TTTTTTTT", "..TTTTTT") == [(0.5, "both")]
    assert Play(both).show("TTTTTTTT", "..SSSSSS") == []
    assert Play(both).show("TTTTTTTT") == []
    assert Play(both).show("TTTT........", "........TTTT") == [], "one after the other is not both"


def test_both_hands_of_two_people_are_not_both() -> None:
    play = Play(rule("both", "thumbs_up", trigger="both"))
    steps = zip(readings("TTTTTT", "left", person=1), readings("TTTTTT", "right", person=0), strict=True)
    for pair in steps:
        assert play.mind.read(pair, World(), play.why).actions == ()
    assert (play.why[-1].reason, play.why[-1].seen) == ("both", "left hand: nothing")


# time of day, values


@pytest.mark.parametrize(
    ("clock", "fires"),
    [("21:59", False), ("22:00", True), ("23:59", True), ("00:00", True), ("05:59", True), ("06:00", False)],
)
def test_a_time_of_day_may_run_through_midnight(clock: str, fires: bool) -> None:
    night = Between(dt.time(22), dt.time(6))
    world = World(dt.time.fromisoformat(clock))
    assert bool(Play(rule("a", "ok", between=night)).show("OOOO", world=world)) == fires


def test_a_time_of_day_within_one_day_and_an_unknown_one() -> None:
    day = rule("a", "ok", between=Between(dt.time(6), dt.time(22)))
    assert Play(day).show("OOOO", world=World(dt.time(12)))
    assert not Play(day).show("OOOO", world=World(dt.time(23)))
    play = Play(day)
    assert not play.show("OOOO", world=World())
    assert (play.why[-1].reason, play.why[-1].seen) == ("between", "an unknown time")


@pytest.mark.parametrize(
    ("test", "payload", "holds"),
    [
        (ValueIs("t", is_="on"), "on", True),
        (ValueIs("t", is_="on"), " on\n", True),
        (ValueIs("t", is_="on"), "off", False),
        (ValueIs("t", is_="on"), None, False),
        (ValueIs("t", not_="off"), "on", True),
        (ValueIs("t", not_="off"), None, False),
        (ValueIs("t", is_=True), "true", True),
        (ValueIs("t", is_=5), "5.0", True),
        (ValueIs("t", above=20, below=25), "21.5", True),
        (ValueIs("t", above=20, below=25), "25", False),
        (ValueIs("t", above=20), "warm", False),
        (ValueIs("t", ("state",), is_="ON"), '{"state": "ON"}', True),
        (ValueIs("t", ("a", "1", "b"), is_=2), '{"a": [0, {"b": 2}]}', True),
        (ValueIs("t", ("a", "9"), is_=2), '{"a": [0]}', False),
        (ValueIs("t", ("state",), is_=True), '{"state": true}', True),
        (ValueIs("t", ("state",), is_="ON"), "ON", False),
        (ValueIs("t", ("state",), not_="ON"), '{"state": null}', False),
        (ValueIs("t", ("state",), above=1), '{"state": true}', False),
        (ValueIs("t", ("a",), is_="x"), "[" * 100_000, False),
    ],
)
def test_a_value_of_a_topic(test: ValueIs, payload: str | None, holds: bool) -> None:
    assert test.holds(payload) is holds


def test_a_value_is_asked_when_the_gesture_starts() -> None:
    play = Play(rule("a", "ok", values=(ValueIs("tv", is_="on"),)))
    assert play.show("OOOO......", world=World(values={"tv": "off"})) == []
    assert (play.why[-1].reason, play.why[-1].seen, play.why[-1].wanted) == ("if", "tv = off", "tv is on")
    assert play.show("OOOO......", world=World(values={"tv": "on"})) == [(1.3, "a")]
    assert play.show("OOOO......") == []
    assert play.why[-1].seen == "tv never heard"


def test_the_book_lists_the_topics_that_must_be_heard() -> None:
    dial = Dial(0, 255, 1, 128, follow=("lamp", ("brightness",)))
    book = Book(
        (rule("a", "ok", values=(ValueIs("tv", is_="on"),)), rule("b", "ok", trigger="dial", dial=dial))
    )
    assert book.topics == {"tv", "lamp"}


# moves


def swipe(
    dx: float, dy: float, *, seconds: float = 0.4, start: float = 0.5
) -> dict[float, tuple[float, float]]:
    """A hand of a fifth of the frame's height that moves from the middle by shares of the frame."""
    frames = round(seconds * 10)
    steps = {start + i / 10: (0.5 + dx * i / frames, 0.5 + dy * i / frames) for i in range(1, frames + 1)}
    return {0.0: (0.5, 0.5), **steps}


MOVES = tuple(rule(f"to-{way}", "stop", trigger="move", move=way) for way in ("left", "right", "up", "down"))


@pytest.mark.parametrize(
    ("dx", "dy", "fired"),
    [
        (0.4, 0.0, "to-left"),
        (-0.4, 0.0, "to-right"),
        (0.0, -0.45, "to-up"),
        (0.0, 0.45, "to-down"),
        (0.4, 0.1, "to-left"),
    ],
)
def test_a_swipe_goes_the_way_that_the_person_sees_it(dx: float, dy: float, fired: str) -> None:
    assert [name for _, name in Play(*MOVES).show("S" * 12, path=swipe(dx, dy))] == [fired]


@pytest.mark.parametrize(
    "path", [swipe(0.1, 0), swipe(0.35, 0.42), swipe(0.4, 0, seconds=2.0)], ids=["short", "slanting", "slow"]
)
def test_short_slanting_and_slow_moves_are_no_swipes(path: dict[float, tuple[float, float]]) -> None:
    assert Play(*MOVES).show("S" * 26, path=path) == []


def test_the_way_back_is_no_swipe() -> None:
    there = swipe(0.4, 0)
    back = {1.0: (0.8, 0.5), 1.1: (0.7, 0.5), 1.2: (0.6, 0.5), 1.3: (0.5, 0.5)}
    assert [name for _, name in Play(*MOVES).show("S" * 30, path={**there, **back})] == ["to-left"]


def test_a_second_swipe_after_a_pause_counts() -> None:
    again = {at + 2.0: place for at, place in swipe(-0.4, 0).items()}
    play = Play(*MOVES)
    assert [name for _, name in play.show("S" * 40, path={**swipe(0.4, 0), **again})] == [
        "to-left",
        "to-right",
    ]


def test_a_move_without_the_gesture_is_nothing() -> None:
    assert Play(*MOVES).show("F" * 12, path=swipe(0.4, 0)) == []


def test_a_wave_is_there_and_back_and_there() -> None:
    wave = rule("wave", "stop", trigger="move", move="wave")
    xs = [0.5, 0.55, 0.62, 0.68, 0.6, 0.52, 0.6, 0.68, 0.6, 0.52]
    path = {0.0: (0.5, 0.5), **{0.4 + i / 10: (x, 0.5) for i, x in enumerate(xs)}}
    assert [name for _, name in Play(wave).show("S" * 20, path=path)] == ["wave"]
    assert Play(wave).show("S" * 20, path={at: place for at, place in path.items() if at < 0.95}) == []


# dials


def dialled(
    play: Play, path: dict[float, tuple[float, float]], world: World | None = None
) -> list[tuple[float, str]]:
    frames = round(max(path) * 10) + 2
    done = play.actions("F" * frames + "......", path=path, world=world)
    return [(round(a.at, 3), a.payload) for a in done]


def dim(**more: Any) -> Rule:
    dial = Dial(0, 100, 1, more.pop("start", 50), **more)
    return rule(
        "dim", "fist", trigger="dial", move="vertical", dial=dial, do=Do("publish", "lamp", "{value}")
    )


def test_a_dial_follows_the_hand_from_where_it_stands() -> None:
    # four hand heights of a fifth of the frame are the whole range: a tenth of the frame is 12.5
    path = {0.0: (0.5, 0.5), 0.5: (0.5, 0.4), 0.7: (0.5, 0.6)}
    assert dialled(Play(dim()), path) == [(0.5, "62"), (0.7, "38")]


def test_a_dial_stops_at_its_ends() -> None:
    assert dialled(Play(dim()), {0.0: (0.5, 0.9), 0.5: (0.5, 0.05), 0.7: (0.5, 0.95)}) == [
        (0.5, "100"),
        (0.7, "44"),
    ]


def test_a_dial_keeps_its_rate_but_sends_where_it_was_left() -> None:
    path = {0.0: (0.5, 0.5), **{0.4 + i / 10: (0.5, 0.5 - i / 100) for i in range(10)}}
    sent = dialled(Play(dim(every_s=0.5)), path)
    assert [at for at, _ in sent] == [0.5, 1.0, 1.9]
    assert sent[-1][1] == "61"


def test_a_dial_keeps_quiet_about_less_than_a_step() -> None:
    path = {0.0: (0.5, 0.5), 0.5: (0.5, 0.499), 0.6: (0.5, 0.501), 0.7: (0.5, 0.46)}
    assert dialled(Play(dim()), path) == [(0.7, "55")]


def test_a_dial_goes_on_from_where_it_was_left_or_from_what_its_topic_says() -> None:
    play = Play(dim())
    dialled(play, {0.0: (0.5, 0.5), 0.5: (0.5, 0.4)})
    assert dialled(play, {0.0: (0.5, 0.5), 0.5: (0.5, 0.4)})[-1][1] == "75"
    play = Play(dim(follow=("lamp", ("level",))))
    assert (
        dialled(play, {0.0: (0.5, 0.5), 0.5: (0.5, 0.4)}, World(values={"lamp": '{"level": 10}'}))[-1][1]
        == "22"
    )


def test_a_dial_to_the_side_grows_to_the_persons_right_and_may_run_backwards() -> None:
    dial = Dial(1.0, 0.0, 0.01, 0.5)
    side = rule(
        "a", "fist", trigger="dial", move="horizontal", dial=dial, do=Do("publish", "t", {"v": "{value}"})
    )
    assert dialled(Play(side), {0.0: (0.5, 0.5), 0.5: (0.44, 0.5)}) == [(0.5, '{"v":0.4}')]


# actions and templates


def test_actions_are_filled_in_and_know_their_cause() -> None:
    do = Do(
        "publish",
        "home/{camera}/{gesture}",
        "{hand} {person} {zone} {confidence} {held_ms} {rule} {ts}",
        retain=True,
    )
    [action] = Play(rule("a", "stop", do=do, max_age_s=7, zone=SOFA), zones=(SOFA,)).actions(
        "SSSS", place=Place(0.3, 0.5, 0.2)
    )
    assert (action.target, action.payload) == ("home/front/stop", "right 0 sofa 1.0 300 a {ts}")
    assert (action.kind, action.retain, action.max_age_s) == ("publish", True, 7)
    assert isinstance(action.event, GestureStarted)


def test_json_payloads_keep_numbers_as_numbers() -> None:
    do = Do(
        "publish", "t", {"held": "{held_ms}", "text": "for {held_ms} ms", "list": ["{hand}", 1, None, True]}
    )
    [action] = Play(rule("a", "stop", do=do)).actions("SSSS")
    assert json.loads(action.payload) == {"held": 300, "text": "for 300 ms", "list": ["right", 1, None, True]}


def test_json_written_as_text_needs_no_escapes_and_double_braces_do() -> None:
    do = Do("publish", "t", '{"a": {"b": 1}, "c": "{{hand}}", "d": "{hand}"}')
    [action] = Play(rule("a", "stop", do=do)).actions("SSSS")
    assert action.payload == '{"a": {"b": 1}, "c": "{hand}", "d": "right"}'


def test_options_are_templates_too_and_all_actions_come_in_order() -> None:
    a = rule("a", "stop", do=Do("command", "notify", options=(("arg", "{gesture} seen"),)))
    both = Rule("b", a.when, (*a.do, SAY), NORMAL)
    first, second = Play(both).actions("SSSS")
    assert (first.kind, first.target, first.options) == ("command", "notify", (("arg", "stop seen"),))
    assert second.kind == "publish"


# the whole


def test_a_rehearsal_does_what_the_rule_would_do_and_remembers_nothing() -> None:
    dial = rule(
        "dim",
        "fist",
        trigger="dial",
        move="vertical",
        dial=Dial(0, 100, 1, 50),
        do=Do("publish", "t", "{value}"),
    )
    engine = RuleEngine(Book((rule("a", "stop", cooldown_s=60), dial)))
    assert [a.payload for a in engine.rehearse(engine.book.rules[0], "front", 1.0)] == ["a"]
    assert [a.payload for a in engine.rehearse(engine.book.rules[1], "front", 1.0)] == ["50"]
    assert engine.last_fired() == {}


def test_a_reload_keeps_cooldowns_wake_state_and_what_is_on() -> None:
    book = Book((rule("a", "stop", cooldown_s=5), rule("lamp", "fist", armed=True)), wake=WAKE)
    play = Play(*book.rules, wake=WAKE)
    assert play.show("SSSSSSSSS") == [(0.3, "a")]
    play.mind.reload(Book((*book.rules, rule("new", "stop")), wake=WAKE))
    assert play.show("SSSS") == [], "the palm is still up: no start"
    assert play.show(".....FFFF") == [(2.1, "lamp")]
    assert play.show(".....SSSS") == [], "still cooling"
    assert play.mind.rules.last_fired() == {"a": pytest.approx(0.3), "lamp": pytest.approx(2.1)}


def test_a_reload_that_drops_a_rule_forgets_it() -> None:
    play = Play(rule("a", "two", repeat_s=0.2))
    play.show("22222")
    play.mind.reload(Book())
    assert play.show("22222") == []
    assert play.mind.rules.last_fired() == {}


def test_a_verdict_says_what_was_seen_and_what_was_wanted() -> None:
    play = Play(rule("a", "stop", "ok", hand="left"))
    play.show("SSSS.....FFFF")
    assert [(v.reason, v.seen, v.wanted, v.fired) for v in play.why] == [
        ("hand", "right", "left", False),
        ("gesture", "fist", "stop or ok", False),
    ]


def test_single_events_can_be_fed() -> None:
    engine = RuleEngine(Book((rule("a", "stop", repeat_s=0.1), rule("b", "stop", thresholds=SLOW))))
    started = GestureStarted(1.0, "front", 0, "right", "stop", 0.9, 0.3)
    held = GestureHeld(1.1, "front", 0, "right", "stop", 0.9, 0.4)
    assert [a.rule for a in engine.feed(started)] == ["a"]
    assert [a.rule for a in engine.feed(held)] == ["a"]


def test_memory_stays_bounded_over_many_people() -> None:
    engine = RuleEngine(Book((sequence("fist", "stop"), rule("a", "stop", cooldown_s=1, per_person=True))))
    for person in range(5000):
        engine.feed(GestureStarted(person, "front", person, "right", "stop", 0.9, 0.3))
    assert len(engine._fired_at) < 1100
    assert sum(map(len, engine._sequences._steps.values())) <= 64


def test_every_letter_of_the_timelines_is_a_label() -> None:
    assert set(LETTERS.values()) == set(LABELS)

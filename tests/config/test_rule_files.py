from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.config.problems import ConfigProblems
from agent.config.rule_cases import run_cases
from agent.config.rule_files import MAX_FILES, MAX_WARNINGS, RuleBook, read_rules
from agent.config.rule_grammar import MAX_RULES
from agent.config.rule_schema import schema_text
from agent.config.settings import DebounceSettings
from agent.core.rules import Between, Dial, Do, ValueIs, When
from agent.core.thresholds import Thresholds
from agent.core.types import LABELS
from agent.errors import ConfigError

SHIPPED = Path(__file__).parents[2] / "rules"


def test_the_shipped_rules_load_without_a_warning_and_pass_their_cases() -> None:
    rules = read_rules(SHIPPED, LABELS, DebounceSettings())
    assert rules.warnings == ()
    results = run_cases(rules.cases, LABELS, DebounceSettings())
    assert len(results) > 15
    assert [(r.case.title, r.problems) for r in results if not r.passed] == []


def test_the_schema_for_editors_is_up_to_date() -> None:
    seen = json.loads((SHIPPED / "rules.schema.json").read_text(encoding="utf-8"))
    assert seen == json.loads(schema_text()), (
        "run: python -m agent.config.rule_schema > rules/rules.schema.json"
    )


def test_every_shipped_rule_is_proved_by_a_case() -> None:
    rules = read_rules(SHIPPED, LABELS, DebounceSettings())
    fired = {
        fired.action.rule
        for result in run_cases(rules.cases, LABELS, DebounceSettings())
        for fired in result.fired
    }
    assert sorted(set(rules.spots) - fired) == []


# reading


GOOD = """
[[rule]]
id = "a"
when = { gesture = "stop" }
publish = { topic = "t", payload = "p" }
"""


def load(tmp_path: Path, cameras: list[str] | None = None, **files: str) -> RuleBook:
    for name, text in files.items():
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    return read_rules(tmp_path, LABELS, DebounceSettings(), cameras)


def problems(tmp_path: Path, cameras: list[str] | None = None, **files: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, cameras, **files)
    return str(caught.value).replace(f"{tmp_path}/", "").split("\n")


def rule(text: str, *, name: str = "x", when: str = '{ gesture = "stop" }') -> str:
    return f'[[rule]]\nid = "{name}"\nwhen = {when}\n{text}\n'


SAY = 'publish = { topic = "t" }'


def test_files_are_read_in_name_order(tmp_path: Path) -> None:
    rules = load(tmp_path, b=GOOD.replace('"a"', '"late"'), a=GOOD, c="")
    assert [one.id for one in rules.book.rules] == ["a", "late"]
    assert [path.name for path in rules.files] == ["a.toml", "b.toml", "c.toml"]
    assert (rules.spots["late"].file, rules.spots["late"].line) == (str(tmp_path / "b.toml"), 3)


def test_one_file_can_be_read_alone(tmp_path: Path) -> None:
    load(tmp_path, a=GOOD, b=GOOD.replace('"a"', '"b"'))
    assert [one.id for one in read_rules(tmp_path / "a.toml", LABELS, DebounceSettings()).book.rules] == ["a"]


def test_zones_of_one_file_can_be_used_in_another(tmp_path: Path) -> None:
    zone = "[zone.sofa]\nbox = [0.1, 0.2, 0.6, 0.9]\n"
    rules = load(tmp_path, a=rule(SAY, when='{ gesture = "stop", zone = "sofa" }'), z=zone)
    assert rules.book.rules[0].when.zone == rules.book.zones[0]


def test_all_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    bad = """\
[zone.sofa]
camera = "frnt"
box = [0.5, 0.2, 0.6, 0.9]
[[rule]]
id = "lamp-on"
when = { gesture = "thumb_up", hand = "rigth", zone = "sofaa", hold = "3 sec" }
publish = { topic = "home", paylod = "x" }
"""
    *found, syntax = problems(tmp_path, ["front", "door"], a=bad, b="[[rule]\n")
    assert syntax.startswith("b.toml:1:7: Expected ")
    assert found == [
        'a.toml:2:10: unknown camera "frnt"; did you mean "front"?',
        'a.toml:6:20: unknown gesture "thumb_up"; did you mean "thumbs_up"?',
        'a.toml:6:39: "rigth" is not one of "left", "right", "any"; did you mean "right"?',
        'a.toml:6:71: \'3 sec\' is not a duration; write a number and a unit, as in "300ms", "1.5s", "2min"',
        'a.toml:7:29: unknown key "paylod"; did you mean "payload"?',
    ]


def test_an_unknown_zone_is_said_when_all_files_could_be_read(tmp_path: Path) -> None:
    text = "[zone.sofa]\nbox = [0, 0, 1, 1]\n" + rule(SAY, when='{ gesture = "stop", zone = "sofaa" }')
    assert problems(tmp_path, a=text) == ['a.toml:5:35: unknown zone "sofaa"; did you mean "sofa"?']


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (rule(""), 'a.toml:1:3: the rule does nothing; write "publish", "webhook", "command", "key" or "do"'),
        (
            rule(SAY, when="{ }"),
            'a.toml:3:8: "when" needs one of "gesture", "sequence" and "both"; it has none of them',
        ),
        (
            rule(SAY, when='{ gesture = "stop", both = "ok" }'),
            'a.toml:3:8: "when" needs one of "gesture", "sequence" and "both"; it has gesture and both',
        ),
        (
            rule(SAY, when='{ gesture = "stop", within = "2s" }'),
            'a.toml:3:8: "within" belongs to a "sequence"; to be held for a time is "hold"',
        ),
        (
            rule(SAY, when='{ sequence = ["stop"] }'),
            'a.toml:3:21: ["stop"] is not at least 2 entries long',
        ),
        (
            rule(SAY, when=f"{{ sequence = {['stop'] * 9} }}".replace("'", '"')),
            "a.toml:3:21: " + str(["stop"] * 9).replace("'", '"')[:57] + "... is not at most 8 entries long",
        ),
        (
            rule(SAY, when='{ sequence = ["fist", "stop"], within = "1h" }'),
            'a.toml:3:48: "1h" is not at most 60',
        ),
        (
            rule(SAY, when='{ gesture = ["stop", "okay"] }'),
            'a.toml:3:29: unknown gesture "okay"; did you mean "ok"?',
        ),
        (
            rule(SAY, when='{ gesture = "random" }'),
            'a.toml:3:20: unknown gesture "random"; known: any, fist, ok, stop, thumbs_up, two',
        ),
        (
            rule(SAY, when='{ gesture = "stop", move = "vertical" }'),
            'a.toml:1:3: move = "vertical" needs a "dial"; a swipe is "left", "right", "up" or "down"',
        ),
        (
            rule('dial = { topic = "t", from = 0, to = 9 }'),
            'a.toml:1:3: "dial" needs when = { gesture = ..., move = "vertical" } or "horizontal"',
        ),
        (
            rule('dial = { topic = "t", from = 9, to = 9 }', when='{ gesture = "stop", move = "vertical" }'),
            'a.toml:4:8: "from" and "to" are both 9',
        ),
        (
            rule(
                'dial = { topic = "t", from = 0, to = 9, start = 10 }',
                when='{ gesture = "ok", move = "vertical" }',
            ),
            'a.toml:4:8: "start" 10 is not between "from" and "to"',
        ),
        (
            rule('publish = { topic = "a/#" }'),
            'a.toml:4:21: "a/#" is not a topic to name here; it must not be empty or contain + or #',
        ),
        (
            rule('publish = { topic = "t", payload = { a = ["{gestur}"] } }'),
            (
                'a.toml:4:36: unknown template field "gestur"; did you mean "gesture"? '
                "(write {{gestur}} for the text {gestur})"
            ),
        ),
        (
            rule('webhook = { url = "ftp://x" }'),
            'a.toml:4:19: "ftp://x" is not an address that begins with "http://" or "https://"',
        ),
        (
            rule('webhook = { url = "http://x", text = "a", json = 1 }'),
            'a.toml:4:11: a webhook sends "json" or "text", not both',
        ),
        (rule('key = "VOLUMEUP"'), 'a.toml:4:7: "VOLUMEUP" is not the name of a key, as in "KEY_VOLUMEUP"'),
        (rule('key = "KEY_A"\nrepeat = "1ms"'), 'a.toml:5:10: "1ms" is not at least 0.05'),
        (rule(SAY + "\nrepeat = 5"), 'a.toml:5:10: 5 has no unit; write "5s" or "5ms"'),
        (
            rule(SAY, when='{ gesture = "ok", between = ["22:00", "25:00"] }'),
            'a.toml:3:46: "25:00" is not a time of day; write hours and minutes, as in "22:00"',
        ),
        (
            rule(SAY, when='{ gesture = "ok", if = { topic = "t" } }'),
            'a.toml:3:31: say what the value must be: "is", "not", "above" or "below"',
        ),
        (rule(SAY, name="a b"), 'a.toml:2:6: "a b" is not a name of 1 to 64 of the letters a-z 0-9 _ -'),
        (
            "[zone.z]\nbox = [0.5, 0, 0.5, 1]",
            "a.toml:1:2: box [0.5, 0.0, 0.5, 1.0] is empty; write [left, top, right, bottom]",
        ),
        ("[zone.z]\nbox = [0, 0, 640, 480]", "a.toml:2:14: 640 is not at most 1"),
        ('[[case]]\ntitle = "t"', 'a.toml:1:3: a case needs a timeline: "right", "left" or both'),
        (
            '[[case]]\ntitle = "t"\nright = "SSX"',
            'a.toml:3:9: unknown letter "X" in a timeline; known: . 2 ? F O S T',
        ),
        (
            rule(SAY, when='{ gesture = "ok", between = ["22:00", "22:00"] }'),
            'a.toml:3:8: "between" begins and ends at the same time; leave it out for the whole day',
        ),
        (
            rule(SAY, when='{ gesture = "ok", if = { topic = "t", above = 5, below = 5 } }'),
            "a.toml:3:31: no value is above 5 and below 5",
        ),
        (
            rule('publish = { topic = "t", payload = ["{value}"] }'),
            'a.toml:1:3: the template field "value" is known in a "dial" only',
        ),
        (
            '[zone.z]\nbox = [0, 0, 1, 1]\ncamera = "door"\n'
            + rule(SAY, when='{ gesture = "ok", zone = "z", camera = "hall" }'),
            'a.toml:6:33: zone "z" is of camera "door", not "hall"',
        ),
        ("[[rules]]", 'a.toml:1:3: unknown key "rules"; did you mean "rule"?'),
        ("rule = 5", "a.toml:1:8: 5 is not a list [ ... ]"),
        ("zone = 5\nwake = 5", "a.toml:1:8: 5 is not a table { ... }"),
    ],
)
def test_a_mistake_is_explained(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in problems(tmp_path, a=text)


def test_a_name_is_given_once_over_all_files(tmp_path: Path) -> None:
    text = '[wake]\ngesture = "stop"\n[zone.z]\nbox = [0, 0, 1, 1]\n' + GOOD
    assert problems(tmp_path, a=text, b=text) == [
        'b.toml:1:2: table "wake" is there already: a.toml:1',
        'b.toml:3:2: zone "z" is there already: a.toml:3',
        'b.toml:7:6: rule "a" is there already: a.toml:7',
    ]


def test_a_file_that_anyone_may_write_is_refused(tmp_path: Path) -> None:
    load(tmp_path, a=GOOD)
    (tmp_path / "a.toml").chmod(0o664)
    load(tmp_path)
    (tmp_path / "a.toml").chmod(0o666)
    [problem] = problems(tmp_path)
    assert problem == "a.toml: anyone may write here, and rules start programs; run: chmod o-w a.toml"


def test_a_folder_that_anyone_may_write_is_refused_unless_it_is_sticky(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    load(folder, a=GOOD)
    folder.chmod(0o777)
    with pytest.raises(ConfigError, match="anyone may write here"):
        load(folder)
    folder.chmod(0o1777)
    load(folder)


def test_a_folder_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere: is not there; make the folder, or set agent\.rules"):
        read_rules(tmp_path / "nowhere", LABELS, DebounceSettings())


def test_an_empty_folder_holds_no_rules(tmp_path: Path) -> None:
    assert load(tmp_path).book.rules == ()


def test_too_many_files_and_too_many_rules_are_refused(tmp_path: Path) -> None:
    many = "".join(rule(SAY, name=f"r{i}") for i in range(MAX_RULES + 1))
    assert f"at most {MAX_RULES} entries" in problems(tmp_path, a=many)[0]
    assert "1000001" in problems(tmp_path, a="#" * 1_000_001)[0]
    for i in range(MAX_FILES + 1):
        (tmp_path / f"{i:04}.toml").touch()
    assert problems(tmp_path, a="")[0].endswith(f"at most {MAX_FILES} are read")


def test_a_dangling_link_is_a_problem_like_others(tmp_path: Path) -> None:
    (tmp_path / "gone.toml").symlink_to(tmp_path / "nowhere.toml")
    assert problems(tmp_path, a=GOOD) == ["gone.toml: cannot be read: No such file or directory"]


def test_a_file_that_rests_is_checked_and_tested_but_does_nothing(tmp_path: Path) -> None:
    case = '[[case]]\ntitle = "c"\nright = "SSSS"\nexpect = [{ at = "300ms", rule = "a" }]\n'
    rules = load(tmp_path, a="enabled = false\n" + GOOD + case)
    assert rules.book.rules == ()
    assert [result.passed for result in run_cases(rules.cases, LABELS, DebounceSettings())] == [True]
    assert "unknown gesture" in problems(tmp_path, a="enabled = false\n" + GOOD.replace("stop", "stopp"))[0]


def test_a_taught_gesture_is_known_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(GOOD.replace("stop", "heart"), encoding="utf-8")
    assert read_rules(tmp_path, (*LABELS, "heart"), DebounceSettings()).book.rules[0].when.gestures == (
        "heart",
    )


# meaning


def test_rules_override_the_general_thresholds_one_by_one(tmp_path: Path) -> None:
    text = (
        rule(SAY, name="plain")
        + rule(SAY, name="own", when='{ gesture = "ok", hold = "1s", release = "2s", confidence = 0.4 }')
        + rule(SAY + '\ncooldown = "100ms"\nmax_age = "9s"', name="quick", when='{ gesture = "fist" }')
    )
    plain, own, quick = load(tmp_path, a=text).book.rules
    assert plain.thresholds == Thresholds()
    assert own.thresholds == Thresholds(confidence=0.4, keep=0.4, hold_s=1.0, release_s=2.0)
    assert quick.thresholds == Thresholds(cooldown_s=0.1)
    assert (plain.cooldown_s, plain.max_age_s, quick.cooldown_s, quick.max_age_s) == (0.0, 5.0, 0.1, 9.0)


def test_every_kind_of_action(tmp_path: Path) -> None:
    text = rule(
        """publish = { topic = "t", payload = { a = 1 }, retain = true }
webhook = { url = "http://127.0.0.1/x", json = { by = "{camera}" }, headers = { X-Key = "k" } }
command = ["notify-send", "{gesture}"]
key = ["KEY_LEFTCTRL", "KEY_W"]
do = [{ webhook = { url = "http://127.0.0.1/y", text = "hi" } }, { webhook = { url = "http://[::1]/z" } }]"""
    )
    [one] = load(tmp_path, a=text).book.rules
    json_header = ("Content-Type", "application/json")
    assert one.do[:5] == (
        Do("publish", "t", {"a": 1}, retain=True),
        Do("webhook", "http://127.0.0.1/x", {"by": "{camera}"}, options=(json_header, ("X-Key", "k"))),
        Do("command", "notify-send", options=(("arg", "{gesture}"),)),
        Do("key", "KEY_LEFTCTRL+KEY_W"),
        Do("webhook", "http://127.0.0.1/y", "hi"),
    )
    assert one.do[5].payload["gesture"] == "{gesture}", "a webhook without a body says what happened"


def test_values_times_and_places(tmp_path: Path) -> None:
    when = """{ gesture = "ok", hand = "left", person = 1, camera = "door", min_hand = 0.1, \
between = [22:00:00, "06:30"], \
if = [{ topic = "a", json = "x.0", is = true }, { topic = "b", above = 3 }] }"""
    [one] = load(tmp_path, a=rule(SAY, when=when)).book.rules
    assert one.when == When(
        "gesture",
        ("ok",),
        hand="left",
        camera="door",
        person=1,
        min_hand=0.1,
        within_s=2.0,
        between=Between(dt.time(22), dt.time(6, 30)),
        values=(ValueIs("a", ("x", "0"), is_=True), ValueIs("b", above=3)),
    )


def test_a_dial_finds_its_step_and_its_start(tmp_path: Path) -> None:
    def dial(text: str) -> Dial | None:
        table = f'dial = {{ topic = "t", {text} }}'
        [one] = load(tmp_path, a=rule(table, when='{ gesture = "ok", move = "vertical" }')).book.rules
        return one.dial

    assert dial("from = 0, to = 255") == Dial(0, 255, 1.0, 127.5)
    assert dial("from = 0.0, to = 1.0") == Dial(0, 1, 0.01, 0.5)
    assert dial(
        'from = 10, to = 0, step = 5, every = "1s", start = 3, travel = 2, follow = "f", follow_json = "a.b"'
    ) == (Dial(10, 0, 5, 3, every_s=1.0, travel=2.0, follow=("f", ("a", "b"))))


# overlaps


def warnings(tmp_path: Path, *whens: str, also: bool = False) -> list[str]:
    text = "".join(
        rule(SAY + ("\nalso = true" if also else ""), name=f"r{i}", when=when) for i, when in enumerate(whens)
    )
    text += "[zone.a]\nbox = [0.0, 0, 0.4, 1]\n[zone.b]\nbox = [0.5, 0, 1, 1]\n"
    return [str(one).replace(f"{tmp_path}/", "") for one in load(tmp_path, a=text).warnings]


def test_a_rule_that_can_never_fire_is_warned_about(tmp_path: Path) -> None:
    assert warnings(tmp_path, '{ gesture = "stop" }', '{ gesture = "stop", hand = "left" }') == [
        'a.toml:6:6: "r1" can never fire: "r0" (a.toml:2) comes first and matches all that it matches'
    ]


def test_two_rules_that_can_both_match_are_warned_about(tmp_path: Path) -> None:
    assert warnings(
        tmp_path, '{ gesture = "stop", hand = "left" }', '{ gesture = "stop", armed = true }'
    ) == [
        (
            'a.toml:6:6: "r1" and "r0" (a.toml:2) can both match; '
            "only the first fires, unless one has also = true"
        )
    ]


def test_two_rules_with_different_holds_are_warned_about(tmp_path: Path) -> None:
    assert warnings(tmp_path, '{ gesture = "stop" }', '{ gesture = "stop", hold = "1s" }') == [
        (
            'a.toml:6:6: "r1" and "r0" (a.toml:2) both fire for one gesture, '
            "each after its own hold; is that meant?"
        )
    ]


@pytest.mark.parametrize(
    "whens",
    [
        ('{ gesture = "stop" }', '{ gesture = "fist" }'),
        ('{ gesture = "stop", hand = "left" }', '{ gesture = "stop", hand = "right" }'),
        ('{ gesture = "stop", hand = "left" }', '{ gesture = "stop" }'),
        ('{ gesture = "stop", zone = "a" }', '{ gesture = "any", zone = "b" }'),
        ('{ gesture = "stop", camera = "x" }', '{ gesture = "stop", camera = "y" }'),
        (
            '{ gesture = "ok", between = ["22:00", "06:00"] }',
            '{ gesture = "ok", between = ["06:00", "22:00"] }',
        ),
        (
            '{ gesture = "ok", if = { topic = "t", is = 1 } }',
            '{ gesture = "ok", if = { topic = "t", is = 2 } }',
        ),
        (
            '{ gesture = "ok", if = { topic = "t", is = 1 } }',
            '{ gesture = "ok", if = { topic = "t", not = 1 } }',
        ),
        ('{ gesture = "stop", move = "left" }', '{ gesture = "stop", move = "right" }'),
        ('{ gesture = "stop", move = "left" }', '{ gesture = "stop" }'),
        ('{ sequence = ["fist", "stop"] }', '{ gesture = "stop" }'),
        ('{ sequence = ["fist", "stop"] }', '{ sequence = ["ok", "stop"] }'),
        ('{ both = "stop" }', '{ gesture = "stop" }'),
    ],
)
def test_rules_that_cannot_meet_and_special_cases_first_are_fine(
    tmp_path: Path, whens: tuple[str, str]
) -> None:
    assert warnings(tmp_path, *whens) == []


@pytest.mark.parametrize(
    "whens",
    [
        ('{ gesture = "stop" }', '{ sequence = ["fist", "stop"] }'),
        ('{ gesture = "any" }', '{ both = "stop" }'),
        ('{ sequence = ["fist", "stop"] }', '{ sequence = ["ok", "fist", "stop"] }'),
        ('{ gesture = "ok" }', '{ gesture = "ok", between = ["06:00", "22:00"] }'),
    ],
)
def test_rules_in_the_shadow_of_a_rule_before_them_are_found(tmp_path: Path, whens: tuple[str, str]) -> None:
    [warning] = warnings(tmp_path, *whens)
    assert "can never fire" in warning


def test_also_is_never_an_overlap(tmp_path: Path) -> None:
    assert warnings(tmp_path, '{ gesture = "stop" }', '{ gesture = "stop" }', also=True) == []


def test_hundreds_of_overlaps_are_not_all_told(tmp_path: Path) -> None:
    found = warnings(tmp_path, *['{ gesture = "stop" }'] * 30)
    assert len(found) == MAX_WARNINGS + 1
    assert found[-1] == f"a.toml: {30 * 29 // 2 - MAX_WARNINGS} more overlaps like these"


# cases


def case(tmp_path: Path, text: str, rules: str = GOOD) -> tuple[str, ...]:
    book = load(tmp_path, a=f'{rules}\n[[case]]\ntitle = "c"\n{text}\n')
    [result] = run_cases(book.cases, LABELS, DebounceSettings())
    assert result.passed == (not result.problems)
    return result.problems


def test_a_case_passes_when_all_fires_that_should(tmp_path: Path) -> None:
    assert case(tmp_path, 'right = "SSSS"\nexpect = [{ at = "0.3s", topic = "t", payload = "p" }]') == ()
    assert case(tmp_path, 'left = "SSS"\nexpect = []') == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('right = "SSSS"', "not expected: 0.3 s: a: publish t p"),
        (
            'right = "SSS"\nexpect = [{ at = "0.3s", topic = "t" }]',
            "expected at 0.3 s: topic t; nothing like it fired",
        ),
        ('right = "SSSS"\nexpect = [{ at = "1s", rule = "a" }]', "expected at 1 s: rule a; it came at 0.3 s"),
        (
            'right = "SSSS"\nexpect = [{ at = "0.3s", payload = "q" }]',
            "expected at 0.3 s: payload q; nothing like it fired",
        ),
        (
            'right = "SSSS"\ntolerance = "50ms"\nexpect = [{ at = "0.4s" }]',
            "expected at 0.4 s: an action; it came at 0.3 s",
        ),
    ],
)
def test_a_case_fails_with_a_reason(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in case(tmp_path, text)


def test_a_case_knows_where_it_is_written(tmp_path: Path) -> None:
    book = load(tmp_path, a=GOOD + '[[case]]\ntitle = "c"\nright = "S"\n')
    assert (book.cases[0].spot.line, book.cases[0].title) == (6, "c")


def test_a_case_runs_against_its_own_file_only(tmp_path: Path) -> None:
    own = GOOD + '[[case]]\ntitle = "c"\nright = "SSSS"\nexpect = [{ at = "0.3s", rule = "a" }]\n'
    book = load(tmp_path, b=own, a=GOOD.replace('"a"', '"other"'))
    assert [result.passed for result in run_cases(book.cases, LABELS, DebounceSettings())] == [True]


def test_a_case_has_its_own_time_values_zone_and_letters(tmp_path: Path) -> None:
    rules = """
[zone.far]
camera = "door"
box = [0.8, 0.0, 1.0, 0.2]
min_hand = 0.3
[[rule]]
id = "a"
when = { gesture = "ok", zone = "far", between = ["22:00", "23:00"], if = [
  { topic = "t", json = "on", is = true },
] }
publish = { topic = "{camera}" }
"""
    text = 'right = "xxxx"\nletters = { x = "ok" }\nzone = "far"\ntime = "22:30"\n'
    text += "values = { t = { on = true } }\n"
    assert case(tmp_path, text + 'expect = [{ at = "0.3s", topic = "door" }]', rules) == ()
    assert case(tmp_path, text.replace("22:30", "23:30"), rules) == ()


def test_a_case_matches_json_by_value(tmp_path: Path) -> None:
    rules = rule('publish = { topic = "t", payload = { b = 1, a = "{hand}" } }')
    assert (
        case(tmp_path, 'left = "SSSS"\nexpect = [{ at = "0.3s", payload = { a = "left", b = 1 } }]', rules)
        == ()
    )


def test_a_case_can_expect_webhooks_commands_and_keys(tmp_path: Path) -> None:
    rules = rule('webhook = { url = "http://x/", json = [1] }\ncommand = ["run", "{hand}"]\nkey = "KEY_A"')
    text = """right = "SSSS"
expect = [
  { at = "0.3s", url = "http://x/", json = [1] },
  { at = "0.3s", command = ["run", "right"] },
  { at = "0.3s", key = "KEY_A" },
]"""
    assert case(tmp_path, text, rules) == ()
    assert len(case(tmp_path, text.replace("KEY_A", "KEY_B").replace('"run"', '"walk"'), rules)) == 4


def test_cases_follow_the_users_own_debounce(tmp_path: Path) -> None:
    book = load(tmp_path, a=GOOD + '[[case]]\ntitle = "c"\nright = "SSSSSSSS"\nexpect = [{ at = "0.3s" }]\n')
    slow = DebounceSettings(hold=2.0)
    rules = read_rules(tmp_path, LABELS, slow)
    assert [r.passed for r in run_cases(book.cases, LABELS, DebounceSettings())] == [True]
    assert [r.passed for r in run_cases(rules.cases, LABELS, slow)] == [False]


# anything at all

WORDS = [
    *(
        "rule",
        "zone",
        "wake",
        "case",
        "when",
        "gesture",
        "sequence",
        "both",
        "move",
        "dial",
        "do",
        "publish",
        "topic",
    ),
    *(
        "id",
        "box",
        "camera",
        "hold",
        "if",
        "is",
        "between",
        "from",
        "to",
        "right",
        "expect",
        "at",
        "title",
        "window",
    ),
]
VALUES = st.recursive(
    st.sampled_from(
        ["stop", "fist", "300ms", "22:00", "left", "vertical", "t", "SS..", "", "{gesture}", "{x}"]
    )
    | st.sampled_from([0, 1, -5, 0.5, True, 10**18]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=15,
)
RULES = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b", "c"]), "when": VALUES},
    optional=dict.fromkeys(("publish", "do", "dial"), VALUES),
)


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}" = {toml(inner)}' for key, inner in value.items()) + "}"
    return "[" + ", ".join(map(toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {}, optional={"rule": st.lists(RULES, max_size=3) | VALUES, **dict.fromkeys(WORDS[1:4], VALUES)}
    )
)
def test_whatever_is_written_it_is_rules_or_a_list_of_problems(
    tmp_path: Path, data: dict[str, object]
) -> None:
    text = "".join(f"{key} = {toml(value)}\n" for key, value in data.items())
    (tmp_path / "a.toml").write_text(text, encoding="utf-8")
    try:
        rules = read_rules(tmp_path, LABELS, DebounceSettings())
    except ConfigProblems as exc:
        told = exc.problems
    else:
        run_cases(rules.cases, LABELS, DebounceSettings())
        return
    assert told
    assert all(problem.text and problem.line for problem in told)


GRAMMAR = """
[wake]                       # optional; absent = always armed
gesture = "stop"
hold = "800ms"
window = "6s"

[zone.sofa]
camera = "front"
box = [0.10, 0.20, 0.60, 0.90]   # fractions of the frame: left, top, right, bottom
min_hand = 0.06                  # hand height / frame height: a distance gate

[[rule]]
id = "lamp-on"
when = { gesture = "thumbs_up", hand = "any", zone = "sofa", armed = true }
publish = { topic = "zigbee2mqtt/lamp/set", payload = { state = "ON" } }

[[rule]]
id = "volume-up"
when = { gesture = "two", hold = "600ms" }
repeat = "350ms"
key = "KEY_VOLUMEUP"

[[rule]]
id = "all-off"
when = { sequence = ["fist", "stop"], within = "2s" }
publish = { topic = "home/scene/set", payload = "all_off" }
cooldown = "10s"

[[rule]]
id = "both-thumbs"
when = { both = "thumbs_up" }
webhook = { url = "http://127.0.0.1:8123/api/webhook/party", json = { by = "{camera}" } }

[[rule]]
id = "dim"
when = { gesture = "fist", move = "vertical" }
dial = { topic = "home/lamp/brightness", from = 0, to = 255 }

[[case]]
title = "a second palm inside the cooldown is ignored"
right = "FFFF....SSSS........FFFF....SSSS"
expect = [{ at = "1.4s", topic = "home/scene/set", payload = "all_off" }]
"""


def test_the_grammar_in_one_page(tmp_path: Path) -> None:
    rules = load(tmp_path, ["front"], a=GRAMMAR)
    assert [(one.id, one.when.trigger, one.do[0].kind) for one in rules.book.rules] == [
        ("lamp-on", "gesture", "publish"),
        ("volume-up", "gesture", "key"),
        ("all-off", "sequence", "publish"),
        ("both-thumbs", "both", "webhook"),
        ("dim", "dial", "publish"),
    ]
    assert [one.text.split(" (")[0] for one in rules.warnings] == ['"both-thumbs" and "lamp-on"']
    assert [result.problems for result in run_cases(rules.cases, LABELS, DebounceSettings())] == [()]

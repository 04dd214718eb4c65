"""Files and folders: read in order, refused with every problem and its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from rule_texts import GOOD, SAY, load, problems, rule

from agent.config.rules.cases import run_cases
from agent.config.rules.files import MAX_FILES, read_rules
from agent.config.rules.grammar import MAX_RULES
from agent.config.settings import DebounceSettings
from agent.core.types import LABELS
from agent.errors import ConfigError


def test_files_are_read_in_name_order(tmp_path: Path) -> None:
    rules = load(tmp_path, b=GOOD.replace('"a"', '"late"'), a=GOOD, c="")
    assert [one.id for one in rules.rule_set.rules] == ["a", "late"]
    assert [path.name for path in rules.files] == ["a.toml", "b.toml", "c.toml"]
    assert (rules.spots["late"].file, rules.spots["late"].line) == (str(tmp_path / "b.toml"), 3)


def test_one_file_can_be_read_alone(tmp_path: Path) -> None:
    load(tmp_path, a=GOOD, b=GOOD.replace('"a"', '"b"'))
    assert [one.id for one in read_rules(tmp_path / "a.toml", LABELS, DebounceSettings()).rule_set.rules] == [
        "a"
    ]


def test_zones_of_one_file_can_be_used_in_another(tmp_path: Path) -> None:
    zone = "[zone.sofa]\nbox = [0.1, 0.2, 0.6, 0.9]\n"
    rules = load(tmp_path, a=rule(SAY, when='{ gesture = "stop", zone = "sofa" }'), z=zone)
    assert rules.rule_set.rules[0].when.zone == rules.rule_set.zones[0]


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
            'a.toml:4:21: "a/#" is not a topic to name here; it must not contain + or #',
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
            (
                'a.toml:3:9: unknown letter "X" in a timeline; known: . 2 ? F O S T; '
                'for a gesture of your own write letters = { X = "NAME" }'
            ),
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
        ("zone = 5\nwake = 5", "a.toml:1:8: 5 is not a table { key = value }"),
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
    assert load(tmp_path).rule_set.rules == ()


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
    assert rules.rule_set.rules == ()
    assert [result.passed for result in run_cases(rules.cases, LABELS, DebounceSettings())] == [True]
    assert "unknown gesture" in problems(tmp_path, a="enabled = false\n" + GOOD.replace("stop", "stopp"))[0]


def test_a_taught_gesture_is_known_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(GOOD.replace("stop", "heart"), encoding="utf-8")
    assert read_rules(tmp_path, (*LABELS, "heart"), DebounceSettings()).rule_set.rules[0].when.gestures == (
        "heart",
    )

"""Where rules send things: topics, addresses and headers that can be, refused at load where they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from rule_texts import SAY, load, problems, rule

LINE_END = r"must not contain a line end or another control character"


@pytest.mark.parametrize(
    "text",
    [
        r'publish = { topic = "home\nlamp" }',
        r'publish = { topic = "home\u0000" }',
        r'publish = { topic = "home/\u0085" }',
        r'publish = { topic = "home/{gesture}\r" }',
        r'do = [{ publish = { topic = "a\tb" } }]',
    ],
)
def test_a_topic_with_a_control_character_is_refused(tmp_path: Path, text: str):
    [problem] = problems(tmp_path, a=rule(text))
    assert LINE_END in problem


def test_so_are_topics_that_are_asked_and_followed(tmp_path: Path):
    asked = rule(SAY, when=r'{ gesture = "stop", if = { topic = "a\nb", is = 1 } }')
    dial = r'dial = { topic = "t", from = 0, to = 9, follow = "a\nb" }'
    followed = rule(dial, name="y", when='{ gesture = "two", move = "vertical" }')
    assert sum(LINE_END in problem for problem in problems(tmp_path, a=asked + followed)) == 2


def test_the_path_of_a_webhook_may_hold_any_letters_and_is_sent_percent_encoded(tmp_path: Path):
    text = 'webhook = { url = "http://münchen.example:8123/tür/{camera}?wer=%20jörg" }'
    [do] = load(tmp_path, a=rule(text)).rule_set.rules[0].do
    assert do.target == "http://xn--mnchen-3ya.example:8123/t%C3%BCr/{camera}?wer=%20j%C3%B6rg"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'url = "http://h", headers = { "Ti tle" = "x" }', 'name "Ti tle" must be the name of a header'),
        (r'url = "http://h", headers = { "Tür" = "x" }', 'name "Tür" must be the name of a header'),
        (r'url = "http://h", headers = { Title = "a\nX-Other: b" }', "headers are one line"),
        (r'url = "http://h:99999/"', '"99999" is no port; ports go from 1 to 65535'),
        (r'url = "http://h/a\nb"', "holds a line end or another control character"),
        (r'url = "http:///path"', "names no host"),
        (r'url = "http://["', "is no address"),
    ],
)
def test_a_webhook_that_could_never_be_sent_is_refused(tmp_path: Path, text: str, expected: str):
    assert any(expected in problem for problem in problems(tmp_path, a=rule(f"webhook = {{ {text} }}")))


def test_a_header_may_hold_any_letters(tmp_path: Path):
    [do] = (
        load(tmp_path, a=rule('webhook = { url = "http://h", headers = { Title = "Tür 🔔" } }'))
        .rule_set.rules[0]
        .do
    )
    assert ("Title", "Tür 🔔") in do.options

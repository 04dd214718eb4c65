from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.config.problems import ConfigProblems, Problem, did_you_mean, unknown
from agent.config.settings import AS_WRITTEN, Duration
from agent.config.toml_document import MAX_FILE_BYTES, SourcePosition, TomlDocument, parse, read
from agent.config.validation import problems_of
from agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = textwrap.dedent(
    """\
    top = 1
    a.b.c = "dotted"
    "quoted key" = { inner = { list = [1, "zwei", { deep = true }] }, s.t = 4 }

    [table.sub]   # a comment
    "ä" = "ü"
    [[rule]]
    id = "first"
    when = { gesture = "stop", hand = "any" }

    [[rule]]
    id = "second"
    [rule.publish]
    topic = "x"
    [[rule.then]]
    n = [
      "a",  # first
      "b",
    ]
    [[rule.then]]
    n = []
    """
)


def validate(model: type[BaseModel], document: TomlDocument) -> Any:
    try:
        return model.model_validate(document.data, context={AS_WRITTEN: True})
    except ValidationError as exc:
        raise ConfigProblems(problems_of(exc, model, document)) from exc


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        (("top",), 1, 7),
        (("a", "b", "c"), 2, 9),
        (("quoted key",), 3, 16),
        (("quoted key", "inner", "list", 1), 3, 39),
        (("quoted key", "inner", "list", 2, "deep"), 3, 56),
        (("quoted key", "s", "t"), 3, 73),
        (("table", "sub", "ä"), 6, 7),
        (("rule", 0, "id"), 8, 6),
        (("rule", 0, "when", "hand"), 9, 35),
        (("rule", 1, "id"), 12, 6),
        (("rule", 1, "publish", "topic"), 14, 9),
        (("rule", 1, "then", 0, "n", 1), 18, 3),
        (("rule", 1, "then", 1, "n"), 21, 5),
    ],
)
def test_every_value_knows_its_line_and_column(path: tuple[str | int, ...], line: int, column: int) -> None:
    located = parse(DOCUMENT, "doc.toml")
    assert located.at(path) == (line, column)
    lines = DOCUMENT.split("\n")
    assert lines[line - 1][column - 1] not in " =,", "the column must point at the value itself"


def test_keys_have_a_place_of_their_own() -> None:
    located = parse(DOCUMENT, "doc.toml")
    assert located.spot(("rule", 0, "when", "hand"), key=True) == SourcePosition("doc.toml", 9, 28)


def test_what_is_not_written_is_placed_at_the_table_around_it() -> None:
    located = parse(DOCUMENT, "doc.toml")
    assert located.at(("rule", 1, "publish", "payload")) == (13, 2)
    assert located.at(("rule", 0, "absent")) == (7, 3)
    assert located.at(("absent",)) == (1, 1)


def test_the_data_is_what_tomllib_reads() -> None:
    assert parse(DOCUMENT, "doc.toml").data["rule"][1]["then"][0] == {"n": ["a", "b"]}


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("a = \n", 1, 5), ("a = 1\na = 2\n", 2, 6), ("a = 1\nb = [1,\n", 3, 1), ("[x\n", 1, 3)],
)
def test_a_syntax_error_has_its_line_and_column(text: str, line: int, column: int) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "rules/home.toml")
    assert str(caught.value).startswith(f"rules/home.toml:{line}:{column}: ")
    assert "(at" not in str(caught.value)


def test_endless_nesting_is_an_error_and_no_crash() -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse("a = " + "[" * 100_000, "deep.toml")


VALUES = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.text("ab \"'\\#\nä]}=,", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abä. #", max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\u{ord(c):04x}" if c in '"\\\n' else c for c in value) + '"'
    return str(value).lower()


def _leaves(value: Any, path: tuple[str | int, ...]) -> list[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, key))]
    if isinstance(value, list):
        return [leaf for i, inner in enumerate(value) for leaf in _leaves(inner, (*path, i))]
    return [(path, value)]


@given(st.dictionaries(st.text("abä. #", max_size=3), VALUES, max_size=4))
def test_at_every_place_stands_the_text_of_the_value(data: dict[str, Any]) -> None:
    text = "".join(f"{_toml(key)} = {_toml(value)}\n" for key, value in data.items())
    located = parse(text, "any.toml")
    assert located.data == data
    for path, value in _leaves(data, ()):
        line, column = located.at(path)
        assert text.split("\n")[line - 1][column - 1 :].startswith(_toml(value))


# files


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"home\.toml: cannot be read: No such file"):
        read(tmp_path / "home.toml")


def test_a_huge_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    (tmp_path / "big.toml").write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(ConfigError, match=r"1000001 bytes long; at most 1000000"):
        read(tmp_path / "big.toml")


def test_a_byte_that_is_not_utf8_is_placed(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'a = 1\nb = "\xe4"\n')
    with pytest.raises(ConfigError, match=r"latin\.toml:2:6: byte 0xe4 is not UTF-8"):
        read(tmp_path / "latin.toml")


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "dos.toml").write_bytes(b"\xef\xbb\xbfa = 1\r\nb = 2\r\n")
    located = read(tmp_path / "dos.toml", "dos.toml")
    assert (located.data, located.at(("b",))) == ({"a": 1, "b": 2}, (2, 5))


# values from elsewhere


def test_a_value_from_elsewhere_is_named_by_its_origin() -> None:
    located = parse("[inner]\nwidth = 640\n", "config.toml")
    over = located.overlaid(("inner", "width"), "wide", "$GESTURE_AGENT__INNER__WIDTH")
    assert located.data == {"inner": {"width": 640}}
    with pytest.raises(ConfigProblems) as caught:
        validate(Outer, over)
    assert str(caught.value) == '$GESTURE_AGENT__INNER__WIDTH: "wide" is not a whole number'


def test_a_value_from_elsewhere_makes_the_tables_it_needs() -> None:
    over = parse("", "config.toml").overlaid(("a", "b"), 1, "$X")
    assert over.data == {"a": {"b": 1}}
    with pytest.raises(ConfigError, match=r'^\$Y: "b" is a value, not a table'):
        over.overlaid(("a", "b", "c"), 2, "$Y")


# problems


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    hand: Literal["left", "right", "any"] = "any"
    width: Annotated[int, Field(ge=64)] = 640
    hold: Duration = 0.3
    password: int = 0
    from_: float = Field(0.0, alias="from")


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    inner: Inner = Inner()
    named: dict[Annotated[str, Field(pattern="^[a-z]+$")], Inner] = Field(default_factory=dict)
    many: list[Inner] = Field(default_factory=list)
    either: str | list[str] | None = None
    flag: bool = False


class Needy(BaseModel):
    rule: list[Outer]
    name: str


def problems(text: str, model: type[BaseModel] = Outer) -> list[str]:
    with pytest.raises(ConfigProblems) as caught:
        validate(model, parse(text, "f.toml"))
    return str(caught.value).split("\n")


def test_all_problems_are_listed_at_once_in_the_order_of_the_file() -> None:
    text = '[inner]\nhand = "lefft"\nwidth = 3\nhold = "3 sec"\n[named.x]\nwidht = 2\n[[many]]\nwidth = "x"\n'
    assert problems(text) == [
        'f.toml:2:8: "lefft" is not one of "left", "right", "any"; did you mean "left"?',
        "f.toml:3:9: 3 is not at least 64",
        'f.toml:4:8: \'3 sec\' is not a duration; write a number and a unit, as in "300ms", "1.5s", "2min"',
        'f.toml:6:1: unknown key "widht"; did you mean "width"?',
        'f.toml:8:9: "x" is not a whole number',
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[inner]\nformat = 1", 'f.toml:2:1: unknown key "format"; did you mean "from"?'),
        ("inner = { xyz = 1 }", 'f.toml:1:11: unknown key "xyz"; known: from, hand, hold, password, width'),
        ("many = [{ widh = 1 }]", 'f.toml:1:11: unknown key "widh"; did you mean "width"?'),
        ("flag = 7", "f.toml:1:8: 7 is not true or false"),
        ("inner = 7", "f.toml:1:9: 7 is not a table { key = value }"),
        ("either = 7", "f.toml:1:10: 7 is not text or a list [ ... ]"),
        ("[named.UP]", 'f.toml:1:2: name "UP" must be text of the form ^[a-z]+$'),
        ("[[innner]]", 'f.toml:1:3: unknown key "innner"; did you mean "inner"?'),
    ],
)
def test_a_problem_says_where_what_was_seen_and_what_was_expected(text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_something_missing_is_reported_at_the_table_that_lacks_it() -> None:
    assert problems("[[rule]]\n", Needy) == ['f.toml:1:1: "name" is missing']


def test_a_secret_is_never_shown() -> None:
    assert problems('[inner]\npassword = "hunter2"') == ["f.toml:2:12: the value is not a whole number"]


def test_a_long_value_is_cut_short() -> None:
    [problem] = problems(f'flag = "{"x" * 500}"')
    assert len(problem) < 120
    assert "..." in problem


def test_good_data_becomes_a_model() -> None:
    outer = validate(Outer, parse('[inner]\nhold = "1.5s"\nfrom = 2', "f.toml"))
    assert (outer.inner.hold, outer.inner.from_) == (1.5, 2.0)


def test_did_you_mean_suggests_only_what_is_close() -> None:
    gestures = ["thumbs_up", "fist", "stop", "ok", "two"]
    assert did_you_mean("thumb_up", gestures) == "thumbs_up"
    assert did_you_mean("Stop", gestures) == "stop"
    assert did_you_mean("banana", gestures) is None
    assert unknown("gesture", "banana", gestures) == (
        'unknown gesture "banana"; known: fist, ok, stop, thumbs_up, two'
    )


def test_problems_of_several_files_are_sorted_and_told_once() -> None:
    late, early = Problem("a.toml", 9, 1, "late"), Problem("a.toml", 2, 7, "early")
    whole = Problem("b.toml", 0, 0, "is world-writable")
    assert str(ConfigProblems([late, whole, early, late])) == (
        "a.toml:2:7: early\na.toml:9:1: late\nb.toml: is world-writable"
    )

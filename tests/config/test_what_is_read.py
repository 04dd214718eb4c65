"""What stands where rule files are expected: read to its end, or refused; never half, never for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from rule_texts import GOOD, load, problems

from agent.config.problems import ConfigProblems
from agent.config.rules.files import MAX_BYTES, read_rules
from agent.config.settings import DebounceSettings
from agent.config.toml_document import parse, read
from agent.core.types import LABELS


def refusal(folder: Path) -> str:
    with pytest.raises(ConfigProblems) as caught:
        read_rules(folder, LABELS, DebounceSettings())
    return str(caught.value).replace(f"{folder}", "RULES")


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "hall.toml")
    assert refusal(tmp_path) == "RULES/hall.toml: cannot be read: it is a pipe, not a file"


@pytest.mark.timeout(20)
def test_a_link_to_an_endless_device_is_refused(tmp_path: Path):
    (tmp_path / "hall.toml").symlink_to("/dev/zero")
    assert "RULES/hall.toml: cannot be read: it is a device, not a file" in refusal(tmp_path)


def test_a_folder_under_the_name_of_a_file_is_refused(tmp_path: Path):
    (tmp_path / "hall.toml").mkdir()
    assert refusal(tmp_path) == "RULES/hall.toml: cannot be read: it is a folder, not a file"


def test_a_file_that_says_it_is_empty_and_is_not_is_cut_off_at_the_limit():
    with pytest.raises(ConfigProblems, match="at most 1000000 are read"):
        read(Path("/proc/kallsyms"))  # of 0 bytes, says stat


def test_more_than_a_house_can_need_is_refused_before_it_is_read(tmp_path: Path):
    for file in range(5):
        (tmp_path / f"{file}.toml").write_text("#" * (MAX_BYTES // 4))
    assert (
        refusal(tmp_path)
        == f"RULES: holds {5 * MAX_BYTES // 4} bytes of rule files; at most {MAX_BYTES} are read"
    )


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text", ["\n" * 100_000, " \n" * 100_000, '"' * 99_999 + "." * 60, ("a." * 49 + " ") * 2000]
)
def test_the_search_for_long_keys_takes_no_longer_than_the_text(text: str):
    with suppress(ConfigProblems):  # what it says is no matter
        assert parse(text, "x").data == {}


def test_a_long_key_inside_a_table_is_found_and_a_text_with_as_many_dots_is_not():
    with pytest.raises(ConfigProblems, match="x:2:1: a key of more than 50 parts"):
        parse("b = 1\na = { " + "c." * 60 + "d = 1 }", "x")
    dots = "a." * 60
    text = f'a = "{dots}"\nb = """\n{dots}\n"""\nc = \'\'\'{dots}\'\'\' # {dots}\nd = ["\\"{dots}"]'
    assert set(parse(text, "x").data) == {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    "name", [".#hall.toml", "._hall.toml", ".hall.toml.swp", ".hall.toml", "hall.toml~", "#hall.toml#"]
)
def test_companions_of_a_file_are_no_rule_files(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"\0\5\x16\7")
    assert [rule.id for rule in load(tmp_path, a=GOOD).rule_set.rules] == ["a"]


def test_an_empty_folder_holds_no_rules_and_a_missing_one_is_refused(tmp_path: Path):
    assert read_rules(tmp_path, LABELS, DebounceSettings()).rule_set.rules == ()
    assert refusal(tmp_path / "gone") == "RULES: is not there; make the folder, or set agent.rules"


AS_NOBODY = """
import os, sys
from pathlib import Path
from agent.config.problems import ConfigProblems
from agent.config.file_watcher import FileWatcher
from agent.config.rules.files import read_rules
from agent.config.settings import DebounceSettings
from agent.core.types import LABELS
"".encode("utf-8-sig")  # loaded while this program may still read its own files
os.setgid(65534); os.setuid(65534)
FileWatcher(Path(sys.argv[1])).changed(1.0)
try:
    print(len(read_rules(Path(sys.argv[1]), LABELS, DebounceSettings()).rule_set.rules), "rules")
except ConfigProblems as exc:
    print(exc)
"""


@pytest.mark.root
@pytest.mark.parametrize("closed", ["rules", "."])
def test_a_folder_that_cannot_be_entered_is_never_taken_for_empty(tmp_path: Path, closed: str):
    rules = tmp_path / "rules"
    rules.mkdir(mode=0o755)
    (rules / "a.toml").write_text(GOOD)
    for parent in (tmp_path, *tmp_path.parents[:3]):
        if parent.stat().st_mode & 0o1777 == 0o700:
            parent.chmod(0o755)
    run = [sys.executable, "-c", AS_NOBODY, str(rules)]
    assert subprocess.check_output(run, text=True) == "1 rules\n"
    (tmp_path / closed).chmod(0o700)
    assert subprocess.check_output(run, text=True) == (
        f"{rules}: cannot be read: Permission denied; the agent must be able to enter and list it\n"
    )


@pytest.mark.parametrize("place", ["home", "home/rules"])
def test_a_folder_above_the_rules_that_anyone_may_write_is_refused(tmp_path: Path, place: str):
    rules = tmp_path / "home/rules/here"
    rules.mkdir(parents=True)
    (tmp_path / place).chmod(0o777)
    [problem] = problems(rules, a=GOOD)
    where = tmp_path / place
    assert problem == f"{where}: anyone may write here, and rules start programs; run: chmod o-w {where}"


def test_a_link_into_a_folder_that_anyone_may_write_is_refused(tmp_path: Path):
    shared = tmp_path / "shared"
    (shared / "rules").mkdir(parents=True)
    (shared / "rules/a.toml").write_text(GOOD)
    shared.chmod(0o777)
    (tmp_path / "rules").symlink_to("shared/rules")
    assert "anyone may write here" in refusal(tmp_path / "rules")
    single = tmp_path / "mine"
    single.mkdir()
    (single / "a.toml").symlink_to("../shared/rules/a.toml")
    assert f"{shared}: anyone may write here" in refusal(single)


def test_a_folder_that_is_sticky_protects_what_is_ours(tmp_path: Path):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    (tmp_path / "tmp/rules").mkdir()
    assert [rule.id for rule in load(tmp_path / "tmp/rules", a=GOOD).rule_set.rules] == ["a"]


@pytest.mark.root
def test_a_folder_of_somebody_else_in_a_sticky_one_is_refused(tmp_path: Path):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    (tmp_path / "tmp/rules").mkdir()
    os.chown(tmp_path / "tmp/rules", 65534, 65534)
    assert "belongs to somebody else" in refusal(tmp_path / "tmp/rules")

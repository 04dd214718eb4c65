"""The unit, judged by systemd itself."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.cli import CANNOT_START

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "gesture-agent.service"
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there, as after the installation."""
    program = tmp_path / "gesture-agent"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/gesture-agent/bin/gesture-agent", str(program)))
    return path


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_unit(unit: Path):
    done = analyze("verify", "--man=no", str(unit))
    assert (done.stderr, done.returncode) == ("", 0)


@needs_systemd
def test_the_exposure_is_at_most_two(unit: Path):
    done = analyze("security", "--offline=yes", "--threshold=20", "--no-pager", str(unit))
    assert done.returncode == 0, done.stdout[-500:]


@needs_systemd
def test_the_right_to_press_keys_is_a_drop_in_that_systemd_takes_and_costs_little(unit: Path):
    drop_in = unit.with_name(f"{unit.name}.d") / "keys.conf"
    drop_in.parent.mkdir()
    drop_in.write_text((UNIT.parent / drop_in.name).read_text())
    done = analyze("verify", "--man=no", str(unit))
    assert (done.stderr, done.returncode) == ("", 0)
    done = analyze("security", "--offline=yes", "--threshold=20", "--no-pager", str(unit))
    assert done.returncode == 0, done.stdout[-500:]
    assert "/dev/uinput" not in UNIT.read_text()


def settings_of(text: str) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser["Service"]


def test_what_a_person_must_mend_is_not_tried_again():
    service = settings_of(UNIT.read_text())
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == str(CANNOT_START)


def test_no_secret_stands_in_the_unit():
    text = UNIT.read_text()
    assert "LoadCredential=mqtt-password:/etc/gesture-agent/mqtt-password" in text
    assert "GESTURE_AGENT__" not in text

"""`make check` fails on a known vulnerability, and goes on where nobody can be asked."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

AUDIT = Path(__file__).with_name("audit.py")
SOUND = {"name": "one", "version": "1.0", "vulns": []}
HOLED = {"name": "two", "version": "2.0", "vulns": [{"id": "CVE-1", "fix_versions": ["2.1"]}]}
UNKNOWN = {"name": "three", "skip_reason": "not found"}


def audit(folder: Path, says: object, *words: str) -> tuple[int, str]:
    """With a pip-audit that says this."""
    program = folder / "pip-audit"
    text = json.dumps({"dependencies": says}) if isinstance(says, list) else says
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\necho 'no route to host' >&2\nexit 1\n")
    program.chmod(0o755)
    words = (sys.executable, str(AUDIT), str(program), "installed.txt", *words)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_a_known_vulnerability_is_reported_with_what_fixes_it(tmp_path: Path):
    code, said = audit(tmp_path, [SOUND, HOLED])
    assert code == 1
    assert "two 2.0: CVE-1, mended in 2.1" in said


def test_packages_without_a_known_one_pass(tmp_path: Path):
    assert audit(tmp_path, [SOUND]) == (0, "audit: 0 known vulnerabilities in 1 packages\n")


@pytest.mark.parametrize("says", ["Traceback", [UNKNOWN]], ids=["no network", "a mirror without advisories"])
def test_a_service_that_is_not_reached_is_said_and_fails_the_strict_alone(tmp_path: Path, says: object):
    code, said = audit(tmp_path, says)
    assert code == 0
    assert said.startswith("audit: NOT DONE")
    assert audit(tmp_path, says, "--strict")[0] == 1


def test_what_is_unknown_beside_what_is_known_is_named(tmp_path: Path):
    assert audit(tmp_path, [SOUND, UNKNOWN])[1].endswith("nothing is known of three\n")

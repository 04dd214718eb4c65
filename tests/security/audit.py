"""Known vulnerabilities of what is installed: audit.py PIP_AUDIT REQUIREMENTS [--strict]

Asks an advisory service through pip-audit. Exit code 1 where a package has a known vulnerability. Where the
service is not reached this is said and is no error, so that work goes on without a network; with
--strict it is one.
"""

# ruff: noqa: T201 (a command: it prints)
from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

TIMEOUT_S = 5  # for one answer of the service


def ask(program: str, requirements: str) -> list[dict[str, Any]] | str:
    """What is known of every package; or why that could not be found out."""
    words = [program, "--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    words += ["--timeout", str(TIMEOUT_S), "--requirement", requirements]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as exc:
        return f"{program}: {exc.strerror}"
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return (done.stderr.strip().splitlines() or [f"{program} ended with {done.returncode}"])[-1]
    return packages


def judge(packages: list[dict[str, Any]], *, strict: bool) -> int:
    """Say it; the exit code."""
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if packages and len(unknown) == len(packages):
        return not_done("it knows none of the packages", strict=strict)
    found = [(package, vuln) for package in packages for vuln in package.get("vulns", ())]
    for package, vuln in found:
        fixed = ", ".join(vuln["fix_versions"]) or "no release yet"
        print(f"  {package['name']} {package['version']}: {vuln['id']}, mended in {fixed}")
    print(f"audit: {len(found)} known vulnerabilities in {len(packages) - len(unknown)} packages")
    if unknown:
        print(f"audit: nothing is known of {', '.join(unknown)}")
    return int(bool(found) or (strict and bool(unknown)))


def not_done(why: str, *, strict: bool) -> int:
    """Say that nothing was audited; the exit code."""
    print(f"audit: NOT DONE, the advisory service is not reached from here ({why[:200]})")
    return int(strict)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("program")
    options.add_argument("requirements")
    options.add_argument("--strict", action="store_true")
    given = options.parse_args()
    told = ask(given.program, given.requirements)
    if isinstance(told, str):
        return not_done(told, strict=given.strict)
    return judge(told, strict=given.strict)


if __name__ == "__main__":
    sys.exit(main())

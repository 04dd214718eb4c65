"""Makes the homes that the tests of this folder move into: `python tests/homes/prepare.py FOLDER`.

Two releases of Home Assistant, each in a virtual environment with the Python that it wants, and Node-RED.
What is there already is left alone; what cannot be had here is said, and its tests skip.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

RELEASES = {"2025.1.4": "3.12", "2025.4.4": "3.13"}  # Home Assistant, and its Python
NODE_RED = "4.1"
READY = ".ready"  # a file in a home that is complete

# What Home Assistant sets up by itself (homeassistant/bootstrap.py), and what the tests need of it.
CORE = ("homeassistant", "persistent_notification", "isal", "system_log")
DEFAULTS = (
    "analytics", "application_credentials", "automation", "backup", "counter", "frontend", "hardware",
    "input_boolean", "input_button", "input_datetime", "input_number", "input_select", "input_text",
    "logger", "network", "person", "scene", "schedule", "script", "system_health", "tag", "timer", "zone",
)  # fmt: skip
WANTED = ("mqtt", "websocket_api")


def main(folder: Path) -> None:
    """Prepare whatever is missing, one after the other: they are big."""
    for release, python in RELEASES.items():
        _prepare(folder / f"home-assistant-{release}", lambda home: _home_assistant(home, release, python))  # noqa: B023
    _prepare(folder / f"node-red-{NODE_RED}", _node_red)


def _prepare(home: Path, make: object) -> None:
    if (home / READY).exists():
        print(f"{home}: ready")
        return
    print(f"{home}: this takes some minutes")
    shutil.rmtree(home, ignore_errors=True)
    try:
        make(home)  # type: ignore[operator]
    except (LookupError, subprocess.CalledProcessError) as exc:
        print(f"{home}: not to be had here, its tests will skip: {exc}")
        return
    (home / READY).touch()


def _home_assistant(home: Path, release: str, python: str) -> None:
    _run(_python(python), "-m", "venv", home)
    pip = [home / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run(*pip, "--no-deps", f"homeassistant=={release}")
    package = next(home.glob("lib/python*/site-packages/homeassistant"))
    constraints = package / "package_constraints.txt"  # without them, newer releases than were tried come in
    _run(*pip, "--constraint", constraints, f"homeassistant=={release}", *_requirements(package))


def _requirements(package: Path) -> list[str]:
    """What the integrations need; Home Assistant would fetch it itself at its first start, slowly."""
    found: set[str] = set()
    for name in _with_dependencies(package, (*CORE, *DEFAULTS, *WANTED)):
        found |= set(_manifest(package, name).get("requirements", []))
    return sorted(found)


def _with_dependencies(package: Path, names: Iterable[str]) -> set[str]:
    todo, done = list(names), set[str]()
    while todo:
        name = todo.pop()
        if name not in done:
            done.add(name)
            todo += _manifest(package, name).get("dependencies", [])
    return done


def _manifest(package: Path, integration: str) -> dict[str, list[str]]:
    text = (package / "components" / integration / "manifest.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def _python(version: str) -> Path:
    """A Python of that version: on the path, or one of pyenv's. Raises `LookupError`."""
    for program in _pythons(version):
        answer = subprocess.run([program, "-c", "import ensurepip, ssl"], check=False, capture_output=True)
        if answer.returncode == 0:
            return program
    raise LookupError(f"no python{version} (apt install python{version}-venv, or pyenv install {version})")


def _pythons(version: str) -> Iterator[Path]:
    if found := shutil.which(f"python{version}"):
        yield Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True)


def _node_red(home: Path) -> None:
    if shutil.which("npm") is None:
        raise LookupError("no npm (apt install npm)")
    home.mkdir(parents=True)
    _run("npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", home, f"node-red@{NODE_RED}")


def _run(*words: object) -> None:
    subprocess.run(["nice", "-n", "15", *map(str, words)], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Makes the homes that the tests of this folder move into: `python tests/homes/prepare.py FOLDER`.

Releases of Home Assistant, each in a virtual environment with the Python that it wants, and Node-RED. Where
this machine has no such Python, a Debian that has it is made in a folder (root and mmdebstrap). What is there
already is left alone; what cannot be had here is said, and its tests skip.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

RELEASES = {  # Home Assistant, and its Python: a version on this machine, or the Debian that has it
    "2025.1.4": "3.12",
    "2025.4.4": "3.13",
    "2026.2.3": "debian:trixie",  # 3.13.2 or later
    "2026.11.0": "debian:sid",  # 3.14.2 or later
}
DEBIAN = "debian:"
PACKAGES = (
    "ca-certificates", "python3-venv", "python3-dev", "gcc", "g++", "libffi-dev", "libssl-dev", "tzdata",
)  # fmt: skip
INSIDE = Path(__file__).with_name("inside.sh")
ENVIRONMENT = "opt/home-assistant"  # in such a Debian
NODE_REDS = {"4.1": (), "5.0": ("node@22",)}  # and the Node.js that it wants, where it is a newer one
READY = ".ready"  # a file in a home that is complete

# What Home Assistant sets up by itself (homeassistant/bootstrap.py), and what the tests need of it.
CORE = ("homeassistant", "persistent_notification", "isal", "system_log")
DEFAULTS = (
    "analytics", "application_credentials", "automation", "backup", "counter", "frontend", "hardware",
    "input_boolean", "input_button", "input_datetime", "input_number", "input_select", "input_text",
    "logger", "network", "person", "scene", "schedule", "script", "system_health", "tag", "timer", "zone",
)  # fmt: skip
WANTED = ("mqtt", "websocket_api")
IMPORTED = ("conversation", "hassio", "stream")  # by those, without depending on them


def main(folder: Path) -> None:
    """Prepare whatever is missing, one after the other: they are big."""
    for release, python in RELEASES.items():
        _prepare(folder / f"home-assistant-{release}", lambda home: _home_assistant(home, release, python))  # noqa: B023
    for release, nodes in NODE_REDS.items():
        _prepare(folder / f"node-red-{release}", lambda home: _node_red(home, release, nodes))  # noqa: B023


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
    made = _debian if python.startswith(DEBIAN) else _virtual_environment
    environment, interpreter = made(home, python.removeprefix(DEBIAN))
    pip = [*interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run(*pip, "--no-deps", f"homeassistant=={release}")
    package = next(environment.glob("lib/python*/site-packages/homeassistant"))
    # Without the constraints, newer releases than were tried come in.
    constraints = interpreter[-1].parents[1] / package.relative_to(environment) / "package_constraints.txt"
    _run(*pip, "--constraint", constraints, f"homeassistant=={release}", *_requirements(package))


def _virtual_environment(home: Path, python: str) -> tuple[Path, list[Path]]:
    """Make the environment of a Python of this machine: its folder, and the words that run it."""
    _run(_python(python), "-m", "venv", home)
    return home, [home / "bin/python"]


def _debian(home: Path, suite: str) -> tuple[Path, list[Path]]:
    """The same in a Debian of its own, in `home`. Raises `LookupError` where none can be made."""
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        raise LookupError(f"a Debian {suite} is made by root with mmdebstrap (apt install mmdebstrap)")
    root = home / "root"
    home.mkdir(parents=True)
    # A mirror that lags behind is good enough for a test; its signatures are checked all the same.
    stale = "--aptopt=Acquire::Check-Valid-Until false"
    _run("mmdebstrap", "--quiet", "--variant=minbase", stale, f"--include={','.join(PACKAGES)}", suite, root)
    python = Path("/", ENVIRONMENT, "bin/python")
    _run(INSIDE, root, "/usr/bin/python3", "-m", "venv", python.parents[1])
    program = home / "bin/hass"
    program.parent.mkdir()
    words = shlex.join(map(str, (INSIDE, root, python.with_name("hass"))))
    program.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return root / ENVIRONMENT, [INSIDE, root, python]


def _requirements(package: Path) -> list[str]:
    """What the integrations need; Home Assistant would fetch it itself at its first start, slowly."""
    found: set[str] = set()
    for name in _with_dependencies(package, (*CORE, *DEFAULTS, *WANTED, *IMPORTED)):
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


def _node_red(home: Path, release: str, nodes: Iterable[str]) -> None:
    if shutil.which("npm") is None:
        raise LookupError("no npm (apt install npm)")
    home.mkdir(parents=True)
    words = ("npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", home)
    _run(*words, *nodes, f"node-red@{release}")


def _run(*words: object) -> None:
    subprocess.run(["nice", "-n", "15", *map(str, words)], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

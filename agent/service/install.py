"""Puts the agent in place as a service on Debian, Ubuntu and JetPack 6 and 7, and takes it away again.

The agent lives in a virtual environment of its own under /opt, made with `--system-site-packages`:
a Jetson's TensorRT is found there, and so is systemd-python, which PyPI has as source only
(`apt install python3-systemd` needs no compiler). Settings and rules lie under /etc and belong to the
user: they are made once and never changed.
"""

from __future__ import annotations

import grp
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from agent.config.changes import rule_paths
from agent.errors import CannotStart
from agent.service.places import UNIT, Places, home
from agent.service.steps import (
    Run,
    Say,
    Step,
    carry_out,
    command,
    give_text,
    put_link,
    put_text,
    put_tree,
    remove,
    run,
)  # fmt: skip

GROUPS = ("video", "render")  # of the unit's SupplementaryGroups: it does not start without one of them
PACKAGES = {  # of the distribution, and the file by which they are known to be there
    "python3-venv": "usr/lib/python3*/ensurepip/__init__.py",
    "python3-systemd": "usr/lib/python3/dist-packages/systemd/__init__.py",
}
JETSON_PACKAGES = {
    "python3-libnvinfer": "usr/lib/python3*/dist-packages/tensorrt/__init__.py",
    "python3-dev": "usr/include/python3*/Python.h",  # PyCUDA is compiled
    "g++": "usr/bin/g++",
}
CUDA_BIN = "/usr/local/cuda/bin"
GPU_UNUSED = (
    "The GPU goes unused until that works; recognition runs on the CPU meanwhile. Mend it, then: "
    "gesture-agent service install"
)
KEYS_PACKAGES = {"python3-evdev": "usr/lib/python3/dist-packages/evdev/__init__.py"}


def install(
    say: Say,
    *,
    keys: bool | None = None,
    dry_run: bool = False,
    places: Places | None = None,
    run: Run = run,
) -> None:
    """Put the agent in place and start it; again: upgrade it. Raises `CannotStart` with what to do.

    `keys`: whether it may press keys through /dev/uinput; None leaves that as it is, at first false.
    """
    places = places or Places()
    if not dry_run:
        _check_rights(places)
        if not (places.root / "run/systemd/system").is_dir():
            raise CannotStart("no systemd runs here; start `gesture-agent run` another way")
    say("Installing gesture-agent as a service" + (" (shown only, nothing is done)" if dry_run else ""))
    carry_out(install_steps(places, home(), run, keys=keys), say, dry_run=dry_run)
    if dry_run:
        return
    say("gesture-agent is installed and running.")
    say(f"  settings  {places.settings}/config.toml, then: systemctl restart gesture-agent")
    say(f"  rules     {places.settings}/rules/, then: systemctl reload gesture-agent")
    say("  log       journalctl -u gesture-agent -f")
    if not places.drop_in("keys.conf").exists():
        say("  keys      rules that press keys need: gesture-agent service install --keys")


def uninstall(
    say: Say,
    *,
    keep_settings: bool = False,
    dry_run: bool = False,
    places: Places | None = None,
    run: Run = run,
) -> None:
    """Stop it and leave nothing; with `keep_settings` all but /etc/gesture-agent goes."""
    places = places or Places()
    if not dry_run:
        _check_rights(places)
    say("Removing gesture-agent" + (" (shown only, nothing is done)" if dry_run else ""))
    carry_out(uninstall_steps(places, run, keep_settings=keep_settings), say, dry_run=dry_run)
    if not dry_run:
        kept = f" Your settings stay in {places.settings}." if keep_settings else ""
        say(f"gesture-agent is removed.{kept}")


def _check_rights(places: Places) -> None:
    if places.root == Path("/") and os.geteuid() != 0:
        raise CannotStart('this needs root; try: sudo "$(command -v gesture-agent)" service ...')


def install_steps(places: Places, source: Path, run: Run, *, keys: bool | None = None) -> Iterator[Step]:
    """Everything that makes a running service, in order. `source` is `home()`."""
    yield from _program_steps(places, source, run)
    yield from _settings_steps(places, source)
    yield from _system_steps(places, source / "systemd", run, keys=keys)
    yield command("start it with the machine", run, "systemctl", "enable", "--quiet", UNIT)
    yield command("start it now, wait until it is ready", run, "systemctl", "restart", UNIT)


def _program_steps(places: Places, source: Path, run: Run) -> Iterator[Step]:
    yield from _packages(places, PACKAGES, run)
    python = places.prefix / "bin" / "python"
    make = command(
        "make a virtual environment", run,
        "/usr/bin/python3", "-m", "venv", "--system-site-packages", str(places.prefix),
    )  # fmt: skip
    yield Step(make.what, make.do, lambda: not python.exists())
    if (source / "pyproject.toml").is_file():  # else it is the installed one that mends its own installation
        yield Step(f"install the agent of {source}", lambda: _pip_install(source, str(python), run))
    yield from _gpu_steps(places, str(python), run)
    yield put_tree(source / "rules", places.share / "rules")
    yield put_tree(source / "systemd", places.share / "systemd")
    yield put_text(places.share / "config.toml", (source / "config.toml").read_text(encoding="utf-8"))
    yield put_link(places.command, places.prefix / "bin" / "gesture-agent")
    yield _networks(places, run)


def _gpu_steps(places: Places, python: str, run: Run) -> Iterator[Step]:
    """TensorRT and PyCUDA where an NVIDIA GPU is: without both, recognition runs on the CPU.

    A Jetson's TensorRT is a package of JetPack, which the environment sees; a PC's comes from PyPI. PyCUDA is
    compiled, and finds the CUDA libraries beside nvcc.
    """
    if not places.has_nvidia_gpu:
        return
    wanted = ["pycuda>=2024.1"]
    if places.is_jetson:
        yield from _packages(places, JETSON_PACKAGES, run)
    else:
        wanted.insert(0, "tensorrt>=8.6")
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    path = f"PATH={CUDA_BIN}:{os.environ.get('PATH', os.defpath)}"
    step = command(
        f"let it use the NVIDIA GPU: {' and '.join(wanted)}", run, "/usr/bin/env", path, python, *pip
    )
    yield replace(step, otherwise=GPU_UNUSED)


def _packages(places: Places, wanted: Mapping[str, str], run: Run) -> Iterator[Step]:
    missing = [name for name, sign in wanted.items() if not any(places.root.glob(sign))]
    if missing and shutil.which("apt-get"):
        words = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"]
        yield command("install what is missing", run, *words, *missing)


def _pip_install(source: Path, python: str, run: Run) -> None:
    """From a copy: building in place would leave root's files in the user's checkout."""
    words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        for name in ("agent", "engines"):
            shutil.copytree(source / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copyfile(source / name, copy / name)
        run([python, *words, scratch])


def _networks(places: Places, run: Run) -> Step:
    """Into the service's cache; those that are at hand are taken along, the others are fetched."""
    program = str(places.prefix / "bin" / "gesture-agent")
    own = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "gesture-agent" / "engines"
    target = places.cache / "engines"

    def get() -> None:
        target.mkdir(parents=True, exist_ok=True)
        if own.is_dir():
            shutil.copytree(own, target, dirs_exist_ok=True)
        run(["/usr/bin/env", f"CACHE_DIRECTORY={places.cache}", program, "models", "fetch"])
        owner = places.cache.stat()  # the service's user, if it has run before
        for path in (target, *target.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)

    return Step(f"get the networks into {places.cache}", get)


def _settings_steps(places: Places, source: Path) -> Iterator[Step]:
    """The user's: made where they are missing, never touched again."""
    yield give_text(places.settings / "config.toml", (source / "config.toml").read_text(encoding="utf-8"))
    folder = places.settings / "rules"
    if not folder.exists():
        for file in rule_paths(source / "rules"):
            yield give_text(folder / file.name, file.read_text(encoding="utf-8"))
    for file in sorted((source / "rules").glob("*.json")):  # the schema, which belongs to the program
        yield put_text(folder / file.name, file.read_text(encoding="utf-8"))
    yield give_text(places.settings / "mqtt-password", "", mode=0o600)


def _system_steps(places: Places, files: Path, run: Run, *, keys: bool | None) -> Iterator[Step]:
    yield from (_group(name, run) for name in GROUPS)
    yield put_text(places.unit, (files / places.unit.name).read_text(encoding="utf-8"))
    if places.is_jetson:
        drop_in = places.drop_in("jetson.conf")
        yield put_text(drop_in, (files / drop_in.name).read_text(encoding="utf-8"))
    if keys or (keys is None and places.drop_in("keys.conf").exists()):
        yield from _keys_steps(places, files, run)
    elif keys is False:
        yield from map(remove, _keys_files(places))
    yield command("reload systemd's units", run, "systemctl", "daemon-reload")
    yield put_text(places.udev_rule, (files / places.udev_rule.name).read_text(encoding="utf-8"))
    if (places.root / "run/udev/control").exists():  # not so in a container
        yield command("reload udev's rules", run, "udevadm", "control", "--reload")
        words = ["trigger", "--action=change", "--subsystem-match=video4linux", "--subsystem-match=misc"]
        yield command("apply them to the devices", run, "udevadm", *words)


def _keys_files(places: Places) -> tuple[Path, Path, Path]:
    return places.drop_in("keys.conf"), places.keys_udev_rule, places.modules


def _keys_steps(places: Places, files: Path, run: Run) -> Iterator[Step]:
    """What a virtual keyboard needs: python-evdev, the device, and the right to write to it."""
    yield from _packages(places, KEYS_PACKAGES, run)
    yield _group("uinput", run)
    drop_in, udev_rule, modules = _keys_files(places)
    for path in (drop_in, udev_rule):
        yield put_text(path, (files / path.name).read_text(encoding="utf-8"))
    yield put_text(modules, "uinput\n")
    yield command("load the module of /dev/uinput", run, "modprobe", "uinput")


def _group(name: str, run: Run) -> Step:
    def missing() -> bool:
        try:
            grp.getgrnam(name)
        except KeyError:
            return True
        return False

    step = command(f"make the group {name}", run, "groupadd", "--system", name)
    return Step(step.what, step.do, missing)


def uninstall_steps(places: Places, run: Run, *, keep_settings: bool) -> Iterator[Step]:
    """Everything that was put in place, and what the service made itself."""
    stop = command("stop it for good", run, "systemctl", "disable", "--now", "--quiet", UNIT)
    yield Step(stop.what, stop.do, places.unit.exists)
    yield remove(places.unit)
    yield remove(places.drop_in(""))
    for path in (places.udev_rule, places.keys_udev_rule, places.modules):
        yield remove(path)
    yield command("reload systemd's units", run, "systemctl", "daemon-reload")
    yield remove(places.command)
    yield remove(places.prefix)
    for folder in (places.state, places.cache):
        yield remove(folder)  # a link to the one in private/, where systemd keeps those of dynamic users
        yield remove(folder.parent / "private" / folder.name)
    if not keep_settings:
        yield remove(places.settings)

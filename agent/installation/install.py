"""Installs and removes the agent as a service on Debian, Ubuntu and JetPack 6 and 7.

The agent runs from its own virtual environment under /opt, made with `--system-site-packages`:
a Jetson's TensorRT is found there, and so is systemd-python, which PyPI has as source only
(`apt install python3-systemd` needs no compiler). Settings and rules lie under /etc and belong to the
user: they are created once and never changed.
"""

from __future__ import annotations

import grp
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from agent.config.file_watcher import rule_paths
from agent.errors import CannotStart
from agent.installation.origin import requirement
from agent.installation.paths import UNIT, InstallPaths, data_root
from agent.installation.steps import (
    InstallStep,
    Run,
    Say,
    carry_out,
    command,
    give_text,
    put_link,
    put_text,
    put_tree,
    remove,
    run,
)  # fmt: skip

GROUPS = ("video", "render")  # groups of the unit's SupplementaryGroups: the unit does not start without them
PACKAGES = {  # packages of the distribution, and the file that shows that each is installed
    "python3-venv": "usr/lib/python3*/ensurepip/__init__.py",
    "python3-systemd": "usr/lib/python3/dist-packages/systemd/__init__.py",
}
JETSON_PACKAGES = {
    "python3-libnvinfer": "usr/lib/python3*/dist-packages/tensorrt/__init__.py",
}
GPU_UNUSED = (
    "The GPU is not used until this works; recognition runs on the CPU meanwhile. Fix it, then run: "
    "gesture-agent service install"
)
KEYS_PACKAGES = {"python3-evdev": "usr/lib/python3/dist-packages/evdev/__init__.py"}


def install(
    say: Say,
    *,
    keys: bool | None = None,
    dry_run: bool = False,
    paths: InstallPaths | None = None,
    run: Run = run,
) -> None:
    """Install and start the service, or upgrade it. Raises `CannotStart` with what to do.

    `keys`: whether it may press keys through /dev/uinput; None keeps the present setting, at first false.
    """
    paths = paths or InstallPaths()
    if not dry_run:
        _check_rights(paths)
        if not (paths.root / "run/systemd/system").is_dir():
            raise CannotStart("no systemd runs here; start `gesture-agent run` another way")
    say("Installing gesture-agent as a service" + (" (shown only, nothing is done)" if dry_run else ""))
    carry_out(install_steps(paths, data_root(), run, keys=keys), say, dry_run=dry_run)
    if dry_run:
        return
    say("gesture-agent is installed and running.")
    say(f"  settings  {paths.settings}/config.toml, then: systemctl restart gesture-agent")
    say(f"  rules     {paths.settings}/rules/, then: systemctl reload gesture-agent")
    say("  log       journalctl -u gesture-agent -f")
    if not paths.drop_in("keys.conf").exists():
        say("  keys      rules that press keys need: gesture-agent service install --keys")


def uninstall(
    say: Say,
    *,
    keep_settings: bool = False,
    dry_run: bool = False,
    paths: InstallPaths | None = None,
    run: Run = run,
) -> None:
    """Stop and remove the service; with `keep_settings` all but /etc/gesture-agent."""
    paths = paths or InstallPaths()
    if not dry_run:
        _check_rights(paths)
    say("Removing gesture-agent" + (" (shown only, nothing is done)" if dry_run else ""))
    carry_out(uninstall_steps(paths, run, keep_settings=keep_settings), say, dry_run=dry_run)
    if not dry_run:
        kept = f" Your settings stay in {paths.settings}." if keep_settings else ""
        say(f"gesture-agent is removed.{kept}")


def _check_rights(paths: InstallPaths) -> None:
    if paths.root == Path("/") and Path(sys.prefix) == paths.of_debian:
        raise CannotStart(
            "this agent is a package of the distribution, which has its own service; try: sudo apt install "
            "gesture-agent to upgrade it, sudo apt remove gesture-agent to remove it"
        )
    if paths.root == Path("/") and os.geteuid() != 0:
        raise CannotStart('this needs root; try: sudo "$(command -v gesture-agent)" service ...')


def install_steps(
    paths: InstallPaths, source: Path, run: Run, *, keys: bool | None = None
) -> Iterator[InstallStep]:
    """Return all steps of an installation, in order. `source` is `data_root()`."""
    yield from _program_steps(paths, source, run)
    yield from _settings_steps(paths, source)
    yield from _system_steps(paths, source / "systemd", run, keys=keys)
    yield command("start it with the machine", run, "systemctl", "enable", "--quiet", UNIT)
    yield command("start it now, wait until it is ready", run, "systemctl", "restart", UNIT)


def _program_steps(paths: InstallPaths, source: Path, run: Run) -> Iterator[InstallStep]:
    yield from _packages(paths, PACKAGES, run)
    python = paths.prefix / "bin" / "python"
    make = command(
        "make a virtual environment", run,
        "/usr/bin/python3", "-m", "venv", "--system-site-packages", str(paths.prefix),
    )  # fmt: skip
    yield InstallStep(make.what, make.do, lambda: not python.exists())
    if (source / "pyproject.toml").is_file():
        yield InstallStep(f"install the agent of {source}", lambda: _pip_install(source, str(python), run))
    elif Path(sys.prefix) != paths.prefix:  # else it is the installed one that mends its own installation
        again, pip = requirement(), ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        yield command(f"install {again}", run, str(python), *pip, "--upgrade", again)
    yield from _gpu_steps(paths, str(python), run)
    yield put_tree(source / "rules", paths.share / "rules")
    yield put_tree(source / "systemd", paths.share / "systemd")
    yield put_text(paths.share / "config.toml", (source / "config.toml").read_text(encoding="utf-8"))
    yield put_link(paths.command, paths.prefix / "bin" / "gesture-agent")
    yield _networks(paths, run)


def _gpu_steps(paths: InstallPaths, python: str, run: Run) -> Iterator[InstallStep]:
    """TensorRT and cuda-bindings where an NVIDIA GPU is: without both, recognition runs on the CPU.

    A Jetson's TensorRT is a package of JetPack, which the environment sees; a PC's comes from PyPI.
    cuda-bindings are those of CUDA 12, which newer drivers take as well; nothing is compiled.
    """
    if not paths.has_nvidia_gpu:
        return
    wanted = ["cuda-bindings>=12.6,<13"]
    if paths.is_jetson:
        yield from _packages(paths, JETSON_PACKAGES, run)
    else:
        wanted.insert(0, "tensorrt>=8.6")
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    step = command(f"let it use the NVIDIA GPU: {' and '.join(wanted)}", run, python, *pip)
    yield replace(step, otherwise=GPU_UNUSED)


def _packages(paths: InstallPaths, wanted: Mapping[str, str], run: Run) -> Iterator[InstallStep]:
    missing = [name for name, sign in wanted.items() if not any(paths.root.glob(sign))]
    if missing and shutil.which("apt-get"):
        words = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"]
        yield command("install what is missing", run, *words, *missing)


def _pip_install(source: Path, python: str, run: Run) -> None:
    """Install from a copy: building in place would leave root's files in the user's checkout."""
    words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        for name in ("agent", "engines"):
            shutil.copytree(source / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copyfile(source / name, copy / name)
        run([python, *words, scratch])


def _networks(paths: InstallPaths, run: Run) -> InstallStep:
    """Step that copies local networks into the service's cache and downloads the others."""
    program = str(paths.prefix / "bin" / "gesture-agent")
    own = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "gesture-agent" / "engines"
    target = paths.cache / "engines"

    def get() -> None:
        target.mkdir(parents=True, exist_ok=True)
        if own.is_dir():
            shutil.copytree(own, target, dirs_exist_ok=True)
        run(["/usr/bin/env", f"CACHE_DIRECTORY={paths.cache}", program, "models", "fetch"])
        owner = paths.cache.stat()  # owned by the service's user, if it has run before
        for path in (target, *target.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)

    return InstallStep(f"get the networks into {paths.cache}", get)


def _settings_steps(paths: InstallPaths, source: Path) -> Iterator[InstallStep]:
    """Steps for the user's files: created where missing, never changed."""
    yield give_text(paths.settings / "config.toml", (source / "config.toml").read_text(encoding="utf-8"))
    folder = paths.settings / "rules"
    if not folder.exists():
        for file in rule_paths(source / "rules"):
            yield give_text(folder / file.name, file.read_text(encoding="utf-8"))
    for file in sorted((source / "rules").glob("*.json")):  # the schema, which belongs to the program
        yield put_text(folder / file.name, file.read_text(encoding="utf-8"))
    yield give_text(paths.settings / "mqtt-password", "", mode=0o600)


def _system_steps(paths: InstallPaths, files: Path, run: Run, *, keys: bool | None) -> Iterator[InstallStep]:
    yield from (_group(name, run) for name in GROUPS)
    yield put_text(paths.unit, (files / paths.unit.name).read_text(encoding="utf-8"))
    if paths.is_jetson:
        drop_in = paths.drop_in("jetson.conf")
        yield put_text(drop_in, (files / drop_in.name).read_text(encoding="utf-8"))
    if keys or (keys is None and paths.drop_in("keys.conf").exists()):
        yield from _keys_steps(paths, files, run)
    elif keys is False:
        yield from map(remove, _keys_files(paths))
    yield command("reload systemd's units", run, "systemctl", "daemon-reload")
    yield put_text(paths.udev_rule, (files / paths.udev_rule.name).read_text(encoding="utf-8"))
    if (paths.root / "run/udev/control").exists():  # not available in a container
        yield command("reload udev's rules", run, "udevadm", "control", "--reload")
        words = ["trigger", "--action=change", "--subsystem-match=video4linux", "--subsystem-match=misc"]
        yield command("apply them to the devices", run, "udevadm", *words)


def _keys_files(paths: InstallPaths) -> tuple[Path, Path, Path]:
    return paths.drop_in("keys.conf"), paths.keys_udev_rule, paths.modules


def _keys_steps(paths: InstallPaths, files: Path, run: Run) -> Iterator[InstallStep]:
    """Steps for the virtual keyboard: python-evdev, the device, and write access to it."""
    yield from _packages(paths, KEYS_PACKAGES, run)
    yield _group("uinput", run)
    drop_in, udev_rule, modules = _keys_files(paths)
    for path in (drop_in, udev_rule):
        yield put_text(path, (files / path.name).read_text(encoding="utf-8"))
    yield put_text(modules, "uinput\n")
    yield command("load the module of /dev/uinput", run, "modprobe", "uinput")


def _group(name: str, run: Run) -> InstallStep:
    def missing() -> bool:
        try:
            grp.getgrnam(name)
        except KeyError:
            return True
        return False

    step = command(f"make the group {name}", run, "groupadd", "--system", name)
    return InstallStep(step.what, step.do, missing)


def uninstall_steps(paths: InstallPaths, run: Run, *, keep_settings: bool) -> Iterator[InstallStep]:
    """Return the steps that remove everything installed, and what the service created itself."""
    stop = command("stop it for good", run, "systemctl", "disable", "--now", "--quiet", UNIT)
    yield InstallStep(stop.what, stop.do, paths.unit.exists)
    yield remove(paths.unit)
    yield remove(paths.drop_in(""))
    for path in (paths.udev_rule, paths.keys_udev_rule, paths.modules):
        yield remove(path)
    yield command("reload systemd's units", run, "systemctl", "daemon-reload")
    yield remove(paths.command)
    yield remove(paths.prefix)
    for folder in (paths.state, paths.cache):
        yield remove(folder)  # a symlink into private/, where systemd keeps those of dynamic users
        yield remove(folder.parent / "private" / folder.name)
    if not keep_settings:
        yield remove(paths.settings)

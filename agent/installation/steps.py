"""Idempotent installation steps that describe themselves and can be listed without being run."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import CannotStart

KEPT_LINES = 15  # of a failed command's output

Say = Callable[[str], None]
Run = Callable[[Sequence[str]], None]


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class InstallStep:
    """One installation step. `needed` is checked just before; an unneeded step is only mentioned."""

    what: str
    do: Callable[[], None]
    needed: Callable[[], bool] = _always
    otherwise: str = ""  # consequence if it fails; empty: the installation stops


def carry_out(steps: Iterable[InstallStep], say: Say, *, dry_run: bool = False) -> None:
    """Run the steps in order and print each. Raises `CannotStart` at the first failed required step."""
    for step in steps:
        if not step.needed():
            say(f"  nothing to do: {step.what}")
            continue
        say(f"  {step.what}")
        if dry_run:
            continue
        try:
            step.do()
        except OSError as exc:
            raise CannotStart(
                f"{step.what}: {exc.strerror} ({exc.filename}); fix that and try again"
            ) from exc
        except CannotStart as exc:
            if not step.otherwise:
                raise
            say(f"  WARNING: {exc}")
            say(f"  {step.otherwise}")


def run(command: Sequence[str]) -> None:
    """Run a command to its end. Raises `CannotStart` with the last lines of its output."""
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except FileNotFoundError as exc:
        raise CannotStart(f"{command[0]}: not found; install it and try again") from exc
    if done.returncode:
        said = "\n".join(done.stdout.splitlines()[-KEPT_LINES:])
        raise CannotStart(f"{' '.join(command)}: ended with {done.returncode}\n{said}")


def command(what: str, run_it: Run, *words: str) -> InstallStep:
    """Step that runs a command."""
    return InstallStep(f"{what}: {' '.join(words)}", lambda: run_it(words))


def put_text(path: Path, text: str, mode: int = 0o644) -> InstallStep:
    """Step that writes a file of the program where it differs."""

    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=mode)
        path.chmod(mode)
        path.write_text(text, encoding="utf-8")

    def differs() -> bool:
        return not path.is_file() or path.read_text(encoding="utf-8") != text

    return InstallStep(f"write {path}", write, differs)


def give_text(path: Path, text: str, mode: int = 0o644) -> InstallStep:
    """Step that writes a file of the user where there is none; an existing one is never changed."""
    step = put_text(path, text, mode)
    return InstallStep(f"write {path}, yours from now on", step.do, lambda: not path.exists())


def put_tree(source: Path, target: Path) -> InstallStep:
    """Step that replaces a folder of the program as a whole."""

    def copy() -> None:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)

    return InstallStep(f"copy {source} to {target}", copy, lambda: source.resolve() != target.resolve())


def put_link(link: Path, target: Path) -> InstallStep:
    """Step that makes a symlink."""

    def make() -> None:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)

    return InstallStep(f"link {link}", make, lambda: not (link.is_symlink() and link.readlink() == target))


def remove(path: Path) -> InstallStep:
    """Step that removes a file, a symlink or a whole folder."""

    def delete() -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    return InstallStep(f"remove {path}", delete, lambda: path.exists() or path.is_symlink())

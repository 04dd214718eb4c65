"""What an installation is made of: steps that say what they do, do nothing twice, and can be shown only."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import CannotStart

KEPT_LINES = 15  # of a failed command's words

Say = Callable[[str], None]
Run = Callable[[Sequence[str]], None]


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class InstallStep:
    """One thing to do. `needed` is asked just before; what is not needed is only mentioned."""

    what: str
    do: Callable[[], None]
    needed: Callable[[], bool] = _always
    otherwise: str = ""  # what holds where it fails; empty: then nothing after it can work either


def carry_out(steps: Iterable[InstallStep], say: Say, *, dry_run: bool = False) -> None:
    """Do them in order, saying each. Raises `CannotStart` at the first that fails and must not."""
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
            raise CannotStart(f"{step.what}: {exc.strerror} ({exc.filename}); mend that, try again") from exc
        except CannotStart as exc:
            if not step.otherwise:
                raise
            say(f"  WARNING: {exc}")
            say(f"  {step.otherwise}")


def run(command: Sequence[str]) -> None:
    """Run a command to its end. Raises `CannotStart` with the last lines of what it said."""
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
    """A command to run."""
    return InstallStep(f"{what}: {' '.join(words)}", lambda: run_it(words))


def put_text(path: Path, text: str, mode: int = 0o644) -> InstallStep:
    """A file of ours: written where it differs."""

    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=mode)
        path.chmod(mode)
        path.write_text(text, encoding="utf-8")

    def differs() -> bool:
        return not path.is_file() or path.read_text(encoding="utf-8") != text

    return InstallStep(f"write {path}", write, differs)


def give_text(path: Path, text: str, mode: int = 0o644) -> InstallStep:
    """A file of the user's: written where there is none, never changed."""
    step = put_text(path, text, mode)
    return InstallStep(f"write {path}, yours from now on", step.do, lambda: not path.exists())


def put_tree(source: Path, target: Path) -> InstallStep:
    """A folder of ours: replaced as a whole."""

    def copy() -> None:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)

    return InstallStep(f"copy {source} to {target}", copy, lambda: source.resolve() != target.resolve())


def put_link(link: Path, target: Path) -> InstallStep:
    """A link of ours."""

    def make() -> None:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)

    return InstallStep(f"link {link}", make, lambda: not (link.is_symlink() and link.readlink() == target))


def remove(path: Path) -> InstallStep:
    """A file, a link or a whole folder."""

    def delete() -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    return InstallStep(f"remove {path}", delete, lambda: path.exists() or path.is_symlink())

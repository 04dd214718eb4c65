"""How the user calls this program, so that printed commands work as they stand."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

NAME = "gesture-agent"


def this_program() -> str:
    """`gesture-agent` where PATH finds this very installation, else its path; quoted for a shell.

    Started as a module, it is the program beside the interpreter, or `python -m agent` where there is none.
    """
    beside = Path(sys.executable).with_name(NAME)
    if not beside.exists():
        return f"{shlex.quote(_short(Path(sys.executable)))} -m agent"
    found = shutil.which(NAME)
    if found and os.path.realpath(found) == os.path.realpath(beside):
        return NAME
    return shlex.quote(_short(beside))


def _short(path: Path) -> str:
    """Relative to the current folder where it lies below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)

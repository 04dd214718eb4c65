"""A wheel of this checkout, and environments that have it without the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = (
    "agent",
    "engines",
    "rules",
    "systemd",
    "tests/data",
    "config.toml",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


def copy_of_checkout(to: Path) -> Path:
    """What a wheel is made of; building in place would leave files in the checkout."""
    for part in PARTS:
        target = to / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / part, target)
    return to


def build_wheel(source: Path, into: Path) -> Path:
    """The wheel of a source tree or of an sdist."""
    subprocess.run([*PIP, "wheel", "--no-deps", f"--wheel-dir={into}", str(source)], check=True)
    [wheel] = into.glob("gesture_agent-*.whl")
    return wheel


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with the wheel; commands run far away from the checkout, with a home of their own."""

    environment: Path
    away: Path
    cache: Path

    def run(self, *words: str, exit_code: int = 0) -> str:
        """What `gesture-agent WORDS` printed, both streams."""
        environ = {
            "PATH": os.defpath,
            "HOME": str(self.away),
            "CACHE_DIRECTORY": str(self.cache),
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }
        done = subprocess.run(
            [str(self.environment / "bin" / "gesture-agent"), *words],
            cwd=self.away, env=environ, text=True, check=False, timeout=120,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == exit_code, done.stdout
        return done.stdout

    @property
    def share(self) -> Path:
        """Where the wheel puts what ships beside the code."""
        return self.environment / "share" / "gesture-agent"


def borrow_packages(environment: Path) -> None:
    """Let an environment see the packages of this one, but no checkout that is installed here as editable."""
    ours = [entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))]
    [site] = environment.glob("lib/python3*/site-packages")
    (site / "borrowed.pth").write_text("\n".join(ours) + "\n", encoding="utf-8")

"""`make demo` on a Jetson sets up what uses its GPU; make tells what it would do."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def would_do(*settings: str) -> str:
    if shutil.which("make") is None:
        pytest.skip("make is not here: apt install make")
    words = ["make", "--dry-run", "demo", "VENV=/nowhere/venv", *settings]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_on_a_jetson_the_environment_sees_its_tensorrt_and_has_cuda_bindings() -> None:
    done = would_do("TEGRA=/etc/nv_tegra_release")
    assert "-m venv --system-site-packages /nowhere/venv" in done
    assert "'cuda-bindings>=12.6,<13'" in done


def test_elsewhere_neither_is_done() -> None:
    done = would_do("TEGRA=")
    assert "--system-site-packages" not in done
    assert "cuda-bindings" not in done

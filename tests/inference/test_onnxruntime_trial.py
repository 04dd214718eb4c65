"""A library that ends the process which loads it is found out in a child, and said in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import ModelError
from agent.inference.onnxruntime_trial import STAMP, try_onnxruntime

ABORTS = """
import os, sys
print("Error in cpuinfo: processor_index < num_processors", file=sys.stderr, flush=True)
os.abort()
"""


def instead(tmp_path: Path, code: str) -> dict[str, str]:
    """An environment in which this stands in the place of the library."""
    (tmp_path / "onnxruntime.py").write_text(code)
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def cpus(tmp_path: Path, online: str) -> Path:
    (tmp_path / "online").write_text(online + "\n")
    return tmp_path


def test_the_library_that_is_here_runs_a_network():
    assert try_onnxruntime()[0].isdigit()


@pytest.mark.parametrize(
    ("online", "todo"),
    [
        ("0-1,8-9", r"have gaps \(0-1,8-9\).*nvpmodel -m 0"),
        ("0-3", "install another version of onnxruntime"),
    ],
)
def test_a_library_that_aborts_is_one_sentence_with_signal_and_what_to_do(
    tmp_path: Path, online: str, todo: str
):
    words = rf'ends the process that loads it, by SIGABRT \("Error in cpuinfo: .*"\); .*{todo}'
    with pytest.raises(ModelError, match=words):
        try_onnxruntime(instead(tmp_path, ABORTS), cpus(tmp_path, online))


def test_a_sys_that_lists_no_cpu_is_named(tmp_path: Path):
    with pytest.raises(ModelError, match="does not list the CPUs"):
        try_onnxruntime(instead(tmp_path, ABORTS), tmp_path / "empty")


def test_a_library_that_cannot_be_imported_is_reported(tmp_path: Path):
    with pytest.raises(ModelError, match="cannot be used: ImportError: libgomp is missing"):
        try_onnxruntime(instead(tmp_path, "raise ImportError('libgomp is missing')"))


def test_the_first_use_of_a_network_ends_in_exit_code_3_not_in_a_signal(tmp_path: Path, cache_dir: Path):
    code = (
        "import sys; from pathlib import Path; from agent.inference.models import locate\n"
        "from agent.inference.engine import load_engine\n"
        "from agent.errors import CannotStart\n"
        "path = locate('palm-detector', Path(sys.argv[1]))\n"
        "try: load_engine('palm-detector', path, backend='onnxruntime')\n"
        "except CannotStart as exc: print(exc); sys.exit(3)"
    )
    environ = instead(tmp_path, ABORTS) | {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"}
    run = [sys.executable, "-c", code, str(cache_dir)]
    done = subprocess.run(run, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "")
    assert "by SIGABRT" in done.stdout
    assert not (cache_dir / STAMP).exists() or (cache_dir / STAMP).stat().st_size == 64

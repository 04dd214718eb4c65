"""Tests ONNX Runtime in a child process, because loading it can crash the process.

Versions 1.23 to 1.26 abort where the numbers of the online CPUs have gaps (power modes of a Jetson) or /sys
does not list them; later ones crash on some 64-bit Arm. No `except` catches that, and systemd would restart
the agent every two seconds. A crashed child instead gives an error message and exit code 3.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path

from agent.errors import ModelError

CPUS = Path("/sys/devices/system/cpu")
TRIAL_S = 60.0  # a slow card with a cold cache took 9
STAMP = "onnxruntime-works"

_CHILD = """
import os, base64
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy, onnxruntime
model = base64.b64decode(
    "CAgSADo1Cg4KAXgKAXgSAXkiA0FkZBIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEA0="
)
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])  # y = x + x
[found] = session.run(None, {"x": numpy.full(1, 2, numpy.float32)})
assert found[0] == 4, f"2 + 2 = {found[0]}"
print(onnxruntime.__version__)
"""


@cache
def check_onnxruntime(cache_dir: Path | None) -> None:
    """Check that ONNX Runtime works here, once a process, or once a boot where a cache folder is given.

    Raises `ModelError` where it does not.
    """
    if "onnxruntime" in sys.modules:  # it is loaded, and nothing crashed
        return
    stamp = cache_dir / STAMP if cache_dir else None
    here = _fingerprint()
    with suppress(OSError):
        if stamp and stamp.read_text(encoding="ascii") == here:
            return
    try_onnxruntime()
    with suppress(OSError):  # it is tested again next time
        if stamp and stamp.parent.is_dir():
            stamp.write_text(here, encoding="ascii")


def try_onnxruntime(environ: Mapping[str, str] = os.environ, cpus: Path = CPUS) -> str:
    """Load it and run a small network in a child; return its version. Raises `ModelError`."""
    try:
        child = subprocess.run(
            [sys.executable, "-c", _CHILD],
            capture_output=True, text=True, errors="replace", timeout=TRIAL_S, env=dict(environ), check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as exc:
        raise ModelError(
            f"onnxruntime {_version()} did not run a small network within {TRIAL_S:g} s; "
            "is this machine out of memory?"
        ) from exc
    if child.returncode == 0:
        return child.stdout.strip()
    last = next((line.strip() for line in reversed(child.stderr.splitlines()) if line.strip()), "")
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        said = f' ("{last[:200]}")' if last else ""
        raise ModelError(
            f"onnxruntime {_version()} ends the process that loads it, by {name}{said}; {_todo(cpus)}"
        )
    raise ModelError(
        f"onnxruntime {_version()} cannot be used: {last[:300]}; pip install --force-reinstall onnxruntime"
    )


def _todo(cpus: Path) -> str:
    """Remedy, by what is known of this machine."""
    try:
        online = (cpus / "online").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return f"{cpus} does not list the CPUs, which it needs: let the container see /sys"
    if "," in online or not online.startswith("0"):
        return (
            f"the numbers of the CPUs that are on have gaps ({online}), which 1.23 to 1.26 do not bear: "
            "switch all on (on a Jetson: nvpmodel -m 0), or install onnxruntime 1.22 or 1.27 and later"
        )
    return "install another version of onnxruntime, as in: pip install 'onnxruntime<1.28'"


def _version() -> str:
    try:
        return metadata.version("onnxruntime")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _fingerprint() -> str:
    """Hash of what decides whether it works: the library, the online CPUs, this boot."""
    parts = [sys.version, _version()]
    for path in (CPUS / "online", Path("/proc/sys/kernel/random/boot_id")):
        with suppress(OSError):
            parts.append(path.read_text(encoding="ascii"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()

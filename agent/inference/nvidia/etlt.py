"""TAO's .etlt files: a header and an encrypted network.

4 bytes, little-endian: length of the input's name; the name; then AES in counter mode after a nonce of 16
bytes. Length 0 means that the content is ONNX, otherwise it is UFF. There is no checksum: a wrong key gives
noise, which only parsing detects.

The cipher is proprietary to NVIDIA; it runs in a child process, with any Python that has their package.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ModelError

NAME_BYTES = 256  # a tensor's name is shorter
NONCE_BYTES = 16
DECODE_S = 600.0
PACKAGE = "nvidia-eff-tao-encryption"
PYTHONS = ("3.8", "3.10", "3.12")  # those that NVIDIA builds its package for

_CHILD = """
import io, sys
data = sys.stdin.buffer.read()
try:
    from eff_tao_encryption.tao_codec import decrypt_stream
except ImportError as exc:
    sys.exit(f"no decoder: {exc}")
size = int.from_bytes(data[:4], "little")
out = io.BytesIO()
decrypt_stream(io.BytesIO(data[4 + size:]), out, data[4:4 + size], encryption=True)
sys.stdout.buffer.write(out.getvalue())
"""


@dataclass(frozen=True, slots=True)
class Etlt:
    """A parsed .etlt file. `input_name` is that of a UFF network; empty where the content is ONNX."""

    input_name: str
    payload: bytes


def read_header(content: bytes, name: str) -> Etlt:
    """Parse the header. Raises `ModelError` where truncated or not .etlt. `name` is used in the message."""
    if len(content) < 4:
        raise ModelError(f"{name}: is truncated, {len(content)} bytes; download it again")
    size = int.from_bytes(content[:4], "little")
    if size > NAME_BYTES:
        raise ModelError(
            f"{name}: is no .etlt file; its first 4 bytes ({content[:4].hex()}) would be the length of a "
            f"tensor's name, {size}"
        )
    if len(content) < 4 + size + NONCE_BYTES + 1:
        raise ModelError(
            f"{name}: is truncated, {len(content)} bytes are less than its header says; download it again"
        )
    try:
        tensor = content[4 : 4 + size].decode("ascii")
    except UnicodeDecodeError:
        tensor = "\0"
    if not tensor.isprintable():
        raise ModelError(
            f"{name}: is no .etlt file; a tensor's name is text, here it is {content[4 : 4 + size]!r}"
        )
    return Etlt(tensor, content[4 + size :])


def decode(content: bytes, key: str, name: str, python: Path | None = None) -> bytes:
    """Decrypt an .etlt file and return its content; a wrong key is not detected here. Raises `ModelError`.

    `python` is an interpreter that has NVIDIA's package; None: the current one.
    """
    found = read_header(content, name)
    if found.input_name:
        raise ModelError(
            f'{name}: holds a UFF network (input "{found.input_name}"), a format that TensorRT dropped and '
            "nothing else reads; take a version of the model that holds ONNX (newer ones do), or export it "
            "again with TAO"
        )
    if not key:
        raise ModelError(f"{name}: the key is empty; NVIDIA's own models have the key nvidia_tlt")
    if python is None and not has_decoder():
        raise ModelError(f"{name}: {how_to_decode(python)}")
    secret = key.encode()
    fed = len(secret).to_bytes(4, "little") + secret + found.payload
    with tempfile.TemporaryDirectory() as folder:  # the child must import nothing from the current folder
        try:
            done = subprocess.run(
                [_interpreter(python), "-c", _CHILD],
                input=fed, capture_output=True, timeout=DECODE_S, cwd=folder, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as exc:
            raise ModelError(f"{name}: NVIDIA's decoder gave nothing in {DECODE_S:.0f} s") from exc
        except OSError as exc:
            raise ModelError(
                f"{python}: cannot be run ({exc.strerror}); --python wants an interpreter"
            ) from exc
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["it says nothing"])[-1]
        if last.startswith("no decoder"):
            raise ModelError(f"{name}: {how_to_decode(python)}")
        raise ModelError(f"{name}: NVIDIA's decoder failed ({last})")
    return done.stdout


def _interpreter(python: Path | None) -> str:
    """The interpreter as seen from the child's folder: a name on PATH, or an absolute path."""
    if python is None:
        return sys.executable
    named = shutil.which(str(python)) if python.parent == Path() else None
    return named or str(python.absolute())


def has_decoder() -> bool:
    """Whether the current Python has NVIDIA's package."""
    return importlib.util.find_spec("eff_tao_encryption") is not None


def how_to_decode(python: Path | None = None) -> str:
    """Return what to install, for this Python and machine."""
    version = ".".join(map(str, sys.version_info[:2]))
    who = f"{python} has" if python else f"this Python ({version}, {platform.machine()}) has"
    text = f"to open an .etlt file NVIDIA's package {PACKAGE} is needed, which {who} not. "
    if python is None and version in PYTHONS:
        text += (
            f"Install it: {sys.executable} -m pip install cryptography && {sys.executable} -m pip install "
            f"--no-deps {PACKAGE}. If pip finds none for this machine, use another Python or machine: "
        )
    else:
        text += f"NVIDIA builds it for Python {', '.join(PYTHONS[:-1])} and {PYTHONS[-1]} only: "
    return text + (
        "python3.12 -m venv etlt && "
        f"etlt/bin/pip install cryptography && etlt/bin/pip install --no-deps {PACKAGE}, then say "
        "--python etlt/bin/python. It can be done once on any machine: the ONNX file that comes out runs "
        "everywhere"
    )

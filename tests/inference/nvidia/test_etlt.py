"""TAO's .etlt files: headers at random, and a round trip through NVIDIA's own package where it is at hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from networks import bodyposenet, gesturenet
from packaging.requirements import Requirement

from agent.errors import ModelError
from agent.inference.files.store import locate, manifest_of
from agent.inference.nvidia.etlt import NONCE_BYTES, PYTHONS, decode, has_decoder, how_to_decode, read_header
from agent.inference.nvidia.importing import Given, import_model, read_given
from agent.inference.nvidia.model_matching import Choices
from agent.inference.nvidia.onnx_file import missing_bytes, read_network

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[3]

KEY = "nvidia_tlt"
_ENCODE = """
import io, struct, sys
from eff_tao_encryption.tao_codec import encrypt_stream
out = io.BytesIO()
encrypt_stream(io.BytesIO(sys.stdin.buffer.read()), out, sys.argv[1].encode(), encryption=True)
name = sys.argv[2].encode()
sys.stdout.buffer.write(struct.pack("<i", len(name)) + name + out.getvalue())
"""


@pytest.fixture(scope="module")
def python() -> Path:
    """An interpreter with NVIDIA's package; `make test-etlt` makes some."""
    named = os.environ.get("GESTURE_AGENT_ETLT_PYTHON")
    if named:
        return Path(named)
    if has_decoder():
        return Path(sys.executable)
    pytest.skip(
        "NVIDIA's nvidia-eff-tao-encryption is not here (make test-etlt brings it; Python 3.10 or 3.12)"
    )


def encoded(python: Path, content: bytes, key: str = KEY, input_name: str = "") -> bytes:
    """An .etlt file of our own, written with NVIDIA's package."""
    command = [str(python), "-c", _ENCODE, key, input_name]
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout


# --- the header --------------------------------------------------------------------------------------------


@given(st.binary(max_size=600))
@example(b"")
@example(b"\x00\x00\x00\x00")
@example(b"\xff\xff\xff\xff" + bytes(40))
@example(b"\x05\x00\x00\x00\xffabc\x00" + bytes(40))
def test_any_bytes_are_a_header_or_are_said_not_to_be(content: bytes) -> None:
    try:
        found = read_header(content, "model.etlt")
    except ModelError as exc:
        said = str(exc)
    else:
        size = int.from_bytes(content[:4], "little")
        fits = found.input_name.encode() == content[4 : 4 + size] and found.payload == content[4 + size :]
        said = "model.etlt: is one" if fits and len(found.payload) > NONCE_BYTES else "read wrongly"
    assert said.startswith("model.etlt: is ")


@given(
    name=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=256),
    payload=st.binary(min_size=17),
)
def test_what_is_written_as_a_header_is_read_back(name: str, payload: bytes) -> None:
    content = len(name).to_bytes(4, "little") + name.encode() + payload
    found = read_header(content, "model.etlt")
    assert (found.input_name, found.payload) == (name, payload)


@pytest.mark.parametrize("size", [0, 3, 4, 12, 20])
def test_a_file_that_ends_in_its_header_is_truncated(size: int) -> None:
    whole = (0).to_bytes(4, "little") + bytes(17)
    with pytest.raises(ModelError, match=r"model.etlt: is truncated, \d+ bytes"):
        read_header(whole[:size], "model.etlt")


def test_an_onnx_file_called_etlt_is_reported_by_its_first_bytes() -> None:
    with pytest.raises(ModelError, match=r"is no .etlt file; its first 4 bytes \(0808"):
        read_header(gesturenet(), "model.etlt")


def test_a_uff_network_is_named_as_such_before_anything_is_decoded() -> None:
    content = (7).to_bytes(4, "little") + b"input_1" + bytes(100)
    with pytest.raises(
        ModelError, match=r'holds a UFF network \(input "input_1"\), a format that TensorRT drop'
    ):
        decode(content, KEY, "gesture.etlt", Path("/nowhere/python"))


def test_an_empty_key_is_no_key() -> None:
    with pytest.raises(ModelError, match="the key is empty"):
        decode(bytes(4) + bytes(40), "", "gesture.etlt")


# --- no decoder --------------------------------------------------------------------------------------------


def test_without_the_decoder_the_message_says_how_to_get_one() -> None:
    said = how_to_decode()
    assert "nvidia-eff-tao-encryption" in said
    assert "--python etlt/bin/python" in said
    version = ".".join(map(str, sys.version_info[:2]))
    if version not in PYTHONS:
        assert "builds it for Python 3.8, 3.10 and 3.12 only" in said


def test_an_interpreter_without_the_decoder_is_reported(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'no decoder: No module named eff_tao_encryption' >&2\nexit 1\n")
    fake.chmod(0o755)
    with pytest.raises(ModelError, match=rf"{fake} has not"):
        decode(bytes(4) + bytes(40), KEY, "gesture.etlt", fake)


def test_an_interpreter_may_be_named_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child runs elsewhere; `--python etlt/bin/python` is meant from here."""
    (tmp_path / "etlt").mkdir()
    fake = tmp_path / "etlt" / "python"
    fake.write_text("#!/bin/sh\nprintf opened\n")
    fake.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    assert decode(bytes(4) + bytes(40), KEY, "gesture.etlt", Path("etlt/python")) == b"opened"


@pytest.mark.parametrize("python", ["/nowhere/python", "/"])
def test_an_interpreter_that_is_none_is_reported(python: str) -> None:
    with pytest.raises(ModelError, match=r"cannot be run \(.*--python wants an interpreter"):
        decode(bytes(4) + bytes(40), KEY, "gesture.etlt", Path(python))


# --- what a damaged network looks like ---------------------------------------------------------------------


def test_the_bytes_that_are_missing_are_counted() -> None:
    content = gesturenet()
    assert missing_bytes(content) == 0
    for lost in (1, 100, 2000):
        missing = missing_bytes(content[:-lost])
        assert missing is not None
        assert 0 < missing <= lost


@given(st.binary(max_size=300))
def test_noise_is_read_without_a_crash(content: bytes) -> None:
    missing_bytes(content)
    with pytest.raises(ModelError):
        read_network(content, "model.onnx", KEY)


# --- with NVIDIA's package ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "name"), [(gesturenet(), "gesturenet-nvidia"), (bodyposenet(), "bodyposenet")]
)
def test_an_etlt_file_of_our_own_is_imported(python: Path, tmp_path: Path, content: bytes, name: str) -> None:
    file = tmp_path / "model.etlt"
    file.write_bytes(encoded(python, content))
    made = import_model(read_given(file, KEY, python), tmp_path / "cache", Choices())
    assert made.name == name
    assert made.path.read_bytes() == content
    assert locate(name, tmp_path / "cache") == made.path
    assert manifest_of(name, tmp_path / "cache").source.kind == "file"


def test_a_key_of_ones_own_opens_what_it_closed(python: Path, tmp_path: Path) -> None:
    file = encoded(python, gesturenet(), key="our own, with spaces and ü")
    given = Given(file, "model.etlt", "here", "our own, with spaces and ü", python)
    assert import_model(given, tmp_path, Choices()).path.read_bytes() == gesturenet()


def test_a_wrong_key_is_said_to_be_wrong(python: Path, tmp_path: Path) -> None:
    given = Given(encoded(python, gesturenet()), "model.etlt", "here", "tlt_encode", python)
    with pytest.raises(ModelError, match=r'with the key "tlt_encode" gives no ONNX; the key is wrong'):
        import_model(given, tmp_path, Choices())
    assert not list(tmp_path.rglob("*.onnx"))


@pytest.mark.parametrize("lost", [1, 700, 1500])
def test_a_truncated_file_is_said_to_be_truncated(python: Path, tmp_path: Path, lost: int) -> None:
    given = Given(encoded(python, gesturenet())[:-lost], "model.etlt", "here", KEY, python)
    with pytest.raises(ModelError, match=r"model.etlt: is truncated, [\d,]+ bytes are missing"):
        import_model(given, tmp_path, Choices())


def test_uff_inside_is_named(python: Path, tmp_path: Path) -> None:
    given = Given(encoded(python, b"a UFF graph", input_name="input_1"), "model.etlt", "here", KEY, python)
    with pytest.raises(ModelError, match="holds a UFF network"):
        import_model(given, tmp_path, Choices())


@pytest.mark.parametrize(
    ("python", "machine", "wanted"),
    [
        ("3.10", "x86_64", True),
        ("3.12", "x86_64", True),
        ("3.12", "aarch64", True),
        ("3.10", "aarch64", False),  # it has no wheel there, so the extra must be installable without
        ("3.11", "x86_64", False),
        ("3.13", "aarch64", False),
    ],
)
def test_the_extra_asks_for_nvidias_package_only_where_it_has_a_wheel(
    python: str, machine: str, wanted: bool
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [asked] = [
        Requirement(text)
        for text in project["optional-dependencies"]["etlt"]
        if text.startswith("nvidia-eff-tao-encryption")
    ]
    assert asked.marker is not None
    environment = {"python_version": python, "platform_machine": machine}
    assert asked.marker.evaluate(environment) == wanted

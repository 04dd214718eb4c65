"""Files may be damaged or written by a fool: a list of problems with their places, never a crash."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.config.problems import ConfigProblems
from agent.config.toml_document import TomlDocument, read
from agent.errors import ModelError
from agent.inference.manifest import engine_names, engines_folder, load_manifest
from agent.inference.models import locate

ROOT = Path(__file__).parents[2]
SHIPPED = [ROOT / "config.toml", *sorted((ROOT / "rules").glob("*.toml"))]
MANIFESTS = [(name, (engines_folder() / name / "manifest.toml").read_bytes()) for name in engine_names()]
MORE_BYTES = st.sampled_from(
    [
        b"\xff",
        b"\x00",
        b"[",
        b"]]",
        b'"""',
        b"'",
        b"=",
        b"\r",
        b"{",
        b".",
        b"\xef\xbb\xbf",
        "é".encode(),
        b"[" * 3000,
    ]
)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes with a few cut out, doubled or put in."""
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(whole))), draw(st.integers(0, 30))
        middle = draw(MORE_BYTES | st.binary(max_size=8) | st.just(whole[at : at + length] * 2))
        whole = whole[:at] + middle + whole[at + length :]
    return whole


def parsed(data: bytes) -> TomlDocument | ConfigProblems:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.toml"
        path.write_bytes(data)
        try:
            return read(path, "any.toml")
        except ConfigProblems as exc:
            return exc


def check(data: bytes) -> None:
    found = parsed(data)
    if isinstance(found, TomlDocument):
        rows = data.decode("utf-8-sig", "replace").split("\n")  # Python takes half a byte order mark for none
        for spot in [*found.keys.values(), *found.values.values()]:
            assert spot.file == "any.toml"
            assert 1 <= spot.line <= len(rows)
            assert 1 <= spot.column <= len(rows[spot.line - 1]) + 1
    else:
        assert found.problems
        assert all(problem.file == "any.toml" and problem.text for problem in found.problems)


@settings(max_examples=300)
@given(st.binary(max_size=300))
@example(b"a = 1\r\nb = [\r\n 1,\r\n]\r\n")
@example("'é' = 'ü'\n[é]".encode())
def test_random_bytes_are_toml_with_places_or_a_problem(data: bytes):
    check(data)


@settings(max_examples=150)
@given(st.sampled_from(SHIPPED).flatmap(lambda path: damaged(path.read_bytes()[:3000])))
def test_damaged_settings_and_rules_are_toml_with_places_or_a_problem(data: bytes):
    check(data)


@settings(max_examples=200)
@given(st.sampled_from(MANIFESTS).flatmap(lambda one: st.tuples(st.just(one[0]), damaged(one[1]))))
@example(("hand-landmark", b"\xff"))
@example(("hand-landmark", b"a = " + b"[" * 3000))
def test_a_damaged_manifest_is_a_model_error_or_still_sound(case: tuple[str, bytes]):
    name, data = case
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name / "manifest.toml"
        path.parent.mkdir()
        path.write_bytes(data)
        try:
            told = f"{path}: {load_manifest(name, Path(folder)).name}"
        except ModelError as exc:
            told = str(exc)
        assert told.startswith(f"{path}:")


def test_a_network_whose_manifest_names_another_hash_is_not_loaded(tmp_path: Path):
    engines = tmp_path / "engines"
    shutil.copytree(engines_folder() / "gesturenet-landmark", engines / "gesturenet-landmark")
    shutil.copytree(engines_folder() / "hand-landmark", engines / "hand-landmark")
    with pytest.raises(ModelError, match="gesture-agent models fetch"):
        locate("gesturenet-landmark", tmp_path, engines)

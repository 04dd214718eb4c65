from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from engine_kit import write_joined
from heads import random_head
from support.small_disk import mount_small_disk

from agent.errors import ModelError
from agent.inference import models
from agent.inference.manifest import engines_folder

NOWHERE = "http://127.0.0.1:9/simple"  # the discard port: nobody listens


def make_wheel(folder: Path, content: bytes) -> Path:
    """A package registry of one wheel, made here, and a manifest that asks for it."""
    wheel = folder / "networks-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("networks/palm.tflite", content)
        archive.writestr(
            "networks-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: networks\nVersion: 1.0\n"
        )
        archive.writestr(
            "networks-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("networks-1.0.dist-info/RECORD", "")
    return wheel


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its registry; no other is asked."""
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def ask_for(engines: Path, name: str, content: bytes) -> None:
    """Change an engine's manifest so that it asks for the wheel of `make_wheel`."""
    path = engines / name / "manifest.toml"
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        key = line.split(" = ")[0]
        new = {
            "package": "networks",
            "version": "1.0",
            "platform": "any",
            "member": "networks/palm.tflite",
            "sha256": hashlib.sha256(content).hexdigest(),
        }.get(key)
        lines.append(f'{key} = "{new}"' if new else line)
    path.write_text("\n".join(lines), encoding="utf-8")


def test_what_is_fetched_once_is_never_fetched_again(
    own_cache: Path, engines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", NOWHERE)
    told: list[str] = []
    paths = models.fetch(["palm-detector", "hand-landmark"], own_cache, told.append, engines)
    assert told == ["palm-detector: ready", "hand-landmark: ready"]
    assert all(path.is_file() for path in paths)


def test_without_a_network_the_message_says_what_to_check(
    tmp_path: Path, engines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", NOWHERE)
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(
        ModelError, match=r"mediapipe==0.10.18: pip could not download it .*check the network"
    ):
        models.fetch(["palm-detector"], tmp_path / "empty", engines=engines)
    assert not list((tmp_path / "empty").rglob("*.onnx"))


def test_a_file_that_is_not_the_published_one_is_refused(
    registry: Path, tmp_path: Path, engines: Path
) -> None:
    make_wheel(registry, b"forged")
    ask_for(engines, "palm-detector", b"published")
    seen = hashlib.sha256(b"forged").hexdigest()
    with pytest.raises(
        ModelError, match=f"palm.tflite of .* has sha256 {seen}, the manifest says .*do not use it"
    ):
        models.fetch(["palm-detector"], tmp_path / "empty", engines=engines)
    assert not list((tmp_path / "empty").rglob("*.onnx"))


def test_a_wheel_without_the_network_is_reported(registry: Path, tmp_path: Path, engines: Path) -> None:
    make_wheel(registry, b"")
    ask_for(engines, "palm-detector", b"")
    path = engines / "palm-detector" / "manifest.toml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("networks/palm", "networks/plam"), encoding="utf-8"
    )
    with pytest.raises(ModelError, match=r"has no readable networks/plam\.tflite"):
        models.fetch(["palm-detector"], tmp_path / "empty", engines=engines)


def test_a_damaged_file_is_noticed_and_made_again(own_cache: Path, engines: Path) -> None:
    (path,) = models.fetch(["joined"], own_cache, engines=engines)
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(ModelError, match=r"joined: .* is damaged.*gesture-agent models fetch"):
        models.locate("joined", own_cache, engines)
    assert models.fetch(["joined"], own_cache, engines=engines)[0].read_bytes() == good


def test_a_file_without_its_receipt_is_not_trusted(own_cache: Path, engines: Path) -> None:
    (path,) = models.fetch(["joined"], own_cache, engines=engines)
    path.with_suffix(".json").write_text("[]", encoding="utf-8")
    with pytest.raises(ModelError, match="another recipe"):
        models.locate("joined", own_cache, engines)


def test_a_changed_recipe_makes_the_file_again(own_cache: Path, engines: Path) -> None:
    models.fetch(["joined"], own_cache, engines=engines)
    write_joined(engines, random_head(("world",)))
    with pytest.raises(ModelError, match=r"another recipe; run `gesture-agent models fetch`"):
        models.locate("joined", own_cache, engines)
    told: list[str] = []
    models.fetch(["joined"], own_cache, told.append, engines)
    assert told[-2:] == ["joined: joining hand-landmark and head.onnx", "joined: ready"]


def test_a_head_that_is_not_the_one_of_its_manifest_is_refused(own_cache: Path, engines: Path) -> None:
    (engines / "joined" / "head.onnx").write_bytes(random_head(("world",)))
    with pytest.raises(ModelError, match=r"head.onnx has sha256 .*, the manifest says"):
        models.fetch(["joined"], own_cache, engines=engines)


def test_an_engine_that_was_never_fetched_says_which_command_fetches_it(
    tmp_path: Path, engines: Path
) -> None:
    with pytest.raises(
        ModelError, match=r"palm-detector: .* does not exist; run `gesture-agent models fetch`"
    ):
        models.locate("palm-detector", tmp_path / "empty", engines)


def test_the_list_tells_ready_missing_and_broken_apart(own_cache: Path, engines: Path) -> None:
    shutil.rmtree(engines / "pose-detector")
    damaged = own_cache / "engines" / "palm-detector.onnx"
    damaged.unlink()  # the link, not the file that all tests share
    damaged.write_bytes(b"rubbish")
    states = {s.name: s.state for s in models.statuses(own_cache, engines)}
    assert states == {
        "hand-landmark": "ready", "joined": "missing", "palm-detector": "broken", "pose-landmark": "ready",
    }  # fmt: skip


def test_the_list_has_a_line_for_a_manifest_that_cannot_be_read(own_cache: Path, engines: Path) -> None:
    (engines / "joined" / "manifest.toml").write_text("name = ", encoding="utf-8")
    (line,) = [s for s in models.statuses(own_cache, engines) if s.name == "joined"]
    assert line.state == "broken"
    assert "manifest.toml" in line.detail


def test_without_pip_the_message_says_how_to_get_it(
    tmp_path: Path, engines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ModelError, match="pip is not installed; install it"):
        models.fetch(["palm-detector"], tmp_path / "empty", engines=engines)


@pytest.mark.root
def test_a_full_disk_is_reported_with_the_folder_and_the_bytes(
    own_cache: Path, engines: Path, tmp_path: Path
) -> None:
    with mount_small_disk(tmp_path / "small", "12m") as small:
        shutil.copytree(
            own_cache / "engines", small / "engines", ignore=shutil.ignore_patterns("pose*", "palm*")
        )
        with pytest.raises(
            ModelError, match=rf"{small}/engines: the disk is full, [\d,]+ bytes did not fit and [\d,]+"
        ):
            models.fetch(["joined"], small, engines=engines)
        assert sorted(p.name for p in (small / "engines").iterdir()) == [
            "hand-landmark.json",
            "hand-landmark.onnx",
        ]


def test_a_cache_folder_of_somebody_else_is_reported(engines: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder", encoding="utf-8")
    with pytest.raises(ModelError, match=r"file/cache: cannot be written .*set agent.cache_dir"):
        models.fetch(["palm-detector"], blocked / "cache", engines=engines)


def test_a_receipt_names_what_it_is_for(own_cache: Path, engines: Path) -> None:
    (path,) = models.fetch(["joined"], own_cache, engines=engines)
    receipt = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert receipt["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_engine_of_the_product_has_a_sound_manifest(tmp_path: Path) -> None:
    assert not [s for s in models.statuses(tmp_path) if s.task == "?"]
    assert engines_folder().name == "engines"

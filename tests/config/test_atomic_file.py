"""Files are written whole or not at all, on a real file system that is full or refuses."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.small_disk import mount_small_disk

from agent.config.atomic_file import NewFile, write_all, write_atomic
from agent.errors import ConfigError


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for 64 kB."""
    with mount_small_disk(tmp_path / "disk", "64k") as folder:
        yield folder


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_new_file_has_its_mode_and_nothing_lies_beside_it(tmp_path: Path):
    write_atomic(tmp_path / "made/secret", b"x", 0o600)
    assert everything(tmp_path) == {"made/secret": b"x"}
    assert (tmp_path / "made/secret").stat().st_mode & 0o777 == 0o600


def test_a_replaced_file_keeps_its_mode_and_a_link_stays_a_link(tmp_path: Path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert (real.read_bytes(), real.stat().st_mode & 0o777) == (b"new", 0o640)


@pytest.mark.root
def test_on_a_full_disk_the_old_file_stays_and_nothing_is_half_written(small_disk: Path):
    (small_disk / "config.toml").write_bytes(b"old")
    files = [NewFile(small_disk / "config.toml", b"new"), NewFile(small_disk / "a/big", b"x" * 200_000)]
    with pytest.raises(ConfigError, match="No space left on device; nothing was written"):
        write_all(files)
    assert everything(small_disk) == {"config.toml": b"old"}
    assert [path.name for path in small_disk.iterdir()] == ["config.toml"]


def test_a_target_that_cannot_be_replaced_brings_the_others_back(tmp_path: Path):
    (tmp_path / "first").write_bytes(b"old")
    (tmp_path / "second").mkdir()
    files = [NewFile(tmp_path / "first", b"new"), NewFile(tmp_path / "new", b"new")]
    with pytest.raises(ConfigError, match="nothing was written"):
        write_all([*files, NewFile(tmp_path / "second", b"new")])
    assert everything(tmp_path) == {"first": b"old"}


def test_an_interruption_leaves_nothing(tmp_path: Path):
    class Interrupted(list[NewFile]):
        def __iter__(self) -> Iterator[NewFile]:
            yield from super().__iter__()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_all(Interrupted([NewFile(tmp_path / "made/one", b"1")]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_new_file_never_replaces_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool):
    if not links:  # as on FAT

        def refused(*_: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refused)
    file = tmp_path / "lamp.toml"
    write_all([NewFile(file, b"first", 0o640, must_be_new=True)])
    with pytest.raises(ConfigError, match=r"lamp.toml: File exists; nothing was written"):
        write_all([NewFile(tmp_path / "other", b""), NewFile(file, b"second", must_be_new=True)])
    assert file.read_bytes() == b"first"
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["lamp.toml"]

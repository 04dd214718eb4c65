"""Engines to try: those that are fetched, and one joined with a head that knows nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_kit import FETCHED, write_joined
from heads import random_head

from agent.config.settings import RecognitionSettings
from agent.inference import models
from agent.inference.build import build_recognizer
from agent.inference.manifest import engines_folder
from agent.inference.recognizer import Recognizer

HEAD = random_head(("landmarks", "presence", "crop_angle"))


@pytest.fixture
def engines(tmp_path: Path) -> Path:
    """A copy of the manifests of the fetched engines, and of one joined to a random head; to be changed."""
    return _manifests(tmp_path / "engines")


@pytest.fixture
def own_cache(cache_dir: Path, tmp_path: Path) -> Path:
    """A cache folder of the test's own that holds the fetched engines already: links, to be replaced only."""
    return _linked(cache_dir, tmp_path / "cache", FETCHED)


@pytest.fixture(scope="session")
def joined_cache(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the joined engine made, once for all tests."""
    folder = tmp_path_factory.mktemp("joined")
    cache = _linked(cache_dir, folder / "cache", FETCHED)
    models.fetch(["joined"], cache, engines=_manifests(folder / "engines"))
    return cache


@pytest.fixture
def perception(engines: Path, own_cache: Path, joined_cache: Path) -> Iterator[Recognizer]:
    """The real networks, and a classifier that finds hands but knows nothing of gestures."""
    _linked(joined_cache, own_cache, ("joined",))
    recognizer = build_recognizer(RecognitionSettings(gestures="joined"), own_cache, engines)
    yield recognizer
    recognizer.close()


def _manifests(engines: Path) -> Path:
    for name in FETCHED:
        shutil.copytree(engines_folder() / name, engines / name)
    write_joined(engines, HEAD)
    return engines


def _linked(source: Path, cache: Path, names: tuple[str, ...]) -> Path:
    (cache / "engines").mkdir(parents=True, exist_ok=True)
    for file in (f"{name}.{kind}" for name in names for kind in ("onnx", "json")):
        (cache / "engines" / file).symlink_to(source / "engines" / file)
    return cache

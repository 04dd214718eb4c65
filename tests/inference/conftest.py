"""Engines to try: those that are fetched, and one joined with a head that knows nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from engine_kit import FETCHED, write_joined
from heads import random_head

from agent.config.settings import RecognitionSettings
from agent.inference import models
from agent.inference.engine import Engine, load_engine
from agent.inference.manifest import engines_folder
from agent.inference.perception import Perception, build_perception


@pytest.fixture
def engines(tmp_path: Path) -> Path:
    """A copy of the manifests of the fetched engines, and of one joined to a random head; to be changed."""
    for name in FETCHED:
        shutil.copytree(engines_folder() / name, tmp_path / "engines" / name)
    write_joined(tmp_path / "engines", random_head(("landmarks", "presence", "crop_angle")))
    return tmp_path / "engines"


@pytest.fixture
def own_cache(cache_dir: Path, tmp_path: Path) -> Path:
    """A cache folder of the test's own that holds the fetched engines already."""
    (tmp_path / "cache" / "engines").mkdir(parents=True)
    for name in FETCHED:
        for file in (f"{name}.onnx", f"{name}.json"):
            shutil.copy(cache_dir / "engines" / file, tmp_path / "cache" / "engines")
    return tmp_path / "cache"


@pytest.fixture
def perception(engines: Path, own_cache: Path) -> Perception:
    """The real networks, and a classifier that finds hands but knows nothing of gestures."""
    models.fetch(["joined"], own_cache, engines=engines)
    return build_perception(RecognitionSettings(gestures="joined"), own_cache, engines)


@pytest.fixture
def hand_landmark(cache_dir: Path) -> Engine:
    return load_engine("hand-landmark", models.locate("hand-landmark", cache_dir))


@pytest.fixture
def palm_detector(cache_dir: Path) -> Engine:
    return load_engine("palm-detector", models.locate("palm-detector", cache_dir))

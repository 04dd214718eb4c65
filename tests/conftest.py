"""What many tests need: the photographs, the networks, a free port."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest
import structlog
from hypothesis import settings

from agent.errors import ModelError
from agent.inference.models import fetch, locate

ROOT = Path(__file__).parents[1]

settings.register_profile("busy machines", deadline=None)  # how long an example takes says nothing here
settings.register_profile(
    "attack", deadline=None, max_examples=100 * int(os.environ.get("GESTURE_AGENT_ATTACKS", "1"))
)  # make attack
settings.load_profile("busy machines")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Run in a script's background we are deaf to Ctrl-C, and so were every program that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def usual_logs() -> Iterator[None]:
    """Commands that run in this process quiet the log; the next test hears it again."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photographs, which is never part of the repository."""
    folder = Path(os.environ.get("GESTURE_AGENT_SHARED", ROOT.parent / "shared")) / "data"
    if not (folder / "photos.csv").is_file():
        pytest.skip("the photographs are not here (set GESTURE_AGENT_SHARED to the folder that holds data/)")
    return folder


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    """Folder of the fetched networks; `make test` fills it before the tests run."""
    folder = Path(os.environ.get("CACHE_DIRECTORY", platformdirs.user_cache_path("gesture-agent")))
    names = ("pose-detector", "pose-landmark", "palm-detector", "hand-landmark")
    try:
        for name in names:
            locate(name, folder)
    except ModelError:
        fetch(names, folder)
    return folder


ASKED_FOR = {"container": "make test-service", "triton": "make test-triton"}  # what takes long to set up


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is only done when `-m` names it, and what wants root where we are not."""
    asked = config.getoption("-m")
    for item in items:
        if os.geteuid() != 0 and item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason="wants root, to mount a disk or become another user"))
        for marker, command in ASKED_FOR.items():
            if marker not in asked and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=f"asked for with `{command}`"))

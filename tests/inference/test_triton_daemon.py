"""A whole daemon whose classifier runs elsewhere: it starts without, goes on without, and recovers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.waiting import until
from thin_daemon import thin_daemon

from agent.config.settings import RecognitionSettings, TritonSettings
from agent.core.types import Floats
from agent.diagnostics import check_models
from agent.inference.engine import load_engine
from agent.inference.models import fetch, files_of, locate

pytest.importorskip("tritonclient.http", reason="tritonclient is not installed (the extra triton)")
from triton_double import TritonDouble

CLASSIFIER = "gesturenet-ensemble"


@pytest.fixture
def double(cache_dir: Path) -> Iterator[TritonDouble]:
    """Serves the shipped classifier, computed here."""
    fetch([CLASSIFIER], cache_dir)
    engine = load_engine(CLASSIFIER, locate(CLASSIFIER, cache_dir), threads=1)

    def shapes(specs: dict[str, tuple[int | str, ...]]) -> dict[str, list[int]]:
        return {name: [d if isinstance(d, int) else -1 for d in spec] for name, spec in specs.items()}

    def compute(inputs: dict[str, Floats]) -> dict[str, Floats]:
        return engine.run(inputs)

    server = TritonDouble()
    server.serve(CLASSIFIER, shapes(dict(engine.inputs)), shapes(dict(engine.outputs)), compute)  # type: ignore[arg-type]
    server.start()
    yield server
    server.stop()
    engine.close()


def test_the_server_goes_and_comes_back_and_the_daemon_stays(
    double: TritonDouble, cache_dir: Path, tmp_path: Path
) -> None:
    with thin_daemon(tmp_path, double.url, cache_dir, 5.0) as recognition:
        until(lambda: recognition() == "online" and double.batches, "crops reach the server", 60)
        double.stop()
        until(lambda: recognition() == "away", "health says so", 60)
        double.start()
        before = len(double.batches)
        until(lambda: recognition() == "online" and len(double.batches) > before, "crops again", 60)


def test_it_starts_without_the_server(double: TritonDouble, cache_dir: Path, tmp_path: Path) -> None:
    double.stop()
    with thin_daemon(tmp_path, double.url, cache_dir, 5.0) as recognition:
        until(lambda: recognition() == "away", "health says so", 60)
        double.start()
        until(lambda: recognition() == "online", "health says so", 60)


def test_the_classifier_needs_no_file_here(double: TritonDouble, cache_dir: Path, tmp_path: Path) -> None:
    thin = RecognitionSettings(backend="triton", triton=TritonSettings(url=double.url, timeout=5.0))
    assert files_of(thin) == ("palm-detector", "pose-detector", "pose-landmark")
    there = thin.model_copy(update={"triton": TritonSettings(url=double.url, timeout=5.0, networks="all")})
    assert files_of(there) == ()
    (verdict, *_) = check_models(thin, tmp_path)
    assert (verdict.state, verdict.text) == ("ok", f"at {double.url}, version 1")
    double.stop()
    (verdict, *_) = check_models(thin, tmp_path)
    assert verdict.state == "warn"
    assert "nothing listens there (the agent would start and keep trying)" in verdict.text

"""One contract for every engine; a backend that is not installed here is skipped with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from heads import random_head

from agent.core.types import Floats
from agent.errors import EngineError, ModelError
from agent.inference.engine import BACKENDS, Engine, choose_backend, load_engine
from agent.inference.fake_engine import FakeEngine

Make = Callable[[Path], Engine]


def fake(_path: Path) -> Engine:
    def answer(inputs: object) -> dict[str, Floats]:
        count = len(inputs["presence"])  # type: ignore[index]
        return {"activation_18": np.full((count, 6), 1 / 6, np.float32)}

    wants = {"presence": ("N", 1), "handedness": ("N", 1)}
    return FakeEngine("head", wants, {"activation_18": ("N", 6)}, answer)


def of_backend(backend: str) -> Make:
    return lambda path: load_engine("head", path, backend=backend, threads=1)


@pytest.fixture(params=["fake", *BACKENDS])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    path = tmp_path / "head.onnx"
    path.write_bytes(random_head(("presence", "handedness")))
    make = fake if request.param == "fake" else of_backend(request.param)
    try:
        made = make(path)
    except ModelError as exc:
        pytest.skip(f"{request.param}: {exc}")
    yield made
    made.close()


def crops(count: int) -> dict[str, Floats]:
    return {"presence": np.ones((count, 1), np.float32), "handedness": np.zeros((count, 1), np.float32)}


def test_it_names_its_inputs_and_outputs_with_their_shapes(engine: Engine) -> None:
    assert dict(engine.inputs) == {"presence": ("N", 1), "handedness": ("N", 1)}
    assert dict(engine.outputs) == {"activation_18": ("N", 6)}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_it_takes_any_number_of_crops(engine: Engine, count: int) -> None:
    scores = engine.run(crops(count))["activation_18"]
    assert scores.shape == (count, 6)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


def test_a_wrong_shape_is_reported_with_what_was_wanted(engine: Engine) -> None:
    with pytest.raises(
        EngineError, match=r'head: input "presence" is float32 \(1, 2\), .* wants float32 \(N, 1\)'
    ):
        engine.run(crops(1) | {"presence": np.ones((1, 2), np.float32)})


def test_a_wrong_type_is_reported(engine: Engine) -> None:
    with pytest.raises(EngineError, match=r'input "presence" is float64'):
        engine.run(crops(1) | {"presence": np.ones((1, 1))})  # type: ignore[dict-item]


def test_a_missing_input_is_reported(engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"inputs are \['presence'\], the network wants"):
        engine.run({"presence": np.ones((1, 1), np.float32)})


def test_a_closed_engine_says_so_and_closes_twice(engine: Engine) -> None:
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="head: is closed"):
        engine.run(crops(1))


def test_inputs_that_do_not_fit_each_other_are_an_engine_error(tmp_path: Path) -> None:
    path = tmp_path / "head.onnx"
    path.write_bytes(random_head(("presence", "handedness")))
    engine = load_engine("head", path, backend="onnxruntime")
    with pytest.raises(EngineError, match="head: onnxruntime failed"):
        engine.run(crops(2) | {"presence": np.ones((3, 1), np.float32)})


def test_a_fake_fails_when_told_to() -> None:
    engine = fake(Path())
    assert isinstance(engine, FakeEngine)
    engine.broken = "out of memory"
    with pytest.raises(EngineError, match="head: out of memory"):
        engine.run(crops(1))


def test_a_file_that_is_no_network_is_a_model_error(tmp_path: Path) -> None:
    path = tmp_path / "head.onnx"
    path.write_bytes(b"rubbish")
    with pytest.raises(ModelError, match=r"head: .*head.onnx cannot be loaded by onnxruntime"):
        load_engine("head", path)


def test_an_unknown_backend_is_answered_with_those_there_are() -> None:
    with pytest.raises(ModelError, match='"onnxrt" is not known; there are: auto, onnxruntime'):
        choose_backend("onnxrt")


def test_auto_says_what_it_chose_and_why() -> None:
    chosen, why = choose_backend("auto")
    assert chosen in BACKENDS
    assert why

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engine_kit import write_joined
from heads import random_head

from agent.errors import ModelError
from agent.inference import models
from agent.inference.engine import load_engine


def test_the_joined_network_says_what_its_two_halves_say(own_cache: Path, engines: Path) -> None:
    head = random_head(("landmarks", "presence", "crop_angle"))
    (path,) = models.fetch(["joined"], own_cache, engines=engines)
    (engines / "head.onnx").write_bytes(head)
    whole, top = load_engine("joined", path), load_engine("head", engines / "head.onnx")
    base = load_engine("hand-landmark", models.locate("hand-landmark", own_cache, engines))
    picture = np.random.default_rng(3).random((3, 3, 224, 224), np.float32)
    angle = np.array([[0.0], [1.0], [-2.0]], np.float32)

    once = whole.run({"input_1": picture, "crop_angle": angle})

    hand = base.run({"input_1": picture})
    twice = top.run({"landmarks": hand["landmarks"], "presence": hand["presence"], "crop_angle": angle})
    np.testing.assert_allclose(once["activation_18"], twice["activation_18"], atol=1e-5)
    for output in ("landmarks", "presence", "handedness"):
        np.testing.assert_array_equal(once[output], hand[output])
    assert set(whole.inputs) == {"input_1", "crop_angle"}
    assert whole.outputs["activation_18"] == ("N", 6)


@pytest.mark.parametrize("opset", [13, 17, 18])
def test_a_head_of_another_opset_is_joined_all_the_same(own_cache: Path, engines: Path, opset: int) -> None:
    write_joined(engines, random_head(("landmarks", "crop_angle"), opset=opset))
    (path,) = models.fetch(["joined"], own_cache, engines=engines)
    assert load_engine("joined", path).outputs["activation_18"] == ("N", 6)


def test_a_head_that_wants_what_nobody_gives_is_refused(own_cache: Path, engines: Path) -> None:
    write_joined(engines, random_head(("landmarks", "heartbeat")))
    with pytest.raises(
        ModelError, match=r"joined: its head wants \['heartbeat'\], the base gives \['landmarks'"
    ):
        models.fetch(["joined"], own_cache, engines=engines)


def test_an_output_that_is_in_neither_half_is_named(own_cache: Path, engines: Path) -> None:
    manifest = engines / "joined" / "manifest.toml"
    text = manifest.read_text(encoding="utf-8").replace('"activation_18"', '"activation_19"')
    manifest.write_text(text, encoding="utf-8")
    with pytest.raises(
        ModelError, match=r"outputs \['activation_19'\] are neither of its head \['activation_18'\]"
    ):
        models.fetch(["joined"], own_cache, engines=engines)

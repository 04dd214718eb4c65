"""Networks on a server: what fits, what does not, and a server that goes, hangs, lies and comes back."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from agent.config.settings import TlsSettings, TritonSettings
from agent.core.types import LABELS, Floats
from agent.errors import EngineAway, EngineError, ModelError
from agent.inference.engine import RemoteEngine, connect_engine
from agent.inference.manifest import Manifest

pytest.importorskip("tritonclient.http", reason="tritonclient is not installed (the extra triton)")
from support.waiting import until
from triton_double import TritonDouble

from agent.inference.triton.engine import TritonEngine

INPUTS = {"input_1": [-1, 3, 8, 8], "crop_angle": [-1, 1]}
OUTPUTS = {"activation_18": [-1, 6], "presence": [-1, 1]}
PATIENT_S = 10.0  # where the wait is not what is tested, a busy machine must not look like a lost server
MANIFEST = Manifest.model_validate(
    {
        "name": "tiny",
        "task": "gesture",
        "summary": "for tests",
        "license": "Apache-2.0",
        "labels": LABELS,
        "source": {"kind": "import", "hint": "none"},
        "input": {"name": "input_1", "shape": ["N", 3, 8, 8], "angle": "crop_angle"},
        "output": {"scores": "activation_18", "presence": "presence"},
    }
)


def tiny(inputs: Mapping[str, Floats]) -> dict[str, Floats]:
    """Each row says which picture it was: its first pixel, and its angle."""
    first = inputs["input_1"][:, 0, 0, 0]
    scores = np.zeros((len(first), 6), np.float32)
    scores[:, 0] = first
    return {"activation_18": scores, "presence": np.asarray(inputs["crop_angle"], np.float32)}


def crops(count: int) -> dict[str, Floats]:
    pictures = np.zeros((count, 3, 8, 8), np.float32)
    pictures[:, 0, 0, 0] = np.arange(count) / 10
    return {"input_1": pictures, "crop_angle": np.arange(count, dtype=np.float32).reshape(-1, 1)}


@pytest.fixture
def server() -> Iterator[TritonDouble]:
    double = TritonDouble()
    double.serve("tiny", INPUTS, OUTPUTS, tiny)
    double.start()
    yield double
    double.stop()


Connect = Callable[..., RemoteEngine]


@pytest.fixture
def connect() -> Iterator[Connect]:
    made: list[RemoteEngine] = []

    def make(url: str, manifest: Manifest = MANIFEST, **settings: object) -> RemoteEngine:
        given = TritonSettings(url=url, **{"timeout": PATIENT_S, **settings})  # type: ignore[arg-type]
        made.append(connect_engine(manifest, given))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


def is_back(engine: RemoteEngine) -> None:
    until(lambda: engine.away is None, f"the server is back; {engine.away}")


def answers(engine: RemoteEngine) -> bool:
    try:
        return len(engine.run(crops(1))["presence"]) == 1
    except EngineAway:
        return False


@pytest.mark.parametrize("count", [1, 2, 5])
def test_pictures_go_out_and_answers_come_back_in_their_order(
    server: TritonDouble, connect: Connect, count: int
) -> None:
    answer = connect(server.url).run(crops(count))
    np.testing.assert_allclose(answer["activation_18"][:, 0], np.arange(count) / 10, atol=1e-7)
    np.testing.assert_array_equal(answer["presence"].reshape(-1), np.arange(count))
    assert server.batches == [count]


def test_a_server_that_takes_few_at_once_gets_several_requests(
    server: TritonDouble, connect: Connect
) -> None:
    server.configs["tiny"]["max_batch_size"] = 2
    answer = connect(server.url).run(crops(5))
    np.testing.assert_array_equal(answer["presence"].reshape(-1), np.arange(5))
    assert server.batches == [2, 2, 1]


def test_a_network_of_one_picture_gets_one_at_a_time(server: TritonDouble, connect: Connect) -> None:
    server.serve("tiny", {"input_1": [1, 3, 8, 8], "crop_angle": [1, 1]}, OUTPUTS, tiny)
    assert len(connect(server.url).run(crops(3))["presence"]) == 3
    assert server.batches == [1, 1, 1]


def test_a_server_without_tritons_configuration_will_do(server: TritonDouble, connect: Connect) -> None:
    server.configs.clear()
    server.configs = _Refusing()  # type: ignore[assignment]
    assert connect(server.url).away is None


class _Refusing(dict[str, object]):
    """No such document; still unlimited where a request is counted."""

    def __missing__(self, key: str) -> dict[str, int]:
        return {"max_batch_size": 0}


def test_it_says_version_and_address(server: TritonDouble, connect: Connect) -> None:
    engine = connect(server.url)
    assert (engine.version, engine.address) == ("1", server.url)


def test_a_wrong_input_is_reported_as_by_every_engine(server: TritonDouble, connect: Connect) -> None:
    engine = connect(server.url)
    with pytest.raises(EngineError, match=r'tiny: input "crop_angle" is float32 \(1, 2\), .* \(N, 1\)'):
        engine.run(crops(1) | {"crop_angle": np.zeros((1, 2), np.float32)})
    with pytest.raises(EngineError, match="not one number of them"):
        engine.run(crops(2) | {"crop_angle": np.zeros((1, 1), np.float32)})
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="tiny: is closed"):
        engine.run(crops(1))


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        (
            {"input_1": [-1, 3, 9, 8], "crop_angle": [-1, 1]},
            OUTPUTS,
            r'input "input_1" is FP32 \(N, 3, 9, 8\), the manifest says FP32 \(N, 3, 8, 8\)',
        ),
        ({"input_1": [-1, 3, 8, 8]}, OUTPUTS, 'it has no input "crop_angle", it has input_1'),
        ({**INPUTS, "sound": [-1, 100]}, OUTPUTS, "it also wants sound, which the manifest does not know"),
        (
            INPUTS,
            {"activation_18": [-1, 5], "presence": [-1, 1]},
            r"\(N, 5\), the manifest says FP32 \(N, 6\)",
        ),
        (INPUTS, {"presence": [-1, 1]}, 'it has no output "activation_18", it has presence'),
    ],
)
def test_another_network_under_the_name_cannot_start(
    server: TritonDouble,
    connect: Connect,
    inputs: dict[str, list[int]],
    outputs: dict[str, list[int]],
    said: str,
) -> None:
    server.serve("tiny", inputs, outputs, tiny)
    with pytest.raises(ModelError, match=f"tiny at {server.url} is another network: .*{said}"):
        connect(server.url)


def test_a_wrong_datatype_is_reported(server: TritonDouble, connect: Connect) -> None:
    server.models["tiny"]["inputs"][0]["datatype"] = "FP16"
    with pytest.raises(ModelError, match=r'input "input_1" is FP16 \(N, 3, 8, 8\), the manifest says FP32'):
        connect(server.url)


def test_the_manifest_of_a_detector_says_how_much_it_gives(server: TritonDouble, connect: Connect) -> None:
    detector = MANIFEST.model_copy(
        update={
            "name": "finder",
            "task": "palm-detector",
            "labels": (),
            "anchors": {"strides": (8, 16, 16, 16), "keypoints": 7},
            "output": {"scores": "scores", "boxes": "boxes"},
        }
    )
    manifest = Manifest.model_validate(
        {
            **detector.model_dump(mode="json", warnings=False),
            "input": {"name": "x", "shape": ["N", 3, 192, 192]},
        }
    )
    shapes = {"scores": [-1, 2016, 1], "boxes": [-1, 2016, 18]}
    server.serve("finder", {"x": [-1, 3, 192, 192]}, shapes, tiny)
    engine = connect(server.url, manifest)
    assert dict(engine.outputs) == {"scores": ("N", 2016, 1), "boxes": ("N", 2016, 18)}


def test_without_the_server_it_starts_and_takes_up_work_when_it_is_there(connect: Connect) -> None:
    double = TritonDouble()
    double.serve("tiny", INPUTS, OUTPUTS, tiny)
    double.start().stop()  # its port is known now
    engine = connect(double.url)
    assert "nothing listens there" in (engine.away or "")
    with pytest.raises(EngineAway, match=f"tiny at {double.url}: nothing listens there"):
        engine.run(crops(1))
    double.start()
    is_back(engine)
    assert len(engine.run(crops(2))["presence"]) == 2
    double.stop()


def test_a_server_that_goes_and_comes_back(server: TritonDouble, connect: Connect) -> None:
    engine = connect(server.url)
    engine.run(crops(1))
    server.stop()
    with pytest.raises(EngineAway):
        engine.run(crops(1))
    server.start()
    is_back(engine)
    engine.run(crops(1))


def test_a_loss_is_noticed_also_while_nobody_is_in_view(server: TritonDouble) -> None:
    engine = TritonEngine(MANIFEST, TritonSettings(url=server.url, timeout=PATIENT_S), check_s=0.05)
    assert engine.away is None
    server.stop()
    until(lambda: engine.away is not None, "the loss is noticed")
    engine.close()


@pytest.mark.parametrize("mood", ["hang", "trickle"])
def test_a_server_that_does_not_finish_is_waited_for_once(
    server: TritonDouble, connect: Connect, mood: str
) -> None:
    engine = connect(server.url, timeout=0.3)
    server.mood = mood
    with pytest.raises(EngineAway, match=r"no answer within 0\.3 s"):
        engine.run(crops(1))
    began = time.monotonic()
    for _ in range(1000):
        with pytest.raises(EngineAway):
            engine.run(crops(1))
    assert time.monotonic() - began < 30  # a thousand waits would be five minutes
    server.mood = "well"
    server.released.set()
    until(lambda: answers(engine), "the server is back")


@pytest.mark.parametrize(
    ("mood", "said"),
    [
        ("error", r"the server says CUDA out of memory \(HTTP 500\)"),
        ("garbage", "tiny at http"),
    ],
)
def test_what_a_sick_server_answers_is_reported_and_it_is_tried_again(
    server: TritonDouble, connect: Connect, mood: str, said: str
) -> None:
    engine = connect(server.url)
    server.mood = mood
    with pytest.raises(EngineAway, match=said):
        engine.run(crops(1))
    server.mood = "well"
    is_back(engine)
    engine.run(crops(1))


def test_a_network_that_is_unloaded_is_away_until_it_is_loaded_again(
    server: TritonDouble, connect: Connect
) -> None:
    engine = connect(server.url)
    server.mood = "error"
    with pytest.raises(EngineAway):
        engine.run(crops(1))
    server.mood = "loading"
    until(lambda: "not ready" in (engine.away or ""), "the reason")
    server.mood = "well"
    is_back(engine)


def test_another_network_that_takes_its_place_is_not_used(server: TritonDouble, connect: Connect) -> None:
    engine = connect(server.url)
    server.stop()
    with pytest.raises(EngineAway):
        engine.run(crops(1))
    server.serve("tiny", {"input_1": [-1, 1, 8, 8], "crop_angle": [-1, 1]}, OUTPUTS, tiny)
    server.start()
    until(lambda: "is another network" in (engine.away or ""), "the reason")
    with pytest.raises(EngineAway, match="is another network"):
        engine.run(crops(1))
    server.serve("tiny", INPUTS, OUTPUTS, tiny)
    is_back(engine)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (np.zeros((1, 5), np.float32), r"of 1 pictures is \(1, 5\)"),
        (np.zeros((3, 6), np.float32), r"of 1 pictures is \(3, 6\)"),
        (np.full((1, 6), np.nan, np.float32), "of 1 pictures is not finite"),
    ],
)
def test_answers_that_cannot_be_are_not_believed(
    server: TritonDouble, connect: Connect, answer: Floats, said: str
) -> None:
    engine = connect(server.url)
    server.compute["tiny"] = lambda _: {"activation_18": answer, "presence": np.ones((1, 1), np.float32)}
    with pytest.raises(EngineAway, match=said):
        engine.run(crops(1))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """server.pem and server.key for 127.0.0.1, signed by itself."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout server.key "
        "-out server.pem -subj /CN=server -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([openssl, *command.split()], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[TritonDouble]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "server.pem", certificate / "server.key")
    double = TritonDouble(tls=context)
    double.serve("tiny", INPUTS, OUTPUTS, tiny)
    double.start()
    yield double
    double.stop()


def test_tls_with_a_ca_of_ones_own(tls_server: TritonDouble, connect: Connect, certificate: Path) -> None:
    engine = connect(tls_server.url, tls=TlsSettings(ca=certificate / "server.pem"))
    assert len(engine.run(crops(2))["presence"]) == 2


def test_a_certificate_that_nobody_vouches_for_is_refused(tls_server: TritonDouble, connect: Connect) -> None:
    engine = connect(tls_server.url)
    assert "is not trusted" in (engine.away or "")
    assert "set recognition.triton.tls.ca" in (engine.away or "")


def test_verification_can_be_turned_off(tls_server: TritonDouble, connect: Connect) -> None:
    assert connect(tls_server.url, tls=TlsSettings(verify=False)).away is None


def test_missing_certificates_cannot_start(tmp_path: Path, connect: Connect) -> None:
    with pytest.raises(ModelError, match=r"recognition\.triton\.tls\.ca .*expected a PEM file"):
        connect("https://127.0.0.1:1", tls=TlsSettings(ca=tmp_path / "nowhere.pem"))

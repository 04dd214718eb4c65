from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from brokers import Mosquitto
from happenings import started
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from support.ports import free_port
from support.waiting import until

from agent.config.settings import Secret, TlsSettings
from agent.errors import CannotStart


@pytest.fixture
def passwords(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that knows one user."""
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.skip("mosquitto_passwd is not installed (apt install mosquitto)")
    known = tmp_path / "passwords"
    subprocess.run([program, "-b", "-c", str(known), "agent", "right"], check=True)
    broker = Mosquitto(tmp_path, "allow_anonymous false", f"password_file {known}").start()
    yield broker
    broker.stop()


def secret(tmp_path: Path, text: str) -> Secret:
    file = tmp_path / "secret"
    file.write_text(text + "\n")
    return Secret(file=file)


def test_user_and_password_open_the_door(passwords: Mosquitto, deliver, tmp_path: Path):
    delivery = deliver(passwords.url, mqtt={"user": "agent", "password": secret(tmp_path, "right")})
    assert delivery.status().connected


def test_a_wrong_password_is_named_as_such(passwords: Mosquitto, deliver, tmp_path: Path):
    with structlog.testing.capture_logs() as logs:
        delivery = deliver(
            passwords.url, mqtt={"user": "agent", "password": secret(tmp_path, "wrong")}, wait=False
        )
        until(lambda: "refused user" in (delivery.status().trouble or ""), "refusal")
        until(lambda: any(entry["event"] == "broker_lost" for entry in logs), "log line")
    (line,) = [entry for entry in logs if entry["event"] == "broker_lost"]
    assert 'refused user "agent" and its password' in line["reason"]
    assert "wrong" not in line["reason"].replace("wrong password", "")
    assert not delivery.status().connected


def test_a_broker_that_wants_a_user_says_so(passwords: Mosquitto, deliver):
    delivery = deliver(passwords.url, wait=False)
    until(lambda: "wants a user and password" in (delivery.status().trouble or ""), "refusal")


def test_a_missing_password_file_is_said_at_the_start(deliver, tmp_path: Path):
    with pytest.raises(CannotStart, match=r"mqtt.password .*nowhere: cannot be read"):
        deliver("mqtt://localhost:1", mqtt={"user": "a", "password": Secret(file=tmp_path / "nowhere")})


def test_the_agent_starts_without_a_broker_and_finds_it_later(tmp_path: Path, deliver, listen):
    port = free_port()
    with structlog.testing.capture_logs() as logs:
        delivery = deliver(f"mqtt://127.0.0.1:{port}", wait=False)
        until(lambda: "nothing listens" in (delivery.status().trouble or ""), "the reason")
        broker = Mosquitto(tmp_path, port=port).start()
        try:
            until(lambda: delivery.status().connected, "connection")
            until(lambda: any(entry["event"] == "broker_reconnected" for entry in logs), "log line")
        finally:
            broker.stop()
    told = [entry["event"] for entry in logs if entry["event"].startswith("broker")]
    assert told[:2] == ["broker_lost", "broker_reconnected"]  # once each, however many tries there were


def test_an_unknown_host_is_named(deliver):
    delivery = deliver("mqtt://no-such-host.invalid", wait=False)
    until(lambda: 'host name "no-such-host.invalid"' in (delivery.status().trouble or ""), "the reason")


def test_kill_9_of_the_agent_ends_in_offline(mosquitto: Mosquitto, listen, tmp_path: Path):
    script = (
        "import sys, time; from pathlib import Path\n"
        "from agent.config.settings import MqttSettings, OutboxSettings\n"
        "from agent.delivery.delivery import Delivery\n"
        "d = Delivery('doomed', MqttSettings(url=sys.argv[1]), OutboxSettings(), Path(sys.argv[2]))\n"
        "d.start(); time.sleep(60)\n"
    )
    subscriber = listen(mosquitto.port)
    with subprocess.Popen([sys.executable, "-c", script, mosquitto.url, str(tmp_path / "doomed")]) as process:
        until(lambda: subscriber.on("doomed/bridge/state"), "birth")
        process.kill()
    until(lambda: len(subscriber.on("doomed/bridge/state")) == 2, "last will")
    assert json.loads(subscriber.on("doomed/bridge/state")[1].payload) == {"state": "offline"}


def test_a_take_over_of_our_own_connection_does_not_end_in_offline(mosquitto: Mosquitto, deliver, listen):
    """A half-dead connection of ours is replaced by ours: its will comes late and must not stay."""
    subscriber = listen(mosquitto.port, "gesture/kitchen/bridge/state")
    delivery = deliver(mosquitto.url)
    subscriber.publish("gesture/kitchen/bridge/state", '{"state":"offline"}', retain=True)
    until(
        lambda: subscriber.heard[-1].payload == '{"state":"online"}' and len(subscriber.heard) >= 3,
        "correction",
    )
    late = listen(mosquitto.port, "gesture/kitchen/bridge/state")
    until(lambda: late.heard, "the retained state")
    assert late.heard[0].payload == '{"state":"online"}'
    assert delivery.status().connected


def test_a_strange_client_with_our_very_client_id_does_not_keep_us_out(mosquitto: Mosquitto, deliver):
    delivery = deliver(mosquitto.url)
    own = delivery._mqtt._params.client_id
    stranger = paho.Client(CallbackAPIVersion.VERSION2, client_id=own)
    stranger.connect("127.0.0.1", mosquitto.port)
    stranger.loop_start()
    until(lambda: delivery._mqtt._params.client_id != own, "it goes out of the way")
    until(lambda: delivery.status().connected, "and is back")
    stranger.disconnect()
    stranger.loop_stop()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, and server and client with key, signed by it; other-ca.pem signed nothing."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)

    for ca in ("ca", "other-ca"):
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-subj", f"/CN=test {ca}")  # fmt: skip
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    for name in ("server", "client"):
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")  # fmt: skip
        run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-out", f"{name}.pem", "-extfile", "names")  # fmt: skip
    return folder


@pytest.fixture
def tls_broker(tmp_path: Path, certificates: Path) -> Iterator[Mosquitto]:
    """Wants client certificates of the CA."""
    folder = certificates
    lines = (
        f"cafile {folder}/ca.pem\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\n"
        "require_certificate true"
    )
    broker = Mosquitto(tmp_path, listener=lines).start()
    yield broker
    broker.stop()


def test_tls_with_a_client_certificate(tls_broker: Mosquitto, certificates: Path, deliver):
    tls = TlsSettings(
        ca=certificates / "ca.pem", certificate=certificates / "client.pem", key=certificates / "client.key"
    )
    delivery = deliver(f"mqtts://localhost:{tls_broker.port}", mqtt={"tls": tls})
    delivery.event(started())
    until(lambda: delivery.status().delivered == 2, "delivery over TLS")


def test_verification_can_be_turned_off(tls_broker: Mosquitto, certificates: Path, deliver):
    tls = TlsSettings(certificate=certificates / "client.pem", key=certificates / "client.key", verify=False)
    assert deliver(f"mqtts://127.0.0.1:{tls_broker.port}", mqtt={"tls": tls}).status().connected


@pytest.mark.parametrize("ca", ["other-ca.pem", None])
def test_a_certificate_that_nobody_vouches_for_is_refused(
    tls_broker: Mosquitto, certificates: Path, deliver, ca
):
    tls = TlsSettings(ca=certificates / ca if ca else None)
    delivery = deliver(f"mqtts://localhost:{tls_broker.port}", mqtt={"tls": tls}, wait=False)
    until(lambda: "is not trusted" in (delivery.status().trouble or ""), "the reason")
    assert "set mqtt.tls.ca" in (delivery.status().trouble or "")


def test_a_client_without_certificate_is_refused_and_says_so(
    tls_broker: Mosquitto, certificates: Path, deliver
):
    tls = TlsSettings(ca=certificates / "ca.pem")
    delivery = deliver(f"mqtts://localhost:{tls_broker.port}", mqtt={"tls": tls}, wait=False)
    until(lambda: delivery.status().trouble not in (None, "not connected yet"), "some reason")
    assert not delivery.status().connected


def test_missing_certificates_are_said_at_the_start(tmp_path: Path, deliver):
    with pytest.raises(CannotStart, match=r"mqtt.tls.ca .*expected a PEM file"):
        deliver("mqtts://localhost:1", mqtt={"tls": TlsSettings(ca=tmp_path / "nowhere.pem")})


@pytest.fixture
def rude_server() -> Iterator[tuple[int, list[bytes]]]:
    """Answers CONNECT with CONNACK and hangs up at once; remembers what it was sent."""
    server = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer:
                connect = peer.recv(1024)
                seen.append(connect)
                peer.sendall(b"\x20\x03\x00\x00\x00" if connect[8:9] == b"\x05" else b"\x20\x02\x00\x00")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1], seen
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def test_a_broker_that_hangs_up_after_connack_loses_nothing(rude_server, deliver, tmp_path: Path, listen):
    port, seen = rude_server
    delivery = deliver(f"mqtt://127.0.0.1:{port}", wait=False, folder=tmp_path / "state")
    delivery.event(started(), max_age_s=3600)
    until(lambda: len(seen) >= 3, "it tries again")
    until(lambda: "right after accepting" in (delivery.status().trouble or ""), "the reason")
    delivery.close(0.1)
    assert delivery.status().delivered == 0
    broker = Mosquitto(tmp_path).start()
    try:
        subscriber = listen(broker.port)
        deliver(broker.url, folder=tmp_path / "state")
        until(lambda: subscriber.on("/event") and subscriber.on("/action"), "the event that waited")
    finally:
        broker.stop()


@pytest.mark.parametrize(
    "garbage", [b"\x00" * 50, b"\xff" * 50, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x7f\x00"]
)
def test_a_server_that_talks_garbage_is_left_and_tried_again(garbage: bytes, deliver):
    with socket.create_server(("127.0.0.1", 0)) as server:
        delivery = deliver(f"mqtt://127.0.0.1:{server.getsockname()[1]}", wait=False)
        for _ in range(3):
            peer, _address = server.accept()
            with peer:
                peer.recv(1024)
                peer.sendall(garbage)
        until(lambda: delivery.status().trouble not in (None, "not connected yet"), "some reason")
        assert not delivery.status().connected


def test_a_server_that_accepts_and_says_nothing_is_left_again(deliver):
    with socket.create_server(("127.0.0.1", 0)) as server:
        delivery = deliver(f"mqtt://127.0.0.1:{server.getsockname()[1]}", wait=False, mqtt={"version": "5"})
        until(lambda: "does not answer" in (delivery.status().trouble or ""), "the reason")


def test_mosquitto_is_spoken_to_in_mqtt_5(mosquitto: Mosquitto, deliver):
    assert deliver(mosquitto.url).status().mqtt_version == "5"


def test_mqtt_3_1_1_can_be_asked_for(mosquitto: Mosquitto, deliver, listen):
    subscriber = listen(mosquitto.port)
    delivery = deliver(mosquitto.url, mqtt={"version": "3.1.1"})
    delivery.event(started())
    until(lambda: subscriber.on("/event"), "event")
    assert delivery.status().mqtt_version == "3.1.1"
    assert "UserProperty" not in subscriber.on("/event")[0].properties

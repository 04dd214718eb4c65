"""No password of a camera is seen anywhere: states, errors, logs, arguments of child processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from real_cameras import Ear, RtspServer
from structlog.testing import capture_logs
from support.ports import free_port

from agent.backoff import Backoff
from agent.capture.address import SourceAddress
from agent.capture.source import Clock, FrameSource, open_source
from agent.capture.supervisor import CameraSupervisor
from agent.config.settings import CameraSettings, Secret
from agent.errors import ConfigError, SourceLost

SECRET = "Zq5cretW0rd"
SPELLINGS = [
    f"https://me@example.org:{SECRET}@127.0.0.1:PORT/https/stream/mixed",
    f"rtsp://127.0.0.1:PORT/user=admin_password={SECRET}_channel=1_stream=0.sdp",
    f"RTSP://admin:{SECRET}@127.0.0.1:PORT/stream1",
    f"rtsp://admin:{SECRET}/x@127.0.0.1:PORT/stream1",
    f"http://127.0.0.1:PORT/videostream.cgi?loginuse=admin&loginpas={SECRET}",
    f"rtsp://127.0.0.1:PORT/stream1?user=admin&password={SECRET}",
    f"gst:rtspsrc location=rtsp://admin:{SECRET}@127.0.0.1:PORT/1 ! decodebin",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_shows_its_password(spelling: str, watching, ear: Ear):
    with capture_logs() as logs:
        watching(spelling.replace("PORT", str(free_port())))
        ear.wait_for("offline", "127.0.0.1")
        state = ear.wait_for("offline")
    assert SECRET not in f"{ear.heard} {state} {logs}"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text("Äaz09-._~!$&*+,;:=@/?#()[]'\"%^ ", min_size=4, max_size=20).map("Zq{}Zq".format))
def test_no_password_file_is_seen_in_an_error(tmp_path: Path, secret: str):
    (tmp_path / "secret").write_text(secret)
    port = free_port()
    for source in (
        f"rtsp://127.0.0.1:{port}/1",
        f"http://127.0.0.1:{port}/{{password}}/x",
        f"rtsp://127.0.0.1:{port}/user={{user}}_password={{password}}_channel=1",
    ):
        camera = CameraSettings(source=source, user="admin", password=Secret(file=tmp_path / "secret"))
        with pytest.raises(SourceLost) as lost:
            open_source(camera, "front").open()
        assert "Zq" not in str(lost.value)
        hidden = SourceAddress(camera).hide(f"cannot open {camera.address()} with {secret!r} of {secret}")
        assert "Zq" not in hidden


def test_a_pipeline_gets_its_password_where_nobody_else_can_read_it(
    gstreamer, rtsp_is_here, tmp_path: Path, watching, ear: Ear
):
    server = RtspServer("ann", SECRET)
    (tmp_path / "secret").write_text(SECRET)
    source = (
        f"gst:rtspsrc location={server.url} protocols=tcp user-id={{user}} user-pw={{password}} "
        "! rtpjpegdepay ! jpegdec"
    )
    try:
        watching(source, user="ann", password=Secret(file=tmp_path / "secret"))
        ear.wait_for("online")
        arguments = next(given for given in _arguments_of_children() if b"gst_launch" in given)
        assert SECRET.encode() not in arguments
    finally:
        server.kill()
    assert SECRET not in str(ear.heard)


def test_a_pipeline_with_a_login_that_is_wrong_is_reported_in_gstreamers_words(gstreamer, tmp_path: Path):
    (tmp_path / "secret").write_text(SECRET)
    camera = CameraSettings(
        source="gst:nosuchsrc user-pw={password} ! videoconvert",
        password=Secret(file=tmp_path / "secret"),
    )
    source = open_source(camera, "front")
    source.open()
    with pytest.raises(SourceLost, match='no element "nosuchsrc"') as lost:
        source.read()
    source.close()
    assert SECRET not in str(lost.value)


def test_a_fault_of_the_agent_is_reported_without_the_password(tmp_path: Path, ear: Ear, mailbox):
    def broken(chosen: CameraSettings, _camera: str, _clock: Clock) -> FrameSource:
        if made:
            raise ValueError(f"a bug: {chosen.address()}")
        made.append(True)
        return open_source(chosen, "front")

    made: list[bool] = []
    (tmp_path / "secret").write_text(SECRET)
    camera = CameraSettings(
        source=f"rtsp://127.0.0.1:{free_port()}/1", user="ann", password=Secret(file=tmp_path / "secret")
    )
    with capture_logs() as logs:
        watch = CameraSupervisor("front", camera, mailbox, ear, make=broken, backoff=Backoff(0.05, 0.1))
        watch.start()
        ear.wait_for("offline", "a fault in the agent")
        watch.close()
    assert any(entry["event"] == "camera_supervisor_failed" for entry in logs)
    assert SECRET not in f"{ear.heard} {logs}"


def test_a_source_whose_scheme_was_forgotten_is_reported_without_its_password():
    with pytest.raises(ConfigError) as told:
        open_source(CameraSettings(source=f"admin:{SECRET}@127.0.0.1/stream1"), "front")
    assert SECRET not in str(told.value)


def test_a_pipeline_without_partner_of_a_quote_is_reported_without_its_password():
    with pytest.raises(ConfigError) as told:
        open_source(CameraSettings(source=f"gst:rtspsrc user-pw='{SECRET} ! decodebin"), "front")
    assert SECRET not in str(told.value)


def _arguments_of_children() -> list[bytes]:
    tasks = Path(f"/proc/{os.getpid()}/task").iterdir()
    found = {int(pid) for task in tasks for pid in (task / "children").read_text().split()}
    return [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in found]

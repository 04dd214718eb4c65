"""The daemon's start while plans are built: systemd hears what goes on and waits."""

from __future__ import annotations

import re
import socket
import threading
from pathlib import Path

import pytest
from host_device import HostDevice
from tensorrt_double import Behaviour, double
from test_recognizer_on_gpu import OnHostDevice

from agent.app import Agent
from agent.config.settings import Settings
from agent.inference import engine as engines_module
from agent.inference.trt.gpu_context import GpuContext
from agent.inference.trt.library import Library
from agent.inference.trt.upload_cache import FrameUploadCache

CLIP = Path(__file__).parents[2] / "data" / "demo.mp4"


def test_systemd_waits_for_a_plan_and_shows_what_is_built(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behaviour, device = Behaviour(), HostDevice()
    behaviour.streams, behaviour.waits_for = device, threading.Event()
    library = Library(double("10.13.0", behaviour), rtx=False)
    OnHostDevice.room = GpuContext(library, device, FrameUploadCache(device), own_cache)
    monkeypatch.setitem(engines_module.BACKENDS, "tensorrt", "test_recognizer_on_gpu:OnHostDevice")
    address = tmp_path / "notify"
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(60)

        def listen() -> None:
            while not heard or not heard[-1].startswith("EXTEND_TIMEOUT_USEC"):
                heard.append(systemd.recv(4096).decode())
            assert behaviour.waits_for is not None
            behaviour.waits_for.set()

        ear = threading.Thread(target=listen)
        ear.start()
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        settings = Settings.model_validate(
            {
                "agent": {"state_dir": tmp_path / "state", "cache_dir": own_cache, "rules": tmp_path},
                "camera": {"front": {"source": str(CLIP)}},
                "recognition": {"backend": "tensorrt", "gestures": "gesturenet", "proposal": "palm",
                                "tensorrt": {"precision": "fp32", "frames": "cpu"}},
            }
        )  # fmt: skip
        agent = Agent(settings, {"NOTIFY_SOCKET": str(address)})
        ear.join()
        agent.close()
    assert heard[0].startswith("STATUS=building the plan of gesturenet")
    assert int(re.sub(r"\D", "", heard[-1])) >= 60_000_000
    assert agent._recognizer.backends == dict.fromkeys(("gesturenet", "palm-detector"), "tensorrt")

"""The unit's device list against the nodes and /proc/devices names that real machines have.

Sources: the drivers' own calls (`alloc_chrdev_region`, `register_chrdev`, `misc_register`) in nvgpu, host1x,
nvmap and the open GPU kernel modules of L4T 36 and 38, and listings of /dev that owners published.
"""

from __future__ import annotations

import configparser
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "gesture-agent.service"
RULES = ROOT / "systemd" / "70-gesture-agent.rules"
CAMERA = {"/dev/video0": "video4linux", "/dev/media0": "media"}
HOST1X = {"/dev/nvmap": "misc", "/dev/host1x-fence": "host1x-fence", "/dev/dri/renderD128": "drm"}
NVGPU = (
    "as",
    "channel",
    "ctrl",
    "ctxsw",
    "dbg",
    "nvsched",
    "power",
    "prof",
    "prof-ctx",
    "prof-dev",
    "sched",
    "tsg",
)
LEGACY = (
    "nvhost-ctrl",
    "nvhost-ctrl-gpu",
    "nvhost-gpu",
    "nvhost-as-gpu",
    "nvhost-prof-gpu",
    "nvhost-dbg-gpu",
)
OPEN = {
    "/dev/nvidia0": "nvidia",
    "/dev/nvidiactl": "nvidiactl",
    "/dev/nvidia-uvm": "nvidia-uvm",
    "/dev/nvidia-modeset": "nvidia-modeset",
    "/dev/nvidia-caps/nvidia-cap1": "nvidia-caps",
}
MACHINES = {  # node -> its name in /proc/devices
    "Orin, JetPack 6": CAMERA | HOST1X | {f"/dev/nvgpu/igpu0/{n}": "17000000.gpu" for n in NVGPU}
    | {"/dev/v4l2-nvdec": "misc", "/dev/nvsciipc": "misc"},
    "Orin, JetPack 7": CAMERA | HOST1X | {f"/dev/nvgpu/igpu0/{n}": "17000000.gpu" for n in NVGPU},
    "Orin, nodes of the kernel before": CAMERA | HOST1X | {f"/dev/{n}": n for n in LEGACY},
    "Thor, JetPack 7": CAMERA | HOST1X | OPEN,
    "PC, driver 550 on": CAMERA | OPEN | {"/dev/dri/renderD128": "drm"},
    "PC, older driver": CAMERA | OPEN
    | {"/dev/nvidia0": "nvidia-frontend", "/dev/nvidiactl": "nvidia-frontend"},
}  # fmt: skip
JETSON_EVENTS = {  # node -> SUBSYSTEM and KERNEL of its event, by the drivers' class_create and misc_register
    "/dev/nvgpu/igpu0/power": {"SUBSYSTEM": "nvidia-gpu-v2-power", "KERNEL": "power"},
    "/dev/nvgpu/igpu0/channel": {"SUBSYSTEM": "nvidia-gpu-v2", "KERNEL": "channel"},
    "/dev/nvhost-gpu": {"SUBSYSTEM": "nvidia-gpu", "KERNEL": "nvhost-gpu"},
    "/dev/host1x-fence": {"SUBSYSTEM": "host1x-fence", "KERNEL": "host1x-fence"},
    "/dev/nvmap": {"SUBSYSTEM": "misc", "KERNEL": "nvmap"},
    "/dev/v4l2-nvdec": {"SUBSYSTEM": "misc", "KERNEL": "v4l2-nvdec"},
    "/dev/nvsciipc": {"SUBSYSTEM": "misc", "KERNEL": "nvsciipc"},
}
FORBIDDEN = {"/dev/sda": "sd", "/dev/mem": "mem", "/dev/input/event0": "input", "/dev/ttyUSB0": "ttyUSB",
             "/dev/kvm": "misc", "/dev/uinput": "misc", "/dev/snd/pcmC0D0c": "alsa"}  # fmt: skip


def allowed(node: str, region: str) -> bool:
    """As systemd reads DeviceAllow=: a path is that very node, char-PATTERN a name of /proc/devices."""
    for entry in device_list():
        if entry == node or (entry.startswith("char-") and fnmatchcase(region, entry.removeprefix("char-"))):
            return True
    return False


def device_list() -> list[str]:
    lines = [line.partition("=") for line in UNIT.read_text(encoding="utf-8").splitlines()]
    return [value.split()[0] for key, _, value in lines if key == "DeviceAllow"]


@pytest.mark.parametrize("machine", list(MACHINES))
def test_the_service_may_open_every_node_that_recognition_needs(machine: str) -> None:
    denied = [node for node, region in MACHINES[machine].items() if not allowed(node, region)]
    assert denied == []


@pytest.mark.parametrize("event", list(JETSON_EVENTS.items()), ids=list(JETSON_EVENTS))
def test_the_group_video_may_open_the_nodes_that_a_jetson_image_ships_for_root(
    event: tuple[str, dict[str, str]],
) -> None:
    _, properties = event
    assert 'GROUP="video"' in rule_for(properties)


def rule_for(properties: dict[str, str]) -> str:
    """The first rule that udev would apply to an event: all its comparisons hold, as shell patterns."""
    for line in RULES.read_text(encoding="utf-8").splitlines():
        wanted = re.findall(r'(\w+)=="([^"]*)"', line)
        if wanted and all(fnmatchcase(properties.get(key, ""), value) for key, value in wanted):
            return line
    return ""


@pytest.mark.parametrize("node", list(FORBIDDEN))
def test_the_service_may_open_nothing_else(node: str) -> None:
    assert not allowed(node, FORBIDDEN[node])


def test_no_entry_names_a_folder() -> None:
    """DeviceAllow takes a node: a folder such as /dev/nvgpu allows nothing of what is in it."""
    folders = {str(Path(node).parent) for nodes in MACHINES.values() for node in nodes}
    assert not folders & set(device_list())


def test_policy_is_closed() -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    assert parser["Service"]["DevicePolicy"] == "closed"

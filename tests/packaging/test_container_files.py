"""What the images and compose files say, against the agent's settings; that they run: make test-container."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from installed import ROOT

from agent.config.environment import variables

FOLDER = ROOT / "packaging" / "container"
DOCKERFILES = ("Dockerfile", "Dockerfile.jetson")
EXAMPLES = ("demo.yaml", "usb.yaml", "rtsp.yaml", "csi.yaml")


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def agent_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text(name))["services"]["agent"]
    return found


def last_stage(name: str) -> str:
    return text(name).rpartition("\nFROM ")[2]


def known_settings() -> set[str]:
    return {name.replace("CAMERA__NAME", "CAMERA__FRONT") for name in variables()}


@pytest.mark.parametrize("name", ["compose.yaml", *EXAMPLES])
def test_every_variable_of_the_compose_files_is_a_setting(name: str):
    environment = agent_of(name).get("environment", {})
    ours = {key for key in environment if key.startswith("GESTURE_AGENT__")}
    assert ours
    assert ours <= known_settings()


@pytest.mark.parametrize("name", DOCKERFILES)
def test_every_variable_of_the_images_is_a_setting(name: str):
    ours = set(re.findall(r"(GESTURE_AGENT__\w+)=", text(name)))
    assert ours
    assert ours <= known_settings()


def test_what_is_tried_is_what_compose_asks_for():
    agent = agent_of("compose.yaml")
    assert agent["read_only"] is True
    assert agent["cap_drop"] == ["ALL"]
    assert agent["security_opt"] == ["no-new-privileges"]
    assert agent["tmpfs"] == ["/tmp"]  # noqa: S108 (the container's)
    [hardened] = re.findall(r"HARDENED=\((.*)\)", text("try.sh"))
    for option in ("--read-only", "--tmpfs /tmp", "--cap-drop ALL", "--security-opt no-new-privileges"):
        assert option in hardened


@pytest.mark.parametrize("name", DOCKERFILES)
def test_every_volume_of_compose_is_one_of_the_image(name: str):
    [volumes] = re.findall(r"^VOLUME (.*)$", text(name), re.MULTILINE)
    assert yaml.safe_load(volumes) == [mount.split(":")[1] for mount in agent_of("compose.yaml")["volumes"]]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_it_runs_as_nobody_in_particular_without_a_compiler_and_says_how_it_fares(name: str):
    stage = last_stage(name)
    assert re.search(r"^USER 10001:10001$", stage, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .* CMD \[\"healthy\"\]$", stage, re.MULTILINE)
    installed = "".join(re.findall(r"apt-get install(?:.*\\\n)*.*", stage))
    assert not {"g++", "gcc", "make", "build-essential", "python3-dev"} & set(installed.split())


@pytest.mark.parametrize("name", DOCKERFILES)
def test_everything_that_an_image_copies_comes_through_the_dockerignore(name: str):
    let_through = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text(name), re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists()
            assert any(source == part or source.startswith(f"{part}/") for part in let_through), source


def test_the_jetson_takes_tensorrt_from_its_base_for_both_jetpacks():
    dockerfile = text("Dockerfile.jetson")
    assert "--system-site-packages" in dockerfile
    assert not re.search(r"pip install[^\n]*tensorrt", dockerfile)
    assert "nvcr.io/nvidia/l4t-jetpack:r36" in dockerfile
    assert "nvcr.io/nvidia/tensorrt:" in dockerfile


@pytest.mark.parametrize(
    "script",
    ["container/start", "container/try.sh", "homeassistant/try.sh", "debian/build.sh", "fill-cache"],
)
def test_every_script_is_sound_shell_and_can_be_run(script: str):
    path: Path = ROOT / "packaging" / script
    assert path.stat().st_mode & 0o111
    shell = path.read_text(encoding="utf-8").partition("\n")[0].split("/")[-1].split()[-1]
    subprocess.run([shell, "-n", str(path)], check=True)

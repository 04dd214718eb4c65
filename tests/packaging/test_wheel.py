"""The wheel stands alone: everything that the agent needs beside its code is in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from installed import PIP, ROOT, Installed, borrow_packages, build_wheel, copy_of_checkout

SHARE = "data/share/gesture-agent/"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
SETTINGS = """\
[camera.front]
source = "{clip}"
[agent]
rules = "{rules}"
[mqtt]
url = "embedded"
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return build_wheel(copy_of_checkout(folder / "source"), folder)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Installed:
    """The wheel in an environment that borrows its dependencies from this one."""
    folder = tmp_path_factory.mktemp("installed")
    environment = folder / "environment"
    venv.create(environment)
    python = str(environment / "bin" / "python")
    subprocess.run([*PIP, "--python", python, "install", "--no-deps", str(wheel)], check=True)
    borrow_packages(environment)
    (folder / "away").mkdir()
    return Installed(environment, folder / "away", cache_dir)


def shipped(wheel: Path) -> set[str]:
    """Files of the wheel that lie beside the code."""
    names = zipfile.ZipFile(wheel).namelist()
    return {name.partition(SHARE)[2] for name in names if SHARE in name and not name.endswith("/")}


def wanted() -> set[str]:
    """The same, as the checkout has them."""
    files = {
        "config.toml",
        "demo.mp4",
        "engines/rendered-hands/hands.json",
        "engines/rendered-hands/hands.webp",
    }
    for pattern in ("rules/*", "systemd/*", "engines/*/manifest.toml", "engines/*/*.onnx"):
        files |= {str(path.relative_to(ROOT)) for path in ROOT.glob(pattern) if path.is_file()}
    return files


def test_every_engine_rule_and_unit_file_is_in_the_wheel(wheel: Path):
    assert shipped(wheel) == wanted()


def test_every_file_of_the_package_is_in_the_wheel(wheel: Path):
    in_checkout = {
        str(path.relative_to(ROOT))
        for path in ROOT.glob("agent/**/*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert in_checkout <= set(zipfile.ZipFile(wheel).namelist())


def test_a_wheel_made_of_the_source_archive_holds_the_same(wheel: Path, tmp_path: Path):
    source = copy_of_checkout(tmp_path / "source")
    make = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    tools = tmp_path / "tools"
    subprocess.run([*PIP, "install", f"--target={tools}", "setuptools>=77"], check=True)
    subprocess.run(
        [sys.executable, "-c", make, str(tmp_path)],
        cwd=source, env={"PYTHONPATH": str(tools)}, check=True, capture_output=True,
    )  # fmt: skip
    [archive] = tmp_path.glob("*.tar.gz")
    again = build_wheel(archive, tmp_path)
    assert set(zipfile.ZipFile(again).namelist()) == set(zipfile.ZipFile(wheel).namelist())


def test_far_away_from_the_checkout_it_is_the_installed_one_that_runs(installed: Installed):
    python = str(installed.environment / "bin" / "python")
    words = [python, "-c", "import agent; print(agent.__file__)"]
    said = subprocess.run(words, cwd=installed.away, check=True, capture_output=True, text=True).stdout
    assert said.startswith(str(installed.environment))


def test_the_shipped_rules_pass_their_cases(installed: Installed):
    assert " passed, 0 failed" in installed.run("rules", "test", str(installed.share / "rules"))


def test_every_network_is_listed(installed: Installed):
    said = installed.run("models", "list")
    assert str(installed.share / "engines" / "gesturenet") in said
    assert "gesturenet-ensemble" in said


def test_the_template_of_the_settings_is_read(installed: Installed):
    shutil.copyfile(installed.share / "config.toml", installed.away / "config.toml")
    shutil.copytree(installed.share / "rules", installed.away / "rules", dirs_exist_ok=True)
    try:
        assert "rules in" in installed.run("rules", "check")
    finally:
        (installed.away / "config.toml").unlink()


def test_check_finds_everything_in_order(installed: Installed, tmp_path: Path):
    settings = tmp_path / "settings.toml"
    text = SETTINGS.format(clip=installed.share / "demo.mp4", rules=installed.share / "rules")
    settings.write_text(text, encoding="utf-8")
    said = installed.run("check", "--config", str(settings))
    assert "front" in said


def test_the_demo_has_its_clip_and_its_rules(installed: Installed):
    python = str(installed.environment / "bin" / "python")
    words = [python, "-c", "from agent.demo_session import CLIP, RULES; print(CLIP, RULES)"]
    said = subprocess.run(words, cwd=installed.away, check=True, capture_output=True, text=True).stdout
    assert said.split() == [str(installed.share / "demo.mp4"), str(installed.share / "rules" / "home.toml")]


def test_the_demo_plays_through_its_own_broker(installed: Installed, tmp_path: Path):
    part = tmp_path / "part.mp4"
    cut = f"ffmpeg -v error -i {installed.share / 'demo.mp4'} -t 4 -c copy {part}".split()
    subprocess.run(cut, check=True)
    said = installed.run("demo", "--source", str(part))
    assert 'gesture/demo/bridge/state  {"state":"online"}' in said
    assert "gesture/demo/camera/front/event" in said
    assert "1 gestures were published" in said


def test_the_service_would_be_installed_from_what_the_wheel_brings(installed: Installed):
    said = installed.run("service", "install", "--dry-run")
    assert "gesture-agent.service" in said
    assert "gesture_agent-" in said  # the program that goes to /opt: the wheel that this one came from


@pytest.mark.slow
@pytest.mark.parametrize("version", PYTHONS)
def test_it_installs_with_all_it_needs_into_an_empty_environment(
    wheel: Path, tmp_path: Path, cache_dir: Path, version: str
):
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode:
        pytest.skip(f"python{version} is not here")
    environment = tmp_path / "environment"
    subprocess.run([python, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", f"{wheel}[embedded]"], check=True)
    (tmp_path / "away").mkdir()
    installed = Installed(environment, tmp_path / "away", cache_dir)
    assert "passed, 0 failed" in installed.run("rules", "test", str(installed.share / "rules"))
    said = installed.run("demo", "--source", str(installed.share / "demo.mp4"))
    assert "gestures were published" in said

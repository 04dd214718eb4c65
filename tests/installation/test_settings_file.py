"""Settings that are changed by the program: what a person wrote stays, nothing half-written, a way back."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.problems import ConfigProblems
from agent.config.text_history import SETTINGS
from agent.errors import ConfigError
from agent.installation.settings_file import SettingsChangedError, SettingsFile, edited

TEXT = """\
# mine
[mqtt]  # the one in the cellar
url = "mqtt://cellar"   # by cable
user = "anna"
password = { file = "secret" }

# seen from the door
[camera.hall]
source = "v4l2:/dev/video2"

[debounce]
hold = "300ms" # tried for a week
"""
CAMERA = {("camera", "front", "source"): "rtsp://10.0.0.2/1"}


@pytest.fixture
def file(tmp_path: Path) -> SettingsFile:
    (tmp_path / "config.toml").write_text(TEXT)
    return SettingsFile(tmp_path / "config.toml", {}, tmp_path / "state")


def test_what_is_not_changed_stays_to_the_letter():
    assert edited(TEXT, {}) == TEXT
    new = edited(TEXT, {("mqtt", "url"): "mqtt://attic", ("mqtt", "user"): None, ("mqtt", "password"): None})
    lines = TEXT.replace("mqtt://cellar", "mqtt://attic").splitlines()
    assert new.splitlines() == [line for line in lines if not line.startswith(("user", "password"))]


@pytest.mark.parametrize("before", ["", TEXT, "[web]\nport = 1\n", '[camera]\nhall = { source = "a.mp4" }\n'])
def test_a_camera_is_added_to_any_file(before: str, tmp_path: Path):
    (tmp_path / "config.toml").write_text(before)
    file = SettingsFile(tmp_path / "config.toml", {}, tmp_path / "state")
    settings = file.change(CAMERA, file.etag)
    assert settings.camera["front"].source == "rtsp://10.0.0.2/1"
    written = file.path.read_text()
    assert all(line in written for line in before.splitlines())


def test_a_file_that_is_not_there_is_made(tmp_path: Path):
    file = SettingsFile(tmp_path / "new" / "config.toml", {}, tmp_path / "state")
    file.change({**CAMERA, ("mqtt", "password"): {"file": "secret"}, ("mqtt", "user"): "a"}, file.etag)
    assert '[camera.front]\nsource = "rtsp://10.0.0.2/1"\n' in file.path.read_text()
    assert 'password = {file = "secret"}\n' in file.path.read_text()
    assert not (tmp_path / "state").exists()  # there was no text to keep


def test_the_text_before_is_kept(file: SettingsFile, tmp_path: Path):
    file.path.chmod(0o600)
    file.change(CAMERA, file.etag)
    assert file.path.stat().st_mode & 0o777 == 0o600
    [kept] = (tmp_path / "state" / SETTINGS / "config.toml").iterdir()
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == (TEXT, 0o600)


def test_an_edit_meanwhile_is_not_overwritten(file: SettingsFile):
    etag = file.etag
    file.path.write_text(f"{TEXT}# by hand\n")
    with pytest.raises(SettingsChangedError, match="changed meanwhile; nothing was saved"):
        file.change(CAMERA, etag)
    assert file.path.read_text() == f"{TEXT}# by hand\n"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({("camera", "front", "source"): "0"}, "a number is no source"),
        ({("camera", "Front door", "source"): "csi:0"}, "Front door"),
        ({("mqtt", "url"): "cellar"}, '"cellar" is not'),
        ({("debounce", "hold"): "300"}, "is not a duration"),
    ],
)
def test_settings_that_would_be_wrong_are_not_written(file: SettingsFile, changes, words: str):
    with pytest.raises(ConfigProblems) as caught:
        file.change(changes, file.etag)
    assert words in str(caught.value)
    assert "gesture-agent-settings-" not in str(caught.value)
    assert file.path.read_text() == TEXT


def test_what_the_environment_sets_is_not_written_in_vain(tmp_path: Path):
    (tmp_path / "config.toml").write_text(TEXT)
    environ = {"GESTURE_AGENT__MQTT__URL": "mqtt://other"}
    file = SettingsFile(tmp_path / "config.toml", environ, tmp_path / "state")
    with pytest.raises(ConfigError, match=r"mqtt\.url is set by the environment"):
        file.change({("mqtt", "url"): "mqtt://attic"}, file.etag)
    assert file.path.read_text() == TEXT
    file.change(CAMERA, file.etag)

"""Setting up over HTTP: who may, what is refused, and that nothing is lost."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from film import Agent, Start
from visitors import Answer, ask

from agent.browser_setup import BrowserSetup
from agent.config.load import load
from agent.errors import ConfigError
from agent.installation.settings_file import SettingsFile
from agent.web.setup import GivenCamera

TOKEN = "open sesame, open sesame"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
WRITTEN = '[camera.front]\nsource = "v4l2:/dev/video7"\n'
CAMERA = {"name": "hall", "source": "rtsp://10.0.0.2/1", "user": "anna", "password": "sesame"}
BROKER = {"url": "cellar", "user": "", "password": None}

Say = Callable[..., Answer]


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(WRITTEN)
    return path


@pytest.fixture
def agent(start: Start, tmp_path: Path, settings: Path) -> Agent:
    (tmp_path / "web-token").write_text(TOKEN, encoding="utf-8")
    file = SettingsFile(settings, {}, tmp_path / "state")
    setup = BrowserSetup(load(settings, {}, need_files=False).settings, file, {})
    return start(edit=True, token={"file": str(tmp_path / "web-token")}, setup=setup)


@pytest.fixture
def say(agent: Agent) -> Say:
    def said(method: str, path: str = "", body: Any = None, **headers: str) -> Answer:
        sent = None if body is None else json.dumps(body).encode()
        return ask(agent.page.url, f"/api/setup{path}", sent, method, **{**BEARER, **headers})

    return said


PATHS = [
    ("GET", ""),
    ("GET", "/devices"),
    ("POST", "/camera"),
    ("POST", "/broker"),
    ("PUT", ""),
    ("POST", "/restart"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_without_being_wanted_there_is_no_setup(start: Start, method: str, path: str):
    url = start().page.url
    assert ask(url, f"/api/setup{path}", b"{}" if method != "GET" else None, method).status == 404
    assert ask(url, "/setup").status == 404


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_strangers_and_pages_of_others_look_at_nothing(agent: Agent, settings: Path, method: str, path: str):
    body = json.dumps({"camera": CAMERA}).encode() if method != "GET" else None
    etag = {"If_Match": '"x"'}
    assert ask(agent.page.url, f"/api/setup{path}", body, method, **etag).status == 401
    if method != "GET":
        foreign = {**BEARER, **etag, "Origin": "http://evil.example"}
        assert ask(agent.page.url, f"/api/setup{path}", body, method, **foreign).status == 403
    assert settings.read_text() == WRITTEN


def test_what_is_set_is_told_without_a_password(say: Say, settings: Path):
    told = say("GET").json
    assert told["camera"] == {"front": "v4l2:/dev/video7"}
    assert (told["broker"], told["restart"]) == ({"url": "mqtt://localhost:1883", "user": None}, False)
    assert told["file"] == str(settings)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("gst:videotestsrc ! filesink location=/tmp/x", "on the machine itself"),
        ("/etc/passwd", "on the machine itself"),
        ("file:///etc/passwd", "on the machine itself"),
        ("folder:/etc", "on the machine itself"),
        ("v4l2:/dev/../etc/passwd", "on the machine itself"),
        ("/dev/video7", "this is camera front already"),
        ("v4l2:/dev/video99", "v4l2:/dev/video99"),
        ("http://127.0.0.1:1/cam", "127.0.0.1:1"),
        ("rtsp://anna:sesame@127.0.0.1:1/cam", "127.0.0.1:1"),
    ],
)
def test_a_camera_that_gives_nothing_says_why(say: Say, settings: Path, source: str, words: str):
    answer = say("POST", "/camera", {"name": "hall", "source": source})
    assert answer.status == 409
    assert words in answer.json["error"]
    assert "sesame" not in answer.json["error"]
    assert settings.read_text() == WRITTEN


def test_a_paused_agent_opens_no_camera_not_even_for_a_trial(tmp_path: Path, settings: Path):
    file = SettingsFile(settings, {}, tmp_path / "state")
    setup = BrowserSetup(load(settings, {}, need_files=False).settings, file, {}, paused=lambda: True)
    with pytest.raises(ConfigError, match="the agent is paused, so no camera is opened"):
        setup.try_camera(GivenCamera("hall", "http://127.0.0.1:1/cam"))


def test_camera_and_broker_are_saved_together_or_not_at_all(say: Say, settings: Path, tmp_path: Path):
    etag = say("GET").json["etag"]
    assert say("PUT", "", {"camera": CAMERA}).status == 428
    late = say("PUT", "", {"camera": CAMERA, "broker": BROKER}, If_Match='"old"')
    assert (late.status, "changed meanwhile" in late.json["error"]) == (409, True)
    wrong = say("PUT", "", {"camera": CAMERA, "broker": {"url": "ftp://x"}}, If_Match=f'"{etag}"')
    assert (wrong.status, '"ftp://x" is not' in wrong.json["error"]) == (422, True)
    assert say("PUT", "", {"camera": {**CAMERA, "name": "Front door"}}, If_Match=etag).status == 422
    assert say("PUT", "", {"camera": {**CAMERA, "name": "front"}}, If_Match=etag).status == 409
    assert settings.read_text() == WRITTEN
    assert not (tmp_path / "camera-password-hall").exists()
    done = say("PUT", "", {"camera": CAMERA, "broker": BROKER}, If_Match=f'"{etag}"')
    assert (done.status, done.json["restart"]) == (200, True)
    assert done.json["camera"] == {"front": "v4l2:/dev/video7", "hall": "rtsp://10.0.0.2/1"}
    assert done.json["broker"]["url"] == "mqtt://cellar"
    assert (tmp_path / "camera-password-hall").read_text() == "sesame\n"
    assert "sesame" not in settings.read_text() + json.dumps(done.json)


def test_another_broker_does_not_get_the_password_of_the_one_before(say: Say, settings: Path):
    settings.write_text(f'{WRITTEN}[mqtt]\nurl = "mqtt://a"\nuser = "x"\npassword = {{ file = "p" }}\n')
    say("PUT", "", {"broker": BROKER}, If_Match=say("GET").json["etag"])
    assert settings.read_text() == f'{WRITTEN}[mqtt]\nurl = "mqtt://cellar"\n'


def test_settings_that_do_not_start_are_not_started(say: Say, agent: Agent, settings: Path):
    settings.write_text(f'{WRITTEN}[mqtt]\nuser = "x"\npassword = {{ file = "nowhere" }}\n')
    answer = say("POST", "/restart", {})
    assert answer.status == 422
    assert "nowhere cannot be read" in answer.json["error"]
    assert not agent.loop.restart_wanted
    settings.write_text(WRITTEN)
    settings.chmod(0o600)
    assert say("POST", "/restart", {}).status == 200
    assert agent.loop.restart_wanted


@pytest.mark.parametrize("body", [{}, [], {"name": 5, "source": "x"}, {"name": "a", "source": "x" * 2000}])
def test_what_is_no_camera_or_broker_is_refused(say: Say, body: Any):
    assert say("POST", "/camera", body).status == 400
    assert say("POST", "/broker", body).status == 400


def test_on_a_full_disk_nothing_is_half_saved_and_it_is_told(start: Start, tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root, and a kernel that lets it")
    settings = disk / "config.toml"
    settings.write_text(WRITTEN)
    (tmp_path / "web-token").write_text(TOKEN, encoding="utf-8")
    try:
        with contextlib.suppress(OSError):  # until nothing more fits in
            (disk / "filling").write_bytes(b"x" * 20_000)
        setup = BrowserSetup(
            load(settings, {}, need_files=False).settings, SettingsFile(settings, {}, disk / "state"), {}
        )
        url = start(edit=True, token={"file": str(tmp_path / "web-token")}, setup=setup).page.url
        etag = ask(url, "/api/setup", **BEARER).json["etag"]
        body = json.dumps({"camera": CAMERA}).encode()
        answer = ask(url, "/api/setup", body, "PUT", **BEARER, If_Match=etag)
        assert answer.status == 409
        assert "No space left on device; nothing was written" in answer.json["error"]
        assert settings.read_text() == WRITTEN
        assert sorted(path.name for path in disk.rglob("*")) == ["config.toml", "filling"]
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)

"""The app of Home Assistant: its folder, options that become settings, bad ones that say what to write."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import pytest
import yaml
from supervisor import TOKEN, Supervisor, mqtt_service, supervising

from agent import __version__
from agent.config.load import load
from agent.errors import CannotStart

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "packaging" / "homeassistant"
APP = FOLDER / "gesture_agent"
CAMERA = {"name": "front", "source": "v4l2:/dev/video0"}


def _start_app() -> ModuleType:
    spec = importlib.util.spec_from_file_location("start_app", APP / "start_app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["start_app"] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


start_app = _start_app()
BROKER = start_app.Broker("mqtt://core-mosquitto:1883", "apps", "of the broker")


@pytest.fixture
def folders(tmp_path: Path) -> Any:
    for name in ("data", "config", "dev"):
        (tmp_path / name).mkdir()
    return start_app.Folders(tmp_path)


def choose(folders: Any, **options: Any) -> None:
    whole = {**description()["options"], **options}
    (folders.data / "options.json").write_text(json.dumps(whole), encoding="utf-8")


def description() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((APP / "config.yaml").read_text(encoding="utf-8"))
    return found


def settings(environ: dict[str, str]) -> Any:
    return load(None, environ, need_files=True).settings


# The folder.


def test_the_version_is_the_agents():
    assert description()["version"] == __version__
    assert f"## {__version__}\n" in (APP / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"ARG BUILD_VERSION={__version__}\n" in (APP / "Dockerfile").read_text(encoding="utf-8")


def test_everything_that_the_store_shows_is_there():
    assert yaml.safe_load((FOLDER / "repository.yaml").read_text(encoding="utf-8"))["name"]
    for name in ("README.md", "DOCS.md", "CHANGELOG.md", "apparmor.txt", "Dockerfile"):
        assert (APP / name).stat().st_size > 100
    icon, logo = (cv2.imread(str(APP / f"{name}.png")) for name in ("icon", "logo"))
    assert icon.shape[:2] == (128, 128)
    assert logo.shape[:2] == (200, 500)


def test_no_other_config_yaml_is_found_by_the_supervisor_which_searches_for_them():
    assert list(FOLDER.rglob("config.y*ml")) == [APP / "config.yaml"]


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_option_is_explained_in_every_language(language: str):
    told = yaml.safe_load((APP / "translations" / f"{language}.yaml").read_text(encoding="utf-8"))
    schema = description()["schema"]
    assert told["configuration"].keys() == schema.keys()
    assert told["configuration"]["cameras"]["fields"].keys() == schema["cameras"][0].keys()


def test_the_options_to_begin_with_are_in_the_schema():
    description_ = description()
    assert description_["options"].keys() <= description_["schema"].keys()
    for name, kind in description_["schema"].items():
        if isinstance(kind, str) and not kind.endswith("?"):
            assert name in description_["options"], f"{name} would have to be filled in before a first start"


def test_names_that_the_schema_lets_through_can_be_settings():
    pattern = description()["schema"]["cameras"][0]["name"].removeprefix("match(").removesuffix(")")
    assert re.fullmatch(pattern, "front_door")
    for name in ("Front", "front-door", "front__door", "_front", ""):
        assert not re.fullmatch(pattern, name)


def test_ingress_and_watchdog_ask_at_the_port_where_the_page_is():
    [port] = re.findall(r"GESTURE_AGENT__WEB__PORT=(\d+)", (APP / "Dockerfile").read_text(encoding="utf-8"))
    assert description()["ingress_port"] == int(port)
    assert f"[PORT:{port}]/healthz" in description()["watchdog"]


def test_its_apparmor_profile_has_the_name_of_its_slug():
    assert f"profile {description()['slug']} " in (APP / "apparmor.txt").read_text(encoding="utf-8")


# From options to settings.


def test_the_options_to_begin_with_are_settings(folders: Any):
    choose(folders)
    found = settings(start_app.prepared(folders, {}, BROKER))
    assert found.camera["front"].source == "v4l2:/dev/video0"
    assert (found.agent.id, found.agent.rules) == ("gestures", folders.config / "rules")
    assert (found.mqtt.url, found.mqtt.user) == (BROKER.url, "apps")
    assert found.mqtt.password.read() == "of the broker"
    assert found.web.enabled
    assert found.web.proxies == ("172.30.32.2",)
    assert found.web.proxies_log_in
    assert len(found.web.token.read()) == 32


def test_every_option_reaches_its_setting(folders: Any):
    camera = {
        "name": "hall_2", "source": "rtsp://192.168.1.20/stream1", "user": "viewer", "password": 'p"ä\\$ x',
        "width": 640, "height": 480, "fps": 12.5, "rotate": "90", "mirror": True,
    }  # fmt: skip
    assert camera.keys() == description()["schema"]["cameras"][0].keys()
    choose(folders, cameras=[CAMERA, camera], profile="light", preview=True, log_level="debug", area="Küche")
    found = settings(start_app.prepared(folders, {}, BROKER))
    hall = found.camera["hall_2"]
    assert (hall.source, hall.user, hall.password.read()) == (camera["source"], "viewer", 'p"ä\\$ x')
    assert (hall.width, hall.height, hall.fps, hall.rotate, hall.mirror) == (640, 480, 12.5, 90, True)
    assert (found.recognition.profile, found.web.preview, found.log.level) == ("light", True, "debug")
    assert found.homeassistant.area == "Küche"


def test_no_password_is_in_the_environment_and_nobody_else_may_read_the_files(folders: Any):
    choose(folders, cameras=[{**CAMERA, "user": "viewer", "password": "s3cretword"}])
    environ = start_app.prepared(folders, {"SUPERVISOR_TOKEN": TOKEN}, BROKER)
    assert not [value for value in environ.values() if "s3cretword" in value or "of the broker" in value]
    assert "SUPERVISOR_TOKEN" not in environ
    files = list(folders.secrets.iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_the_password_of_a_camera_that_is_gone_is_removed(folders: Any):
    choose(folders, cameras=[{**CAMERA, "user": "viewer", "password": "s3cretword"}])
    start_app.prepared(folders, {}, BROKER)
    choose(folders)
    start_app.prepared(folders, {}, BROKER)
    assert not [file for file in folders.secrets.iterdir() if "s3cretword" in file.read_text()]


def test_the_pages_token_stays_the_same_and_what_the_user_wrote_is_kept(folders: Any):
    choose(folders)
    first = settings(start_app.prepared(folders, {}, BROKER)).web.token.read()
    (folders.config / "rules" / "home.toml").write_text("# mine\n", encoding="utf-8")
    (folders.config / "config.toml").write_text("[idle]\nfps = 2\n", encoding="utf-8")
    again = settings(start_app.prepared(folders, {}, BROKER))
    assert again.web.token.read() == first
    assert again.idle.fps == 2
    assert (folders.config / "rules" / "home.toml").read_text(encoding="utf-8") == "# mine\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cameras": []}, "cameras is empty; add one"),
        ({"cameras": None}, "cameras is empty; add one"),
        ({"cameras": [{"source": "v4l2:/dev/video0"}]}, "cameras[0]: name is None; write one"),
        ({"cameras": [CAMERA, CAMERA]}, 'there is a camera "front" already'),
        ({"cameras": [{**CAMERA, "source": "0"}]}, "option cameras[0].source"),
        ({"cameras": [{**CAMERA, "source": "0"}]}, 'write "v4l2:/dev/video0" for camera 0'),
        ({"cameras": [{**CAMERA, "source": "rtsp://me:pw@h/x"}]}, "option cameras[0].source"),
        ({"cameras": [{**CAMERA, "width": 12}]}, "option cameras[0].width"),
        ({"cameras": [{**CAMERA, "rotate": "45"}]}, "option cameras[0].rotate"),
        ({"cameras": [{**CAMERA, "colour": "red"}]}, "option cameras[0].colour"),
        ({"profile": "fast"}, "option profile"),
        ({"id": "Küche"}, "option id"),
    ],
)
def test_a_bad_option_is_reported_by_its_name(folders: Any, options: dict[str, Any], says: str):
    choose(folders, **options)
    with pytest.raises(CannotStart) as told:
        start_app.prepared(folders, {}, BROKER)
    assert says in str(told.value)
    assert "GESTURE_AGENT__" not in str(told.value)


def test_a_bad_option_is_reported_before_a_broker_is_looked_for(folders: Any):
    choose(folders, profile="fast")
    with pytest.raises(CannotStart, match="option profile"):
        start_app.prepared(folders, {})  # no Supervisor is here, which would be told otherwise


def test_options_that_cannot_be_read_say_so(folders: Any):
    (folders.data / "options.json").write_text("{", encoding="utf-8")
    with pytest.raises(CannotStart, match="save them again in the app"):
        start_app.prepared(folders, {}, BROKER)


# The broker.


def found(
    options: dict[str, Any], supervisor: Supervisor, patience_s: float = 0.0, token: str = TOKEN
) -> Any:
    environ = {"SUPERVISOR_TOKEN": token}
    return start_app.found_broker(
        options, environ, supervisor=supervisor.url, patience_s=patience_s, pause=lambda _s: None
    )


def test_the_broker_is_the_one_that_the_supervisor_names():
    with supervising(Supervisor(mqtt_service(1883))) as supervisor:
        assert found({}, supervisor) == start_app.Broker("mqtt://127.0.0.1:1883", "apps", "of the broker")


def test_a_broker_with_tls_is_spoken_to_with_tls():
    with supervising(Supervisor(mqtt_service(8883, ssl=True, username=None))) as supervisor:
        assert found({}, supervisor).url == "mqtts://127.0.0.1:8883"


def test_a_broker_of_the_options_comes_first_and_the_supervisor_is_not_asked():
    with supervising(Supervisor(mqtt_service(1883))) as supervisor:
        own = {"mqtt_url": "mqtt://192.168.1.10:1883", "mqtt_user": "me", "mqtt_password": "mine"}
        assert found(own, supervisor) == start_app.Broker("mqtt://192.168.1.10:1883", "me", "mine")
        assert supervisor.asked == []


def test_a_broker_that_is_still_starting_is_waited_for():
    with supervising(Supervisor(mqtt_service(1883), answers_before_it_is_there=3)) as supervisor:
        assert found({}, supervisor, patience_s=60).url == "mqtt://127.0.0.1:1883"
        assert len(supervisor.asked) == 4


def test_without_a_broker_it_says_which_app_to_install():
    with (
        supervising(Supervisor()) as supervisor,
        pytest.raises(CannotStart, match='install the app "Mosquitto broker"'),
    ):
        found({}, supervisor)


def test_a_supervisor_that_refuses_is_reported_at_once():
    with (
        supervising(Supervisor(mqtt_service(1883))) as supervisor,
        pytest.raises(CannotStart, match="HTTP 401"),
    ):
        found({}, supervisor, patience_s=60, token="of somebody else")


def test_a_supervisor_that_is_away_is_named():
    with supervising(Supervisor()) as gone:
        pass
    with pytest.raises(CannotStart, match="the Supervisor does not answer"):
        found({}, gone)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mqtt_user": "me"}, "write mqtt_url too"),
        ({"mqtt_password": "mine"}, "write mqtt_url too"),
        ({"mqtt_url": "mqtt://h", "mqtt_password": "mine"}, "write mqtt_user too"),
    ],
)
def test_half_a_broker_says_what_is_missing(options: dict[str, Any], says: str):
    with pytest.raises(CannotStart, match=says):
        start_app.chosen_broker(options)


def test_outside_of_home_assistant_it_says_so():
    with pytest.raises(CannotStart, match="SUPERVISOR_TOKEN is not set"):
        start_app.found_broker({}, {})


def test_started_by_itself_it_tells_the_log_and_ends_with_exit_code_3():
    done = subprocess.run(
        [sys.executable, str(APP / "start_app.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if Path("/data/options.json").exists():
        pytest.skip("this machine has a /data/options.json of its own")
    assert done.returncode == 3
    assert done.stderr.startswith("The app cannot start:\n/data/options.json: the options cannot be read")

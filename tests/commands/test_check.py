"""`gesture-agent check` against real brokers, files and folders."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from brokers import Mosquitto, mosquitto_program
from command import Run
from support.ports import free_port

from agent.config.load import load
from agent.config.toml_document import parse

SECRET = "hunter2-never-to-be-seen"


@pytest.fixture
def pictures(home: Path) -> Path:
    """A camera for everyone: a folder of two numbered images."""
    folder = home / "pictures"
    folder.mkdir()
    for number in (1, 2):
        cv2.imwrite(str(folder / f"{number:03}.png"), np.full((120, 160, 3), 99, np.uint8))
    return folder


def write(home: Path, text: str) -> None:
    (home / "config.toml").write_text(text)


def verdicts(done: subprocess.CompletedProcess[str]) -> dict[str, tuple[str, str]]:
    """State and text by part."""
    document = json.loads(done.stdout)
    return {verdict["part"]: (verdict["state"], verdict["text"]) for verdict in document["verdicts"]}


def every_output(run: Run) -> str:
    """All that the command ever says of these settings."""
    runs = [run("check", *more) for more in ((), ("--json",), ("--settings",), ("--changed",))]
    return "".join(done.stdout + done.stderr for done in runs)


def settings_of(done: subprocess.CompletedProcess[str]) -> str:
    """What `check` prints after its answer."""
    answer, _, shown = done.stdout.partition("\n\n")
    assert "the agent can" in answer.splitlines()[-1]
    return shown


def test_the_answer_is_short_and_its_last_line_says_whether_the_agent_can_start(
    run: Run, home: Path, cache_dir: Path, pictures: Path
) -> None:
    write(home, '[mqtt]\nbase = "house"\nurl = "mqtt://127.0.0.1:1"\n')
    failing = run("check", CACHE_DIRECTORY=str(cache_dir))
    assert failing.returncode == 3
    assert failing.stdout.endswith("config.toml the agent cannot start: 2 parts fail.\n")  # rules, camera
    assert "house" not in failing.stdout
    (home / "rules").mkdir()
    write(home, '[mqtt]\nurl = "mqtt://127.0.0.1:1"\n[camera.a]\nsource = "pictures"\n')
    starting = run("check", CACHE_DIRECTORY=str(cache_dir))
    assert starting.returncode == 0
    assert starting.stdout.endswith("config.toml the agent can start; 1 warning.\n")  # no broker
    assert all(line[:5] in {"ok   ", "warn ", "     "} for line in starting.stdout.splitlines()[:-1])


def test_it_prints_the_settings_in_force_so_that_they_can_be_read_back(run: Run, home: Path) -> None:
    write(
        home, '[mqtt]\nbase = "house"\n[debounce]\nhold = "0.5s"\n[camera.a]\nsource = "csi:0"\nfps = 12.5\n'
    )
    done = run("check", "--settings", GESTURE_AGENT__LOG__LEVEL="debug")
    (home / "shown.toml").write_text(settings_of(done))
    again = load(home / "shown.toml", {}).settings
    assert (again.mqtt.base, again.debounce.hold, again.camera["a"].fps) == ("house", 0.5, 12.5)
    assert again.log.level == "debug"
    assert again.agent.state_dir == home / ".local" / "state" / "gesture-agent"


def test_what_was_set_is_marked_with_the_place_that_set_it(run: Run, home: Path) -> None:
    write(home, '[mqtt]\nbase = "house"\n')
    done = run("check", "--changed", GESTURE_AGENT__LOG__LEVEL="debug")
    assert 'base = "house"  # config.toml:2' in done.stdout
    assert 'level = "debug"  # GESTURE_AGENT__LOG__LEVEL' in done.stdout
    assert "keepalive" not in done.stdout
    parse(settings_of(done), "what --changed printed")


def test_a_machine_reads_settings_places_and_verdicts_from_one_document(run: Run, home: Path) -> None:
    write(home, '[mqtt]\nbase = "house"\n')
    document: dict[str, Any] = json.loads(run("check", "--json").stdout)
    assert document["settings"]["mqtt"]["base"] == "house"
    assert document["set_in"] == {"mqtt.base": "config.toml:2"}
    assert {verdict["state"] for verdict in document["verdicts"]} <= {"ok", "warn", "fail"}


def test_a_machine_reads_what_is_wrong_with_the_settings_too(run: Run, home: Path) -> None:
    write(home, '[mqtt]\nulr = "x"\n')
    done = run("check", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout) == {
        "ok": False,
        "problems": [
            {"file": "config.toml", "line": 2, "column": 1, "text": 'unknown key "ulr"; did you mean "url"?'}
        ],
    }


def test_without_models_and_cameras_the_agent_could_not_start(run: Run) -> None:
    done = run("check", "--json")
    assert done.returncode == 3
    found = verdicts(done)
    assert found["model"][0] == "fail"
    assert found["camera"] == (
        "fail",
        'none is set; write [camera.front] and source = "v4l2:/dev/video0" into config.toml',
    )


def test_a_verdict_in_a_pipe_is_a_word_and_in_ascii(run: Run) -> None:
    done = run("check")
    assert "fail camera -: none is set" in done.stdout
    assert done.stdout.isascii()


def test_where_all_is_in_order_every_verdict_is_ok_and_the_exit_code_0(
    run: Run, home: Path, tmp_path: Path, pictures: Path, cache_dir: Path
) -> None:
    assert run("models", "fetch", CACHE_DIRECTORY=str(cache_dir)).returncode == 0
    (home / "rules").mkdir()
    mosquitto = Mosquitto(tmp_path).start()
    try:
        write(home, f'[mqtt]\nurl = "{mosquitto.url}"\n[camera.a]\nsource = "pictures"\n')
        done = run("check", "--json", CACHE_DIRECTORY=str(cache_dir))
    finally:
        mosquitto.stop()
    assert {part: state for part, (state, _) in verdicts(done).items()} == {
        "backend": "ok",
        "model": "ok",
        "rules": "ok",
        "folder": "ok",
        "camera": "ok",
        "broker": "ok",
    }
    assert done.returncode == 0


def test_a_damaged_network_is_distinguished_from_a_missing_one(run: Run, home: Path, cache_dir: Path) -> None:
    engines = home / "cache" / "engines"
    engines.mkdir(parents=True)
    for name in ("palm-detector.onnx", "palm-detector.json"):
        (engines / name).write_bytes((cache_dir / "engines" / name).read_bytes())
    with (engines / "palm-detector.onnx").open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    done = run("check", "--json", CACHE_DIRECTORY=str(home / "cache"))
    assert done.returncode == 3
    found = {one["name"]: (one["state"], one["text"]) for one in json.loads(done.stdout)["verdicts"]}
    assert found["palm-detector"][0] == "fail"
    assert "sha256" in found["palm-detector"][1]
    assert "does not exist" in found["pose-detector"][1]


def test_rules_that_cannot_be_read_keep_the_agent_from_starting(run: Run, home: Path) -> None:
    (home / "rules").mkdir()
    (home / "rules" / "mine.toml").write_text(
        '[[rule]]\nid = "x"\nwhen = { gesture = "fits" }\nkey = "KEY_A"\n'
    )
    done = run("check", "--json")
    state, text = verdicts(done)["rules"]
    assert (done.returncode, state) == (3, "fail")
    assert 'did you mean "fist"?' in text
    assert "mine.toml:3:" in text


# --- cameras ------------------------------------------------------------------------------------


def test_a_confidence_for_what_is_no_gesture_is_doubtful(run: Run, home: Path) -> None:
    write(home, "[debounce.confidence_of]\nthumb_up = 0.7\nok = 0.7\n")
    state, text = verdicts(run("check", "--json"))["settings"]
    assert state == "warn"
    assert 'confidence_of: unknown gesture "thumb_up"; did you mean "thumbs_up"?' in text
    assert '"ok"' not in text


def test_what_gestures_ask_for_can_be_read_back(run: Run, home: Path) -> None:
    write(home, "[debounce.confidence_of]\nok = 0.7\n")
    done = run("check", "--settings", GESTURE_AGENT__DEBOUNCE__CONFIDENCE_OF__FIST="0.8")
    (home / "shown.toml").write_text(settings_of(done))
    of = load(home / "shown.toml", {}).settings.debounce.confidence_of
    assert of == {"thumbs_up": 0.65, "fist": 0.8, "stop": 0.9, "ok": 0.7, "two": 0.65}


def test_a_camera_that_gives_a_picture_is_fine(run: Run, home: Path, pictures: Path) -> None:
    write(home, '[camera.a]\nsource = "pictures"\n')
    state, text = verdicts(run("check", "--json"))["camera"]
    assert state == "ok"
    assert "160 x 120 pixels" in text
    assert str(pictures) in text


def test_a_camera_that_is_not_there_is_a_warning_because_the_agent_keeps_trying(run: Run, home: Path) -> None:
    write(home, '[camera.a]\nsource = "v4l2:/dev/video97"\n')
    state, text = verdicts(run("check", "--json"))["camera"]
    assert state == "warn"
    assert "/dev/video97" in text
    assert "keep trying" in text


def test_a_kind_of_camera_that_nobody_knows_keeps_the_agent_from_starting(run: Run, home: Path) -> None:
    write(home, '[camera.a]\nsource = "gopher:x"\n')
    state, text = verdicts(run("check", "--json"))["camera"]
    assert state == "fail"
    assert "no such kind of source" in text


# --- folders ------------------------------------------------------------------------------------


def test_a_state_folder_that_cannot_be_made_is_said_with_the_setting_that_names_it(
    run: Run, home: Path
) -> None:
    (home / "file").write_text("in the way")
    write(home, '[agent]\nstate_dir = "file/state"\n')
    done = run("check", "--json")
    assert done.returncode == 3
    state, text = verdicts(done)["folder"]
    assert state == "fail"
    assert "agent.state_dir" in text


# --- broker -------------------------------------------------------------------------------------


def test_a_broker_that_takes_the_login_is_fine(run: Run, home: Path, tmp_path: Path) -> None:
    broker = with_password(tmp_path)
    try:
        (home / "password").write_text(f"{SECRET}\n")
        write(home, f'[mqtt]\nurl = "{broker.url}"\nuser = "joe"\npassword = {{ file = "password" }}\n')
        assert verdicts(run("check", "--json"))["broker"] == ("ok", "login and a message accepted, MQTT 5")
    finally:
        broker.stop()


def test_a_wrong_password_is_distinguished_from_a_broker_that_is_away(
    run: Run, home: Path, tmp_path: Path
) -> None:
    (home / "password").write_text("wrong")
    broker = with_password(tmp_path)
    write(home, f'[mqtt]\nurl = "{broker.url}"\nuser = "joe"\npassword = {{ file = "password" }}\n')
    try:
        refused = verdicts(run("check", "--json"))["broker"]
    finally:
        broker.stop()
    away = verdicts(run("check", "--json"))["broker"]
    assert (refused[0], away[0]) == ("warn", "warn")
    assert 'refused user "joe" and its password' in refused[1]
    assert "nothing listens at" in away[1]


def with_password(folder: Path) -> Mosquitto:
    mosquitto_program()
    passwords = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "joe", SECRET], check=True)
    passwords.chmod(0o600)
    return Mosquitto(folder, "allow_anonymous false", f"password_file {passwords}").start()


# --- secrets ------------------------------------------------------------------------------------


def test_a_password_is_never_printed(run: Run, home: Path) -> None:
    (home / "password").write_text(SECRET)
    (home / "password").chmod(0o644)
    url = f"mqtt://127.0.0.1:{free_port()}"
    write(
        home,
        f'[mqtt]\nurl = "{url}"\nuser = "joe"\npassword = {{ file = "password" }}\n'
        f'[camera.a]\nsource = "rtsp://127.0.0.1:{free_port()}/live"\nuser = "joe"\n'
        'password = { file = "password" }\n'
        '[camera.b]\nsource = "gst:rtspsrc location=rtsp://joe:{password}@127.0.0.1 ! decodebin"\n'
        'password = { file = "password" }\n',
    )
    said = every_output(run)
    assert SECRET not in said
    assert "location=rtsp://joe:{password}@127.0.0.1" in said
    assert f"chmod o-r {home / 'password'}" in said


@pytest.mark.parametrize(
    "line",
    [
        f'password = "{SECRET}"',
        f'url = "mqtt://joe:{SECRET}@broker"',
        f'url = "http://joe:{SECRET}@broker"',
        f'[camera.a]\nsource = "rtsp://joe:{SECRET}@camera/live"',
    ],
)
def test_a_password_written_at_the_wrong_place_is_refused_and_never_printed(
    run: Run, home: Path, line: str
) -> None:
    write(home, f"[mqtt]\n{line}\n")
    said = every_output(run)
    assert SECRET not in said
    assert f"config.toml:{line.count(chr(10)) + 2}:" in said

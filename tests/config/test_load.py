"""Settings come from a file and the environment; whatever is wrong is told at once, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from support.raising import does_not_raise

from agent.config import environment
from agent.config.folders import cache_folder, state_folder
from agent.config.load import load
from agent.config.problems import ConfigProblems, Problem
from agent.config.settings import (
    AgentSettings,
    CameraSettings,
    HomeAssistantSettings,
    MqttSettings,
    RecognitionSettings,
    Settings,
)
from agent.config.toml_document import parse


def settings(tmp_path: Path, text: str, **environ: str) -> Settings:
    return load(written(tmp_path, text), environ).settings


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(tmp_path: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigProblems) as caught:
        settings(tmp_path, text, **environ)
    return sorted(str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems)


# --- which file ---------------------------------------------------------------------------------


def test_without_any_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(None, {}).file is None
    assert load(None, {}).settings.mqtt == Settings().mqtt


def test_the_named_file_wins_over_the_variable_and_that_over_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("here", "named", "variable"):
        (tmp_path / name).mkdir()
        written(tmp_path / name, f'[agent]\nid = "{name}"\n')
    written(tmp_path, '[agent]\nid = "here"\n')
    environ = {"GESTURE_AGENT_CONFIG": str(tmp_path / "variable" / "config.toml")}
    assert load(tmp_path / "named" / "config.toml", environ).settings.agent.id == "named"
    assert load(None, environ).settings.agent.id == "variable"
    assert load(None, {}).settings.agent.id == "here"


def test_a_named_file_that_does_not_exist_is_an_error_and_not_skipped(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblems, match=r"nowhere\.toml: cannot be read: No such file"):
        load(tmp_path / "nowhere.toml", {})


# --- what is wrong ------------------------------------------------------------------------------


def test_a_typo_is_pointed_at_and_the_right_word_is_offered(tmp_path: Path) -> None:
    text = '[mqtt]\nulr = "mqtt://broker"\n\n[recognition]\npose = "tensorflow"\n'
    assert problems(tmp_path, text) == [
        'config.toml:2:1: unknown key "ulr"; did you mean "url"?',
        'config.toml:5:8: "tensorflow" is not one of "blazepose", "bodyposenet"',
    ]


def test_all_problems_are_reported_at_once_those_of_the_environment_too(tmp_path: Path) -> None:
    text = "[camera.front]\nrotate = 45\nfps = 0\n[debounce]\nkeep_confidence = 2\nhold = 300\n[logs]\n"
    environ = {"GESTURE_AGENT__LOG__LEVEL": "loud", "GESTURE_AGENT__MQTT__URI": "mqtt://broker"}
    assert problems(tmp_path, text, **environ) == [
        'GESTURE_AGENT__LOG__LEVEL: "loud" is not one of "debug", "info", "warning", "error"',
        "GESTURE_AGENT__MQTT__URI: names no setting; did you mean GESTURE_AGENT__MQTT__URL?",
        'config.toml:1:2: "source" is missing in [camera.front]',
        "config.toml:2:10: 45 is not one of 0, 90, 180, 270",
        "config.toml:3:7: 0 is not more than 0",
        "config.toml:5:19: 2 is not at most 1",
        'config.toml:6:8: 300 has no unit; write "300s" or "300ms"',
        'config.toml:7:2: unknown key "logs"; did you mean "log"?',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[camera."Front Door"]\nsource = "csi:0"\n', "a name of 1 to 64 of the letters a-z 0-9 _ -"),
        ('[[camera]]\nsource = "csi:0"\n', "give each camera a table and a name: [camera.front]"),
        ('[mqtt]\nurl = "http://broker"\n', '"mqtt://HOST[:PORT]", "mqtts://HOST[:PORT]" or "embedded"'),
        ('[mqtt]\nbase = "a/#"\n', "part of a topic: no space, no + and no #"),
        ('[mqtt]\nbase = "/"\n', "part of a topic"),
        ('[mqtt]\nbase = "a\\u0001b"\n', "part of a topic"),
        ('[debounce]\nhold = "3 parsecs"\n', 'write a number and a unit, as in "300ms"'),
        ("[debounce]\nkeep_confidence = 0.9\n", r"keep_confidence (0.9) must not be above confidence (0.85)"),
        (
            "[debounce]\nkeep_confidence = 0.7\n",
            r"keep_confidence (0.7) must not be above the confidence of thumbs_up (0.65)",
        ),
        ("[debounce.confidence_of]\nrandom = 0.7\n", "random stands for no gesture"),
        ("[debounce.confidence_of]\nfist = 7\n", "7 is not at most 1"),
    ],
)
def test_what_was_expected_is_said_in_words(tmp_path: Path, text: str, expected: str) -> None:
    [problem] = problems(tmp_path, text)
    assert expected in problem


def test_a_file_that_is_no_toml_is_pointed_at(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, '[mqtt]\nurl = "mqtt://broker\n')
    assert problem.startswith("config.toml:2:")


_NAMES = st.sampled_from(
    ["agent", "camera", "mqtt", "tls", "a", "id", "url", "fps", "password", "file", "x y"]
)
_VALUES = st.sampled_from(
    ['"x"', '""', "1", "-1", "1e400", "nan", "true", "[]", "[1, {}]", "{}", '{ file = "" }']
)
_LINES = st.one_of(
    st.lists(_NAMES, min_size=1, max_size=4).map(lambda names: f"[{'.'.join(map(repr, names))}]"),
    st.lists(_NAMES, min_size=1, max_size=4).map(lambda names: f"[[{'.'.join(map(repr, names))}]]"),
    st.tuples(_NAMES, _VALUES).map(lambda pair: f"{pair[0]!r} = {pair[1]}"),
    st.text(max_size=20),
)


@given(st.lists(_LINES, max_size=8).map("\n".join))
@settings_of_hypothesis(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_in_the_file_gives_settings_or_problems_with_a_place(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    told: tuple[Problem, ...] | None = None
    try:
        load(path, {})
    except ConfigProblems as exc:
        told = exc.problems
    assert told is None or told
    assert all(problem.file == str(path) and problem.text for problem in told or ())


# --- environment --------------------------------------------------------------------------------


def test_a_variable_wins_over_the_file_and_has_the_type_of_its_setting(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        '[mqtt]\nurl = "mqtt://file"\nuser = "joe"\n[camera.front-door]\nsource = "csi:0"\n',
        GESTURE_AGENT__MQTT__URL="mqtt://variable:1884",
        GESTURE_AGENT__MQTT__USER="",
        GESTURE_AGENT__MQTT__TLS__VERIFY="false",
        GESTURE_AGENT__DEBOUNCE__HOLD="1.5s",
        GESTURE_AGENT__CAMERA__FRONT_DOOR__ROTATE="270",
        GESTURE_AGENT__CAMERA__BACK__SOURCE="rtsp://back",
    )
    assert found.mqtt.url == "mqtt://variable:1884"
    assert found.mqtt.user is None
    assert found.mqtt.tls.verify is False
    assert found.debounce.hold == 1.5
    assert found.camera["front-door"].rotate == 270
    assert found.camera["back"].source == "rtsp://back"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("GESTURE_AGENT__MQT__URL", "did you mean GESTURE_AGENT__MQTT__URL?"),
        ("GESTURE_AGENT__CAMERA__FRONT__HIGHT", "did you mean GESTURE_AGENT__CAMERA__FRONT__HEIGHT?"),
        ("GESTURE_AGENT__MQTT", "is a section, not a setting"),
        ("GESTURE_AGENT__CAMERA", "is a section, not a setting"),
        ("GESTURE_AGENT__CAMERA__FRONT", "is a section, not a setting"),
        ("GESTURE_AGENT__MQTT__URL__HOST", "did you mean GESTURE_AGENT__MQTT__URL?"),
        ("GESTURE_AGENT__", "names no setting"),
    ],
)
def test_a_variable_that_names_no_setting_is_an_error(tmp_path: Path, name: str, said: str) -> None:
    [problem] = problems(tmp_path, "", **{name: "x"})
    assert problem.startswith(f"{name}: ")
    assert said in problem


def test_variables_of_other_programs_are_none_of_our_business(tmp_path: Path) -> None:
    assert settings(tmp_path, "", GESTURE_AGENT_SHARED="x", PATH="/bin").mqtt == Settings().mqtt


def test_every_variable_that_is_offered_leads_to_a_setting() -> None:
    offered = list(environment.variables())
    assert "GESTURE_AGENT__MQTT__PASSWORD__FILE" in offered
    _, wrong = environment.overlay(parse("", "f.toml"), dict.fromkeys(offered, "1"))
    assert wrong == []


@given(
    st.dictionaries(st.text("ABCMQT_X1-", max_size=20).map("GESTURE_AGENT__".__add__), st.text(max_size=9))
)
def test_no_variable_whatever_crashes_the_loading(environ: dict[str, str]) -> None:
    with does_not_raise("laying variables over a file"):
        environment.overlay(parse('[camera.a]\nsource = "csi:0"\n', "f.toml"), environ)


# --- secrets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ('[mqtt]\npassword = "hunter2"\n', {}),
        ('[mqtt]\nurl = "mqtt://joe:hunter2@broker"\n', {}),
        ('[mqtt]\nurl = "http://joe:hunter2@broker"\n', {}),
        ('[camera.a]\nsource = "rtsp://joe:hunter2@camera/live"\n', {}),
        ('[camera.a]\nsource = "http://joe:hunter2@camera/?a=b@c"\n', {}),
        ("", {"GESTURE_AGENT__MQTT__PASSWORD": "hunter2"}),
        ("", {"GESTURE_AGENT__MQTT__URL": "mqtts://joe:hunter2@broker"}),
    ],
)
def test_a_secret_outside_a_file_is_refused_and_not_repeated(
    tmp_path: Path, text: str, environ: dict[str, str]
) -> None:
    [problem] = problems(tmp_path, text, **environ)
    assert "hunter2" not in problem


def test_a_password_written_as_text_is_told_how_to_write_it(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, '[mqtt]\npassword = "hunter2"\n')
    assert problem.startswith("config.toml:2:12: a secret is never written here")
    assert '{ file = "PATH" }' in problem


def test_a_secret_is_the_text_of_its_file_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    password = settings(tmp_path, '[mqtt]\npassword = { file = "secret" }\n').mqtt.password
    assert password is not None
    assert password.read() == "hunter2"


def test_a_camera_is_opened_with_its_login_and_shown_without(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("p@ss/word\n")
    text = '[camera.a]\nsource = "rtsp://camera/live"\nuser = "joe"\npassword = { file = "secret" }\n'
    camera = settings(tmp_path, text).camera["a"]
    assert camera.address() == "rtsp://joe:p%40ss%2Fword@camera/live"
    assert "word" not in repr(camera).replace("password", "")
    assert CameraSettings(source="v4l2:/dev/video0", user="joe").address() == "v4l2:/dev/video0"


def test_under_systemd_a_secret_comes_from_the_credentials_of_the_service(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "broker").write_text("from systemd")
    text = '[mqtt]\npassword = { file = "broker" }\n'
    password = settings(tmp_path, text, CREDENTIALS_DIRECTORY=str(tmp_path / "credentials")).mqtt.password
    assert password is not None
    assert password.read() == "from systemd"


def test_a_missing_secret_is_a_problem_of_the_line_that_names_it(tmp_path: Path) -> None:
    text = '[mqtt]\npassword = { file = "nowhere" }\n[mqtt.tls]\nca = "ca.pem"\n'
    assert problems(tmp_path, text) == [
        "config.toml:2:21: mqtt.password.file: nowhere cannot be read: No such file or directory",
        "config.toml:4:6: mqtt.tls.ca: ca.pem cannot be read: No such file or directory",
    ]


def test_who_talks_to_no_broker_needs_no_password(tmp_path: Path) -> None:
    path = written(tmp_path, '[mqtt]\npassword = { file = "nowhere" }\n')
    assert load(path, {}, need_files=False).settings.mqtt.password is not None


def test_a_secret_that_everyone_can_read_is_warned_about(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    path = written(tmp_path, '[mqtt]\npassword = { file = "secret" }\n')
    secret.chmod(0o644)
    [warning] = load(path, {}).warnings
    assert f"chmod o-r {secret}" in warning
    secret.chmod(0o640)
    assert load(path, {}).warnings == ()


# --- who may write --------------------------------------------------------------------------------


def test_settings_that_anyone_may_write_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    path.chmod(0o664)
    load(path, {})
    path.chmod(0o666)
    with pytest.raises(ConfigProblems) as caught:
        load(path, {})
    assert str(caught.value) == (
        f"{path}: anyone may write here, and settings say which rules run and who hears of it; "
        f"run: chmod o-w {path}"
    )


def test_settings_in_a_folder_that_anyone_may_write_are_refused_unless_it_is_sticky(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    path = written(folder, "")
    folder.chmod(0o777)
    with pytest.raises(ConfigProblems, match=f"chmod o-w {folder}"):
        load(path, {})
    folder.chmod(0o1777)
    load(path, {})


def test_what_neither_looks_nor_publishes_reads_settings_that_anyone_may_write(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    path.chmod(0o666)
    with does_not_raise("reading settings without the files that they name"):
        load(path, {}, need_files=False)


# --- paths --------------------------------------------------------------------------------------


def test_relative_paths_start_at_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    text = '[agent]\nstate_dir = "state"\n[camera.a]\nsource = "clip.mp4"\n[camera.b]\nsource = "csi:0"\n'
    found = settings(tmp_path, text, GESTURE_AGENT__AGENT__CACHE_DIR="cache")
    assert found.agent.state_dir == tmp_path / "state"
    assert found.agent.rules == tmp_path / "rules"
    assert found.camera["a"].source == str(tmp_path / "clip.mp4")
    assert found.camera["b"].source == "csi:0"
    assert found.agent.cache_dir == tmp_path / "elsewhere" / "cache"  # a variable belongs to the shell


def test_state_and_cache_are_where_the_setting_or_systemd_or_the_user_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    systemd = {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "CACHE_DIRECTORY": "/var/cache/a"}
    chosen = AgentSettings(state_dir=tmp_path / "s", cache_dir=tmp_path / "c")
    assert (state_folder(chosen, systemd), cache_folder(chosen, systemd)) == (tmp_path / "s", tmp_path / "c")
    assert state_folder(AgentSettings(), systemd) == Path("/var/lib/a")
    assert cache_folder(AgentSettings(), systemd) == Path("/var/cache/a")
    assert state_folder(AgentSettings(), {}) == tmp_path / "home" / "gesture-agent"
    assert cache_folder(AgentSettings(), {}) == tmp_path / "home" / "gesture-agent"


def test_a_slash_at_the_end_of_a_topic_is_left_out():
    assert MqttSettings(base="house/gesture//").base == "house/gesture"
    assert HomeAssistantSettings(prefix="homeassistant/").prefix == "homeassistant"


@pytest.mark.parametrize(
    "source",
    [
        "https://me@example.org:S3cretWord@127.0.0.1:19443/https/stream/mixed",
        "rtsp://127.0.0.1:5544/user=admin_password=S3cretWord_channel=1_stream=0.sdp",
        "RTSP://admin:S3cretWord@127.0.0.1:5544/stream1",
        "rtsp://admin:S3cret/Word@127.0.0.1:5544/stream1",
        "http://127.0.0.1:5544/videostream.cgi?loginuse=admin&loginpas=S3cretWord",
        "rtsp://127.0.0.1:5544/stream1?user=admin&password=S3cretWord",
        "gst:rtspsrc location=rtsp://cam/1 user-id=admin user-pw=S3cretWord ! decodebin",
        "admin:S3cretWord@127.0.0.1/stream1",
    ],
)
def test_a_source_with_a_password_is_refused_in_every_spelling_and_not_repeated(
    tmp_path: Path, source: str
) -> None:
    [problem] = problems(tmp_path, f'[camera.front]\nsource = "{source}"\n')
    assert problem.startswith("config.toml:2:")
    assert "a source holds no password" in problem
    assert "S3cret" not in problem


def test_a_source_that_is_a_number_is_told_what_to_write(tmp_path: Path) -> None:
    for written_as in ("0", '"0"'):
        [problem] = problems(tmp_path, f"[camera.front]\nsource = {written_as}\n")
        assert 'write "v4l2:/dev/video0" for camera 0' in problem


def test_wrong_values_are_shown_without_the_secrets_inside(tmp_path: Path) -> None:
    text = (
        '[mqtt]\nurl = "amqp://joe:S3cret/Word@broker"\n[recognition.triton]\nurl = "ftp://a:S3cretWord@b"\n'
    )
    found = problems(tmp_path, text)
    assert len(found) == 2
    assert not any("S3cret" in problem for problem in found)


def test_a_relative_file_is_beside_the_settings_however_it_is_named(tmp_path: Path) -> None:
    for prefix in ("", "file:", "./"):
        camera = settings(tmp_path, f'[camera.a]\nsource = "{prefix}clip.mp4"\n').camera["a"]
        assert camera.source.removeprefix("file:") == str(tmp_path / "clip.mp4")


@pytest.mark.parametrize(
    ("written", "gestures"),
    [
        ({}, "gesturenet-ensemble"),
        ({"profile": "light"}, "gesturenet-ensemble-lite"),
        ({"profile": "accurate"}, "gesturenet-ensemble"),
        ({"profile": "light", "gestures": "gesturenet"}, "gesturenet"),
    ],
)
def test_a_profile_brings_its_classifier_unless_one_is_written(
    written: dict[str, str], gestures: str
) -> None:
    assert RecognitionSettings.model_validate(written).gestures == gestures

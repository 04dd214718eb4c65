"""`gesture-agent init` in a real terminal, against a real broker, on disks that are full or closed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import Mosquitto
from command import Run
from support.ports import free_port
from support.small_disk import mount_small_disk
from terminal import Terminal

from agent.config.load import load, load_settings
from agent.config.rules.cases import run_cases
from agent.config.rules.files import read_rules
from agent.connection_trials import find_brokers
from agent.core.types import LABELS
from agent.errors import ConfigError
from agent.installation.starter import StarterAction, parse_action

CLIP = str(Path(__file__).parents[1] / "data" / "demo.mp4")
PASSWORD = "hunter2-never-to-be-seen"


@pytest.fixture
def cached(environ: dict[str, str], cache_dir: Path) -> dict[str, str]:
    """The networks are here, so that nothing is fetched."""
    environ["CACHE_DIRECTORY"] = str(cache_dir)
    return environ


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """Lets only `agent` in, with the password."""
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto_passwd is not installed (apt install mosquitto)")
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "agent", PASSWORD], check=True)
    mosquitto = Mosquitto(tmp_path, "allow_anonymous false", f"password_file {passwords}").start()
    yield mosquitto
    mosquitto.stop()


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def by_options(run: Run, *more: str, folder: str = "made"):
    given = ("--yes", "--no-fetch", "--camera", CLIP, "--broker", "embedded")
    return run("init", folder, *given, *more)


# --- asked --------------------------------------------------------------------------------------


def test_a_conversation_ends_with_the_command_that_runs_it(
    home: Path, cached: dict[str, str], broker: Mosquitto
):
    with Terminal("init", "made", cwd=home, env=cached) as terminal:
        terminal.answer("rtsp://192.168.1.20/1", "/nowhere/clip.mp4")
        terminal.answer("Use it all the same?", "n")
        terminal.answer("rtsp://192.168.1.20/1", CLIP)
        terminal.expect("640 x 480 pixels")
        terminal.answer("host or URL", broker.url.removeprefix("mqtt://"))
        terminal.answer("User", "agent")
        terminal.answer("Password", "wrong")
        terminal.answer("Use it all the same?", "n")
        terminal.answer("host or URL", broker.url)
        terminal.answer("User", "agent")
        terminal.answer("Password", PASSWORD)
        terminal.expect("login and a message accepted")
        terminal.answer("Which", "thumb_up")
        terminal.expect('no gesture "thumb_up"')
        terminal.answer("Which", "fist")
        terminal.answer("Which", "lamp:zigbee2mqtt/#")
        terminal.expect("is not a topic")
        terminal.answer("Which", "lamp:zigbee2mqtt/lamp/set")
        terminal.answer("Write them?", "y")
        code = terminal.wait()
    assert code == 0, terminal.text
    assert PASSWORD not in terminal.text
    assert f" run --config {home / 'made/config.toml'}\n" in terminal.text.replace("'", "")
    secret = home / "made/mqtt-password"
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == (f"{PASSWORD}\n", 0o600)
    settings = load(home / "made/config.toml", {}).settings
    assert (settings.camera["front"].source, settings.mqtt.url) == (CLIP, broker.url)
    assert settings.mqtt.user == "agent"
    rules = read_rules(settings.agent.rules, LABELS, settings.debounce)
    assert [rule.id for rule in rules.rule_set.rules] == ["fist-lamp"]
    assert all(result.passed for result in run_cases(rules.cases, LABELS, settings.debounce))


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_whoever_stops_leaves_nothing(home: Path, cached: dict[str, str], key: str):
    with Terminal("init", "made", cwd=home, env=cached) as terminal:
        terminal.answer("rtsp://192.168.1.20/1", CLIP)
        terminal.answer("host or URL", "embedded")
        terminal.expect("Which")
        terminal.press(key)
        code = terminal.wait()
    assert (code, everything(home)) == (1, [])
    assert "Stopped; nothing was written." in terminal.text


def test_what_is_there_is_replaced_only_when_told_and_kept_all_the_same(home: Path, cached: dict[str, str]):
    made = home / "made"
    made.mkdir()
    (made / "config.toml").write_text("# mine\n")
    options = ("--camera", CLIP, "--broker", "embedded", "--gesture", "ok", "--do", "event", "--no-fetch")
    with Terminal("init", "made", *options, cwd=home, env=cached) as terminal:
        terminal.answer("Replace it", "n")
        assert terminal.wait() == 3
    assert everything(made) == ["config.toml"]
    with Terminal("init", "made", *options, cwd=home, env=cached) as terminal:
        terminal.answer("Replace it", "y")
        assert terminal.wait() == 0, terminal.text
    assert (made / "config.toml.old").read_text() == "# mine\n"
    assert load(made / "config.toml", {}).settings.mqtt.url == "embedded"


# --- by options, in a pipe ----------------------------------------------------------------------


def test_a_script_gets_it_by_options_in_plain_text_of_eighty_columns(
    run: Run, home: Path, cached: dict[str, str], broker: Mosquitto
):
    (home / "pw").write_text(f"{PASSWORD}\n")
    (home / "pw").chmod(0o600)
    done = run(
        "init", "made", "--yes", "--camera", CLIP, "--broker", f"127.0.0.1:{broker.port}",
        "--user", "agent", "--password-file", "pw", "--gesture", "two", "--do", "webhook:http://127.0.0.1/x",
        COLUMNS="80",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "login and a message accepted" in done.stdout
    assert done.stdout.isascii()
    assert PASSWORD not in done.stdout + done.stderr
    settings = load(home / "made/config.toml", {}).settings
    assert settings.mqtt.password is not None
    assert settings.mqtt.password.file == home / "pw"
    too_long = [line for line in done.stdout.splitlines() if len(line) > 80 and " run --config" not in line]
    assert [line for line in too_long if " " in line.strip()] == []


def test_answers_may_come_through_a_pipe_and_one_that_ends_too_soon_leaves_nothing(
    run: Run, home: Path, cached: dict[str, str]
):
    done = run("init", "made", "--no-fetch", text_in=f"{CLIP}\nembedded\nok\nevent\n")
    assert (done.returncode, everything(home)) == (1, [])
    assert "nothing was written" in done.stderr
    done = run("init", "made", "--no-fetch", text_in=f"{CLIP}\nembedded\nok\nevent\ny\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert everything(home / "made") == ["config.toml", "rules", "rules/first.toml"]


def test_for_the_browser_only_the_page_and_its_token_are_written(
    run: Run, home: Path, cached: dict[str, str]
):
    done = run("init", "made", "--page", "--yes", "--no-fetch")
    assert done.returncode == 0, done.stderr
    assert everything(home / "made") == ["config.toml", "rules", "rules/first.toml", "web-token"]
    settings = load_settings(home / "made/config.toml", {})
    assert (settings.camera, settings.web.enabled, settings.web.edit, settings.web.preview) == (
        {}, True, True, False,
    )  # fmt: skip
    assert settings.web.token is not None
    assert f"http://127.0.0.1:8765/#token={settings.web.token.read()}" in done.stdout
    assert (home / "made/web-token").stat().st_mode & 0o777 == 0o600
    again = run("init", "made", "--page", "--yes", "--no-fetch")
    assert again.returncode != 0
    assert "is there already, nothing was written" in again.stderr
    refused = run("init", "made", "--page", "--camera", CLIP)
    assert "leave them out" in refused.stderr


def test_a_second_run_writes_nothing_without_force(run: Run, home: Path, cached: dict[str, str]):
    assert by_options(run).returncode == 0
    assert by_options(run).returncode == 0  # the same again: nothing differs
    before = (home / "made/config.toml").read_text()
    done = by_options(run, "--broker", "127.0.0.1:1")
    assert done.returncode == 3
    assert "is there already, nothing was written; --force" in done.stderr
    assert (home / "made/config.toml").read_text() == before
    assert by_options(run, "--broker", "127.0.0.1:1", "--force").returncode == 0
    assert (home / "made/config.toml.old").read_text() == before


@pytest.mark.parametrize(
    "what", ["event", "lamp:a/b", "webhook:https://a/b", "key:key_playpause", "publish:a/b"]
)
def test_every_kind_of_action_makes_rules_whose_cases_pass(
    run: Run, home: Path, cached: dict[str, str], what: str
):
    done = by_options(run, "--gesture", "stop", "--do", what)
    assert done.returncode == 0, done.stdout + done.stderr
    settings = load(home / "made/config.toml", {}).settings
    assert settings.actions.keys == what.startswith("key")
    rules = read_rules(settings.agent.rules, LABELS, settings.debounce)
    assert (len(rules.rule_set.rules), len(rules.cases)) == ((0, 0) if what == "event" else (1, 2))


def test_the_example_of_an_event_alone_is_a_rule_once_its_signs_are_taken_away(
    run: Run, home: Path, cached: dict[str, str]
):
    assert by_options(run, "--do", "event").returncode == 0
    file = home / "made/rules/first.toml"
    lines = file.read_text().splitlines()
    body = lines[lines.index("#[[rule]]") :]
    file.write_text("\n".join(line.removeprefix("#") for line in body))
    settings = load(home / "made/config.toml", {}).settings
    rules = read_rules(file, LABELS, settings.debounce)
    assert [result.problems for result in run_cases(rules.cases, LABELS, settings.debounce)] == [(), ()]


def test_quotes_and_braces_of_the_user_stay_what_they_are(run: Run, home: Path, cached: dict[str, str]):
    done = by_options(run, "--do", 'publish:a/b={"say \\"x\\"": "{hand} ü", "n": [1.5, true]}')
    assert done.returncode == 0, done.stdout + done.stderr
    assert by_options(run, "--force", "--do", "publish:a/b={gesture}").returncode == 0


def test_the_login_of_a_camera_goes_into_a_file_of_its_own(run: Run, home: Path, cached: dict[str, str]):
    url = f"rtsp://ann:{PASSWORD}@127.0.0.1:{free_port()}/1"
    done = by_options(run, "--camera", url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr + (home / "made/config.toml").read_text()
    camera = load(home / "made/config.toml", {}).settings.camera["front"]
    assert camera.address() == url
    assert (home / "made/camera-password").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--do", "lamp:"), "nothing that a gesture can do"),
        (("--do", "key:KEY_PLAYPUASE"), 'did you mean "KEY_PLAYPAUSE"'),
        (("--do", 'publish:a/b={"x": null}'), "null cannot stand"),
        (("--gesture", "thumb_up"), 'no gesture "thumb_up"'),
        (("--broker", "http://x"), "is no broker; expected"),
        (("--password-file", "nowhere", "--user", "a"), "no such file"),
        (("--password-file", "nowhere"), "--password-file needs --user"),
        (("--camera", "udp://10.0.0.5"), "no such kind of source"),
    ],
)
def test_what_is_wrong_is_reported_and_nothing_is_written(
    run: Run, home: Path, cached: dict[str, str], options: tuple[str, ...], said: str
):
    done = by_options(run, *options)
    assert (done.returncode, everything(home)) == (3, [])
    assert said in " ".join(done.stderr.split())


def test_rules_that_are_there_already_are_part_of_the_trial(run: Run, home: Path, cached: dict[str, str]):
    (home / "made/rules").mkdir(parents=True)
    (home / "made/rules/mine.toml").write_text('[[rule]]\nid = "ok-lamp"\nwhen = { gesture = "fits" }\n')
    done = by_options(run, "--gesture", "ok", "--do", "lamp:a/b")
    assert done.returncode == 3
    assert 'did you mean "fist"?' in done.stderr
    assert everything(home / "made") == ["rules", "rules/mine.toml"]


# --- places -------------------------------------------------------------------------------------


def test_in_a_repository_the_password_lies_outside_of_it(run: Run, home: Path, cached: dict[str, str]):
    (home / "made/.git").mkdir(parents=True)
    done = by_options(run, "--broker", "mqtt://agent:pw-of-mine@127.0.0.1:1")
    assert done.returncode == 0, done.stdout + done.stderr
    file = home / ".config/gesture-agent/mqtt-password"
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("pw-of-mine\n", 0o600)
    other = by_options(run, "--broker", "mqtt://agent:another@127.0.0.1:1", folder="elsewhere/x")
    assert other.returncode == 0
    assert file.read_text() == "pw-of-mine\n"


def test_where_all_is_a_repository_its_gitignore_gets_a_line(run: Run, home: Path, cached: dict[str, str]):
    (home / ".git").mkdir()
    (home / ".gitignore").write_text("*.pyc")
    for _ in range(2):
        done = by_options(run, "--broker", "mqtt://agent:pw-of-mine@127.0.0.1:1")
        assert done.returncode == 0, done.stdout + done.stderr
    assert "keep it out of commits" in " ".join(done.stderr.split())
    assert (home / ".gitignore").read_text() == "*.pyc\n/made/mqtt-password\n"


@pytest.mark.root
def test_a_full_disk_is_reported_and_nothing_is_half_written(
    run: Run, cached: dict[str, str], tmp_path: Path
):
    with mount_small_disk(tmp_path / "disk", "8k", "nr_inodes=6") as disk:
        (disk / "big").write_bytes(b"x" * 4096)
        done = by_options(run, "--do", "lamp:a/b", folder=str(disk))
        assert done.returncode == 3
        assert "No space left on device; nothing was written" in " ".join(done.stderr.split())
        assert everything(disk) == ["big"]


def test_a_file_in_the_place_of_the_folder_is_reported(run: Run, home: Path, cached: dict[str, str]):
    (home / "made").write_text("x")
    done = by_options(run)
    assert (done.returncode, "is a file, not a folder" in done.stderr) == (3, True)


def test_a_broker_that_listens_is_found(tmp_path: Path):
    port = free_port()
    assert find_brokers(("127.0.0.1",), port) == []
    mosquitto = Mosquitto(tmp_path, port=port).start()
    try:
        assert find_brokers(("host.invalid", "127.0.0.1"), port) == [f"mqtt://127.0.0.1:{port}"]
    finally:
        mosquitto.stop()


def test_an_action_of_text_and_one_of_json():
    assert parse_action("publish:a/b=on=off") == StarterAction("publish", "a/b", "on=off")
    assert parse_action("publish:a/b=1") == StarterAction("publish", "a/b", "1")
    assert parse_action('publish:a/b={"x": 1}') == StarterAction("publish", "a/b", {"x": 1})
    with pytest.raises(ConfigError, match="expected one of"):
        parse_action("shout")

"""The installer, into a folder that plays the root; a booted system is in test_container.py."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.errors import CannotStart
from agent.installation.install import install, uninstall
from agent.installation.paths import InstallPaths, data_root
from agent.installation.state import parse_state
from agent.installation.steps import run


class Machine:
    """A root with nothing on it, and an ear for the commands that are run."""

    def __init__(self, root: Path) -> None:
        self.paths = InstallPaths(root)
        self.commands: list[str] = []
        self.said: list[str] = []
        (root / "run/systemd/system").mkdir(parents=True)

    def run(self, command: Sequence[str]) -> None:
        words = " ".join(command)
        self.commands.append(words)
        if " -m venv " in words:  # the one command whose result later steps look at
            program = self.paths.prefix / "bin" / "python"
            program.parent.mkdir(parents=True)
            program.touch()

    def install(self, *, keys: bool | None = None, dry_run: bool = False) -> None:
        self.commands.clear()
        self.said.clear()
        install(self.said.append, keys=keys, dry_run=dry_run, paths=self.paths, run=self.run)

    def uninstall(self, *, keep_settings: bool = False) -> None:
        self.commands.clear()
        uninstall(self.said.append, keep_settings=keep_settings, paths=self.paths, run=self.run)

    def files(self) -> set[str]:
        root = self.paths.root
        return {
            str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir() or path.is_symlink()
        }


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no-cache"))
    return Machine(tmp_path / "root")


def test_everything_lies_where_the_unit_expects_it(machine: Machine):
    machine.install()
    assert machine.files() >= {
        "etc/gesture-agent/config.toml",
        "etc/gesture-agent/mqtt-password",
        "etc/gesture-agent/rules/home.toml",
        "etc/systemd/system/gesture-agent.service",
        "etc/udev/rules.d/70-gesture-agent.rules",
        "opt/gesture-agent/share/gesture-agent/systemd/gesture-agent.service",
        "usr/local/bin/gesture-agent",
    }
    assert (machine.paths.settings / "mqtt-password").stat().st_mode & 0o777 == 0o600
    unit = machine.paths.unit.read_text()
    assert (
        "ExecStart=/opt/gesture-agent/bin/gesture-agent run --config /etc/gesture-agent/config.toml" in unit
    )


@pytest.mark.parametrize(
    ("sign", "wanted"),
    [
        ("etc/nv_tegra_release", "cuda-bindings>=12.6,<13"),
        ("proc/driver/nvidia/version", "tensorrt>=8.6 cuda-bindings>=12.6,<13"),
    ],
)
def test_where_an_nvidia_gpu_is_what_uses_it_is_installed(machine: Machine, sign: str, wanted: str):
    machine.install()
    assert not any("cuda-bindings" in command for command in machine.commands)
    (made,) = [command for command in machine.commands if "-m venv" in command]
    assert "--system-site-packages" in made.split()  # a Jetson's TensorRT belongs to the system
    file = machine.paths.root / sign
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    machine.install()
    (step,) = [command for command in machine.commands if "cuda-bindings" in command]
    assert step.endswith(f"-m pip install --quiet --disable-pip-version-check {wanted}")


def test_a_gpu_that_cannot_be_set_up_is_reported_and_the_service_runs_on_the_cpu(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    file = machine.paths.root / "proc/driver/nvidia/version"
    file.parent.mkdir(parents=True)
    file.touch()
    done = Machine.run

    def run(self: Machine, command: Sequence[str]) -> None:
        if "cuda-bindings>=12.6,<13" in command:
            raise CannotStart("pip install: ended with 1\nno matching distribution")
        done(self, command)

    monkeypatch.setattr(Machine, "run", run)
    machine.install()
    said = "\n".join(machine.said)
    assert "WARNING: pip install: ended with 1\nno matching distribution" in said
    assert "The GPU is not used until this works" in said
    assert machine.commands[-1] == "systemctl restart gesture-agent.service"


def test_it_is_started_last_and_now_and_with_the_machine(machine: Machine):
    machine.install()
    assert machine.commands[-2:] == [
        "systemctl enable --quiet gesture-agent.service",
        "systemctl restart gesture-agent.service",
    ]
    assert "systemctl daemon-reload" in machine.commands
    assert "gesture-agent is installed and running." in machine.said


def test_a_dry_run_shows_the_steps_and_does_none(machine: Machine):
    machine.install(dry_run=True)
    assert machine.commands == []
    assert machine.files() == set()
    assert any("systemctl restart gesture-agent.service" in line for line in machine.said)


def test_an_upgrade_keeps_what_the_user_changed_and_renews_the_rest(machine: Machine):
    machine.install()
    settings = machine.paths.settings
    (settings / "config.toml").write_text("# mine")
    (settings / "mqtt-password").write_text("mine")
    (settings / "rules" / "kiosk.toml").unlink()
    machine.paths.unit.write_text("an older unit")
    machine.install()
    assert (settings / "config.toml").read_text() == "# mine"
    assert (settings / "mqtt-password").read_text() == "mine"
    assert not (settings / "rules" / "kiosk.toml").exists()
    assert machine.paths.unit.read_text() == (data_root() / "systemd" / "gesture-agent.service").read_text()


def test_twice_makes_no_second_environment(machine: Machine):
    machine.install()
    assert sum(" -m venv " in words for words in machine.commands) == 1
    machine.install()
    assert not any(" -m venv " in words for words in machine.commands)
    assert any("nothing to do: make a virtual environment" in line for line in machine.said)


def test_a_jetson_gets_the_socket_of_its_cameras(machine: Machine):
    machine.install()
    drop_in = machine.paths.unit.with_name("gesture-agent.service.d") / "jetson.conf"
    assert not drop_in.exists()
    (machine.paths.root / "etc/nv_tegra_release").touch()
    machine.install()
    assert "argus_socket" in drop_in.read_text()


KEYS = {
    "etc/systemd/system/gesture-agent.service.d/keys.conf",
    "etc/udev/rules.d/71-gesture-agent-keys.rules",
    "etc/modules-load.d/gesture-agent.conf",
}


def test_keys_are_for_those_who_ask_for_them(machine: Machine):
    machine.install()
    assert not machine.files() & KEYS
    assert machine.said[-1].endswith("gesture-agent service install --keys")
    machine.install(keys=True)
    assert machine.files() >= KEYS
    assert "modprobe uinput" in machine.commands
    assert "DeviceAllow=/dev/uinput rw" in machine.paths.drop_in("keys.conf").read_text()


def test_an_upgrade_keeps_the_right_to_press_keys_until_it_is_taken_back(machine: Machine):
    machine.install(keys=True)
    machine.paths.drop_in("keys.conf").write_text("an older one")
    machine.install()
    assert "uinput" in machine.paths.drop_in("keys.conf").read_text()
    machine.install(keys=False)
    assert not machine.files() & KEYS


def test_removing_it_leaves_nothing(machine: Machine):
    machine.install(keys=True)
    machine.paths.state.mkdir(parents=True)
    (machine.paths.state / "outbox.sqlite").touch()
    machine.uninstall()
    assert machine.files() == set()
    assert machine.commands == [
        "systemctl disable --now --quiet gesture-agent.service",
        "systemctl daemon-reload",
    ]
    machine.uninstall()  # once more is fine
    assert machine.commands == ["systemctl daemon-reload"]


def test_removing_it_can_leave_the_settings(machine: Machine):
    machine.install()
    machine.uninstall(keep_settings=True)
    assert {path.split("/")[1] for path in machine.files()} == {"gesture-agent"}
    assert (machine.paths.settings / "config.toml").exists()


def test_a_machine_without_systemd_is_reported(tmp_path: Path, machine: Machine):
    (machine.paths.root / "run/systemd/system").rmdir()
    with pytest.raises(CannotStart, match="no systemd runs here"):
        machine.install()


def test_a_command_that_fails_is_reported_with_what_it_said():
    with pytest.raises(CannotStart, match=r"sh -c .*: ended with 4\nno space"):
        run(["sh", "-c", "echo no space; exit 4"])
    with pytest.raises(CannotStart, match="no-such-program: not found"):
        run(["no-such-program"])


def test_the_state_is_read_from_systemds_words():
    state = parse_state(
        "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=77\n"
        "NRestarts=2\nExecMainStatus=0\nStatusText=1 of 1 cameras online\nMemoryCurrent=104857600\n"
        "ActiveEnterTimestamp=Mon 2024-01-01 10:00:00 UTC\n"
    )
    assert (state.installed, state.running, state.at_boot) == (True, True, True)
    assert (state.pid, state.restarts, state.memory_bytes) == (77, 2, 104857600)
    assert state.state == "active (running)"
    assert state.says == "1 of 1 cameras online"


def test_a_service_that_is_not_there_is_read_as_such():
    state = parse_state("LoadState=not-found\nActiveState=inactive\nSubState=dead\nMemoryCurrent=[not set]\n")
    assert (state.installed, state.running, state.memory_bytes) == (False, False, None)

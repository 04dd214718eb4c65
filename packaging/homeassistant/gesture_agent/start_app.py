"""Starts the agent as an app of Home Assistant: options become settings, the broker is the Supervisor's.

Options are laid over the settings of /config/config.toml as variables of the environment. Passwords go into
files that the agent alone may read. What does not hold up is told in the app's log by the names of
the options, with what to write, and ends with exit code 3.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from agent.config.load import load
from agent.config.shipped import shipped_folder
from agent.errors import CannotStart

PREFIX = "GESTURE_AGENT__"
INGRESS = "172.30.32.2"  # of the Supervisor's network, the same on every installation
USER = 10001  # of the image
SUPERVISOR = "http://supervisor"
BROKER_PATIENCE_S = 60.0  # a broker that is an app starts at the same time as this one
EXIT_CANNOT_START = 3
SETTINGS = """\
# Settings that are no option of the app, as described in
# https://github.com/gesture-agent/gesture-agent/blob/main/config.toml
# What the app's options say wins. Rules are in the folder rules/ beside this file.
"""
NO_BROKER = (
    'no MQTT broker: install the app "Mosquitto broker" (Settings > Apps) and start it, or write the address '
    "of yours into the option mqtt_url, as in mqtt://192.168.1.10:1883"
)


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the Supervisor mounts things; under another root in tests only."""

    root: Path = Path("/")

    @property
    def data(self) -> Path:
        """Private to the app, kept over updates, part of backups."""
        return self.root / "data"

    @property
    def config(self) -> Path:
        """What the user edits: rules and further settings."""
        return self.root / "config"

    @property
    def secrets(self) -> Path:
        """Passwords, a file each."""
        return self.data / "secrets"


@dataclass(frozen=True, slots=True)
class Broker:
    """Where events go."""

    url: str
    user: str | None = None
    password: str | None = None


ANY_BROKER = Broker("mqtt://localhost")  # to look at the options before the broker is known


@dataclass(frozen=True, slots=True)
class Variable:
    """A setting, the option that it comes from, and whether its value belongs into a file."""

    name: str
    option: str
    value: Any
    secret: bool = False

    @property
    def key(self) -> str:
        """As the agent knows it in its environment."""
        return f"{PREFIX}{self.name}__FILE" if self.secret else f"{PREFIX}{self.name}"


def read_options(file: Path) -> dict[str, Any]:
    """What the user chose. Raises `CannotStart`."""
    try:
        options = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise CannotStart(f"{file}: the options cannot be read ({exc}); save them again in the app") from exc
    if not isinstance(options, dict):
        seen = type(options).__name__
        raise CannotStart(f"{file}: the options are of type {seen}, not a table; save them again in the app")
    return options


def chosen_broker(options: Mapping[str, Any]) -> Broker | None:
    """The broker that the options name; None where they leave it to the Supervisor. Raises `CannotStart`."""
    url, user, password = (options.get(f"mqtt_{part}") or None for part in ("url", "user", "password"))
    if url is None and (user or password):
        raise CannotStart(
            "mqtt_user and mqtt_password belong to a broker of yours: write mqtt_url too, or leave all three "
            "empty to use Home Assistant's"
        )
    if password and not user:
        raise CannotStart("mqtt_password is given without a user; write mqtt_user too")
    return Broker(url, user, password) if url else None


def broker_of_supervisor(supervisor: str, token: str) -> Broker | None:
    """The broker of Home Assistant's own apps; None where there is none. Raises `OSError`, `CannotStart`."""
    request = urllib.request.Request(  # noqa: S310 (our own constant)
        f"{supervisor}/services/mqtt", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            said = json.load(answer)
    except urllib.error.HTTPError as exc:
        if exc.code in {401, 403}:
            raise CannotStart(
                f"the Supervisor refuses to name its broker (HTTP {exc.code}); reinstall the app, or write "
                "the broker's address into the option mqtt_url"
            ) from exc
        return None  # 400: the service is not there
    except ValueError:
        return None
    data = said.get("data") if isinstance(said, dict) else None
    if not isinstance(data, dict) or not data.get("host"):
        return None
    scheme = "mqtts" if data.get("ssl") else "mqtt"
    return Broker(
        f"{scheme}://{data['host']}:{data.get('port', 1883)}",
        data.get("username") or None,
        data.get("password") or None,
    )


def found_broker(
    options: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    supervisor: str = SUPERVISOR,
    patience_s: float = BROKER_PATIENCE_S,
    pause: Callable[[float], None] = time.sleep,
) -> Broker:
    """The one of the options, else the Supervisor's, which may still be starting. Raises `CannotStart`."""
    if broker := chosen_broker(options):
        return broker
    token = environ.get("SUPERVISOR_TOKEN")
    if not token:
        raise CannotStart("no Supervisor is here (SUPERVISOR_TOKEN is not set); write the option mqtt_url")
    deadline, why = time.monotonic() + patience_s, ""
    while True:
        try:
            if broker := broker_of_supervisor(supervisor, token):
                return broker
        except OSError as exc:
            why = f" (the Supervisor does not answer: {exc})"
        if time.monotonic() >= deadline:
            raise CannotStart(NO_BROKER + why)
        pause(2.0)


def variables(options: Mapping[str, Any], broker: Broker, web_token: str) -> Iterator[Variable]:
    """Every setting that options, broker and Home Assistant's ingress ask for. Raises `CannotStart`."""
    yield from _of_options(options)
    yield from _of_cameras(options.get("cameras"))
    yield Variable("MQTT__URL", "mqtt_url", broker.url)
    if broker.user:
        yield Variable("MQTT__USER", "mqtt_user", broker.user)
    if broker.password:
        yield Variable("MQTT__PASSWORD", "mqtt_password", broker.password, secret=True)
    yield Variable("WEB__ENABLED", "ingress", value=True)
    yield Variable("WEB__HOST", "ingress", "0.0.0.0")  # noqa: S104 (a container's; a token that nobody has)
    yield Variable("WEB__PROXIES", "ingress", [INGRESS])
    yield Variable("WEB__PROXIES_LOG_IN", "ingress", value=True)
    yield Variable("WEB__TOKEN", "ingress", web_token, secret=True)


def _of_options(options: Mapping[str, Any]) -> Iterator[Variable]:
    names = {
        "id": "AGENT__ID",
        "profile": "RECOGNITION__PROFILE",
        "preview": "WEB__PREVIEW",
        "log_level": "LOG__LEVEL",
        "area": "HOMEASSISTANT__AREA",
    }
    for option, name in names.items():
        if options.get(option) not in {None, ""}:
            yield Variable(name, option, options[option])


def _of_cameras(cameras: Any) -> Iterator[Variable]:
    if not isinstance(cameras, list) or not cameras:
        raise CannotStart(
            "cameras is empty; add one with a name, as in front, and a source, as in v4l2:/dev/video0"
        )
    seen: set[str] = set()
    for number, camera in enumerate(cameras):
        option = f"cameras[{number}]"
        name = camera.get("name") if isinstance(camera, dict) else None
        if not isinstance(name, str) or not name or "__" in name:
            raise CannotStart(f"{option}: name is {name!r}; write one of the letters a-z 0-9 _, as in front")
        if name in seen:
            raise CannotStart(f'{option}: there is a camera "{name}" already; give this one another name')
        seen.add(name)
        for key, value in camera.items():
            if key != "name" and value not in {None, ""}:
                setting = f"CAMERA__{name.upper()}__{key.upper()}"
                yield Variable(setting, f"{option}.{key}", value, secret=key == "password")


def environment(found: list[Variable], folder: Path) -> dict[str, str]:
    """The variables as text, the secrets among them written into files of `folder`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = {variable.name.lower(): variable for variable in found if variable.secret}
    for file in folder.iterdir():
        if file.name not in wanted:
            file.unlink()  # of a camera that is gone
    environ = {}
    for variable in found:
        if variable.secret:
            file = folder / variable.name.lower()
            write_private(file, str(variable.value))
            environ[variable.key] = str(file)
        elif isinstance(variable.value, str):
            environ[variable.key] = variable.value
        else:
            environ[variable.key] = json.dumps(variable.value)
    return environ


def write_private(file: Path, text: str) -> None:
    """Nobody else may read it at any moment, and it is there whole or not at all."""
    new = file.with_name(f".{file.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    new.replace(file)


def lay_out(folders: Folders) -> str:
    """Rules and settings to begin with, and the page's token, each once; the token."""
    rules = folders.config / "rules"
    if not rules.exists():
        shutil.copytree(shipped_folder("rules") / "rules", rules)
    settings = folders.config / "config.toml"
    if not settings.exists():
        settings.write_text(SETTINGS, encoding="utf-8")
    token = folders.secrets / "web__token"
    return token.read_text(encoding="utf-8") if token.is_file() else secrets.token_hex(16)


def checked(environ: Mapping[str, str], found: list[Variable]) -> None:
    """Let the agent read its settings. Raises `CannotStart` that speaks of options."""
    try:
        load(None, environ, need_files=True)
    except CannotStart as exc:
        text = str(exc)
        for variable in sorted(found, key=lambda one: len(one.key), reverse=True):
            text = text.replace(variable.key, f"option {variable.option}")
        raise CannotStart(text) from exc


def become_the_agents_user(folders: Folders) -> None:
    """Give up root, but for the groups of the cameras' devices; what the agent writes belongs to it then."""
    for folder in ("state", "cache", "secrets"):
        place = folders.data / folder
        place.mkdir(mode=0o700, exist_ok=True)
        for path in (place, *place.rglob("*")):
            os.chown(path, USER, USER, follow_symlinks=False)
    folders.data.chmod(0o711)  # through to its own folders
    devices = (*folders.root.glob("dev/video*"), *folders.root.glob("dev/dri/*"))
    groups = {path.stat().st_gid for path in devices if stat.S_ISCHR(path.stat().st_mode)}
    os.setgroups(sorted(groups - {0}))
    os.setgid(USER)
    os.setuid(USER)


def prepared(folders: Folders, environ: Mapping[str, str], broker: Broker | None = None) -> dict[str, str]:
    """The agent's whole environment. Raises `CannotStart`.

    Options that do not hold up are told before a broker is waited for.
    """
    options = read_options(folders.data / "options.json")
    if broker is None:
        settled(folders, options, environ, chosen_broker(options) or ANY_BROKER)
        broker = found_broker(options, environ)
    return settled(folders, options, environ, broker)


def settled(
    folders: Folders, options: Mapping[str, Any], environ: Mapping[str, str], broker: Broker
) -> dict[str, str]:
    """The environment with that broker, read once by the agent. Raises `CannotStart`."""
    found = list(variables(options, broker, lay_out(folders)))
    kept = {name: value for name, value in environ.items() if name != "SUPERVISOR_TOKEN"}
    whole = kept | environment(found, folders.secrets)
    whole[f"{PREFIX}AGENT__RULES"] = str(folders.config / "rules")
    whole["GESTURE_AGENT_CONFIG"] = str(folders.config / "config.toml")
    checked(whole, found)
    return whole


def main() -> NoReturn:
    """Become the agent, or say why that cannot be."""
    folders = Folders()
    try:
        environ = prepared(folders, os.environ)
    except CannotStart as exc:
        sys.stderr.write(f"The app cannot start:\n{exc}\n")
        sys.exit(EXIT_CANNOT_START)
    if os.geteuid() == 0:
        become_the_agents_user(folders)
    os.chdir(folders.config)
    os.execvpe("start", ["start", "run"], environ)  # noqa: S606


if __name__ == "__main__":
    main()

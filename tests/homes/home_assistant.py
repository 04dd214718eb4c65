"""A real Home Assistant in a folder of its own: started, asked over REST and WebSocket, stopped."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from homes_kit import LONG_S, eventually
from support.ports import free_port
from websockets.sync.client import connect

CLIENT = "http://127.0.0.1/"  # who asks for a token

CONFIGURATION = """
homeassistant:
  name: Test
  time_zone: UTC
http:
  server_host: 127.0.0.1
  server_port: {port}
logger:
  default: warning
  logs:
    homeassistant.components.mqtt: info
automation: !include automations.yaml
input_boolean:
  lamp:
    name: Lamp
"""

Json = Any


def _defaults(form: list[dict[str, Json]]) -> dict[str, Json]:
    """What the browser sends of a form that nobody has touched; newer releases ask for all of it."""
    values: dict[str, Json] = {}
    for field in form:
        selector = field.get("selector", {})
        if field.get("type") == "expandable":
            values[field["name"]] = _defaults(field["schema"])
        elif "default" in field:
            values[field["name"]] = field["default"]
        elif field.get("required") and "boolean" in selector:
            values[field["name"]] = False
        elif field.get("required") and "select" in selector:
            values[field["name"]] = selector["select"]["options"][0]
    return values


class HomeAssistant:
    """One installation. `start` onboards it at the first time and connects it to the broker."""

    def __init__(self, program: Path, folder: Path, broker_port: int) -> None:
        self.port = free_port()
        self.folder = folder
        self._program = program
        self._broker_port = broker_port
        self._process: subprocess.Popen[bytes] | None = None
        self._token = ""
        self._refresh_token = ""
        folder.mkdir(parents=True)
        (folder / "automations.yaml").write_text("[]\n", encoding="utf-8")
        (folder / "configuration.yaml").write_text(CONFIGURATION.format(port=self.port), encoding="utf-8")

    # Life.

    def start(self) -> HomeAssistant:
        with (self.folder / "output.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "--config", self.folder, "--skip-pip"], stdout=log, stderr=subprocess.STDOUT
            )
        eventually(self._answers, f"Home Assistant answers; {self.folder}/home-assistant.log")
        if not self._refresh_token:
            self._move_in()
        self._renew_token()
        eventually(lambda: self.get("/api/config")["state"] == "RUNNING", "Home Assistant runs")
        return self

    def stop(self) -> None:
        """As its own restart does: it says goodbye and remembers its states."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(LONG_S)
            finally:
                self._process.kill()
                self._process.wait()

    @property
    def log(self) -> str:
        return (self.folder / "home-assistant.log").read_text(encoding="utf-8")

    def complaints(self) -> list[str]:
        """Warnings and errors of its log that are about MQTT."""
        return [
            line
            for line in self.log.splitlines()
            if ("WARNING" in line or "ERROR" in line) and "mqtt" in line.lower()
        ]

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"Home Assistant ended: {(self.folder / 'output.log').read_text()}")
        try:
            self._ask("GET", "/manifest.json")
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def _move_in(self) -> None:
        """Onboarding, as the browser does it; then the MQTT integration's dialogue."""
        who = {
            "name": "Ada",
            "username": "ada",
            "password": "lovelace",
            "client_id": CLIENT,
            "language": "en",
        }

        def created() -> Json:
            try:
                return self._ask("POST", "/api/onboarding/users", who)
            except urllib.error.HTTPError as exc:
                if exc.code == 404:  # not set up yet
                    return None
                raise

        answers: list[Json] = []
        eventually(lambda: answers.append(created()) or answers[-1], "onboarding")
        grant = {"grant_type": "authorization_code", "code": answers[-1]["auth_code"], "client_id": CLIENT}
        given = self._ask("POST", "/auth/token", grant, form=True)
        self._token, self._refresh_token = given["access_token"], given["refresh_token"]
        eventually(lambda: self.get("/api/config")["state"] == "RUNNING", "Home Assistant runs")
        flow = self.post(
            "/api/config/config_entries/flow", {"handler": "mqtt", "show_advanced_options": False}
        )
        done = self.post(
            f"/api/config/config_entries/flow/{flow['flow_id']}",
            {**_defaults(flow["data_schema"]), "broker": "127.0.0.1", "port": self._broker_port},
        )
        assert done["type"] == "create_entry", done
        with contextlib.suppress(AssertionError):  # unknown to older releases
            self.ask("http/config/promote")  # else 2026.11 takes its port back

    def _renew_token(self) -> None:
        grant = {"grant_type": "refresh_token", "refresh_token": self._refresh_token, "client_id": CLIENT}
        self._token = self._ask("POST", "/auth/token", grant, form=True)["access_token"]

    # REST.

    def get(self, path: str) -> Json:
        return self._ask("GET", path)

    def post(self, path: str, body: Json) -> Json:
        return self._ask("POST", path, body)

    def state(self, entity_id: str) -> dict[str, Any] | None:
        """Its state with attributes; None when there is no such entity."""
        try:
            return dict(self.get(f"/api/states/{entity_id}"))
        except urllib.error.HTTPError as exc:
            if exc.code == 404:
                return None
            raise

    def value(self, entity_id: str) -> str | None:
        found = self.state(entity_id)
        return None if found is None else str(found["state"])

    def call(self, domain: str, service: str, **data: object) -> None:
        self.post(f"/api/services/{domain}/{service}", data)

    def automate(self, name: str, automation: dict[str, Any]) -> None:
        """What the automation editor does when it saves."""
        self.post(f"/api/config/automation/config/{name}", {"alias": name, **automation})
        eventually(lambda: self.value(f"automation.{name}") == "on", f"automation {name} is on")

    def _ask(self, method: str, path: str, body: Json = None, *, form: bool = False) -> Json:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token and not form else {}
        data = None
        if body is not None:
            data = (urllib.parse.urlencode(body) if form else json.dumps(body)).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded" if form else "application/json"
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 (our own URL)
            text = answer.read()
        return json.loads(text) if text else None

    # WebSocket.

    def ask(self, kind: str, **more: object) -> Json:
        """One command of the WebSocket API, on a connection of its own."""
        return self.talk(lambda say: say(kind, **more))

    def talk(self, conversation: Callable[[Callable[..., Json]], Json]) -> Json:
        with connect(f"ws://127.0.0.1:{self.port}/api/websocket", max_size=None) as socket:
            json.loads(socket.recv())
            socket.send(json.dumps({"type": "auth", "access_token": self._token}))
            assert json.loads(socket.recv())["type"] == "auth_ok"
            number = 0

            def say(kind: str, **more: object) -> Json:
                nonlocal number
                number += 1
                socket.send(json.dumps({"id": number, "type": kind, **more}))
                answer = json.loads(socket.recv(60))
                assert answer["success"], answer
                return answer["result"]

            return conversation(say)

    def device(self, maker: str) -> dict[str, Any] | None:
        """The one device of that manufacturer."""
        found = [d for d in self.ask("config/device_registry/list") if d["manufacturer"] == maker]
        assert len(found) <= 1, found
        return found[0] if found else None

    def entities(self, device_id: str) -> dict[str, str]:
        """Unique id -> entity id."""
        rows = self.ask("config/entity_registry/list")
        return {row["unique_id"]: row["entity_id"] for row in rows if row["device_id"] == device_id}

    def triggers(self, device_id: str) -> list[dict[str, Any]]:
        return [
            trigger
            for trigger in self.ask("device_automation/trigger/list", device_id=device_id)
            if trigger["domain"] == "mqtt"
        ]

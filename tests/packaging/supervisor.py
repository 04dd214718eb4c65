"""The part of Home Assistant's Supervisor that an app talks to: its API that names the MQTT service."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "of-the-supervisor"


@dataclass
class Supervisor:
    """Answers like the real one (developers.home-assistant.io, Supervisor endpoints)."""

    service: dict[str, Any] | None = None  # None: no broker is installed
    url: str = ""
    asked: list[str] = field(default_factory=list)
    answers_before_it_is_there: int = 0  # how often it says that there is none, while the broker starts

    def answer(self, path: str, authorization: str) -> tuple[int, dict[str, Any]]:
        self.asked.append(path)
        if authorization != f"Bearer {TOKEN}":
            return 401, {"result": "error", "message": "unauthorized"}
        if path != "/services/mqtt":
            return 404, {"result": "error", "message": "not found"}
        if self.service is None or len(self.asked) <= self.answers_before_it_is_there:
            return 400, {"result": "error", "message": "Service not enabled"}
        return 200, {"result": "ok", "data": self.service}


def mqtt_service(port: int, **more: Any) -> dict[str, Any]:
    """What the app of mosquitto offers, on this machine."""
    offered = {
        "addon": "core_mosquitto",
        "host": "127.0.0.1",
        "port": port,
        "ssl": False,
        "protocol": "3.1.1",
    }
    return {**offered, "username": "apps", "password": "of the broker", **more}


@contextmanager
def supervising(supervisor: Supervisor, port: int = 0) -> Iterator[Supervisor]:
    """The same at a port of the loopback; 0: a free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, document = supervisor.answer(self.path, self.headers.get("Authorization", ""))
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        supervisor.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield supervisor
        finally:
            server.shutdown()


def main() -> None:
    """Stand in for the Supervisor at port 80 until killed: `supervisor.py BROKER_PORT`."""
    with supervising(Supervisor(mqtt_service(int(sys.argv[1]), username=None, password=None)), port=80):
        threading.Event().wait()


if __name__ == "__main__":
    main()

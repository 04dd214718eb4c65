"""A real Node-RED, headless, in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from homes_kit import LONG_S, eventually
from support.ports import free_port

SETTINGS = """
module.exports = {{
    uiHost: "127.0.0.1", uiPort: {port}, flowFile: "flows.json", credentialSecret: false,
    telemetry: {{ enabled: false, updateNotification: false }},
    externalModules: {{ palette: {{ allowInstall: false }} }},
}}
"""


class NodeRed:
    """Started, given a flow over its admin API as the editor's import does, restarted."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        programs = home / "node_modules/.bin"  # where a Node.js of its own is too, if it wants a newer one
        self._program = programs / "node-red"
        self._environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "settings.js").write_text(SETTINGS.format(port=self.port), encoding="utf-8")

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "--userDir", self.folder, "--settings", self.folder / "settings.js"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )
        eventually(self._answers, f"Node-RED answers; see {self.folder}/log")

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(LONG_S)

    def deploy(self, flow: list[dict[str, Any]]) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/flows",
            json.dumps(flow).encode(),
            {"Content-Type": "application/json", "Node-RED-Deployment-Type": "full"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 (our own URL)
            assert answer.status == 204

    def flow(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/flows", timeout=60) as answer:
            return list(json.load(answer))

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            self.flow()
        except OSError:
            return False
        return True

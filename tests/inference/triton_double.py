"""A server that speaks the KServe v2 protocol with Triton's binary tensors, on a real socket of this machine.

It computes with whatever function it is given, and misbehaves when told to.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from agent.core.types import Floats

Compute = Callable[[Mapping[str, Floats]], dict[str, Floats]]
LENGTH = "Inference-Header-Content-Length"


class TritonDouble:
    """`serve` a network, `start`, `stop` and `start` again at the same port."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.port, self._tls = port, tls
        self.models: dict[str, dict[str, Any]] = {}  # metadata by name
        self.configs: dict[str, dict[str, Any]] = {}
        self.compute: dict[str, Compute] = {}
        self.batches: list[int] = []  # pictures of every request that was answered
        self.mood = "well"  # "hang", "trickle", "error", "garbage", "loading"
        self.released = threading.Event()  # ends a hang
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._open: list[Any] = []

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def serve(
        self,
        name: str,
        inputs: Mapping[str, list[int]],
        outputs: Mapping[str, list[int]],
        compute: Compute,
        max_batch: int = 0,
    ) -> None:
        """-1 in a shape is any size, as in the protocol."""
        sides = (("inputs", inputs), ("outputs", outputs))
        tensors = {
            side: [{"name": n, "datatype": "FP32", "shape": shape} for n, shape in specs.items()]
            for side, specs in sides
        }
        self.models[name] = {"name": name, "versions": ["1"], "platform": "python", **tensors}
        self.configs[name] = {"name": name, "max_batch_size": max_batch}
        self.compute[name] = compute

    def start(self) -> TritonDouble:
        double = self

        class Handler(_Handler):
            owner = double

        self._server = _Server(("127.0.0.1", self.port), Handler)
        if self._tls:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """As when the machine is switched off: open connections end too."""
        self.released.set()
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.drop_all()
        self._server.server_close()
        self._server = None
        self.released = threading.Event()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *args: Any) -> None:
        self._peers: set[Any] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._peers.add(request)
        super().process_request(request, client_address)

    def drop_all(self) -> None:
        for peer in list(self._peers):
            try:
                peer.shutdown(2)
            except OSError:
                continue

    def shutdown_request(self, request: Any) -> None:
        self._peers.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is none."""


class _Handler(BaseHTTPRequestHandler):
    owner: TritonDouble
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Not in the output of tests."""

    def do_GET(self) -> None:
        owner, parts = self.owner, self.path.strip("/").split("/")
        if self._misbehaves():
            return
        if parts[-1] in {"ready", "live"}:
            name = parts[2] if parts[1] == "models" else None
            there = owner.mood != "loading" and (name is None or name in owner.models)
            self._send(200 if there else 400, b"")
        elif parts[:2] == ["v2", "models"] and parts[2] not in owner.models:
            self._json(404, {"error": f"Request for unknown model: '{parts[2]}' is not found"})
        elif parts[-1] == "config":
            self._json(200, owner.configs[parts[2]])
        else:
            self._json(200, owner.models[parts[2]])

    def do_POST(self) -> None:
        owner, name = self.owner, self.path.strip("/").split("/")[2]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._misbehaves():
            return
        if owner.mood == "error":
            self._json(500, {"error": "CUDA out of memory\nat line 7"})
            return
        split = int(self.headers[LENGTH])
        asked, at, inputs = json.loads(body[:split]), split, {}
        for tensor in asked["inputs"]:
            size = tensor["parameters"]["binary_data_size"]
            inputs[tensor["name"]] = np.frombuffer(body[at : at + size], "<f4").reshape(tensor["shape"])
            at += size
        count = len(next(iter(inputs.values())))
        most = owner.configs[name]["max_batch_size"]
        if most and count > most:
            text = f"inference request batch-size must be <= {most} for '{name}'"
            self._json(400, {"error": text})
            return
        owner.batches.append(count)
        results = owner.compute[name](inputs)
        wanted = [output["name"] for output in asked["outputs"]]
        outputs = [
            {
                "name": n,
                "datatype": "FP32",
                "shape": list(results[n].shape),
                "parameters": {"binary_data_size": results[n].nbytes},
            }
            for n in wanted
        ]
        head = json.dumps({"model_name": name, "model_version": "1", "outputs": outputs}).encode()
        tail = b"".join(np.ascontiguousarray(results[n], "<f4").tobytes() for n in wanted)
        self._send(200, head + tail, {LENGTH: str(len(head)), "Content-Type": "application/octet-stream"})

    def _misbehaves(self) -> bool:
        mood = self.owner.mood
        if mood == "hang":
            self.owner.released.wait(30)
            self.close_connection = True
        elif mood == "trickle":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            for _ in range(1000):
                self.wfile.write(b" ")
                if self.owner.released.wait(0.05):
                    break
            self.close_connection = True
        elif mood == "garbage":
            self._send(200, b"\xff\xfe<html>it works</html>")
        return mood in {"hang", "trickle", "garbage"}

    def _json(self, status: int, document: Mapping[str, Any]) -> None:
        self._send(status, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

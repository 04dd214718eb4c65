"""A real Triton Inference Server: the program in nvidia-pytriton, with ONNX files behind its Python backend.

`make test-triton` installs it into a virtual environment of its own, named by $GESTURE_AGENT_TRITON.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import onnxruntime as ort
import pytest
from support.waiting import until

START_S = 120.0
MODEL = """
import pathlib, sys
sys.path[:0] = [SITE]
import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        file = pathlib.Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self.wants = [one.name for one in self.session.get_inputs()]
        self.gives = [one.name for one in self.session.get_outputs()]

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        feed = {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self.wants}
        found = zip(self.gives, self.session.run(self.gives, feed))
        return pb_utils.InferenceResponse([pb_utils.Tensor(n, np.asarray(a, np.float32)) for n, a in found])
"""


class RealTriton:
    """Start, kill -9, start again at the same port; networks come and go in its repository while it runs."""

    def __init__(self, folder: Path) -> None:
        home = os.environ.get("GESTURE_AGENT_TRITON")
        if not home:
            pytest.skip("no Triton here (make test-triton installs one)")
        self._venv = Path(home).absolute()
        self._site = next(self._venv.glob("lib/python3*/site-packages"))
        self._folder, self._repository = folder, folder / "repository"
        self._repository.mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "triton.log"
        self._process: subprocess.Popen[bytes] | None = None

    def serve(self, name: str, path: Path, max_batch: int = 8) -> None:
        """An ONNX file under that name; it is taken up within a second when the server runs."""
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        sides = (("input", session.get_inputs()), ("output", session.get_outputs()))
        text = f'name: "{name}"\nbackend: "python"\nmax_batch_size: {max_batch}\n'
        for side, tensors in sides:
            for tensor in tensors:
                dims = ", ".join(str(d) if isinstance(d, int) else "-1" for d in tensor.shape[1:])
                text += f'{side} [{{ name: "{tensor.name}" data_type: TYPE_FP32 dims: [{dims}] }}]\n'
        making = self._folder / "making"
        (making / "1").mkdir(parents=True)
        (making / "1/model.py").write_text(MODEL.replace("SITE", repr(str(self._site))))
        shutil.copy(path, making / "1/model.onnx")
        (making / "config.pbtxt").write_text(text)
        making.rename(self._repository / name)

    def withdraw(self, name: str) -> None:
        """Unload a network."""
        shutil.rmtree(self._repository / name)

    def start(self) -> RealTriton:
        home = self._site / "pytriton" / "tritonserver"
        server = home / "bin" / "tritonserver"
        server.chmod(0o755)
        words = [
            server, "--model-repository", self._repository, "--backend-directory", self._backends(home),
            "--http-address", "127.0.0.1", "--http-port", self.port, "--allow-grpc", "false",
            "--allow-metrics", "false", "--model-control-mode", "poll", "--repository-poll-secs", "1",
            "--exit-on-error", "false", "--strict-readiness", "false",
        ]  # fmt: skip
        python = subprocess.run(
            [self._venv / "bin/python", "-c", "import sys; print(sys.base_prefix)"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        environ = {
            **os.environ,
            "PYTHONHOME": python.stdout.strip(),
            "LD_LIBRARY_PATH": str(self._site / "nvidia_pytriton.libs"),
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                list(map(str, words)), stdout=log, stderr=subprocess.STDOUT, env=environ
            )
        until(self._is_ready, f"Triton starts; see {self.log}", START_S)
        return self

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def has(self, name: str) -> bool:
        return self._says_yes(f"v2/models/{name}/ready")

    def _backends(self, home: Path) -> Path:
        """The Python backend beside the stub for our version of Python, where the server looks for it."""
        backends = self._folder / "backends"
        if not backends.is_dir():
            shutil.copytree(home / "backends", backends)
            version = self._site.parent.name.removeprefix("python")
            stub = backends / "python" / "triton_python_backend_stub"
            shutil.copy(home / "python_backend_stubs" / version / stub.name, stub)
            stub.chmod(0o755)
        return backends

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text(errors="replace")[-3000:]
        names = [folder.name for folder in self._repository.iterdir()]
        return self._says_yes("v2/health/ready") and all(map(self.has, names))

    def _says_yes(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/{path}", timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

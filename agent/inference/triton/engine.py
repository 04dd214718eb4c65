"""Engine that runs a network on a Triton Inference Server: `backend = "triton"`.

The server may go offline and return at any time. A thread checks it, so that its loss is noticed while nobody
is in view, and the loop waits for it at most once: afterwards `run` raises `EngineAway` at once until the
server is online with the network that the manifest describes.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np

from agent.backoff import Backoff
from agent.config.settings import TritonSettings
from agent.core.types import Floats
from agent.errors import EngineAway, EngineError, ModelError
from agent.inference.engine import Shape, check_inputs
from agent.inference.manifest import Manifest
from agent.inference.triton.kserve_client import KServeClient
from agent.inference.triton.model_contract import RemoteModel, contract_errors, contract_of, remote_model
from agent.supervision import PATIENCE_S, Threads

CHECK_S = 5.0  # between two looks at a server that is well
ASKED = 4  # questions in one look, each within the timeout of the settings
FIRST_RETRY_S, LAST_RETRY_S = 0.25, 5.0  # between two tries to reach one that is away


class TritonEngine:
    """A `RemoteEngine` on Triton; starts without the server and works as soon as that is online."""

    def __init__(
        self,
        manifest: Manifest,
        settings: TritonSettings,
        *,
        check_s: float = CHECK_S,
        threads: Threads | None = None,
    ) -> None:
        """Raise `ModelError` where the server has another network, or certificates are invalid."""
        self.name = manifest.name
        self.address = settings.url
        self._contract = contract_of(manifest)
        self.inputs: Mapping[str, Shape] = self._contract.inputs
        self.outputs: Mapping[str, Shape] = self._contract.outputs
        self._client = KServeClient(manifest.name, settings)
        self._watching = KServeClient(manifest.name, settings)
        self._served: RemoteModel | None = None
        self._away: str | None = "not asked yet"
        self._check_s, self._backoff = check_s, Backoff(FIRST_RETRY_S, LAST_RETRY_S)
        self._closed = False
        self._wake = threading.Event()
        try:
            self._served = self._check_contract(self._client)
            self._away = None
        except EngineAway as exc:
            self._away = str(exc)
        patience_s = PATIENCE_S + ASKED * settings.timeout
        self._thread = (threads or Threads()).thread(
            f"triton-{self.name}", self._watch, patience_s=patience_s
        )
        self._thread.start()

    @property
    def away(self) -> str | None:
        """Reason why the server cannot be used; None while it can."""
        return self._away

    @property
    def version(self) -> str | None:
        """Version of the network as the server reports it; None before the first contact."""
        return self._served.version if self._served else None

    def run(self, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        """Run the network on the server.

        Raises `EngineError`, and `EngineAway` at once while it is offline.
        """
        if self._closed:
            raise EngineError(f"{self.name}: is closed")
        check_inputs(self.name, self.inputs, inputs)
        if self._away is not None:
            raise EngineAway(self._away)
        try:
            answer = self._run(inputs)
        except EngineAway as exc:
            self._away = str(exc)
            self._wake.set()
            raise
        self._backoff.reset()
        return answer

    def close(self) -> None:
        """End the checks and close the connection; may be called twice."""
        self._closed = True
        self._wake.set()
        self._client.close()

    def _run(self, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        """Split into as many requests as the server requires. Raises `EngineAway`, `EngineError`."""
        counts = {len(array) for array in inputs.values()}
        if len(counts) != 1:
            raise EngineError(
                f"{self.name}: its inputs hold {sorted(counts)} pictures, not one number of them"
            )
        count = counts.pop()
        step = (self._served.batch if self._served else None) or max(count, 1)
        parts = [
            self._request({name: array[start : start + step] for name, array in inputs.items()})
            for start in range(0, count, step)
        ]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.outputs}

    def _request(self, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        count = len(next(iter(inputs.values())))
        results = self._client.infer(inputs, list(self.outputs))
        for name, array in results.items():
            want = self._contract.outputs[name]
            fits = len(array) == count and (not want or array.shape[1:] == want[1:])
            if not fits or not np.isfinite(array).all():
                what = f"{array.shape}" if not fits else "not finite"
                raise EngineAway(
                    f'{self.name} at {self.address}: output "{name}" of {count} pictures is {what}'
                )
        return results

    def _check_contract(self, line: KServeClient) -> RemoteModel:
        """Compare the server's network with the manifest.

        Raises `EngineAway`, or `ModelError` for another.
        """
        if not line.is_ready():
            raise EngineAway(f"{self.name} at {self.address}: the server is not ready to run it")
        metadata, config = line.metadata(), line.config()
        try:
            wrong = list(contract_errors(self._contract, metadata))
            found = remote_model(metadata, config)
        except (KeyError, TypeError, ValueError) as exc:
            raise EngineAway(
                f"{self.name} at {self.address}: what it says of the network is no metadata ({exc})"
            ) from exc
        if wrong:
            raise ModelError(
                f"{self.name} at {self.address} is another network: {'; '.join(wrong)}; "
                f"serve the one that engines/{self.name}/manifest.toml describes"
            )
        return found

    # Thread that checks the server.

    def _watch(self) -> None:
        while not self._closed:
            self._thread.rests()
            self._wake.wait(self._check_s if self._away is None else self._backoff.next_s())
            self._wake.clear()
            self._thread.moves()
            if not self._closed:
                self._look()
        self._watching.close()

    def _look(self) -> None:
        was_away = self._away is not None
        try:
            self._served = self._check_contract(self._watching)
        except (EngineAway, ModelError) as exc:
            self._away = str(exc)
        else:
            self._away = None
            if not was_away:
                self._backoff.reset()

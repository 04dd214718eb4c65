"""Client for servers with the KServe v2 protocol over HTTP, such as Triton.

tritonclient restarts its timeout for each part of a response, so that a slow server could block it without
end; here every call ends within one time limit and fails in one way: `EngineAway`. Not thread-safe: gevent,
which tritonclient uses, binds a socket to the thread that opened it.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import gevent
import gevent.ssl
import numpy as np
from tritonclient import http
from tritonclient.utils import InferenceServerException

from agent.config.settings import TlsSettings, TritonSettings
from agent.config.tls import secure_context
from agent.core.types import Floats
from agent.errors import ConfigError, EngineAway, ModelError

NO_SUCH_DOCUMENT = {"400", "404", "405", "501"}  # a server without Triton's configuration extension

T = TypeVar("T")


class _TimeIsUpError(Exception):
    """A call timed out; internal to this module."""


class KServeClient:
    """Client for one model on one server; each thread needs its own instance."""

    def __init__(self, model: str, settings: TritonSettings) -> None:
        """Raises `ModelError` where certificates cannot be read."""
        self._model, self._settings = model, settings
        self._client: http.InferenceServerClient | None = None
        self._thread: int | None = None
        if settings.url.startswith("https://"):
            _tls(settings.tls)

    @property
    def address(self) -> str:
        """URL of the server, for messages."""
        return self._settings.url

    def is_ready(self) -> bool:
        """Whether server and model accept requests. Raises `EngineAway`."""
        return bool(self._ask(lambda client: client.is_server_ready() and client.is_model_ready(self._model)))

    def metadata(self) -> dict[str, Any]:
        """Return names, types and shapes of inputs and outputs. Raises `EngineAway`."""
        return dict(self._ask(lambda client: client.get_model_metadata(self._model)))

    def config(self) -> dict[str, Any] | None:
        """Return Triton's configuration of the model; None where the server has none. Raises `EngineAway`."""

        def ask(client: http.InferenceServerClient) -> Any:
            try:
                return client.get_model_config(self._model)
            except InferenceServerException as exc:
                if exc.status() in NO_SUCH_DOCUMENT:
                    return None
                raise

        found = self._ask(ask)
        return dict(found) if found else None

    def infer(self, inputs: Mapping[str, Floats], outputs: Sequence[str]) -> dict[str, Floats]:
        """Send one inference request, with binary tensors. Raises `EngineAway`."""

        def ask(client: http.InferenceServerClient) -> dict[str, Any]:
            feed = [http.InferInput(name, list(array.shape), "FP32") for name, array in inputs.items()]
            for tensor, array in zip(feed, inputs.values(), strict=True):
                tensor.set_data_from_numpy(np.ascontiguousarray(array))
            wanted = [http.InferRequestedOutput(name) for name in outputs]
            result = client.infer(self._model, feed, outputs=wanted)
            return {name: result.as_numpy(name) for name in outputs}

        answer = self._ask(ask)
        if missing := [name for name, array in answer.items() if array is None]:
            raise EngineAway(f"{self._subject}: its answer lacks {', '.join(missing)}")
        return {name: np.asarray(array, np.float32) for name, array in answer.items()}

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        client, self._client = self._client, None
        if client is not None and self._thread == threading.get_ident():
            client.close()

    @property
    def _subject(self) -> str:
        return f"{self._model} at {self.address}"

    def _ask(self, question: Callable[[http.InferenceServerClient], T]) -> T:
        try:
            with gevent.Timeout(self._settings.timeout, _TimeIsUpError):
                return question(self._connected())
        except _TimeIsUpError:
            reason = f"no answer within {self._settings.timeout:g} s"
        except InferenceServerException as exc:
            reason = _refusal(exc)
        except ssl.SSLCertVerificationError as exc:
            reason = (
                f"its certificate is not trusted ({exc.verify_message}); "
                "set recognition.triton.tls.ca to the CA that signed it"
            )
        except ConnectionRefusedError:
            reason = "nothing listens there"
        except Exception as exc:  # noqa: BLE001 (a server may send anything; the libraries raise anything)
            reason = f"{type(exc).__name__}: {_first_line(exc)}"
        self.close()  # a partly read response must not be taken for the next one
        raise EngineAway(f"{self._subject}: {reason}")

    def _connected(self) -> http.InferenceServerClient:
        if self._client is None or self._thread != threading.get_ident():
            self._thread = threading.get_ident()
            self._client = _client(self._settings)
        return self._client


def _client(settings: TritonSettings) -> http.InferenceServerClient:
    scheme, _, rest = settings.url.partition("://")
    return http.InferenceServerClient(
        rest,
        connection_timeout=settings.timeout,
        network_timeout=settings.timeout,
        ssl=scheme == "https",
        ssl_context_factory=lambda **_: _tls(settings.tls),
        insecure=not settings.tls.verify,
    )


def _tls(settings: TlsSettings) -> ssl.SSLContext:
    """Create the TLS context. Raises `ModelError`."""
    try:
        return secure_context(settings, "recognition.triton.tls", gevent.ssl.create_default_context)
    except ConfigError as exc:
        raise ModelError(str(exc)) from exc


def _refusal(exc: InferenceServerException) -> str:
    status = exc.status()
    text = _first_line(exc.message() or "")
    return f"the server says {text}" + (f" (HTTP {status})" if status else "")


def _first_line(what: object) -> str:
    lines = str(what).strip().splitlines()
    return lines[0][:200] if lines else "no reason given"

"""Kernels that TensorRT for RTX compiles at the first run on a GPU, kept for the next start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog

from agent.errors import ModelError
from agent.inference.files.disk import write_whole

log = structlog.get_logger(__name__)


class RuntimeKernels:
    """The runtime cache of one plan and its file; None keeps nothing."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._cache: Any = None
        self._kept = b""

    def load_into(self, config: Any) -> None:
        """Give a runtime configuration the kernels of the file, unless they are of another GPU or version."""
        self._cache = config.create_runtime_cache()
        if self._file is not None and self._file.is_file():
            kept = self._file.read_bytes()
            if self._cache.deserialize(kept):
                self._kept = kept
            else:
                log.info("kernels_stale", file=str(self._file), reason="of another GPU, driver or version")
        config.set_runtime_cache(self._cache)

    def keep(self) -> None:
        """Write the kernels, if some came since. A disk that is full costs only their compilation."""
        if self._file is None or self._cache is None:
            return
        compiled = bytes(self._cache.serialize())
        if compiled in (b"", self._kept):
            return
        try:
            write_whole(self._file, compiled)
            self._kept = compiled
        except ModelError as exc:
            log.warning("kernels_not_kept", file=str(self._file), reason=str(exc))

"""Capture of TensorRT's log for error messages and for the user's log level."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from agent.inference.trt.library import Library

LEVELS = ("internal_error", "error", "warning", "info", "verbose")  # TensorRT's severities 0 to 4, in order
OUT_OF_MEMORY = ("out of memory", "outofmemory", "insufficient memory", "cudaerrormemoryallocation")

Tell = Callable[[str, str], None]  # level, text


def _silence(_level: str, _text: str) -> None:
    """Discard a line."""


class TrtLogger:
    """Errors and warnings of one build or one loaded plan. `logger` is the object for TensorRT."""

    def __init__(self, library: Library, tell: Tell = _silence) -> None:
        self.problems: deque[str] = deque(maxlen=20)
        self.logger = _logger(library, self)
        self._tell = tell

    def record(self, severity: int, text: str) -> None:
        """Record a line. Called by TensorRT, from any thread."""
        level = LEVELS[min(severity, len(LEVELS) - 1)]
        if severity <= 1:
            self.problems.append(" ".join(text.split()))
        self._tell(level, text.strip())

    def last(self, otherwise: str = "it gives no reason") -> str:
        """Return the first error since `forget`: later ones are consequences of it."""
        return self.problems[0] if self.problems else otherwise

    @property
    def out_of_memory(self) -> bool:
        """Return whether one of the errors is about memory."""
        return any(word in text.lower() for text in self.problems for word in OUT_OF_MEMORY)

    def forget(self) -> None:
        """Clear the recorded lines before the next step."""
        self.problems.clear()


def _logger(library: Library, trt_log: TrtLogger) -> Any:
    base = library.trt.ILogger

    class Logger(base):  # type: ignore[misc,valid-type]
        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, text: str) -> None:
            trt_log.record(int(severity), text)

    return Logger()

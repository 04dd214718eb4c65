"""Whole runs of a network captured as CUDA graphs: one start on the CPU instead of one for every kernel."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeAlias

from agent.errors import EngineError
from agent.inference.trt.device import Device, Graph, Stream

MOST = (
    4  # numbers of pictures that get a context of their own; each takes the plan's working memory once more
)

Kind: TypeAlias = tuple[int, Hashable]  # number of pictures, and what else makes one run unlike another


class RunGraphs:
    """The captured runs of one network. Not for two threads at once.

    A kind of run is captured when it comes for the second time, and replayed from the third on. What refuses
    to be captured is not tried again; `run` says so, and the caller runs it as ever.
    """

    def __init__(self, device: Device, stream: Stream, new_context: Callable[[int], Any | None]) -> None:
        """Nothing is captured yet.

        `new_context` makes an execution context for a number of pictures, None where it cannot. A graph is
        good only as long as nothing changes in the context that it was captured from.
        """
        self._device, self._stream, self._new_context = device, stream, new_context
        self._seen: set[Kind] = set()
        self._contexts: dict[int, Any | None] = {}
        self._graphs: dict[Kind, Graph | None] = {}

    @property
    def captured(self) -> int:
        """How many kinds of runs are replayed."""
        return sum(graph is not None for graph in self._graphs.values())

    def run(self, kind: Kind, work: Callable[[Any], None]) -> bool:
        """Start a run of this kind; False where that is left to the caller.

        `work` asks a context and the stream for the run. It is not called for a replay, so each time it has
        to ask for the same, from and to the same memory. Raises `EngineError` where a replay cannot start.
        """
        if kind in self._graphs:
            graph = self._graphs[kind]
            if graph is None:
                return False
            graph.launch(self._stream)
            return True
        if kind not in self._seen:
            self._seen.add(kind)
            return False
        self._graphs[kind] = None
        context = self._context_for(kind[0])
        if context is None:
            return False
        try:
            work(context)  # what a context puts off until its first run cannot be captured
        except EngineError:
            return False
        self._graphs[kind] = self._device.capture(self._stream, lambda: work(context))
        return True

    def close(self) -> None:
        """Forget all of them."""
        self._graphs.clear()
        self._contexts.clear()

    def _context_for(self, count: int) -> Any | None:
        if count not in self._contexts:
            self._contexts[count] = self._new_context(count) if len(self._contexts) < MOST else None
        return self._contexts[count]

"""Memory of glibc's malloc: few arenas, so that freed memory is reused; trimming, so that it is returned."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping

ARENAS = 2
_M_ARENA_MAX = -8  # of glibc's malloc.h
TRIM_EVERY_S = 60.0  # the pages are faulted in again by the next frames, which costs some 5 ms


def bound_arenas(environ: Mapping[str, str] = os.environ) -> bool:
    """Let all threads share two arenas of glibc's malloc; return True where that was done.

    By default every thread gets an arena of its own, up to eight a core. A frame is allocated in its
    camera's thread and freed in the loop's, threads come and go with their cameras, and free memory in one
    arena is not used by the others: memory creeps up for hours although nothing leaks (docs/results/soak.md).
    Call it before threads start. MALLOC_ARENA_MAX of the environment wins; other C libraries have no arenas.
    """
    if "MALLOC_ARENA_MAX" in environ or "arena_max" in environ.get("GLIBC_TUNABLES", ""):
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS))
    except (OSError, AttributeError):  # musl
        return False


class Trimmer:
    """Returns free memory to the operating system, at the loop's first step and then once a minute.

    Networks allocate and free some 40 MB for each frame, and files of networks while they are loaded. malloc
    keeps the holes: its own trimming sees only the end of the heap. Takes 2 to 4 ms.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` returns monotonic seconds."""
        self._clock = clock
        self._due = clock()
        self._trim: Callable[[int], int] | None = getattr(
            ctypes.CDLL(None), "malloc_trim", None
        )  # musl: none

    def on_step(self) -> None:
        """Trim where it is due."""
        now = self._clock()
        if self._trim is not None and now >= self._due:
            self._due = now + TRIM_EVERY_S
            self._trim(0)

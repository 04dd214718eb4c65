"""Limit on glibc malloc arenas, so that freed memory is reused."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping

ARENAS = 2
_M_ARENA_MAX = -8  # of glibc's malloc.h


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

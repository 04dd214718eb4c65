"""In processes of their own: what the C library was told cannot be taken back."""

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")

COUNT_ARENAS = """
import ctypes, sys, tempfile, threading
if sys.argv[1] == "bound":
    from agent.service.memory import bound_arenas
    bound_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
together = threading.Barrier(8)
def take():
    together.wait()
    libc.malloc(10_000)
    together.wait()
threads = [threading.Thread(target=take) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
with tempfile.NamedTemporaryFile() as file:
    told = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
    libc.malloc_info(0, told)
    libc.fclose(told)
    print(file.read().count(b"<heap nr="))
"""


def arenas(*words: str, **environ: str) -> int:
    """How many eight threads that allocate at the same time make."""
    clean = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    done = subprocess.run(
        [sys.executable, "-c", COUNT_ARENAS, *words],
        env={**clean, **environ}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout)


def test_threads_share_two_arenas():
    assert arenas("free") > 2
    assert arenas("bound") <= 2


def test_what_the_environment_says_wins():
    assert arenas("bound", MALLOC_ARENA_MAX="4") in {3, 4}

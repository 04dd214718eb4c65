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


RETURNED = """
import os
from agent.service.memory import TRIM_EVERY_S, Trimmer
def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
now = 100.0
trimmer = Trimmer(lambda: now)
def holes():
    kept = [bytes(1000) for _ in range(60_000)]
    return kept[::300]  # what lives on lies between them
for late_s in (0.0, TRIM_EVERY_S - 1, TRIM_EVERY_S):
    now = 100.0 + late_s
    alive = holes()
    before = resident_mb()
    trimmer.on_step()
    print(before - resident_mb() > 30)
    del alive
"""


def test_memory_that_is_free_between_what_lives_is_returned_once_a_minute():
    done = subprocess.run([sys.executable, "-c", RETURNED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "True"]

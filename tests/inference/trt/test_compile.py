"""Kernels to machine code: which compiler, kept under what, and what happens when a driver refuses it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import ModelError
from agent.inference.trt import gpu_cropper
from agent.inference.trt.compile import Compiler, compilers_here, load_kernels
from agent.inference.trt.driver import Gpu

ORIN = Gpu("Orin", (8, 7), 8_000_000_000, (12, 6))


class Counting:
    """A compiler of the test's own: writes down what it was asked for."""

    def __init__(self, name: str, version: str, refuses: str = "") -> None:
        self.asked: list[str] = []
        self.refuses = refuses
        self.as_compiler = Compiler(name, version, self._compile)

    def _compile(self, source: str, target: str) -> bytes:
        self.asked.append(target)
        if self.refuses:
            raise ModelError(self.refuses)
        return f"{self.as_compiler.name} {self.as_compiler.version} {target} {source}".encode()


def text(code: bytes) -> str:
    return code.decode()


@pytest.mark.parametrize("capability", [(7, 5), (8, 7), (9, 0), (11, 0)])
def test_nvidias_compilers_take_the_kernel(capability: tuple[int, int], tmp_path: Path) -> None:
    gpu = Gpu("any", capability, 0, (99, 0))
    try:
        code = load_kernels(gpu_cropper.source(), gpu, tmp_path, bytes)
    except ModelError as exc:
        pytest.skip(str(exc))
    assert code.startswith(b"\x7fELF")
    assert b"cut_and_normalise" in code


def test_every_compiler_here_says_its_version() -> None:
    for compiler in compilers_here():
        major, _, minor = compiler.version.partition(".")
        assert int(major) >= 10
        assert minor.isdigit()


@pytest.mark.parametrize(
    ("integrated", "cuda", "command"),
    [
        (True, (12, 6), "apt install cuda-nvrtc-12-6"),
        (True, (13, 0), "apt install cuda-nvrtc-13-0"),
        (False, (12, 8), "pip install 'nvidia-cuda-nvrtc-cu12'"),
        (False, (13, 1), "pip install 'nvidia-cuda-nvrtc<14'"),
    ],
)
def test_where_no_compiler_is_here_one_of_the_drivers_version_is_named(
    tmp_path: Path, integrated: bool, cuda: tuple[int, int], command: str
) -> None:
    gpu = replace(ORIN, integrated=integrated, cuda=cuda)
    with pytest.raises(ModelError, match=re.escape(f"neither is here; {command}, or set recognition.")):
        load_kernels("", gpu, tmp_path, bytes, [])


def test_it_is_compiled_once_for_a_compiler_and_a_version(tmp_path: Path) -> None:
    old, new = Counting("NVRTC", "12.2"), Counting("NVRTC", "12.6")
    for compiler in (old, old, new, new, old):
        load_kernels("k", ORIN, tmp_path, text, [compiler.as_compiler])
    assert (old.asked, new.asked) == (["sm_87"], ["sm_87"])


def test_what_is_newer_than_the_driver_makes_way_for_the_next(tmp_path: Path) -> None:
    newer, fitting = Counting("NVRTC", "13.0"), Counting("nvcc", "12.6")
    code = load_kernels("k", ORIN, tmp_path, text, [newer.as_compiler, fitting.as_compiler])
    assert code == "nvcc 12.6 sm_87 k"
    assert newer.asked == []


def test_a_compiler_that_refuses_the_gpu_makes_way_for_the_next(tmp_path: Path) -> None:
    refuses = Counting("NVRTC", "11.4", refuses="NVRTC cannot compile for sm_87")
    code = load_kernels(
        "k", ORIN, tmp_path, text, [refuses.as_compiler, Counting("nvcc", "12.2").as_compiler]
    )
    assert code == "nvcc 12.2 sm_87 k"


def test_a_cubin_that_the_driver_does_not_load_is_thrown_away_and_compiled_anew(tmp_path: Path) -> None:
    compiler = Counting("NVRTC", "12.6")
    load_kernels("k", ORIN, tmp_path, text, [compiler.as_compiler])
    refusals = ["the driver does not load it"]

    def once(code: bytes) -> str:
        if refusals:
            raise ModelError(refusals.pop())
        return text(code)

    assert load_kernels("k", ORIN, tmp_path, once, [compiler.as_compiler]) == "NVRTC 12.6 sm_87 k"
    assert len(compiler.asked) == 2


def test_a_damaged_cubin_is_never_loaded(tmp_path: Path) -> None:
    compiler = Counting("NVRTC", "12.6")
    load_kernels("k", ORIN, tmp_path, text, [compiler.as_compiler])
    (kept,) = tmp_path.glob("kernels/*.cubin")
    kept.write_bytes(b"half of i")
    assert load_kernels("k", ORIN, tmp_path, text, [compiler.as_compiler]) == "NVRTC 12.6 sm_87 k"


def test_when_none_works_each_ones_words_are_reported(tmp_path: Path) -> None:
    compilers = [Counting("NVRTC", "13.0"), Counting("nvcc", "11.4", refuses="nvcc cannot compile for sm_87")]
    with pytest.raises(ModelError, match=r"NVRTC 13.0 is newer than the driver.*; nvcc cannot compile .*pip"):
        load_kernels("k", ORIN, tmp_path, text, [c.as_compiler for c in compilers])
    with pytest.raises(ModelError, match="needs NVRTC or nvcc: neither is here; pip install"):
        load_kernels("k", ORIN, tmp_path, text, [])

"""How kernels are compiled, and warmed."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numba

from leo_core.kernels import _compile, coherence, dawid_skene, geometric_median, hashing, kmeans, pcs, sketch
from leo_core.kernels._compile import kernel
from leo_core.kernels.warm import compile_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def add(a: int, b: int) -> int:
    """A function to compile."""
    return a + b


def test_without_a_folder_for_the_cache_it_compiles_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    original = numba.njit

    def njit(**options: Any) -> Callable[..., Any]:
        if options.get("cache"):
            message = "cannot cache function 'add': no locator available"
            raise RuntimeError(message)
        return original(**options)

    monkeypatch.setattr(numba, "njit", njit)
    compiled = kernel(add)
    assert compiled(2, 3) == 5
    assert compiled.py_func is add


def test_what_reads_a_question_is_compiled_for_one_kind_of_arguments(mode: str, tmp_path: Path) -> None:
    """Numba compiles a function anew for a plain 0 and for arrays that cannot be written to: a start takes longer."""
    if mode == "python":
        return
    program = """
from leo_core.kernels import categories, word_pieces
from leo_core.stages.embed.load import load_embedder
from leo_core.stages.risk.categories import score_categories

text = "Is ibuprofen safe with 酒?"
score_categories(text, None)
load_embedder("static").embed([text])
for name, kernel in (vars(categories) | vars(word_pieces)).items():
    if getattr(kernel, "signatures", None):
        print(name, len(kernel.signatures))
"""
    printed = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    compiled = dict(line.split() for line in printed.splitlines())
    assert {"_extend", "_cut_word", "_hash_word", "_key_pair"} <= compiled.keys()
    assert set(compiled.values()) == {"1"}


def test_warming_compiles_every_kernel(mode: str) -> None:
    compile_all()
    if mode == "python":
        return
    kernels = [
        getattr(module, name)
        for module in (coherence, dawid_skene, geometric_median, hashing, kmeans, pcs, sketch)
        for name in module.__all__
        if hasattr(getattr(module, name), "py_func")
    ]
    assert len(kernels) == 18
    inner = {  # compiled into embed_codes and search_sketches, and alone where something else calls them
        *("classify_code", "find_words"),
        *("choose_shortlist", "find_candidates", "project", "quantise_query"),
    }
    assert {k.py_func.__name__ for k in kernels if not k.signatures} <= inner


def test_no_kernel_uses_fastmath_or_threads(mode: str) -> None:
    if mode == "python":
        return
    for module in (coherence, dawid_skene, geometric_median, hashing, kmeans, pcs, sketch):
        for value in vars(module).values():
            if hasattr(value, "py_func"):
                assert not value.targetoptions.get("fastmath")
                assert not value.targetoptions.get("parallel")


IN_A_PROCESS = """
import numpy as np
from leo_core.kernels import kmeans
centres = np.eye(4, dtype=np.float32)
print(float(kmeans.measure_distances(centres, centres[0])[1]))
"""


def run_together(folder: str, count: int) -> list[str]:
    """What several fresh processes print that use this folder for machine code."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
    running = [
        subprocess.Popen([sys.executable, "-c", IN_A_PROCESS], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    outputs = [process.communicate(timeout=200)[0].strip() for process in running]
    assert all(process.returncode == 0 for process in running)
    return outputs


def test_processes_share_an_empty_folder_for_machine_code(mode: str, tmp_path: Path) -> None:
    if mode == "python":
        return
    assert set(run_together(str(tmp_path), 4)) == {f"{2**0.5}"}
    assert list(tmp_path.rglob("*.nbi"))
    for content in (b"", b"\x80\x04 nonsense"):
        for damaged in [*tmp_path.rglob("*.nbc"), *tmp_path.rglob("*.nbi")]:
            damaged.write_bytes(content)  # as a disk that is full may leave it
        assert run_together(str(tmp_path), 1) == [f"{2**0.5}"]


def test_a_file_that_cannot_be_written_is_done_without(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if mode == "python":
        return

    def refuse(*_: object) -> None:
        raise OSError(28, "no space left on device")

    compiled: Any = kernel(add)
    monkeypatch.setattr(compiled._cache._impl, "reduce", refuse)
    assert compiled(2.5, 3) == 5.5
    monkeypatch.setattr(compiled, "_cache", None)
    _compile._forgive(compiled)


def test_where_nothing_can_be_written_it_compiles_in_memory(mode: str) -> None:
    if mode == "python":
        return
    assert run_together("/proc/nowhere", 1) == [f"{2**0.5}"]

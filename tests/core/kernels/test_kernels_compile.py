"""How kernels are compiled, and warmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba

from leo_core.kernels import coherence, dawid_skene, geometric_median, hashing, kmeans, pcs, sketch
from leo_core.kernels._compile import kernel
from leo_core.kernels.warm import compile_all

if TYPE_CHECKING:
    from collections.abc import Callable

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
    assert len(kernels) == 15
    inner = {"classify_code", "find_words"}  # compiled into embed_codes, and alone where something else calls them
    assert {k.py_func.__name__ for k in kernels if not k.signatures} <= inner


def test_no_kernel_uses_fastmath_or_threads(mode: str) -> None:
    if mode == "python":
        return
    for module in (coherence, dawid_skene, geometric_median, hashing, kmeans, pcs, sketch):
        for value in vars(module).values():
            if hasattr(value, "py_func"):
                assert not value.targetoptions.get("fastmath")
                assert not value.targetoptions.get("parallel")

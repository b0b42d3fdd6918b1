"""Counting bits with the processor's own instruction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba import types
from numba.extending import intrinsic, overload

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

__all__ = ["count_bits"]


def count_bits(word: np.uint64) -> int:
    """Ones among the 64 bits of a word; inside a kernel LLVM's ``ctpop``, which vectorises."""
    return int(word).bit_count()


@intrinsic
def _ctpop(_context: Any, _word: Any) -> tuple[Any, Callable[..., Any]]:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        function = builder.module.declare_intrinsic("llvm.ctpop", [arguments[0].type])
        return builder.call(function, arguments)

    return types.uint64(types.uint64), generate


@overload(count_bits, strict=False)
def _count_bits(word: Any) -> Callable[..., Any]:  # noqa: ARG001 - its type is what the compiler reads
    return lambda word: _ctpop(word)  # noqa: PLW0108 - numba compiles a Python function

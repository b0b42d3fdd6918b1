"""The one way in which a kernel is compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["kernel"]

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function on its first call, without ``fastmath`` and without threads of its own.

    The machine code is kept beside the source, or in the user's cache folder. Where neither can be written,
    it is compiled once in every process. The Python function stays reachable as ``.py_func``.
    """
    try:
        return cast("Callable[P, R]", numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # numba found no folder for its cache
        return cast("Callable[P, R]", numba.njit(nogil=True)(function))

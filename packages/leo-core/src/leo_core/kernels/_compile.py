"""The one way in which a kernel is compiled."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["kernel"]

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function on its first call, without ``fastmath`` and without threads of its own.

    The machine code is kept beside the source, or in the user's cache folder. Where neither can be written,
    it is compiled once in every process. A file that is damaged is written anew, and one that cannot be written is
    done without. The Python function stays reachable as ``.py_func``.
    """
    try:
        compiled = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder for its cache
        return cast("Callable[P, R]", numba.njit(nogil=True)(function))
    _forgive(compiled)
    return cast("Callable[P, R]", compiled)


def _forgive(compiled: Any) -> None:
    """Let nothing that is wrong with the files of machine code keep a kernel from being compiled."""
    cache = getattr(compiled, "_cache", None)
    if cache is None:
        return
    load, save = cache.load_overload, cache.save_overload

    def load_if_sound(*arguments: Any) -> Any:
        try:
            return load(*arguments)
        except Exception:  # noqa: BLE001 - a damaged file may raise whatever its bytes say
            return None

    def save_if_possible(*arguments: Any) -> None:
        try:
            save(*arguments)
        except OSError:
            return
        except Exception:  # noqa: BLE001 - as above: the list of what is kept is damaged
            with suppress(OSError):
                cache.flush()
                save(*arguments)

    cache.load_overload, cache.save_overload = load_if_sound, save_if_possible

"""Whether a call that looked something up is over: a framework does not say so when it failed.

While a function runs, its frame is on the stack of its thread, whatever it waits for; when it has returned or raised it
is not. So the thread's stack tells, to whoever looks, that the framework's call is over and will bring no answer.
"""

from __future__ import annotations

import inspect
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

__all__ = ["watch_call"]


def watch_call(package: str) -> Callable[[], bool] | None:
    """A function that tells whether the framework's call in which this is called is over.

    That call is the outermost of the frames of the package that lie one upon the other, beginning with the one that
    called the caller of this function: what the framework does between its look-up and its update lies inside it.
    Nothing of the frame is kept alive.

    Args:
        package: Name of the framework's package.

    Returns:
        The function; ``None`` where the stack cannot tell: the package did not call, the frame is that of a coroutine
        or a generator, which leaves the stack while it waits, or the thread is shared by greenlets, which do so too.
    """
    if not hasattr(sys, "_current_frames"):
        return None
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - documented
    thread = threading.get_ident()
    if frame is None or not _is_of(frame, package) or _is_switched(thread):
        return None
    while frame.f_back is not None and _is_of(frame.f_back, package):
        frame = frame.f_back
    if frame.f_code.co_flags & (inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
        return None
    wanted, code = id(frame), frame.f_code
    return lambda: not _is_on_stack(thread, wanted, code)


def _is_on_stack(thread: int, wanted: int, code: CodeType) -> bool:
    """Whether a frame is on the stack of a thread.

    An address may be given to a later frame of the same function: then a call that is over is taken to be under way.
    """
    frame = _stacks().get(thread)
    while frame is not None:
        if id(frame) == wanted and frame.f_code is code:
            return True
        frame = frame.f_back
    return False


def _stacks() -> dict[int, FrameType]:
    return sys._current_frames()  # noqa: SLF001 - documented


def _is_of(frame: FrameType, package: str) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name == package or name.startswith(f"{package}.")


def _is_switched(thread: int) -> bool:
    """Whether greenlets take turns on this thread's stack, or have given threads other numbers."""
    greenlet: Any = sys.modules.get("greenlet")
    return greenlet is not None and (greenlet.getcurrent().parent is not None or thread not in _stacks())

"""Calls of LangChain's models that failed: LangChain tells callbacks, and not the cache."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from leo_core.engine.open_lookups import give_up_lookups

if TYPE_CHECKING:
    from contextvars import ContextVar

__all__ = ["watch_failures"]


class _FailureWatcher(BaseCallbackHandler):
    """Hears of failed calls, in the thread that made them, and of nothing else."""

    ignore_agent = True
    ignore_chain = True
    ignore_custom_event = True
    ignore_retriever = True
    ignore_retry = True
    ignore_chat_model = True

    def on_llm_error(self, error: BaseException, **_: Any) -> None:  # noqa: ARG002 - LangChain's signature
        """No answer will come of what the caller has looked up."""
        give_up_lookups()


class _OutsideLoops:
    """What LangChain asks, as it asks a context variable, for the handler of a call.

    On an event loop a handler would run in another thread, at every token; there the end of a call's task tells.
    """

    def __init__(self) -> None:
        self._watcher = _FailureWatcher()

    def get(self) -> BaseCallbackHandler | None:
        """The watcher; ``None`` on an event loop."""
        return self._watcher if asyncio._get_running_loop() is None else None  # noqa: SLF001 - the documented twin raises instead of telling


@cache
def watch_failures() -> None:
    """Be told of every model call that fails from now on, once per process: LangChain's hooks cannot be taken away."""
    register_configure_hook(cast("ContextVar[Any | None]", _OutsideLoops()), inheritable=False)

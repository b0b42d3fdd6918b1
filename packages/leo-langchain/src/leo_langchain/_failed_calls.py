"""Calls of LangChain's models that failed: LangChain tells callbacks, and not the cache."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from leo_core.engine.open_lookups import give_up_lookups

__all__ = ["watch_failures"]


class _FailureWatcher(BaseCallbackHandler):
    """Hears of failed calls, in the thread or task that made them, and of nothing else."""

    run_inline = True
    ignore_agent = True
    ignore_chain = True
    ignore_custom_event = True
    ignore_retriever = True
    ignore_retry = True
    ignore_chat_model = True

    def on_llm_error(self, error: BaseException, **_: Any) -> None:  # noqa: ARG002 - LangChain's signature
        """No answer will come of what the caller has looked up."""
        give_up_lookups()


_WATCHER: ContextVar[BaseCallbackHandler | None] = ContextVar("leo_failures", default=_FailureWatcher())  # noqa: B039 - it has no state
_lock = threading.Lock()
_watching = False


def watch_failures() -> None:
    """Be told of every model call that fails from now on, once per process."""
    global _watching  # noqa: PLW0603 - LangChain's hooks are the process's, and cannot be taken away
    with _lock:
        if not _watching:
            register_configure_hook(_WATCHER, inheritable=False)
            _watching = True

"""Noticing that a model failed, of which LangChain tells its callbacks but not its cache."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from leo_core.engine.open_lookups import give_up_lookups

__all__ = ["watch_failures"]


class _FailureWatch(BaseCallbackHandler):
    """Lets those go on who wait for a call that failed. It looks at nothing else, and keeps nothing."""

    run_inline = True  # in the thread that asked
    ignore_chain = ignore_agent = ignore_retriever = ignore_retry = ignore_custom_event = True

    def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        """Nothing; the default would ask for another form of it."""

    def on_llm_error(self, *_: Any, **__: Any) -> None:
        """No answer will come of what this thread looked up."""
        give_up_lookups()


_WATCH: ContextVar[BaseCallbackHandler | None] = ContextVar(
    "leo_failure_watch",
    default=_FailureWatch(),  # noqa: B039 - it has no state, and every context is meant to find it
)
_registered: list[bool] = []


def watch_failures() -> None:
    """Hear of every failed call of this process from now on; idempotent."""
    if not _registered:
        _registered.append(True)
        register_configure_hook(_WATCH, inheritable=True)

"""Watch what answers cost and how they were found, and stop at a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler

from leo_langchain.summary import Ledger, LEOSummary

if TYPE_CHECKING:
    from langchain_core.outputs import LLMResult

__all__ = ["AsyncLEOCallbackHandler", "LEOCallbackHandler"]


class LEOCallbackHandler(BaseCallbackHandler):
    """Adds up routes, hits, costs, savings, risks and receipts, of LEO's models and of others.

    Safe to share between threads and chains. The budget is checked before each call, so calls that run at the same
    time may together exceed it; a single request of LEO is bounded by ``LEOChatModel(max_cost_usd=…)``. Calls whose
    price is unknown cannot be counted; ``summary().unpriced`` says how many there were.

    Args:
        max_cost_usd: Refuse calls once so much is spent, with ``BudgetExceededError``.

    Example:
        >>> from leo_langchain import LEOCallbackHandler
        >>> handler = LEOCallbackHandler(max_cost_usd=5)
        >>> chain.invoke(x, config={"callbacks": [handler]})  # doctest: +SKIP
        >>> handler.summary()  # doctest: +SKIP
    """

    raise_error = True

    def __init__(self, *, max_cost_usd: float | None = None) -> None:
        super().__init__()
        self._ledger = Ledger(max_cost_usd)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(max_cost_usd={self._ledger.max_cost_usd})"

    def summary(self) -> LEOSummary:
        """What happened so far: a table in a terminal with ``rich``, HTML in a notebook, ``to_dict()`` for code."""
        return self._ledger.summary()

    def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        """Check the budget.

        Raises:
            BudgetExceededError: It is spent.
        """
        self._ledger.check_budget()

    def on_llm_start(self, *_: Any, **__: Any) -> None:
        """Check the budget, as :meth:`on_chat_model_start` does."""
        self._ledger.check_budget()

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        """Add the answer."""
        self._ledger.add_result(response)

    def on_llm_error(self, *_: Any, **__: Any) -> None:
        """Count the failure."""
        self._ledger.add_error()


class AsyncLEOCallbackHandler(AsyncCallbackHandler):
    """:class:`LEOCallbackHandler` for callers that await; it needs no thread of its own.

    Args:
        max_cost_usd: Refuse calls once so much is spent, with ``BudgetExceededError``.
    """

    raise_error = True

    def __init__(self, *, max_cost_usd: float | None = None) -> None:
        super().__init__()
        self._ledger = Ledger(max_cost_usd)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(max_cost_usd={self._ledger.max_cost_usd})"

    def summary(self) -> LEOSummary:
        """What happened so far."""
        return self._ledger.summary()

    async def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        """Check the budget.

        Raises:
            BudgetExceededError: It is spent.
        """
        self._ledger.check_budget()

    async def on_llm_start(self, *_: Any, **__: Any) -> None:
        """Check the budget, as :meth:`on_chat_model_start` does."""
        self._ledger.check_budget()

    async def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        """Add the answer."""
        self._ledger.add_result(response)

    async def on_llm_error(self, *_: Any, **__: Any) -> None:
        """Count the failure."""
        self._ledger.add_error()

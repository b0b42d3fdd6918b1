"""Watch what answers cost and how they were found, and stop at a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.messages import HumanMessage
from langchain_core.runnables.config import var_child_runnable_config

from leo_core.engine.arguments import check_arguments
from leo_langchain.summary import Ledger, LEOSummary

if TYPE_CHECKING:
    from langchain_core.callbacks import Callbacks
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import LLMResult
    from langchain_core.runnables import RunnableConfig

__all__ = ["AsyncLEOCallbackHandler", "LEOCallbackHandler", "keep_within"]


class LEOCallbackHandler(BaseCallbackHandler):
    """Adds up routes, hits, costs, savings, risks and receipts, of LEO's models and of others.

    Safe to share between threads and chains. A call is refused before it is made when an upper estimate of its cost
    does not fit into what is left, with calls under way counted at their estimates. A request to LEO is held to what
    is left when it begins, as if by ``max_cost_usd`` of its own, so that a hit is served, a cheaper route taken and a
    member of unknown price not asked; several at the same time may together exceed it, and so may one with an
    ``idempotency_key``, whose constraints have to stay the same. Budgets that hold for all of them are LEO's own:
    ``LEOConfig(budgets=…)``. Other models' calls of unknown price cannot be counted; ``summary().unpriced`` says how
    many there were.

    Args:
        max_cost_usd: Most that may be spent; what would exceed it is refused with ``BudgetExceededError``.

    Example:
        >>> from leo_langchain import LEOCallbackHandler
        >>> handler = LEOCallbackHandler(max_cost_usd=5)
        >>> chain.invoke(x, config={"callbacks": [handler]})  # doctest: +SKIP
        >>> handler.summary()  # doctest: +SKIP
    """

    raise_error = True

    def __init__(self, *, max_cost_usd: float | None = None) -> None:
        super().__init__()
        check_arguments({"max_cost_usd": max_cost_usd}, owner=type(self).__name__)
        self._ledger = Ledger(max_cost_usd)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(max_cost_usd={self._ledger.max_cost_usd})"

    def summary(self) -> LEOSummary:
        """What happened so far: a table in a terminal with ``rich``, HTML in a notebook, ``to_dict()`` for code."""
        return self._ledger.summary()

    @property
    def left_usd(self) -> float | None:
        """What is left of the budget, in US dollars; ``None`` where there is none."""
        return self._ledger.left_usd

    def on_chat_model_start(
        self,
        serialized: Any,  # noqa: ARG002 - LangChain's signature
        messages: list[list[BaseMessage]],
        **facts: Any,
    ) -> None:
        """Check the budget.

        Raises:
            BudgetExceededError: It is spent, or the call does not fit into what is left.
        """
        self._ledger.begin(messages[0] if messages else [], facts)

    def on_llm_start(self, serialized: Any, prompts: list[str], **facts: Any) -> None:  # noqa: ARG002 - as above
        """Check the budget, as :meth:`on_chat_model_start` does."""
        self._ledger.begin([HumanMessage(prompt) for prompt in prompts], facts)

    def on_llm_end(self, response: LLMResult, **facts: Any) -> None:
        """Add the answer."""
        self._ledger.add_result(response, facts.get("run_id"))

    def on_llm_error(self, *_: Any, **facts: Any) -> None:
        """Count the failure."""
        self._ledger.add_error(facts.get("run_id"))


class AsyncLEOCallbackHandler(AsyncCallbackHandler):
    """:class:`LEOCallbackHandler` for callers that await; it needs no thread of its own.

    Args:
        max_cost_usd: Most that may be spent; what would exceed it is refused with ``BudgetExceededError``.
    """

    raise_error = True

    def __init__(self, *, max_cost_usd: float | None = None) -> None:
        super().__init__()
        check_arguments({"max_cost_usd": max_cost_usd}, owner=type(self).__name__)
        self._ledger = Ledger(max_cost_usd)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(max_cost_usd={self._ledger.max_cost_usd})"

    def summary(self) -> LEOSummary:
        """What happened so far."""
        return self._ledger.summary()

    @property
    def left_usd(self) -> float | None:
        """What is left of the budget, in US dollars; ``None`` where there is none."""
        return self._ledger.left_usd

    async def on_chat_model_start(
        self,
        serialized: Any,  # noqa: ARG002 - LangChain's signature
        messages: list[list[BaseMessage]],
        **facts: Any,
    ) -> None:
        """Check the budget.

        Raises:
            BudgetExceededError: It is spent, or the call does not fit into what is left.
        """
        self._ledger.begin(messages[0] if messages else [], facts)

    async def on_llm_start(self, serialized: Any, prompts: list[str], **facts: Any) -> None:  # noqa: ARG002 - as above
        """Check the budget, as :meth:`on_chat_model_start` does."""
        self._ledger.begin([HumanMessage(prompt) for prompt in prompts], facts)

    async def on_llm_end(self, response: LLMResult, **facts: Any) -> None:
        """Add the answer."""
        self._ledger.add_result(response, facts.get("run_id"))

    async def on_llm_error(self, *_: Any, **facts: Any) -> None:
        """Count the failure."""
        self._ledger.add_error(facts.get("run_id"))


def keep_within(
    kwargs: dict[str, Any], config: RunnableConfig | None, own: Callbacks, max_cost_usd: float | None
) -> dict[str, Any]:
    """Keywords of a call, with ``max_cost_usd`` held to what is left of the budgets of the handlers that watch it.

    A call with an idempotency key stays as it is: under other constraints it would be another request.

    Args:
        kwargs: The keywords.
        config: The call's configuration.
        own: The model's own callbacks.
        max_cost_usd: The model's own limit, for calls that give none.
    """
    if kwargs.get("idempotency_key") is not None:
        return kwargs
    found = [own, *((source or {}).get("callbacks") for source in (config, var_child_runnable_config.get()))]
    handlers = [handler for each in found for handler in (each if isinstance(each, list) else _handlers_of(each))]
    left = [each.left_usd for each in handlers if isinstance(each, LEOCallbackHandler | AsyncLEOCallbackHandler)]
    limits = [limit for limit in left if limit is not None]
    if not limits:
        return kwargs
    given = kwargs.get("max_cost_usd")
    asked = max_cost_usd if given is None else given
    return {**kwargs, "max_cost_usd": min(limits if asked is None else [asked, *limits])}


def _handlers_of(manager: Any) -> list[Any]:
    return getattr(manager, "handlers", [])

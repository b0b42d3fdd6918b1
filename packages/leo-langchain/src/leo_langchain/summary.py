"""What was spent, saved and found out while a callback handler watched."""

from __future__ import annotations

import json
import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from leo_core.adapting.summary import Summary
from leo_core.adapting.tally import Tally
from leo_core.errors import BudgetExceededError, LEOError
from leo_core.providers.remote import DEFAULT_OUTPUT_TOKENS
from leo_core.providers.tokens import estimate_input_tokens, estimate_text_tokens
from leo_core.records import Request, Usage
from leo_core.telemetry.cost import cost_of
from leo_core.telemetry.prices import load_prices
from leo_langchain._convert import to_messages, to_usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.messages import BaseMessage

__all__ = ["LEOSummary", "Ledger"]

_HELD_S: Final = 3600.0
"""How long an estimate is set aside for a call whose end is never reported."""
_OUTPUT_LIMITS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict")

_BOUND: Final = ("tools", "functions", "response_format", "output_config")


@dataclass(frozen=True, slots=True, kw_only=True)
class LEOSummary(Summary):
    """What happened so far.

    Attributes:
        calls: Answers, hits included.
        errors: Calls that failed.
        hits: Answers from a cache.
        routes: Answers by route; ``direct`` for models other than LEO.
        models: Answers by the model that is named as the author.
        input_tokens: Spent.
        output_tokens: Spent.
        spent_usd: Known costs.
        saved_usd: Known savings; a committee may cost more than the large model would have, so it may be negative.
        unpriced: Answers whose cost is unknown and so missing from ``spent_usd``.
        risks: P(wrong) of each answer that has one, in order; the last 10,000.
        receipts: Ids of the receipts, in order; the last 10,000.
    """

    calls: int = 0
    errors: int = 0

    def _answer_rows(self) -> list[tuple[str, str]]:
        share = f" ({self.hits / self.calls:.0%})" if self.calls else ""
        return [("answers", f"{self.calls}, {self.errors} failed"), ("hits", f"{self.hits}{share}")]


def _count_tokens(messages: Sequence[BaseMessage]) -> int:
    try:
        return estimate_input_tokens(Request(messages=to_messages(messages)))
    except LEOError:  # a message that LEO does not know; the call itself may know it
        return sum(estimate_text_tokens(str(message.content)) for message in messages)


def _count_bound_tokens(params: Mapping[str, Any]) -> int:
    """Tokens of tools and schemas, which providers count as part of the prompt."""
    bound = (params.get(name) for name in _BOUND)
    return sum(estimate_text_tokens(json.dumps(each, default=str, ensure_ascii=False)) for each in bound if each)


class Ledger:
    """Adds up answers; safe to share between threads.

    Args:
        max_cost_usd: What may be spent; ``None`` for no limit.
    """

    def __init__(self, max_cost_usd: float | None = None) -> None:
        self.max_cost_usd = max_cost_usd
        self._prices = load_prices()
        self._tally = Tally()
        self._lock = threading.Lock()
        self._held: dict[object, tuple[float, float]] = {}

    @property
    def left_usd(self) -> float | None:
        """What is left, in US dollars, with calls under way at their estimates; ``None`` without a limit."""
        with self._lock:
            return None if self.max_cost_usd is None else max(0.0, self.max_cost_usd - self._committed())

    def begin(self, messages: Sequence[BaseMessage], facts: Mapping[str, Any]) -> None:
        """Refuse a call when the budget is spent, or when its upper estimate does not fit into what is left.

        Args:
            messages: What is asked.
            facts: What LangChain says of the call: ``run_id``, ``invocation_params``.

        Raises:
            BudgetExceededError: It is refused.
        """
        limit = self.max_cost_usd
        if limit is None:
            return
        estimate = self._estimate(messages, facts.get("invocation_params") or {})
        with self._lock:
            spent, committed = self._tally.spent_usd, self._committed()
            if spent >= limit:
                message = f"${spent:.6f} of max_cost_usd={limit} is spent: no further call is made"
                raise BudgetExceededError(message)
            if committed + estimate > limit:
                message = (
                    f"a call of up to ${estimate:.6f} does not fit into max_cost_usd={limit}: "
                    f"${spent:.6f} is spent and ${committed - spent:.6f} set aside for calls under way"
                )
                raise BudgetExceededError(message)
            self._held[facts.get("run_id")] = (estimate, time.monotonic() + _HELD_S)

    def _committed(self) -> float:
        now = time.monotonic()
        self._held = {run: held for run, held in self._held.items() if held[1] > now}
        return self._tally.spent_usd + math.fsum(amount for amount, _ in self._held.values())

    def _estimate(self, messages: Sequence[BaseMessage], params: Mapping[str, Any]) -> float:
        """Upper estimate of a call's cost; 0 where the price is unknown, and for LEO, which is held to what is left."""
        model = str(params.get("model") or params.get("model_name") or "")
        if params.get("_type") == "leo" or self._prices.find(model) is None:
            return 0.0
        named = (params.get(name) for name in _OUTPUT_LIMITS)
        output = next((limit for limit in named if isinstance(limit, int) and limit > 0), DEFAULT_OUTPUT_TOKENS)
        prompt = _count_tokens(messages) + _count_bound_tokens(params)
        usage = Usage(input_tokens=prompt, output_tokens=output * max(1, int(params.get("n") or 1)))
        return cost_of(usage, model, self._prices) or 0.0

    def add_error(self, run_id: object = None) -> None:
        """Count a failed call."""
        self._tally.count(errors=1)
        self._let_go(run_id)

    def add_result(self, result: LLMResult, run_id: object = None) -> None:
        """Add what a model answered."""
        for generations in result.generations:
            first = generations[0] if generations else None
            if isinstance(first, ChatGeneration) and isinstance(first.message, AIMessage):
                self._add(first.message)
            elif first is not None:
                self._add(AIMessage(first.text))
        self._let_go(run_id)

    def _let_go(self, run_id: object) -> None:
        with self._lock:
            self._held.pop(run_id, None)

    def _add(self, message: AIMessage) -> None:
        facts = message.response_metadata.get("leo")
        facts = facts if isinstance(facts, dict) else {}
        model = str(facts.get("model") or message.response_metadata.get("model_name") or "unknown")
        usage = to_usage(message)
        cache, risk, receipt = facts.get("cache"), facts.get("risk"), facts.get("receipt")
        self._tally.add_answer(
            route=str(facts.get("route") or "direct"),
            model=model,
            hit=bool(isinstance(cache, dict) and cache.get("hit")),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=facts["cost_usd"] if "cost_usd" in facts else cost_of(usage, model, self._prices),
            saved_usd=facts.get("saved_usd"),
            risk=None if risk is None else float(risk),
            receipt=str(receipt) if receipt else None,
            calls=1,
        )

    def summary(self) -> LEOSummary:
        """What happened so far."""
        return LEOSummary(**self._tally.figures("calls", "errors"))

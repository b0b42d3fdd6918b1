"""What was spent, saved and found out while a callback handler watched."""

from __future__ import annotations

from dataclasses import dataclass

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from leo_core.adapting.summary import Summary
from leo_core.adapting.tally import Tally
from leo_core.errors import BudgetExceededError
from leo_core.telemetry.cost import cost_of
from leo_core.telemetry.prices import load_prices
from leo_langchain._convert import to_usage

__all__ = ["LEOSummary", "Ledger"]


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


class Ledger:
    """Adds up answers; safe to share between threads.

    Args:
        max_cost_usd: What may be spent; ``None`` for no limit.
    """

    def __init__(self, max_cost_usd: float | None = None) -> None:
        self.max_cost_usd = max_cost_usd
        self._prices = load_prices()
        self._tally = Tally()

    def check_budget(self) -> None:
        """Refuse a call once the budget is spent.

        Raises:
            BudgetExceededError: It is.
        """
        spent = self._tally.spent_usd
        if self.max_cost_usd is not None and spent >= self.max_cost_usd:
            message = f"${spent:.6f} of max_cost_usd={self.max_cost_usd} is spent: no further call is made"
            raise BudgetExceededError(message)

    def add_error(self) -> None:
        """Count a failed call."""
        self._tally.count(errors=1)

    def add_result(self, result: LLMResult) -> None:
        """Add what a model answered."""
        for generations in result.generations:
            first = generations[0] if generations else None
            if isinstance(first, ChatGeneration) and isinstance(first.message, AIMessage):
                self._add(first.message)
            elif first is not None:
                self._add(AIMessage(first.text))

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

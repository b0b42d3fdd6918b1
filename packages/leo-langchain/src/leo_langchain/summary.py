"""What was spent, saved and found out while a callback handler watched."""

from __future__ import annotations

import html
import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from leo_core.errors import BudgetExceededError
from leo_core.telemetry.cost import cost_of
from leo_core.telemetry.prices import load_prices
from leo_langchain._convert import to_usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

__all__ = ["LEOSummary", "Ledger"]

MOST_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LEOSummary:
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
    hits: int = 0
    routes: Mapping[str, int] = field(default_factory=dict)
    models: Mapping[str, int] = field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    spent_usd: float = 0.0
    saved_usd: float = 0.0
    unpriced: int = 0
    risks: tuple[float, ...] = ()
    receipts: tuple[str, ...] = ()

    @property
    def mean_risk(self) -> float | None:
        """Mean of the risks."""
        return sum(self.risks) / len(self.risks) if self.risks else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        facts = asdict(self)
        return {**facts, "risks": list(self.risks), "receipts": list(self.receipts), "mean_risk": self.mean_risk}

    def __str__(self) -> str:
        return "\n".join(f"{name:<14}{value}" for name, value in self._rows())

    def __rich__(self) -> Table:
        from rich.table import Table  # noqa: PLC0415 - only where it is shown

        table = Table(title="LEO", show_header=False)
        for name, value in self._rows():
            table.add_row(name, value)
        return table

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in self._rows()
        )
        return f"<table><caption>LEO</caption>{rows}</table>"

    def _rows(self) -> list[tuple[str, str]]:
        share = f" ({self.hits / self.calls:.0%})" if self.calls else ""
        unknown = f", {self.unpriced} of unknown price" if self.unpriced else ""
        risk = "none" if self.mean_risk is None else f"mean {self.mean_risk:.3f}, highest {max(self.risks):.3f}"
        return [
            ("answers", f"{self.calls}, {self.errors} failed"),
            ("hits", f"{self.hits}{share}"),
            ("routes", _counted(self.routes)),
            ("models", _counted(self.models)),
            ("tokens", f"{self.input_tokens} in, {self.output_tokens} out"),
            ("spent", f"${self.spent_usd:.6f}{unknown}"),
            ("saved", f"${self.saved_usd:.6f}"),
            ("risk", risk),
            ("receipts", str(len(self.receipts))),
        ]


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: -item[1])) or "none"


class Ledger:
    """Adds up answers; safe to share between threads.

    Args:
        max_cost_usd: What may be spent; ``None`` for no limit.
    """

    def __init__(self, max_cost_usd: float | None = None) -> None:
        self.max_cost_usd = max_cost_usd
        self._lock = threading.Lock()
        self._prices = load_prices()
        self._totals: Counter[str] = Counter()
        self._spent = self._saved = 0.0
        self._routes: Counter[str] = Counter()
        self._models: Counter[str] = Counter()
        self._risks: deque[float] = deque(maxlen=MOST_KEPT)
        self._receipts: deque[str] = deque(maxlen=MOST_KEPT)

    def check_budget(self) -> None:
        """Refuse a call once the budget is spent.

        Raises:
            BudgetExceededError: It is.
        """
        with self._lock:
            spent = self._spent
        if self.max_cost_usd is not None and spent >= self.max_cost_usd:
            message = f"${spent:.6f} of max_cost_usd={self.max_cost_usd} is spent: no further call is made"
            raise BudgetExceededError(message)

    def add_error(self) -> None:
        """Count a failed call."""
        with self._lock:
            self._totals["errors"] += 1

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
        spent = facts["cost_usd"] if "cost_usd" in facts else cost_of(usage, model, self._prices)
        cache = facts.get("cache")
        with self._lock:
            self._totals.update(calls=1, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
            self._totals["hits"] += bool(isinstance(cache, dict) and cache.get("hit"))
            self._totals["unpriced"] += spent is None
            self._spent += spent or 0.0
            self._saved += facts.get("saved_usd") or 0.0
            self._routes[str(facts.get("route") or "direct")] += 1
            self._models[model] += 1
            if facts.get("risk") is not None:
                self._risks.append(float(facts["risk"]))
            if facts.get("receipt"):
                self._receipts.append(str(facts["receipt"]))

    def summary(self) -> LEOSummary:
        """What happened so far."""
        with self._lock:
            names = ("calls", "errors", "hits", "input_tokens", "output_tokens", "unpriced")
            return LEOSummary(
                **{name: self._totals[name] for name in names},
                routes=dict(self._routes),
                models=dict(self._models),
                spent_usd=self._spent,
                saved_usd=self._saved,
                risks=tuple(self._risks),
                receipts=tuple(self._receipts),
            )

"""Adding up answers while they come in."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Any, Final

__all__ = ["MOST_KEPT", "Tally"]

MOST_KEPT: Final = 10_000
"""How many risks and receipts are kept, the last ones."""


class Tally:
    """Adds up answers; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._spent_usd = self._saved_usd = 0.0
        self._routes: Counter[str] = Counter()
        self._models: Counter[str] = Counter()
        self._risks: deque[float] = deque(maxlen=MOST_KEPT)
        self._receipts: deque[str] = deque(maxlen=MOST_KEPT)

    @property
    def spent_usd(self) -> float:
        """Known costs so far."""
        with self._lock:
            return self._spent_usd

    def count(self, **counts: int) -> None:
        """Raise counts by name."""
        with self._lock:
            self._counts.update(counts)

    def add_receipt(self, receipt: str) -> None:
        """Note the id of a receipt that comes apart from its answer."""
        with self._lock:
            self._receipts.append(receipt)

    def add_answer(
        self,
        *,
        route: str,
        model: str,
        hit: bool,
        input_tokens: int,
        output_tokens: int,
        cost_usd: float | None,
        saved_usd: float | None,
        risk: float | None = None,
        receipt: str | None = None,
        **counts: int,
    ) -> None:
        """Add an answer.

        Args:
            route: Its route.
            model: Its author.
            hit: Whether it came from a cache.
            input_tokens: Spent on it.
            output_tokens: Spent on it.
            cost_usd: What it cost; ``None`` when that is unknown.
            saved_usd: What it saved; ``None`` when that is unknown.
            risk: P(wrong), where it has one.
            receipt: Id of its receipt, where it is known.
            **counts: Further counts to raise with it.
        """
        with self._lock:
            self._counts.update(counts)
            self._counts.update(
                hits=int(hit), unpriced=int(cost_usd is None), input_tokens=input_tokens, output_tokens=output_tokens
            )
            self._spent_usd += cost_usd or 0.0
            self._saved_usd += saved_usd or 0.0
            self._routes[route] += 1
            self._models[model] += 1
            if risk is not None:
                self._risks.append(risk)
            if receipt:
                self._receipts.append(receipt)

    def figures(self, *counts: str) -> dict[str, Any]:
        """The fields of a :class:`~leo_core.adapting.summary.Summary`, and further counts, all of one instant."""
        names = ("hits", "unpriced", "input_tokens", "output_tokens", *counts)
        with self._lock:
            return {
                **{name: self._counts[name] for name in names},
                "routes": dict(self._routes),
                "models": dict(self._models),
                "spent_usd": self._spent_usd,
                "saved_usd": self._saved_usd,
                "risks": tuple(self._risks),
                "receipts": tuple(self._receipts),
            }

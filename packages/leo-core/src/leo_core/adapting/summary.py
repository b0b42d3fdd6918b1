"""What was spent, saved and found out while a handler watched."""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

__all__ = ["Summary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What happened so far, as far as it is the same in every framework.

    Attributes:
        hits: Answers from a cache.
        routes: Answers by route.
        models: Answers by the model that is named as the author.
        input_tokens: Spent.
        output_tokens: Spent.
        spent_usd: Known costs.
        saved_usd: Known savings; a committee may cost more than the large model would have, so it may be negative.
        unpriced: Answers whose cost is unknown and so missing from ``spent_usd``.
        risks: P(wrong) of each answer that has one, in order; the last 10,000.
        receipts: Ids of the receipts, in order; the last 10,000.
    """

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

    def _answer_rows(self) -> list[tuple[str, str]]:
        """The rows at the top: how many answers there were."""
        return [("hits", str(self.hits))]

    def _rows(self) -> list[tuple[str, str]]:
        unknown = f", {self.unpriced} of unknown price" if self.unpriced else ""
        risk = "none" if self.mean_risk is None else f"mean {self.mean_risk:.3f}, highest {max(self.risks):.3f}"
        return [
            *self._answer_rows(),
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

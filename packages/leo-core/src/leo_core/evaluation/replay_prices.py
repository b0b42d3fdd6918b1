"""Prices for recorded models: those of their own day, or those of today."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from leo_core.telemetry.prices import load_prices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leo_core.telemetry.prices import PriceTable

__all__ = ["price_as_recorded", "price_as_today"]

SUCCESSORS = {
    "claude-3-5-sonnet": "claude-sonnet-4-6",
    "claude-3-haiku": "claude-haiku-4-5",
    "gpt-3.5-turbo": "gpt-5.4-nano",
    "gpt-4o-mini": "gpt-5.4-nano",
    "gpt-4o": "gpt-5.4",
}
"""By the first letters of a name, longest first: what the same provider lists in its place in the newest table."""
FRESH = timedelta(days=365)
"""A price that was looked up longer than this before the newest one in the table is no price of today."""


def price_as_recorded(models: Sequence[str]) -> tuple[PriceTable, list[dict[str, Any]]]:
    """The shipped table as it is: each model at its own last list price; and what was found, per model."""
    table = load_prices()
    return table, [_describe(model, model, table) for model in models]


def price_as_today(models: Sequence[str]) -> tuple[PriceTable, list[dict[str, Any]]]:
    """A table with today's prices under the recorded models' names, and what was done, per model.

    A model whose own price is older than a year has no price of today. It is priced as the model that its provider
    lists in its place (:data:`SUCCESSORS`), or, where there is none, keeps its last list price.
    """
    table = load_prices()
    newest = date.fromisoformat(table.version)
    notes, own = [], {}
    for model in models:
        found = table.find(model)
        old = found is None or not found.as_of or newest - date.fromisoformat(found.as_of) > FRESH
        named = next((SUCCESSORS[key] for key in SUCCESSORS if model.lower().startswith(key)), None) if old else None
        price = None if named is None else table.find(named)
        if price is not None:
            own[model] = price
        note = _describe(model, model if price is None or named is None else named, table)
        if old:
            note["note"] = "no price of today: " + ("the last list price" if price is None else f"priced as {named}")
        notes.append(note)
    return table.with_prices(own), notes


def _describe(model: str, priced_as: str, table: PriceTable) -> dict[str, Any]:
    price = table.find(priced_as)
    return {
        "model": model,
        "priced_as": priced_as,
        "input": None if price is None else price.input,
        "output": None if price is None else price.output,
        "as_of": None if price is None else price.as_of,
        "note": "" if price is not None else "no price is known",
    }

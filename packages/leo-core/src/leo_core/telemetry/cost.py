"""What tokens cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leo_core.records import Usage
    from leo_core.telemetry.prices import PriceTable

__all__ = ["cost_of"]

_MILLION = 1_000_000.0


def cost_of(usage: Usage, model: str, table: PriceTable, *, cache_write_tokens: int = 0) -> float | None:
    """Cost of a usage in US dollars, at least 0; ``None`` when the model's price is unknown.

    Cached input tokens, and those written to the provider's cache, are part of ``usage.input_tokens`` and are charged
    at their own prices where the table has them; reasoning tokens are part of ``usage.output_tokens``.

    Args:
        usage: Tokens of one or several calls.
        model: Name of the model, dated or not.
        table: Prices.
        cache_write_tokens: Input tokens that the provider wrote to its own prompt cache.
    """
    price = table.find(model)
    if price is None:
        return None
    cached = min(usage.cached_input_tokens, usage.input_tokens)
    written = min(cache_write_tokens, usage.input_tokens - cached)
    cached_price = price.input if price.cached_input is None else price.cached_input
    write_price = price.input if price.cache_write is None else price.cache_write
    plain = usage.input_tokens - cached - written
    dollars = plain * price.input + cached * cached_price + written * write_price + usage.output_tokens * price.output
    return dollars / _MILLION

"""Prices of models: dated data, with the user's own on top.

The shipped table (``prices.json``) holds list prices in US dollars per million tokens, each with the day on which it
was looked up and where. A model that is not in it has no known price, and an unknown price is ``None``, never zero.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from leo_core.errors import ConfigError

__all__ = ["Price", "PriceTable", "load_prices"]

_MOST_FOUND = 1024
"""Names whose prices are remembered: they come from providers, who may make up as many as they like."""

# What may follow a model's name without making it another model: a date, a version of a host, "latest".
_SNAPSHOT = re.compile(r"[-@:](?:\d{4}-\d{2}-\d{2}|\d{8}|\d{6}|\d{4}|\d{3}|latest|preview|v\d+(?::\d+)?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """List price of a model, in US dollars per million tokens.

    Attributes:
        input: Of prompt tokens, at least 0.
        output: Of reply tokens, hidden reasoning included, at least 0.
        cached_input: Of prompt tokens that the provider served from its own cache; ``None`` charges ``input``.
        cache_write: Of prompt tokens that the provider wrote to its own cache; ``None`` charges ``input``.
        as_of: Day on which the price was looked up (ISO 8601); empty for a price given by the user.
        source: Where it was looked up.
        note: What one must know to read it.

    Raises:
        ConfigError: A price is negative, infinite or not a number.
    """

    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None
    as_of: str = ""
    source: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Check the amounts."""
        for name in ("input", "output", "cached_input", "cache_write"):
            _check_amount(name, getattr(self, name), optional=name.startswith("cache"))


def _check_amount(name: str, amount: object, *, optional: bool) -> None:
    if amount is None and optional:
        return
    is_number = isinstance(amount, int | float) and not isinstance(amount, bool)
    if not is_number or not math.isfinite(float(str(amount))) or float(str(amount)) < 0:
        message = f"price {name}={amount!r} must be a number of US dollars per million tokens, at least 0"
        raise ConfigError(message)


class _Unknown:
    """A name that was not looked up yet."""


_UNKNOWN = _Unknown()


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """Prices by model name.

    Attributes:
        prices: Prices by lower-case name.
        version: Day of the newest price.
    """

    prices: Mapping[str, Price] = field(default_factory=dict)
    version: str = ""
    _found: dict[str, Price | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def find(self, model: str) -> Price | None:
        """The price of a model, or ``None`` when it is unknown.

        A name matches itself, in any case and with or without a leading ``provider/`` or ``provider:``; a dated or
        ``-latest`` name also matches the longest undated name that it continues: ``gpt-4o-mini-2024-07-18`` is priced
        as ``gpt-4o-mini``, but ``gpt-5.4-pro`` is not priced as ``gpt-5.4``.
        """
        known = self._found.get(model, _UNKNOWN)
        if not isinstance(known, _Unknown):
            return known
        found = self._look_up(model)
        if len(self._found) >= _MOST_FOUND:
            self._found.clear()
        self._found[model] = found
        return found

    def _look_up(self, model: str) -> Price | None:
        name = re.split(r"[/:](?=[^\d])", model.lower())[-1] if model.lower() not in self.prices else model.lower()
        if name in self.prices:
            return self.prices[name]
        starts = (key for key in self.prices if name.startswith(key) and _SNAPSHOT.fullmatch(name, len(key)))
        longest = max(starts, key=len, default=None)
        return None if longest is None else self.prices[longest]

    def with_prices(self, prices: Mapping[str, Price | Mapping[str, float]]) -> PriceTable:
        """A table with the user's own prices on top.

        Args:
            prices: By model name: a :class:`Price` or a mapping with its fields.

        Raises:
            ConfigError: A price is negative or not a number, or has an unknown field.
        """
        own = {name.lower(): _read_price(name, price) for name, price in prices.items()}
        return PriceTable(prices={**self.prices, **own}, version=self.version)


def _read_price(name: str, price: Price | Mapping[str, object]) -> Price:
    if isinstance(price, Price):
        return price
    if not isinstance(price, Mapping):
        message = (
            f"price of {name!r} must be a Price or a mapping of its fields, as {{'m': {{'input': 1, 'output': 10}}}}"
        )
        raise ConfigError(message)
    try:
        return Price(**price)  # type: ignore[arg-type]  # the fields are checked by Price itself
    except (TypeError, ConfigError) as error:
        message = f"price of {name!r}: {error}"
        raise ConfigError(message) from error


@cache
def load_prices() -> PriceTable:
    """The price table shipped with the package; reads one small file, once."""
    text = resources.files("leo_core.telemetry").joinpath("prices.json").read_text(encoding="utf-8")
    data = json.loads(text)
    return PriceTable(prices={name: Price(**row) for name, row in data["models"].items()}, version=data["version"])

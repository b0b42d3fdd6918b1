"""What a framework's own model has as a member, whatever the framework."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

from leo_core.engine.arguments import check_arguments
from leo_core.providers.names import family_of
from leo_core.providers.remote import DEFAULT_OUTPUT_TOKENS
from leo_core.providers.tokens import estimate_input_tokens
from leo_core.records import Json, Request, Usage
from leo_core.telemetry.cost import cost_of
from leo_core.telemetry.prices import Price, PriceTable, load_prices

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FrameworkModel"]

M = TypeVar("M")


class FrameworkModel(Generic[M]):
    """Identity and prices of a framework's model as a member; a subclass adds ``capabilities`` and the calls.

    Args:
        model: The model of the framework. It is not closed.
        provider: Who serves it.
        name: Its name there.
        fingerprint: Everything that can change its answers, without secrets.
        id: Id of the member; ``provider:name`` by default.
        family: Models of one family are presumed to err together; by default read from the name.
        prices: Prices by model name, in US dollars per million tokens, on top of the shipped table.
    """

    def __init__(
        self,
        model: M,
        *,
        provider: str,
        name: str,
        fingerprint: Mapping[str, Json],
        id: str | None,  # noqa: A002 - the port's own word
        family: str | None,
        prices: Mapping[str, Price | Mapping[str, float]] | None,
    ) -> None:
        check_arguments({"id": id, "family": family, "prices": prices}, owner=type(self).__name__)
        self.model = model
        self._provider, self._name = provider, name
        self._id = id or f"{provider}:{name}"
        self._family = family or family_of(name)
        self._fingerprint = fingerprint
        self._prices: PriceTable = load_prices().with_prices(prices or {})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._id!r})"

    @property
    def id(self) -> str:
        """Id of the member."""
        return self._id

    @property
    def family(self) -> str:
        """Family of the model."""
        return self._family

    @property
    def fingerprint(self) -> Mapping[str, Json]:
        """Class and settings of the model, without secrets."""
        return self._fingerprint

    def estimate(self, request: Request) -> Usage:
        """Upper estimate of the usage: a token per 3.5 characters, and as many reply tokens as are allowed."""
        allowed = request.sampling.max_tokens or getattr(self.model, "max_tokens", None)
        output = allowed if isinstance(allowed, int) else DEFAULT_OUTPUT_TOKENS
        usage = Usage(input_tokens=estimate_input_tokens(request), output_tokens=output, calls=1, cost_usd=None)
        cost = self.price(usage)
        return usage if cost is None else replace(usage, cost_usd=cost)

    def price(self, usage: Usage) -> float | None:
        """What these tokens would cost; ``None`` when the model's price is unknown."""
        return cost_of(usage, self._name, self._prices)

    def close(self) -> None:
        """Nothing to release: the model belongs to the caller."""

    def _price_as(self, usage: Usage, name: str) -> float | None:
        """The cost under the name that the reply gives, which may be a dated one, or else under the member's own."""
        cost = cost_of(usage, name, self._prices)
        return self.price(usage) if cost is None else cost

"""What a LEO is set up to do: its members in their roles, its policies, and what follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError
from leo_core.records import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from leo_core.config import LEOConfig
    from leo_core.ports import Model
    from leo_core.records import Draft, Json, Message, Request
    from leo_core.stages.cache.pair import PairModel
    from leo_core.stages.risk.examples import ExampleModel

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The members in their roles, and the policies.

    Attributes:
        config: Settings of every stage.
        small: Asked first where that is enough.
        large: Asked where the small one is not enough.
        jury: Asked when a verdict is needed; small and large may sit in it.
        fingerprint: Everything of members and policy that can change an answer, as canonical JSON; part of every
            cache key.
        policy: The settings as they are digested in receipts.
        pair_model: Tells whether two questions have the same answer.
        audits: Whether the user brought a checker.
        categories: The user's own high-risk categories, fitted.
        lifetime: The user's policy: seconds that an answer to a request is fresh, ``None`` for ever.
    """

    config: LEOConfig
    small: Model | None
    large: Model | None
    jury: tuple[Model, ...]
    fingerprint: bytes
    policy: Mapping[str, Json]
    pair_model: PairModel
    audits: bool = False
    categories: tuple[ExampleModel, ...] = ()
    lifetime: Callable[[Request, Message], float | None] | None = None

    def __post_init__(self) -> None:
        by_id: dict[str, Model] = {}
        for member in (self.small, self.large, *self.jury):
            if member is not None and by_id.setdefault(member.id, member) is not member:
                message = f"two members share the id {member.id!r}; give one of them another id="
                raise ConfigError(message)

    @property
    def members(self) -> tuple[Model, ...]:
        """Every member once: small, large, then the jury."""
        unique = {member.id: member for member in (self.small, self.large, *self.jury) if member is not None}
        return tuple(unique.values())

    @property
    def families(self) -> Mapping[str, str]:
        """Family of each member."""
        return {member.id: member.family for member in self.members}

    def saved_against_large(self, served: Draft, spent: Usage) -> Usage:
        """What was saved against asking the large member for the same tokens; may be negative for a committee."""
        if self.large is None or served.member == self.large.id:
            return Usage()
        price = self.large.price(served.usage)
        if price is None or not 0.0 <= price < math.inf or spent.cost_usd is None:
            return Usage(cost_usd=None)
        return Usage(cost_usd=price - spent.cost_usd)

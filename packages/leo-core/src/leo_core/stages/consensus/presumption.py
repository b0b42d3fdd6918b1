"""What may be presumed of models before any of their answers was audited: the dearer ones are right more often.

A price is what the market makes of a model, and known before the first request. With z the standardised logarithm of a
member's price among the members of known price,

    P(right) = 1 / (1 + exp(−1 − 1.2 z)),

which is worth ``presumed_weight`` outcomes. It speeds up the first dozens of requests, in which trust has to be learned
from a few audits; audits soon outweigh it. A member without a price is presumed to be of average price.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.stages.consensus.config import ConsensusConfig

__all__ = ["presume_from_prices"]

_MIDDLE = 1.0
_SLOPE = 1.2


def presume_from_prices(config: ConsensusConfig, prices: Mapping[str, float | None]) -> ConsensusConfig:
    """The settings with what the members' prices let presume; the same where they say nothing.

    Args:
        config: Settings; what ``presumed`` says of a member stays.
        prices: Price per member, in any unit, ``None`` where it is unknown; free and endless ones count as unknown.
    """
    logs = {member: math.log(price) for member, price in prices.items() if price is not None and 0.0 < price < math.inf}
    spread = statistics.pstdev(logs.values()) if logs else 0.0
    if not config.presume_by_price or spread == 0.0:
        return config
    mean = statistics.fmean(logs.values())
    found = {
        member: 1.0 / (1.0 + math.exp(-_MIDDLE - _SLOPE * (logs.get(member, mean) - mean) / spread))
        for member in prices
    }
    return replace(config, presumed={**found, **config.presumed})

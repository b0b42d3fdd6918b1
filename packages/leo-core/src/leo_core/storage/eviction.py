"""Which entries give way when a tenant has more than it may keep.

An entry is worth the dollars that it saves per second: its rate of hits times what the answer had cost. That is
hyperbolic caching with costs (Blankstein, Sen and Freedman, "Hyperbolic Caching: Flexible Caching for Web
Applications", USENIX ATC 2017, section 2), with one difference. There the rate is hits over age, which makes every
young entry the best. Here it is the posterior mean of a Poisson rate whose Gamma prior counts for one hit at the
tenant's mean rate r, (hits + 1) / (age + 1 / r), so that a young entry starts as an average one. It needs nothing but
what the entries say, so that every store and every process choose alike. Where bytes are short, worth is per byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Occupant", "choose_evicted"]

_YOUNGEST_S = 1e-3
"""Age that younger entries are taken to have, in seconds: clocks of several machines differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupant:
    """What eviction needs to know of an entry; ``number`` grows with its time of writing.

    Attributes:
        number: Names the entry.
        hits: Times served.
        cost_usd: What the answer had cost; ``None`` when unknown, which counts as the median of those known.
        size_bytes: Bytes that count against the limit.
        created_at: Instant of writing.
        expires_at: Instant after which it is not served; ``None`` for never.
    """

    number: int
    hits: int
    cost_usd: float | None
    size_bytes: int
    created_at: float
    expires_at: float | None

    def find_age(self, now: float) -> float:
        """Seconds since it was written, in (0, ∞)."""
        return max(now - self.created_at, _YOUNGEST_S)


def choose_evicted(
    occupants: Sequence[Occupant], *, max_entries: int | None, max_bytes: int | None, now: float
) -> tuple[int, ...]:
    """Numbers of the entries that give way: expired ones, then those that save least, of equals the oldest.

    Args:
        occupants: All entries of a tenant.
        max_entries: Most entries to be left; ``None`` for no limit.
        max_bytes: Most bytes to be left; ``None`` for no limit.
        now: Instant.
    """
    gone = [each.number for each in occupants if each.expires_at is not None and each.expires_at < now]
    left = [each for each in occupants if each.expires_at is None or each.expires_at >= now]
    usual_cost, mean_rate = _find_usual_cost(left), _find_mean_rate(left, now)

    def by_worth(each: Occupant) -> tuple[float, float, int]:
        """Dollars per second; then hits per second, which decide among answers that were free; then age."""
        rate = (each.hits + 1) / (each.find_age(now) + 1.0 / mean_rate)
        return rate * (usual_cost if each.cost_usd is None else each.cost_usd), rate, each.number

    def by_worth_per_byte(each: Occupant) -> tuple[float, float, int]:
        dollars, rate, number = by_worth(each)
        size = max(each.size_bytes, 1)
        return dollars / size, rate / size, number

    if max_entries is not None and len(left) > max_entries:
        left.sort(key=by_worth)
        gone += [each.number for each in left[: len(left) - max_entries]]
        left = left[len(left) - max_entries :]
    if max_bytes is not None:
        left.sort(key=by_worth_per_byte)
        size = sum(each.size_bytes for each in left)
        for each in left:
            if size <= max_bytes:
                break
            gone.append(each.number)
            size -= each.size_bytes
    return tuple(gone)


def _find_usual_cost(occupants: Iterable[Occupant]) -> float:
    known = [each.cost_usd for each in occupants if each.cost_usd is not None and each.cost_usd > 0.0]
    return median(known) if known else 1.0


def _find_mean_rate(occupants: Sequence[Occupant], now: float) -> float:
    """Hits per second of a mean entry; positive, as if there had been one hit more."""
    ages = sum(each.find_age(now) for each in occupants)
    return (sum(each.hits for each in occupants) + 1) / ages if occupants else 1.0

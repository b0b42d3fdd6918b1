"""Which entries give way when a tenant has more than it may keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Occupant", "choose_evicted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupant:
    """What eviction needs to know of an entry; ``number`` grows with its time of writing."""

    number: int
    hits: int
    size_bytes: int
    expires_at: float | None


def choose_evicted(
    occupants: Sequence[Occupant], *, max_entries: int | None, max_bytes: int | None, now: float
) -> tuple[int, ...]:
    """Numbers of the entries that give way: expired ones, then the least served, of these the oldest.

    Args:
        occupants: All entries of a tenant.
        max_entries: Most entries to be left; ``None`` for no limit.
        max_bytes: Most bytes to be left; ``None`` for no limit.
        now: Instant.
    """
    gone = [each.number for each in occupants if each.expires_at is not None and each.expires_at < now]
    left = [each for each in occupants if each.expires_at is None or each.expires_at >= now]
    entries, size = len(left), sum(each.size_bytes for each in left)
    for each in sorted(left, key=lambda one: (one.hits, one.number)):
        fits = (max_entries is None or entries <= max_entries) and (max_bytes is None or size <= max_bytes)
        if fits:
            break
        gone.append(each.number)
        entries, size = entries - 1, size - each.size_bytes
    return tuple(gone)

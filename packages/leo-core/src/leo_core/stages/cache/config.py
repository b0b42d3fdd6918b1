"""Settings of the cache."""

from __future__ import annotations

import math
from dataclasses import dataclass

from leo_core.errors import ConfigError

__all__ = ["CacheConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheConfig:
    """Settings of the cache.

    Attributes:
        enabled: Whether answers are kept and served at all.
        max_wrong_hits: δ, the promise: wrong semantic hits over all requests stay at or below it; 0 turns semantic
            hits off. In [0, 1).
        confidence: Probability with which the promise holds at all times together, in [0.5, 1).
        candidates: Neighbours that are looked at, in 1..64.
        max_hit_error: Largest estimated P(wrong) of a single served hit, in (0, 1]; ``None`` for ten times
            ``max_wrong_hits``, at most 0.5.
        min_explored: Real explored outcomes before anything is served, at least 1.
        explore_rate: Least share of would-be hits that are explored all the same, in (0, 1]. The promise asks for
            more while the allowance δ·t is small.
        min_trust: Least current trust of the members behind an entry, in [0, 1].
        ttl_s: Seconds that an entry is fresh; ``None`` for ever.
        stale_s: Seconds after these in which it is served still, while it is renewed; ``None`` for not at all.
        max_entries: Most entries per tenant; ``None`` for no limit.
        max_bytes: Most bytes per tenant; ``None`` for no limit.
        single_flight_wait_s: Longest wait for an equal request that is being answered, in seconds, at least 0. After
            that another one takes over, and after twice that time nobody waits any more. 0 lets every request go its
            own way.
    """

    enabled: bool = True
    max_wrong_hits: float = 0.01
    confidence: float = 0.95
    candidates: int = 8
    max_hit_error: float | None = None
    min_explored: int = 10
    explore_rate: float = 0.02
    min_trust: float = 0.5
    ttl_s: float | None = None
    stale_s: float | None = None
    max_entries: int | None = 100_000
    max_bytes: int | None = None
    single_flight_wait_s: float = 30.0

    def __post_init__(self) -> None:
        """Refuse settings out of range: raises ConfigError with the name and the value."""
        self._check("max_wrong_hits", 0.0 <= self.max_wrong_hits < 1.0, "in [0, 1); 0 turns semantic hits off")
        self._check("confidence", 0.5 <= self.confidence < 1.0, "in [0.5, 1)")  # noqa: PLR2004 - a bound that the message says
        self._check("candidates", 1 <= self.candidates <= 64, "in 1..64")  # noqa: PLR2004 - a bound that the message says
        if self.max_hit_error is not None:
            self._check("max_hit_error", 0.0 < self.max_hit_error <= 1.0, "in (0, 1], or None")
        self._check("explore_rate", 0.0 < self.explore_rate <= 1.0, "in (0, 1]")
        self._check("min_trust", 0.0 <= self.min_trust <= 1.0, "in [0, 1]")
        self._check("min_explored", self.min_explored >= 1, "at least 1")
        self._check("single_flight_wait_s", 0.0 <= self.single_flight_wait_s < math.inf, "finite and at least 0")
        for name in ("ttl_s", "stale_s", "max_entries", "max_bytes"):
            value = getattr(self, name)
            self._check(name, value is None or value > 0, "greater than 0, or None for no limit")

    def _check(self, name: str, holds: bool, must: str) -> None:  # noqa: FBT001 - the condition itself, named by its call
        if not holds:
            msg = f"CacheConfig.{name} is {getattr(self, name)!r}; it must be {must}"
            raise ConfigError(msg)

"""Requests that wait for an equal one, and find its answer in the cache."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from leo_core.engine.effects import Join, Now
from leo_core.engine.flights import Turn
from leo_core.engine.lookup import look_again

if TYPE_CHECKING:
    from leo_core.engine.effects import Instant, Pipeline
    from leo_core.engine.plan import Plan
    from leo_core.records import CacheDecision, CacheEntry, Constraints, Identity, Request

__all__ = ["take_turn"]


def take_turn(
    request: Request,
    identity: Identity,
    found: tuple[CacheDecision, CacheEntry | None],
    region: int,
    plan: Plan,
    started: Instant,
) -> Pipeline[tuple[Turn, CacheDecision, CacheEntry | None]]:
    """Go on with what the cache said, or wait for an equal request first and look again.

    Requests are equal when their exact keys and their constraints are. One that does not read the cache, or that
    renews an entry, goes alone. A wait ends at the deadline, which counts from when the request came in.

    Returns:
        The turn, which whoever gets it ends; and the decision and entry to go on with.
    """
    decision, entry = found
    wanted, wait_s = request.constraints, plan.config.cache.single_flight_wait_s
    if decision.hit or decision.stale or wanted.cache not in (True, "exact") or decision.action == "off" or not wait_s:
        return Turn(), decision, entry
    key = "\x00".join((request.tenant, identity.exact_key, _spell(wanted)))
    turn = yield from Join(key, (yield from _left(wanted.max_latency_s, started)))
    if turn.waited or turn.leads:  # an equal one may have landed between the first look and the turn
        try:
            decision, entry = yield from _look_again(request, identity, found, region, plan)
        except BaseException:
            turn.end(landed=False)
            raise
        if decision.hit:
            turn.end(landed=True)
    return turn, decision, entry


@lru_cache(maxsize=256)
def _spell(wanted: Constraints) -> str:
    """Constraints as a text, the same for equal ones."""
    return repr(wanted)


def _left(limit: float | None, started: Instant) -> Pipeline[float | None]:
    """Seconds until the request's deadline, at least 0; ``None`` without one."""
    if limit is None:
        return None
    now = yield from Now()
    return max(0.0, limit - (now.monotonic - started.monotonic))


def _look_again(
    request: Request,
    identity: Identity,
    found: tuple[CacheDecision, CacheEntry | None],
    region: int,
    plan: Plan,
) -> Pipeline[tuple[CacheDecision, CacheEntry | None]]:
    decision, entry = yield from look_again(request, identity, region, plan)
    if not decision.hit:
        return found
    return replace(decision, why="same request, answered meanwhile"), entry

"""The observations that the promise folds, so that nobody else has to know their bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.records import Observation

if TYPE_CHECKING:
    from leo_core.records import CacheDecision

__all__ = ["observe_explored", "observe_feedback", "observe_served"]


def observe_explored(decision: CacheDecision, *, same: bool, tenant: str, at: float) -> Observation:
    """A candidate was explored: the models were asked, and their answer compared with the entry's.

    Args:
        decision: The decision with action ``explore``.
        same: Whether the fresh answer is equivalent to the entry's.
        tenant: Whose.
        at: Instant.
    """
    body = {"bin": decision.score_bin, "same": same, "entry": decision.entry_id}
    return Observation(kind="cache", tenant=tenant, body=body, at=at)


def observe_served(decision: CacheDecision, *, tenant: str, at: float) -> Observation:
    """A request was answered: by a hit (``exact`` or ``semantic``) or otherwise (``miss``).

    One for every request, explored ones included: the promise is a rate over all requests.
    """
    kind = decision.kind if decision.hit else "miss"
    body = {
        "bin": decision.score_bin if decision.hit else -1,
        "error_bound": decision.error_bound if decision.hit else None,
        "kind": kind,
        "entry": decision.entry_id if decision.hit else None,
    }
    return Observation(kind="served", tenant=tenant, body=body, at=at)


def observe_feedback(*, entry_id: str, wrong: bool, tenant: str, at: float, score_bin: int = -1) -> Observation:
    """The caller says whether an answer served from this entry was wrong."""
    body = {"bin": score_bin, "wrong": wrong, "entry": entry_id}
    return Observation(kind="feedback", tenant=tenant, body=body, at=at)

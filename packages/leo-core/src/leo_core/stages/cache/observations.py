"""The observations that the promise folds, so that nobody else has to know their bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.records import Observation

if TYPE_CHECKING:
    from leo_core.records import CacheDecision

__all__ = ["observe_explored", "observe_feedback", "observe_served"]


def observe_explored(decision: CacheDecision, *, same: bool | None, tenant: str, at: float) -> Observation:
    """A candidate was explored: the models were asked, and their answer compared with the entry's.

    Args:
        decision: The decision with action ``explore``.
        same: Whether the fresh answer is equivalent to the entry's; ``None`` when the models gave no answer.
        tenant: Whose.
        at: Instant.
    """
    body = {
        "same": same,
        "entry": decision.entry_id,
        "rate": decision.explore_rate,
        "features": list(decision.features),
    }
    return Observation(kind="cache", tenant=tenant, body=body, at=at)


def observe_served(decision: CacheDecision, *, tenant: str, at: float) -> Observation:
    """A request was answered: by a hit (``exact`` or ``semantic``) or otherwise (``miss``).

    One for every request, explored ones included: the promise is a rate over all requests. ``risk`` and ``rate`` are
    those of the candidate, served or explored.
    """
    judged = decision.kind == "semantic" and decision.features
    body = {
        "kind": decision.kind if decision.hit else "miss",
        "entry": decision.entry_id if decision.hit else None,
        "risk": decision.error_bound if judged else None,
        "rate": decision.explore_rate if judged else None,
    }
    return Observation(kind="served", tenant=tenant, body=body, at=at)


def observe_feedback(decision: CacheDecision, *, wrong: bool, tenant: str, at: float) -> Observation:
    """The caller says whether the answer that this decision served was wrong."""
    body = {"wrong": wrong, "entry": decision.entry_id, "features": list(decision.features)}
    return Observation(kind="feedback", tenant=tenant, body=body, at=at)

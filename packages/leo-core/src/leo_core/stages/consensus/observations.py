"""The observations that trust folds, so that nobody else has to know their bodies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from leo_core.errors import RequestError
from leo_core.records import Observation
from leo_core.stages.consensus.trust import MOST_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leo_core.records import Json

__all__ = ["observe_audit", "observe_feedback", "observe_outcome", "observe_strategies"]


def observe_audit(
    *, member: str, region: int, agreement: float, valid: bool, tenant: str, at: float, weight: float = 1.0
) -> Observation:
    """A member's answer was audited.

    Args:
        member: Who.
        region: Region of the request; -1 when it has none.
        agreement: How surely the answer is the right one (sigma), in [0, 1]; 1 for right, 0 for wrong.
        valid: Whether the receipt of the answer checks.
        tenant: Whose.
        at: Instant.
        weight: How much the audit counts: the inverse of how likely it was drawn, relative to the rate, in [0, 10].

    Raises:
        RequestError: A figure is out of its range.
    """
    _check_share("agreement", agreement)
    _check_share("weight", weight, MOST_WEIGHT)
    body = {"member": member, "region": region, "agreement": agreement, "valid": valid, "weight": weight}
    return Observation(kind="trust", tenant=tenant, body=body, at=at)


def observe_outcome(answer_id: str, *, right: bool, tenant: str, at: float) -> Observation:
    """An answer was audited, and was right or not: what the report of a day's audits is made of."""
    return Observation(kind="audit", tenant=tenant, body={"answer_id": answer_id, "right": right}, at=at)


def observe_strategies(outcomes: Mapping[str, bool], *, tenant: str, at: float) -> Observation:
    """Which strategies would have answered an audited request rightly, by their names."""
    return Observation(kind="trust", tenant=tenant, body={"strategies": dict(outcomes)}, at=at)


def observe_feedback(
    *, members: Sequence[str], region: int, wrong: bool, tenant: str, at: float, answer_id: str = ""
) -> Observation:
    """The caller says whether an answer was wrong; it is held for or against the members whose answer it was.

    Args:
        members: Ids of the members that stand behind the answer served.
        region: Region of the request; -1 when it has none.
        wrong: What the caller says.
        tenant: Whose.
        at: Instant.
        answer_id: Which answer, where it is known.
    """
    body: dict[str, Json] = {"members": list(members), "region": region, "wrong": wrong}
    if answer_id:
        body["answer_id"] = answer_id
    return Observation(kind="feedback", tenant=tenant, body=body, at=at)


def _check_share(name: str, value: float, most: float = 1.0) -> None:
    if not (math.isfinite(value) and 0 <= value <= most):
        message = f"{name} is {value!r}; it must be in [0, {most:g}]"
        raise RequestError(message)

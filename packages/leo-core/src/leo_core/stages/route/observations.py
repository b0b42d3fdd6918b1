"""Build the observations that the route and risk stages fold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.records import Observation, Route

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leo_core.records import Json

__all__ = ["observe_route"]


def observe_route(
    *,
    tenant: str,
    at: float,
    route: Route,
    region: int,
    right: bool | None,
    weight: float = 1.0,
    cost_usd: float | None = None,
    latency_s: float | None = None,
    small_right: bool | None = None,
    predicted: float | None = None,
    vector: Sequence[float] | None = None,
    audited: bool | None = None,
    risk: float | None = None,
    form: float | None = None,
    classes: Mapping[str, int] | None = None,
) -> Observation:
    """The outcome of a route.

    Args:
        tenant: Whose.
        at: Instant.
        route: The route taken.
        region: Region of the request.
        right: Whether the answer served was right; ``None`` when not known.
        weight: Importance weight of ``right``: the inverse probability of its having been checked.
        cost_usd: What it cost; ``None`` when not known.
        latency_s: How long it took; ``None`` when not known.
        small_right: Whether the small model's own answer was right, where a cascade or a committee showed it.
        predicted: P(small wrong) of the request before the call (``RequestRisk.features["prior"]``).
        audited: Whether the outcome is that of an audit.
        risk: P(wrong) of an audited answer as it was served.
        form: The same without what was learned about members (``measure_form``), of every answer.
        classes: What each member of a committee answered, where one voted: equal numbers are equal answers, and who
            gave none is left out. The consensus stage watches who agrees with whom.
        vector: The request's embedding, where it may be kept; the risk stage then learns along it.
    """
    body: dict[str, Json] = {"route": str(route), "region": region, "right": right, "weight": weight}
    body |= {"cost_usd": cost_usd, "latency_s": latency_s}
    optional = {"small_right": small_right, "predicted": predicted, "vector": vector}
    optional |= {"audited": audited, "risk": risk, "form": form}
    body |= {name: value for name, value in optional.items() if value is not None}
    if classes is not None:
        body["classes"] = dict(classes)
    return Observation(kind="route", tenant=tenant, body=body, at=at)

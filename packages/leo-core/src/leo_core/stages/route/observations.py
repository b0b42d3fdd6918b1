"""Build the observations that the route and risk stages fold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.records import Observation, Route

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leo_core.records import Json, RouteChange, Trial

__all__ = ["observe_change", "observe_route", "observe_trial"]


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
    large_right: bool | None = None,
    predicted: float | None = None,
    vector: Sequence[float] | None = None,
    features: Mapping[str, float] | None = None,
    answer: Mapping[str, float] | None = None,
    audited: bool | None = None,
    risk: float | None = None,
    form: float | None = None,
    classes: Mapping[str, int] | None = None,
    opinions: str | None = None,
    overruled: bool | None = None,
    before: float | None = None,
    spent: Mapping[str, float] | None = None,
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
        large_right: The same of the large model's.
        predicted: P(small wrong) of the request before the call (``RequestRisk.features["prior"]``).
        audited: Whether the outcome is that of an audit.
        risk: P(wrong) of an audited answer as it was served.
        form: P(wrong) of the small member's own answer, read alone, without what was learned (``measure_form``).
        classes: What each member of a committee answered, where one voted: equal numbers are equal answers, and who
            gave none is left out. The consensus stage watches who agrees with whom.
        opinions: What jurors said of the small member's answer in a cascade, a letter each
            (:mod:`leo_core.stages.route.opinions`); in an audit, of the small answer that was served.
        overruled: Whether the large member, asked after them, gave clearly another answer than the small one.
        before: P(small wrong) by the request alone, without what its region showed.
        spent: What each call of the cascade cost, in US dollars, by member, where it is known.
        vector: The request's embedding, where it may be kept; the risk stage then learns from similar requests.
        features: Its features by name (``RequestRisk.features``), beside the vector.
        answer: What the small member's own answer shows (``describe_answer``), beside the vector, where its outcome is
            ``small_right``, or ``right``.
    """
    body: dict[str, Json] = {"route": str(route), "region": region, "right": right, "weight": weight}
    body |= {"cost_usd": cost_usd, "latency_s": latency_s}
    optional: dict[str, Json] = {
        "small_right": small_right,
        "large_right": large_right,
        "predicted": predicted,
        "vector": vector,
    }
    optional |= {"audited": audited, "risk": risk, "form": form, "opinions": opinions, "overruled": overruled}
    optional |= {"before": before}
    body |= {name: value for name, value in optional.items() if value is not None}
    if features is not None:
        body["features"] = dict(features)
    if answer is not None:
        body["answer"] = dict(answer)
    if classes is not None:
        body["classes"] = dict(classes)
    if spent:
        body["spent"] = dict(spent)
    return Observation(kind="route", tenant=tenant, body=body, at=at)


def observe_trial(
    trial: Trial, outcomes: Mapping[str, tuple[bool, float, float]], *, region: int, tenant: str, at: float
) -> Observation:
    """The outcome of a trial.

    Args:
        trial: The trial.
        outcomes: For ``challenger`` and ``incumbent``, as far as they were shown: whether the answer was right,
            what it cost in US dollars, and for how much it counts in the record of the route, in [0, 1].
        region: Region of the request.
        tenant: Whose.
        at: Instant.
    """
    ways = {"challenger": trial.challenger_route, "incumbent": trial.incumbent_route}
    shown = {
        name: {"route": str(ways[name]), "right": right, "cost_usd": cost, "weight": weight}
        for name, (right, cost, weight) in outcomes.items()
    }
    body = {"region": region, "challenger": trial.challenger, "incumbent": trial.incumbent, "outcomes": shown}
    return Observation(kind="promotion", tenant=tenant, body=body, at=at)


def observe_change(change: RouteChange, *, incumbent: str, tenant: str) -> Observation:
    """A change of a region's default, away from ``incumbent``."""
    body: dict[str, Json] = {"change": change.change, "region": change.region, "route": str(change.route)}
    body |= {"default": None if change.default is None else str(change.default), "incumbent": incumbent}
    body |= {"why": change.why, "wealth": change.wealth, "alpha": change.alpha}
    return Observation(kind="promotion", tenant=tenant, body=body, at=change.at)

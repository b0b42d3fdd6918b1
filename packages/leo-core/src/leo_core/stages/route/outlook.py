"""What each route may be expected to cost, to take, and to get wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leo_core.records import Route
from leo_core.stages.route.beta import draw_beta

if TYPE_CHECKING:
    from leo_core.records import RequestRisk
    from leo_core.stages.route.config import RouteConfig
    from leo_core.stages.route.state import RouteRecord, RouteState

__all__ = ["Outlook", "RouteOption", "foresee"]

_CALLS = {Route.SMALL: 1.0, Route.CASCADE: 1.5, Route.LARGE: 1.0, Route.CONSENSUS: 3.0}
"""Calls that a route of unknown cost is assumed to make."""
_ESCALATES_BEYOND = 0.1
"""A cascade escalates somewhat more often than the small model is wrong."""
_TYPICAL_GAP = -0.7
"""Log-odds of the large model's error less those of the small one's, typical of the routing questions trained on."""
_GAP_SHARE = {Route.SMALL: 0.0, Route.CASCADE: 1.0, Route.LARGE: 1.0, Route.CONSENSUS: 0.5}
_FARTHEST = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteOption:
    """A route that could be taken.

    Attributes:
        route: Which; never ``cache``.
        cost_usd: The most that it can cost on this request: for a cascade, both calls; for a committee, all of them.
            ``None`` when a price is unknown.
        latency_s: The same for latency, in seconds; ``None`` when unknown.
    """

    route: Route
    cost_usd: float | None = None
    latency_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """An option with what is expected of it.

    Attributes:
        option: The option.
        cost_usd: Expected cost; ``None`` when nothing is known.
        assumed_cost_usd: The same, with a cautious figure for an unknown one.
        latency_s: Expected latency, with a cautious figure for an unknown one.
        error: Expected P(wrong), in [0, 1].
        drawn_error: P(wrong) at the drawn success rate, in [0, 1].
    """

    option: RouteOption
    cost_usd: float | None
    assumed_cost_usd: float
    latency_s: float
    error: float
    drawn_error: float

    @property
    def route(self) -> Route:
        """The option's route."""
        return self.option.route


def foresee(
    options: tuple[RouteOption, ...],
    risk: RequestRisk,
    region: int,
    state: RouteState,
    config: RouteConfig,
    draws: tuple[float, ...],
) -> tuple[Outlook, ...]:
    """What to expect of each option, in their order; option i uses draw i, and the mean where there is none.

    While no outcome of any route is known, the means are taken: nothing would be learned from what a draw tries.
    """
    small = next((option for option in options if option.route is Route.SMALL), None)
    costs = [_expected_cost(option, small, risk, state.record(region, option.route), config) for option in options]
    dearest = max((cost for cost in costs if cost is not None), default=0.0)
    explores = config.explore and state.knows_outcomes
    rows = []
    for index, (option, cost) in enumerate(zip(options, costs, strict=True)):
        draw = draws[index] if explores and index < len(draws) else None
        rows.append(
            Outlook(
                option=option,
                cost_usd=cost,
                assumed_cost_usd=max(config.unknown_cost_usd * _CALLS[option.route], dearest) if cost is None else cost,
                latency_s=_expected_latency(option, small, risk, state.record(region, option.route), config),
                error=_error(option.route, risk, region, state, config, None),
                drawn_error=_error(option.route, risk, region, state, config, draw),
            )
        )
    return tuple(rows)


def _expected_cost(
    option: RouteOption, small: RouteOption | None, risk: RequestRisk, record: RouteRecord, config: RouteConfig
) -> float | None:
    estimate = _before_learning(option.route, option.cost_usd, None if small is None else small.cost_usd, risk)
    return _blend(estimate, record.cost_usd, record.cost_count, config.estimate_weight)


def _expected_latency(
    option: RouteOption, small: RouteOption | None, risk: RequestRisk, record: RouteRecord, config: RouteConfig
) -> float:
    estimate = _before_learning(option.route, option.latency_s, None if small is None else small.latency_s, risk)
    known = _blend(estimate, record.latency_s, record.latency_count, config.estimate_weight)
    return config.unknown_latency_s * min(_CALLS[option.route], 2.0) if known is None else known


def _before_learning(route: Route, most: float | None, small: float | None, risk: RequestRisk) -> float | None:
    """A cascade pays the small call always and the rest only when it escalates; other routes pay it all."""
    if route is not Route.CASCADE or most is None or small is None or most < small:
        return most
    return small + min(risk.small_wrong + _ESCALATES_BEYOND, 1.0) * (most - small)


def _blend(estimate: float | None, total: float, count: float, weight: float) -> float | None:
    if estimate is None:
        return total / count if count > 0.0 else None
    return (weight * estimate + total) / (weight + count)


def _error(
    route: Route, risk: RequestRisk, region: int, state: RouteState, config: RouteConfig, draw: float | None
) -> float:
    """P(wrong) on this request: the region's rate, shifted in log-odds by how hard the request is.

    Hardness is the distance of P(small wrong) from the small model's own record in the region, so that at the mean the
    error of ``small`` is P(small wrong) itself; the cascade follows it by ``cascade_slope``, the others by
    ``difficulty_slope``, and the routes that ask the large model also follow what the request features say of it.
    """
    alpha, beta = _posterior(state.record(region, route), config.prior_success(route), config.prior_weight)
    success = alpha / (alpha + beta) if draw is None else draw_beta(alpha, beta, draw)
    own, theirs = _posterior(state.record(region, Route.SMALL), config.prior_small, config.prior_weight)
    hardness = _clip(_logit(risk.small_wrong) - _logit(theirs / (own + theirs)), _FARTHEST)
    slope = {Route.SMALL: 1.0, Route.CASCADE: config.cascade_slope}.get(route, config.difficulty_slope)
    if route is Route.SMALL and draw is None:
        return risk.small_wrong
    score = _logit(1.0 - success) + slope * hardness + _GAP_SHARE[route] * _gap(risk)
    return 1.0 / (1.0 + math.exp(-_clip(score, 40.0)))


def _gap(risk: RequestRisk) -> float:
    return _clip(risk.features["lead"] - _TYPICAL_GAP, 1.5) if "lead" in risk.features else 0.0


def _posterior(record: RouteRecord, prior: float, weight: float) -> tuple[float, float]:
    return weight * prior + record.right, weight * (1.0 - prior) + record.wrong


def _clip(value: float, size: float) -> float:
    return min(max(value, -size), size)


def _logit(probability: float) -> float:
    clipped = min(max(probability, 1e-6), 1.0 - 1e-6)
    return math.log(clipped / (1.0 - clipped))

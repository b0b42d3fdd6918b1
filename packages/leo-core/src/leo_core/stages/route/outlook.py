"""What each route may be expected to cost, to take, and to get wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from leo_core.records import Route
from leo_core.stages.route.beta import draw_beta
from leo_core.stages.route.odds import log_odds, probability

if TYPE_CHECKING:
    from leo_core.records import RequestRisk
    from leo_core.stages.route.config import RouteConfig
    from leo_core.stages.route.next_step import Prospect
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
_SHOWN = 40.0
"""What cascades show of a route's errors is worth, in outcomes of that route."""


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
    cascade: Prospect | None = None,
) -> tuple[Outlook, ...]:
    """What to expect of each option, in their order; option i uses draw i, and the mean where there is none.

    While no outcome of any route is known, the means are taken: nothing would be learned from what a draw tries. A
    cascade of which something is foreseen errs as the large member does, drawn or not, and in what it misses besides.
    """
    small = next((option for option in options if option.route is Route.SMALL), None)
    costs = [_expected_cost(option, small, risk, state.record(region, option.route), config) for option in options]
    dearest = max((cost for cost in costs if cost is not None), default=0.0)
    explores = config.explore and state.knows_outcomes
    errors: dict[Route, tuple[float, float]] = {}
    for index, option in enumerate(options):
        draw = draws[index] if explores and index < len(draws) else None
        mean = _error(option.route, risk, region, state, config, None, cascade)
        drawn = mean if draw is None else _error(option.route, risk, region, state, config, draw, cascade)
        errors[option.route] = mean, drawn
    if cascade is not None and Route.LARGE in errors:
        mean, drawn = errors[Route.LARGE]
        errors[Route.CASCADE] = min(mean + cascade.missed, 1.0), min(drawn + cascade.missed, 1.0)
        routes = [option.route for option in options]
        costs = [
            cascade.cost_usd if route is Route.CASCADE else cost for route, cost in zip(routes, costs, strict=True)
        ]
    return tuple(
        Outlook(
            option=option,
            cost_usd=cost,
            assumed_cost_usd=max(config.unknown_cost_usd * _CALLS[option.route], dearest) if cost is None else cost,
            latency_s=_expected_latency(option, small, risk, state.record(region, option.route), config),
            error=errors[option.route][0],
            drawn_error=errors[option.route][1],
        )
        for option, cost in zip(options, costs, strict=True)
    )


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
    route: Route,
    risk: RequestRisk,
    region: int,
    state: RouteState,
    config: RouteConfig,
    draw: float | None,
    cascade: Prospect | None,
) -> float:
    """P(wrong) on this request: the region's rate, shifted in log-odds by how hard the request is.

    Where cascades have shown what opinions are worth, they say what is usual in the region, and how far this request is
    from it. Elsewhere hardness is the distance of P(small wrong) from the small model's own record in the region, so
    that at the mean the error of ``small`` is P(small wrong) itself; the cascade follows it by ``cascade_slope``, the
    others by ``difficulty_slope``. The routes that ask the large model also follow what the request features say of it.
    """
    if cascade is not None and route in cascade.usual:
        usual, weight = cascade.usual[route], _SHOWN + (cascade.known if route is Route.SMALL else 0.0)
        success = _draw_success(_posterior(state, region, route, 1.0 - usual, weight), draw)
        shift = log_odds(cascade.errors[route]) - log_odds(usual)
    elif route is Route.SMALL and draw is None:
        return risk.small_wrong
    else:
        weight, prior = config.prior_weight, config.prior_success(route)
        success = _draw_success(_posterior(state, region, route, prior, weight), draw)
        own, theirs = _posterior(state, region, Route.SMALL, config.prior_small, weight)
        hardness = _clip(log_odds(risk.small_wrong) - log_odds(theirs / (own + theirs)), _FARTHEST)
        shift = hardness * {Route.SMALL: 1.0, Route.CASCADE: config.cascade_slope}.get(route, config.difficulty_slope)
    return probability(log_odds(1.0 - success) + shift + _GAP_SHARE[route] * _gap(risk))


def _draw_success(posterior: tuple[float, float], draw: float | None) -> float:
    alpha, beta = posterior
    return alpha / (alpha + beta) if draw is None else draw_beta(alpha, beta, draw)


def _gap(risk: RequestRisk) -> float:
    return _clip(risk.features["lead"] - _TYPICAL_GAP, 1.5) if "lead" in risk.features else 0.0


def _posterior(state: RouteState, region: int, route: Route, prior: float, weight: float) -> tuple[float, float]:
    """Right and wrong answers of a route in a region, with the prior's.

    What a cascade served counts for the large member: it errs as that does, but for what it misses.
    """
    kin = (route, Route.CASCADE) if route is Route.LARGE else (route,)
    right = sum(state.record(region, each).right for each in kin)
    wrong = sum(state.record(region, each).wrong for each in kin)
    return weight * prior + right, weight * (1.0 - prior) + wrong


def _clip(value: float, size: float) -> float:
    return min(max(value, -size), size)

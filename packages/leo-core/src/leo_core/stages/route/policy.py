"""Choose the route: least expected cost, waiting and loss, within what the request allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.errors import BudgetExceededError, ConfigError
from leo_core.records import Route, RouteDecision
from leo_core.stages.route.outlook import Outlook, RouteOption, foresee
from leo_core.stages.route.trials import TrialTerms, draw_trial

if TYPE_CHECKING:
    from leo_core.records import Constraints, Novelty, Promotion, RequestRisk
    from leo_core.stages.route.config import RouteConfig
    from leo_core.stages.route.next_step import Prospect
    from leo_core.stages.route.state import RouteState

__all__ = ["RouteOption", "choose_route"]

_Allowed = tuple[tuple[Outlook, ...], tuple[str, ...]]


def choose_route(
    options: tuple[RouteOption, ...],
    risk: RequestRisk,
    novelty: Novelty,
    constraints: Constraints,
    state: RouteState,
    config: RouteConfig,
    draws: tuple[float, ...] = (),
    *,
    cascade: Prospect | None = None,
    promotion: Promotion | None = None,
    trials: TrialTerms | None = None,
) -> RouteDecision:
    """Choose among the options handed in.

    In this order: a forced route is taken; options beyond ``max_cost_usd`` fall out; of those within ``max_latency_s``,
    or else the fastest, a high-risk request takes ``consensus`` or else ``large``, and a novel one, or one of unknown
    novelty, does not take ``small`` while another is left. With ``max_error``, the cheapest of the rest whose expected
    error is within it is taken, or else the one with the least expected error. Without it, the least
    cost + latency price + loss · P(wrong) · (1 + harm weight · P(harm)) wins, with success rates drawn from their Beta
    posteriors. Ties go to the earlier option.

    Where a route is the region's default, it is taken in place of all that if it is among those that are left. Few
    requests are trials; those with a forced route or with ``max_error`` never are.

    Args:
        options: The routes that could be taken; at least one, none twice, none ``cache``.
        risk: Risk of the request.
        novelty: Its novelty and region.
        constraints: What the caller demands.
        state: What was learned.
        config: Settings.
        draws: Uniform draws in [0, 1), one per option; where there is none, the mean is taken.
        cascade: What is foreseen of the cascade; ``None`` where it asks for no opinions.
        promotion: The default of the region; ``None`` while there is none.
        trials: How trials are drawn; ``None`` for no trials.

    Returns:
        The decision with every compared figure. ``explored`` tells that the drawn rates chose otherwise than the means.

    Raises:
        ConfigError: No option, a doubled one, ``cache`` among them, or a forced route that is not among them.
        BudgetExceededError: No permitted option is known to cost at most ``max_cost_usd``.
    """
    _check_options(options, constraints)
    rows = foresee(options, risk, novelty.region, state, config, draws if trials is None else (), cascade)
    allowed, reasons = _permit(rows, risk, novelty, constraints, config)
    drawn = _prices(rows, risk, constraints, config, drawn=True)
    free = min(allowed, key=lambda row: drawn[row.route]).route
    means = _prices(rows, risk, constraints, config, drawn=False)
    explored = free is not min(allowed, key=lambda row: means[row.route]).route
    route, why, trial = free, (*reasons, *_name_aim(allowed, reasons, constraints, explored=explored)), None
    permitted = [row.route for row in allowed]
    if constraints.route is None and promotion is not None and promotion.route in permitted:
        route, explored = promotion.route, False
        why = (f"the region's default (wealth {promotion.wealth:.4g}, {1.0 / promotion.alpha:.4g} were asked for)",)
    if trials is not None and constraints.route is None and constraints.max_error is None and novelty.region >= 0:
        lot = draw_trial(permitted, free, None if promotion is None else promotion.route, trials)
        if lot is not None:
            (route, trial), explored = lot, True
            why = (f"a trial of {trial.challenger} against {trial.incumbent}",)
    return RouteDecision(
        route=route,
        why="; ".join(why),
        expected_cost_usd={str(row.route): row.cost_usd for row in rows},
        expected_error={str(row.route): row.error for row in rows},
        objective={str(row.route): drawn[row.route] for row in rows},
        explored=explored,
        promotion=promotion,
        trial=trial,
    )


def _name_aim(
    allowed: tuple[Outlook, ...], reasons: tuple[str, ...], constraints: Constraints, *, explored: bool
) -> tuple[str, ...]:
    """What decided between several routes, in words; nothing where there was one and it is said why."""
    if len(allowed) == 1 and reasons:
        return ()
    loss = "cost and waiting" if constraints.max_error is not None else "cost, waiting and loss"
    return (f"lowest expected {loss}" + (" at drawn success rates" if explored else ""),)


def _check_options(options: tuple[RouteOption, ...], constraints: Constraints) -> None:
    routes = [option.route for option in options]
    if not routes or Route.CACHE in routes or len(set(routes)) < len(routes):
        named = ", ".join(routes) or "none"
        message = f"routes to choose from: {named}; give at least one, none twice, and not 'cache'"
        raise ConfigError(message)
    if constraints.route is not None and constraints.route not in routes:
        message = f"route {str(constraints.route)!r} was forced, but only {', '.join(routes)} can be taken"
        raise ConfigError(message)


def _permit(
    rows: tuple[Outlook, ...], risk: RequestRisk, novelty: Novelty, constraints: Constraints, config: RouteConfig
) -> _Allowed:
    """The rows that may be chosen, and why others may not, in words."""
    if constraints.route is not None:
        rows = tuple(row for row in rows if row.route is constraints.route)
    rows, reasons = _within_budget(rows, constraints)
    if constraints.route is not None:
        return rows, ("the request forces the route",)
    rows, timely = _in_time(rows, constraints)
    rows, guarded = _guard(rows, risk, novelty, config)
    rows, accurate = _accurate(rows, constraints)
    return rows, reasons + timely + guarded + accurate


def _within_budget(rows: tuple[Outlook, ...], constraints: Constraints) -> _Allowed:
    limit = constraints.max_cost_usd
    if limit is None:
        return rows, ()
    fitting = tuple(row for row in rows if (most := _most(row)) is not None and most <= limit)
    if not fitting:
        known = [most for row in rows if (most := _most(row)) is not None]
        least = f"the cheapest may cost {min(known):.6g}" if known else "no price is known; set prices for the members"
        message = f"no route is known to cost at most {limit:.6g} USD: {least}"
        raise BudgetExceededError(message)
    return fitting, (() if len(fitting) == len(rows) else ("dearer routes are over the budget",))


def _most(row: Outlook) -> float | None:
    return row.cost_usd if row.option.cost_usd is None else row.option.cost_usd


def _in_time(rows: tuple[Outlook, ...], constraints: Constraints) -> _Allowed:
    limit = constraints.max_latency_s
    fitting = tuple(row for row in rows if limit is None or row.latency_s <= limit)
    if not fitting:
        return (min(rows, key=lambda row: row.latency_s),), ("no route is expected in time, so the fastest",)
    return fitting, (() if len(fitting) == len(rows) else ("slower routes would be late",))


def _guard(rows: tuple[Outlook, ...], risk: RequestRisk, novelty: Novelty, config: RouteConfig) -> _Allowed:
    """Keep high-risk requests for the strongest route, and novel ones from the small model alone."""
    harm = _why_harmful(risk, config)
    if harm:
        for route in (Route.CONSENSUS, Route.LARGE):
            strong = tuple(row for row in rows if row.route is route)
            if strong:
                return strong, (harm,)
    novel = novelty.value is None or novelty.value > config.novel_above
    wary = bool(harm) or (novel and not config.small_when_novel)
    better = tuple(row for row in rows if row.route is not Route.SMALL)
    if not wary or not better or len(better) == len(rows):
        return rows, ()
    return better, ("small alone may not answer: " + (harm or _why_wary(novelty)),)


def _why_harmful(risk: RequestRisk, config: RouteConfig) -> str:
    """Why a request counts as one of high risk; empty when it does not."""
    if risk.harmful >= config.harm_above:
        return f"a wrong answer may do harm (P = {risk.harmful:.2f})"
    return ", ".join(f"it is of the category {each.category} (P = {each.probability:.2f})" for each in risk.reached)


def _why_wary(novelty: Novelty) -> str:
    return "the novelty is unknown" if novelty.value is None else f"the request is novel ({novelty.value:.2f})"


def _accurate(rows: tuple[Outlook, ...], constraints: Constraints) -> _Allowed:
    limit = constraints.max_error
    if limit is None:
        return rows, ()
    fitting = tuple(row for row in rows if row.error <= limit)
    if fitting:
        return fitting, (f"expected error within {limit:g}",)
    least = min(rows, key=lambda row: row.error)
    return (least,), (f"no route is expected to err at most {limit:g}, so the least error ({least.error:.3f})",)


def _prices(
    rows: tuple[Outlook, ...], risk: RequestRisk, constraints: Constraints, config: RouteConfig, *, drawn: bool
) -> dict[Route, float]:
    """The figure that is minimised, per route, in US dollars."""
    loss = 0.0 if constraints.max_error is not None else config.loss_usd * (1.0 + config.harm_weight * risk.harmful)
    return {
        row.route: row.assumed_cost_usd
        + config.latency_usd_per_s * row.latency_s
        + loss * (row.drawn_error if drawn else row.error)
        for row in rows
    }

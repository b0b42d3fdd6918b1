"""Choosing a route: reachability, constraints, guards, monotonicity."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from leo_core.errors import BudgetExceededError, ConfigError
from leo_core.records import CategoryRisk, Constraints, Novelty, RequestRisk, Route
from leo_core.stages.route.config import RouteConfig
from leo_core.stages.route.observations import observe_route
from leo_core.stages.route.policy import RouteOption, choose_route
from leo_core.stages.route.state import RouteState, update_routes

FAMILIAR = Novelty(value=0.4, region=2, samples=200)
CONFIG = RouteConfig()
STEADY = RouteConfig(explore=False)


def risk(small_wrong: float = 0.25, harmful: float = 0.0, **features: float) -> RequestRisk:
    return RequestRisk(
        small_wrong=small_wrong,
        small_wrong_interval=(small_wrong / 2, (1 + small_wrong) / 2),
        categories=(CategoryRisk(category="medical", probability=harmful),),
        harmful=harmful,
        features=features,
    )


def option(route: Route, cost_usd: float | None, latency_s: float | None = 1.0) -> RouteOption:
    return RouteOption(route=route, cost_usd=cost_usd, latency_s=latency_s)


OPTIONS = (
    option(Route.SMALL, 0.0003),
    option(Route.CASCADE, 0.0053, 2.0),
    option(Route.LARGE, 0.005),
    option(Route.CONSENSUS, 0.012, 2.0),
)


def choose(options=OPTIONS, *, about=None, novelty=FAMILIAR, config=STEADY, state=None, draws=(), **constraints):
    return choose_route(
        options, about or risk(), novelty, Constraints(**constraints), state or RouteState.fresh(), config, draws
    )


@pytest.mark.parametrize(
    ("expected", "about", "config"),
    [
        (Route.SMALL, risk(0.004), STEADY),
        (Route.CASCADE, risk(0.25), STEADY),
        (Route.LARGE, risk(0.9), replace(STEADY, prior_cascade=0.6)),
        (Route.CONSENSUS, risk(0.5), replace(STEADY, loss_usd=5.0, prior_consensus=0.95)),
    ],
)
def test_every_route_is_reachable(expected: Route, about: RequestRisk, config: RouteConfig) -> None:
    assert choose(about=about, config=config).route is expected


def test_large_is_reachable_at_the_default_settings_where_it_gains_much() -> None:
    hard = risk(0.8, lead=math.log(0.25 / 4.0))
    assert choose(about=hard).route is Route.LARGE


def test_a_cascade_is_for_questions_that_the_small_member_mostly_gets_right() -> None:
    cascade, large = (each.value for each in (Route.CASCADE, Route.LARGE))
    ratios = []
    for small_wrong in (0.05, 0.25, 0.5):
        errors = choose(about=risk(small_wrong)).expected_error
        ratios.append(errors[cascade] / errors[large])
    assert ratios[0] < 0.8 < ratios[1] < 1.0 < ratios[2]
    even = choose(about=risk(0.5), config=replace(STEADY, cascade_slope=STEADY.difficulty_slope)).expected_error
    assert even[cascade] < even[large]


def test_every_compared_figure_is_in_the_decision() -> None:
    decision = choose()
    routes = {str(each.route) for each in OPTIONS}
    assert set(decision.expected_cost_usd) == set(decision.expected_error) == set(decision.objective) == routes
    assert decision.objective["cascade"] == min(decision.objective.values())
    assert decision.expected_error["small"] == pytest.approx(0.25)
    assert decision.expected_cost_usd["cascade"] == pytest.approx(0.0003 + 0.35 * 0.005)


def test_the_objective_is_cost_and_waiting_and_loss() -> None:
    decision = choose((option(Route.LARGE, 0.01, 3.0),), about=risk(0.25, harmful=0.1))
    error = decision.expected_error["large"]
    assert decision.objective["large"] == pytest.approx(0.01 + 0.0002 * 3.0 + 0.05 * error * 1.4)


@pytest.mark.parametrize("route", [each.route for each in OPTIONS])
def test_a_forced_route_is_honoured(route: Route) -> None:
    unknown = Novelty(value=None)
    decision = choose(about=risk(0.99, harmful=0.99), novelty=unknown, route=route)
    assert decision.route is route
    assert "forces" in decision.why


def test_a_forced_route_that_cannot_be_taken_is_refused() -> None:
    with pytest.raises(ConfigError, match="'consensus' was forced"):
        choose(OPTIONS[:2], route=Route.CONSENSUS)


def test_a_forced_route_over_the_budget_is_refused() -> None:
    with pytest.raises(BudgetExceededError):
        choose(route=Route.CONSENSUS, max_cost_usd=0.01)


@pytest.mark.parametrize("options", [(), (option(Route.CACHE, 0.0),), (OPTIONS[0], OPTIONS[0])])
def test_malformed_options_are_refused(options: tuple[RouteOption, ...]) -> None:
    with pytest.raises(ConfigError):
        choose(options)


@given(limit=st.floats(0.0003, 0.02), small_wrong=st.floats(0.01, 0.99), harmful=st.floats(0, 1))
def test_max_cost_holds_whatever_the_risk(limit: float, small_wrong: float, harmful: float) -> None:
    decision = choose(about=risk(small_wrong, harmful), max_cost_usd=limit)
    assert next(each.cost_usd for each in OPTIONS if each.route is decision.route) <= limit


def test_a_budget_below_every_route_is_an_error_that_names_the_least() -> None:
    with pytest.raises(BudgetExceededError, match=r"0\.0003"):
        choose(max_cost_usd=0.0001)


def test_an_unknown_price_does_not_pass_a_budget() -> None:
    with pytest.raises(BudgetExceededError, match="no price is known"):
        choose((option(Route.SMALL, None),), max_cost_usd=1.0)
    assert choose((option(Route.SMALL, None), option(Route.LARGE, 0.5)), max_cost_usd=1.0).route is Route.LARGE


def test_an_unknown_price_is_not_free() -> None:
    options = (option(Route.SMALL, 0.0003), option(Route.LARGE, None))
    decision = choose(options, about=risk(0.05))
    assert decision.route is Route.SMALL
    assert decision.expected_cost_usd["large"] is None
    assert decision.objective["large"] >= CONFIG.unknown_cost_usd


def test_an_unknown_price_counts_as_the_dearest_known_one() -> None:
    options = (option(Route.SMALL, None), option(Route.LARGE, 0.5))
    assert choose(options).objective["small"] >= 0.5


def test_a_learned_price_replaces_an_unknown_one() -> None:
    state = RouteState.fresh()
    seen = observe_route(tenant="t", at=0.0, route=Route.LARGE, region=2, right=None, cost_usd=0.004, latency_s=2.5)
    state = update_routes(state, seen, CONFIG)
    decision = choose((option(Route.LARGE, None, None),), state=state, max_cost_usd=0.01)
    assert decision.expected_cost_usd["large"] == pytest.approx(0.004)
    assert decision.objective["large"] >= 0.004 + 0.0002 * 2.5


@given(limit=st.floats(0.01, 0.6), small_wrong=st.floats(0.01, 0.99))
def test_max_error_takes_the_cheapest_within_it_or_else_the_least_error(limit: float, small_wrong: float) -> None:
    decision = choose(about=risk(small_wrong), max_error=limit)
    within = [route for route, error in decision.expected_error.items() if error <= limit]
    if within:
        assert decision.route in within
        assert decision.objective[decision.route] == min(decision.objective[route] for route in within)
    else:
        assert decision.expected_error[decision.route] == min(decision.expected_error.values())
        assert "least error" in decision.why


def test_max_latency_leaves_out_slow_routes_or_takes_the_fastest() -> None:
    assert choose(about=risk(0.5), config=replace(STEADY, loss_usd=5.0), max_latency_s=1.2).route is Route.LARGE
    late = choose((option(Route.LARGE, 0.005, 9.0), option(Route.CONSENSUS, 0.01, 20.0)), max_latency_s=1.0)
    assert late.route is Route.LARGE
    assert "fastest" in late.why


def test_an_unknown_latency_is_not_instant() -> None:
    assert choose((option(Route.SMALL, 0.001, None),)).objective["small"] > 0.001 + 0.05 * 0.25


@pytest.mark.parametrize(
    ("available", "expected"),
    [
        (4, Route.CONSENSUS),
        (3, Route.LARGE),
        (2, Route.CASCADE),
        (1, Route.SMALL),
    ],
)
def test_high_risk_requests_take_the_strongest_route_there_is(available: int, expected: Route) -> None:
    decision = choose(OPTIONS[:available], about=risk(0.01, harmful=0.9))
    assert decision.route is expected


@pytest.mark.parametrize("value", [None, 0.97])
def test_novel_requests_are_not_left_to_the_small_model(value: float | None) -> None:
    easy, novel = risk(0.004), Novelty(value=value, region=2)
    assert choose(about=easy, novelty=novel).route is Route.CASCADE
    assert choose(OPTIONS[:1], about=easy, novelty=novel).route is Route.SMALL
    assert choose(about=easy, novelty=novel, config=replace(STEADY, small_when_novel=True)).route is Route.SMALL


@given(
    costs=st.lists(st.one_of(st.none(), st.floats(0, 0.1)), min_size=4, max_size=4),
    which=st.integers(0, 3),
    more=st.floats(0.0001, 0.5),
    small_wrong=st.floats(0.01, 0.99),
    draws=st.lists(st.floats(0.001, 0.999), min_size=4, max_size=4),
)
@settings(max_examples=300)
def test_a_higher_cost_never_makes_a_route_more_attractive(costs, which, more, small_wrong, draws) -> None:
    assume(costs[which] is not None)
    routes = (Route.SMALL, Route.CASCADE, Route.LARGE, Route.CONSENSUS)
    costs = [
        cost if cost is None or route is not Route.CASCADE else cost + 0.2
        for route, cost in zip(routes, costs, strict=True)
    ]
    before = tuple(option(route, cost) for route, cost in zip(routes, costs, strict=True))
    after = tuple(replace(each, cost_usd=each.cost_usd + more) if i == which else each for i, each in enumerate(before))
    first = choose(before, about=risk(small_wrong), config=CONFIG, draws=tuple(draws))
    second = choose(after, about=risk(small_wrong), config=CONFIG, draws=tuple(draws))
    route = routes[which]
    assert second.objective[route] > first.objective[route]
    if second.route is route:
        assert first.route is route


@given(low=st.floats(0.01, 0.98), more=st.floats(0.001, 0.5))
def test_a_riskier_request_raises_every_expected_error(low: float, more: float) -> None:
    high = min(low + more, 0.99)
    easy, hard = choose(about=risk(low)).expected_error, choose(about=risk(high)).expected_error
    assert all(hard[route] >= easy[route] for route in easy)
    assert hard["small"] > easy["small"]


@given(outcomes=st.lists(st.booleans(), max_size=30), route=st.sampled_from([each.route for each in OPTIONS[1:]]))
def test_a_right_answer_never_raises_a_routes_expected_error(outcomes: list[bool], route: Route) -> None:
    state = RouteState.fresh()
    steady = replace(STEADY, forgetting=1.0)
    for right in outcomes:
        state = update_routes(state, observe_route(tenant="t", at=0.0, route=route, region=2, right=right), steady)
    better = update_routes(state, observe_route(tenant="t", at=0.0, route=route, region=2, right=True), steady)
    worse = update_routes(state, observe_route(tenant="t", at=0.0, route=route, region=2, right=False), steady)
    errors = [choose(state=each).expected_error[route] for each in (better, state, worse)]
    assert errors == sorted(errors)


def test_priors_yield_to_outcomes_in_their_region_only() -> None:
    state = RouteState.fresh()
    for _ in range(60):
        seen = observe_route(tenant="t", at=0.0, route=Route.LARGE, region=2, right=False)
        state = update_routes(state, seen, CONFIG)
    here, there = choose(state=state), choose(state=state, novelty=replace(FAMILIAR, region=5))
    assert here.expected_error["large"] > 0.8
    assert there.expected_error["large"] < 0.15


def test_thompson_draws_explore_and_say_so() -> None:
    seen = observe_route(tenant="t", at=0.0, route=Route.LARGE, region=7, right=True)
    known = update_routes(RouteState.fresh(), seen, CONFIG)
    usual = choose(config=CONFIG, state=known, draws=(0.5, 0.5, 0.5, 0.5))
    lucky = choose(config=CONFIG, state=known, draws=(0.999, 0.01, 0.01, 0.01))
    assert (usual.route, usual.explored) == (Route.CASCADE, False)
    assert (lucky.route, lucky.explored) == (Route.SMALL, True)
    assert lucky.expected_error == usual.expected_error
    assert choose(config=STEADY, state=known, draws=(0.999, 0.01, 0.01, 0.01)).route is Route.CASCADE


def test_nothing_is_explored_before_an_outcome_is_known() -> None:
    draws = (0.999, 0.01, 0.01, 0.01)
    cost = observe_route(tenant="t", at=0.0, route=Route.LARGE, region=2, right=None, cost_usd=0.005, latency_s=1.0)
    unknown = update_routes(RouteState.fresh(), cost, CONFIG)
    assert not unknown.knows_outcomes
    for state in (None, unknown):
        decision = choose(config=CONFIG, state=state, draws=draws)
        assert (decision.route, decision.explored) == (Route.CASCADE, False)


def test_a_cascade_cheaper_than_small_is_taken_at_its_word() -> None:
    decision = choose((option(Route.SMALL, 0.01), option(Route.CASCADE, 0.005)))
    assert decision.expected_cost_usd["cascade"] == pytest.approx(0.005)


@pytest.mark.parametrize(("probability", "expected"), [(0.6, Route.CONSENSUS), (0.59, Route.SMALL)])
def test_a_category_of_the_users_own_counts_at_its_own_threshold(probability: float, expected: Route) -> None:
    own = CategoryRisk(category="children", probability=probability, harm_above=0.6)
    about = replace(risk(0.01), categories=(own,))
    decision = choose(about=about)
    assert decision.route is expected
    assert ("category children" in decision.why) == (expected is Route.CONSENSUS)


def test_a_category_of_the_users_own_keeps_small_from_answering_alone() -> None:
    own = CategoryRisk(category="children", probability=0.9, harm_above=0.6)
    options = tuple(each for each in OPTIONS if each.route in (Route.SMALL, Route.CASCADE))
    decision = choose(options, about=replace(risk(0.01), categories=(own,)))
    assert decision.route is Route.CASCADE
    assert "category children" in decision.why

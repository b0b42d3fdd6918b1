"""Learning of routes, settings, and draws from a Beta distribution."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from leo_core.errors import ConfigError
from leo_core.records import Observation, Route
from leo_core.stages.route.beta import digamma, draw_beta, trigamma
from leo_core.stages.route.config import RouteConfig
from leo_core.stages.route.observations import observe_route
from leo_core.stages.route.state import RouteRecord, RouteState, update_routes

CONFIG = RouteConfig(forgetting=0.5)


def seen(route: Route = Route.SMALL, **facts: object) -> Observation:
    return observe_route(tenant="t", at=1.0, route=route, region=3, **({"right": None} | facts))


def test_outcomes_are_counted_by_region_and_route_and_forgotten() -> None:
    state = update_routes(RouteState.fresh(), seen(right=True, weight=4.0), CONFIG)
    state = update_routes(state, seen(right=False), CONFIG)
    assert state.record(3, Route.SMALL) == RouteRecord(right=2.0, wrong=1.0)
    assert state.record(3, Route.LARGE) == state.record(0, Route.SMALL) == RouteRecord()


def test_cost_and_latency_are_learned_when_the_outcome_is_unknown() -> None:
    state = update_routes(RouteState.fresh(), seen(cost_usd=0.2, latency_s=3.0), CONFIG)
    assert state.record(3, Route.SMALL) == RouteRecord(cost_usd=0.2, cost_count=1.0, latency_s=3.0, latency_count=1.0)


def test_an_unknown_cost_is_not_counted_as_zero() -> None:
    state = update_routes(RouteState.fresh(), seen(cost_usd=0.2), CONFIG)
    assert update_routes(state, seen(latency_s=1.0), CONFIG).record(3, Route.SMALL).cost_count == 1.0


@pytest.mark.parametrize(
    "observation",
    [
        seen(Route.CACHE, right=True),
        Observation(kind="trust", tenant="t", body={"route": "small", "right": True}, at=0.0),
        Observation(kind="route", tenant="t", body={}, at=0.0),
    ],
)
def test_what_is_no_outcome_of_a_route_changes_nothing(observation: Observation) -> None:
    state = RouteState.fresh()
    assert update_routes(state, observation, CONFIG) is state


def test_folding_leaves_the_old_state_alone() -> None:
    state = RouteState.fresh()
    update_routes(state, seen(right=True), CONFIG)
    assert not state.records


def test_optional_facts_stay_out_of_the_body_when_unknown() -> None:
    assert set(seen().body) == {"route", "region", "right", "weight", "cost_usd", "latency_s"}
    full = seen(small_right=False, predicted=0.3, vector=[1.0])
    assert (full.body["small_right"], full.body["predicted"], full.body["vector"]) == (False, 0.3, [1.0])


@pytest.mark.parametrize(
    "setting",
    [
        {"loss_usd": -1.0},
        {"latency_usd_per_s": math.nan},
        {"harm_above": 1.1},
        {"prior_small": 1.0},
        {"prior_weight": 0.0},
        {"forgetting": 0.0},
        {"unknown_cost_usd": 0.0},
        {"difficulty_slope": math.inf},
        {"cascade_slope": -0.1},
    ],
)
def test_settings_out_of_range_are_refused_by_name(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        RouteConfig(**setting)


def test_prior_success_by_route() -> None:
    rates = [RouteConfig().prior_success(route) for route in (Route.SMALL, Route.CASCADE, Route.LARGE, Route.CONSENSUS)]
    assert rates == [0.75, 0.91, 0.90, 0.85]


@given(st.floats(0.05, 500.0))
def test_digamma_and_trigamma(x: float) -> None:
    assert digamma(x) == pytest.approx(float(special.digamma(x)), abs=1e-7)
    assert trigamma(x) == pytest.approx(float(special.polygamma(1, x)), rel=1e-6)


@given(alpha=st.floats(3.0, 300.0), beta=st.floats(3.0, 300.0), draw=st.floats(0.025, 0.975))
def test_draws_are_near_the_true_quantile(alpha: float, beta: float, draw: float) -> None:
    assert draw_beta(alpha, beta, draw) == pytest.approx(float(stats.beta.ppf(draw, alpha, beta)), abs=0.035)


@given(alpha=st.floats(0.01, 300.0), beta=st.floats(0.01, 300.0), draws=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_draws_stay_inside_and_keep_order(alpha: float, beta: float, draws: tuple[float, float]) -> None:
    low, high = (draw_beta(alpha, beta, draw) for draw in sorted(draws))
    assert 0.0 <= low <= high <= 1.0

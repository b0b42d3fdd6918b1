"""Trials are drawn by lot, and defaults follow from trials, changes and outcomes alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import BudgetExceededError
from leo_core.records import Constraints, Novelty, Promotion, RequestRisk, Route, RouteChange, Trial
from leo_core.stages.route.config import RouteConfig
from leo_core.stages.route.observations import observe_change, observe_route, observe_trial
from leo_core.stages.route.policy import RouteOption, choose_route
from leo_core.stages.route.promotion import find_level
from leo_core.stages.route.standing import PromotionState, find_change, update_promotions
from leo_core.stages.route.state import RouteState, update_routes
from leo_core.stages.route.trials import ROUTER, TrialTerms

CONFIG = RouteConfig(explore=False)
REGION = 3
PLACE = Novelty(value=0.4, region=REGION, samples=200)
OPTIONS = (
    RouteOption(route=Route.SMALL, cost_usd=0.0003, latency_s=1.0),
    RouteOption(route=Route.CASCADE, cost_usd=0.0053, latency_s=2.0),
    RouteOption(route=Route.LARGE, cost_usd=0.005, latency_s=1.0),
    RouteOption(route=Route.CONSENSUS, cost_usd=0.012, latency_s=2.0),
)
SHOWS = {Route.CASCADE: frozenset({Route.SMALL}), Route.CONSENSUS: frozenset({Route.SMALL, Route.LARGE})}
DRAW = st.floats(0.0, 0.999999)


def choose(*, promotion=None, trials=None, harmful=0.0, novelty=PLACE, **constraints):
    risk = RequestRisk(small_wrong=0.25, small_wrong_interval=(0.1, 0.5), categories=(), harmful=harmful)
    return choose_route(
        OPTIONS,
        risk,
        novelty,
        Constraints(**constraints),
        RouteState.fresh(),
        CONFIG,
        promotion=promotion,
        trials=trials,
    )


def terms(coin=0.0, pick=0.0, arm=0.0, rate=0.1):
    return TrialTerms(rate=rate, reference=Route.LARGE, draws=(coin, pick, arm), shows=SHOWS)


def default(route=Route.LARGE):
    return Promotion(route=route, since=5.0, wealth=93.0, alpha=0.0125)


# ------------------------------------------------------------------------------------------- choosing


def test_a_default_is_taken_and_stated() -> None:
    free = choose().route
    for route in Route:
        if route is not Route.CACHE:
            decision = choose(promotion=default(route))
            assert (decision.route, decision.promotion, decision.explored) == (route, default(route), False)
            assert decision.objective == choose().objective
    assert free in SHOWS or free in (Route.SMALL, Route.LARGE)


@pytest.mark.parametrize(
    ("route", "asked"),
    [
        (Route.CONSENSUS, {"max_cost_usd": 0.006}),
        (Route.CONSENSUS, {"max_latency_s": 1.5}),
        (Route.SMALL, {"max_error": 0.05}),
        (Route.SMALL, {"harmful": 0.9}),
        (Route.SMALL, {"novelty": replace(PLACE, value=0.99)}),
        (Route.SMALL, {"route": Route.LARGE}),
    ],
)
def test_constraints_and_guards_go_before_a_default(route, asked) -> None:
    decision = choose(promotion=default(route), **asked)
    assert decision.route is not route
    assert decision.promotion == default(route)


def test_a_default_does_not_lift_the_budget() -> None:
    with pytest.raises(BudgetExceededError):
        choose(promotion=default(Route.SMALL), max_cost_usd=0.0001)


@given(DRAW, DRAW, DRAW, st.sampled_from([None, *(option.route for option in OPTIONS)]))
def test_a_trial_compares_the_incumbent_with_another_and_takes_one_of_them(coin, pick, arm, route) -> None:
    promotion = None if route is None else default(route)
    decision = choose(promotion=promotion, trials=terms(coin, pick, arm))
    trial = decision.trial
    assert (trial is None) == (coin >= 0.1)
    if trial is None:
        assert decision.route is (route or choose().route)
        return
    ways = {trial.challenger_route, trial.incumbent_route}
    assert len(ways) == 2
    assert trial.incumbent_route is (route or Route.LARGE)
    assert decision.route in ways
    shows = next(iter(ways - {decision.route})) in SHOWS.get(decision.route, ())
    assert (trial.paired, trial.chance) == ((True, 1.0) if shows else (False, 0.5))
    assert (trial.challenger == ROUTER) <= (promotion is not None)


def test_the_coin_takes_either_way_and_the_lot_every_challenger() -> None:
    taken = {choose(trials=terms(arm=arm)).route for arm in (0.1, 0.9)}
    assert taken == {Route.SMALL, Route.LARGE}
    drawn = {choose(trials=terms(pick=pick)).trial.challenger for pick in (0.1, 0.5, 0.9)}
    assert drawn == {"small", "cascade", "consensus"}


@pytest.mark.parametrize("asked", [{"route": Route.SMALL}, {"max_error": 0.3}, {"novelty": replace(PLACE, region=-1)}])
def test_no_trial_where_the_request_says_what_it_wants(asked) -> None:
    assert choose(trials=terms(), **asked).trial is None


def test_no_trial_where_the_incumbent_may_not_be_taken() -> None:
    assert choose(trials=terms(), max_cost_usd=0.001).trial is None
    assert choose(trials=terms(), harmful=0.9).trial is None


# -------------------------------------------------------------------------------------------- folding


def trial_of(challenger, incumbent, *, right=True, at=1.0, region=REGION):
    """A trial that the challenger wins: both are right and it costs nothing, or only it is right."""
    drawn = Trial(
        challenger=challenger,
        incumbent=incumbent,
        challenger_route=Route.SMALL if challenger == ROUTER else Route(challenger),
        incumbent_route=Route(incumbent),
        paired=True,
        chance=1.0,
    )
    outcomes = {"challenger": (True, 0.0, 1.0), "incumbent": (right, CONFIG.loss_usd, 1.0)}
    return observe_trial(drawn, outcomes, region=region, tenant="t", at=at)


def fold(observations, state=None):
    state = state or PromotionState.fresh()
    for observation in observations:
        state = update_promotions(state, observation, CONFIG)
    return state


def promote(state, challenger, incumbent, at=10.0):
    """The state after as many won trials as a change needs, with that change."""
    for _ in range(60):
        state = fold([trial_of(challenger, incumbent)], state)
        change = find_change(state, REGION, CONFIG, at)
        if change is not None:
            return fold([observe_change(change, incumbent=incumbent, tenant="t")], state), change
    message = "no change after 60 trials that were all won"
    raise AssertionError(message)


def test_a_challenger_that_wins_becomes_the_default_of_its_region_alone() -> None:
    state, change = promote(PromotionState.fresh(), "small", "large")
    assert (change.change, change.route, change.default, change.why) == ("promoted", Route.SMALL, Route.SMALL, "test")
    assert change.wealth * find_level(CONFIG) >= 1.0
    assert state.default(REGION) == Promotion(
        route=Route.SMALL, since=10.0, wealth=change.wealth, alpha=find_level(CONFIG)
    )
    assert state.default(REGION + 1) is None
    assert state.changes == (change,)
    assert find_change(state, REGION, CONFIG, 11.0) is None, "every contest begins anew"


def test_what_a_default_replaced_demotes_it_by_the_same_test_and_others_replace_it() -> None:
    state, _ = promote(PromotionState.fresh(), "small", "large")
    restored, change = promote(state, "large", "small")
    assert (change.change, change.route, change.default) == ("demoted", Route.SMALL, Route.LARGE)
    assert restored.default(REGION).route is Route.LARGE
    _, change = promote(state, "consensus", "small")
    assert (change.change, change.route, change.default) == ("promoted", Route.CONSENSUS, Route.CONSENSUS)
    freed, change = promote(state, ROUTER, "small")
    assert (change.change, change.route, change.default) == ("demoted", Route.SMALL, None)
    assert freed.default(REGION) is None


def test_a_default_that_gets_worse_gives_way_to_the_router() -> None:
    state, _ = promote(PromotionState.fresh(), "small", "large")
    wrong = observe_route(tenant="t", at=1.0, route=Route.SMALL, region=REGION, right=False)
    other = observe_route(tenant="t", at=1.0, route=Route.LARGE, region=REGION, right=False)
    assert fold([other] * 100, state) == state, "what other routes do says nothing of the default"
    assert find_change(fold([wrong], state), REGION, CONFIG, 2.0) is None
    declined = fold([wrong] * 100, state)
    change = find_change(declined, REGION, CONFIG, 2.0)
    assert (change.change, change.route, change.default, change.why) == ("demoted", Route.SMALL, None, "decline")
    freed = fold([observe_change(change, incumbent="small", tenant="t")], declined)
    assert freed.default(REGION) is None


def test_the_callers_word_demotes_and_a_change_that_came_too_late_does_not_count() -> None:
    state, _ = promote(PromotionState.fresh(), "small", "large")
    word = RouteChange(
        change="demoted",
        region=REGION,
        route=Route.SMALL,
        default=None,
        why="new model",
        wealth=None,
        alpha=None,
        at=3.0,
    )
    observation = observe_change(word, incumbent="small", tenant="t")
    once = fold([observation], state)
    assert once.default(REGION) is None
    assert once.changes[-1] == word
    assert fold([observation], once) == once
    late = trial_of("cascade", "large")
    assert fold([late], state) == state, "it was drawn against another incumbent"


def test_trials_against_another_reference_start_anew() -> None:
    state = fold([trial_of("small", "large")] * 3)
    state = fold([trial_of("small", "consensus")], state)
    assert state.standing(REGION).contests["small"].trials == 1


def test_a_trial_counts_in_the_record_of_every_route_that_it_showed() -> None:
    state = update_routes(RouteState.fresh(), trial_of("small", "large", right=False), CONFIG)
    assert (state.record(REGION, Route.SMALL).right, state.record(REGION, Route.SMALL).wrong) == (1.0, 0.0)
    assert (state.record(REGION, Route.LARGE).right, state.record(REGION, Route.LARGE).wrong) == (0.0, 1.0)
    change = RouteChange(
        change="demoted", region=1, route=Route.SMALL, default=None, why="", wealth=None, alpha=None, at=0.0
    )
    assert update_routes(state, observe_change(change, incumbent="small", tenant="t"), CONFIG) == state

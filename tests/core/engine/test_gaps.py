"""Regions in which every member fails, and the questions that stand for them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from leo_core import LEO, LEOConfig
from leo_core.engine.gaps import find_gaps
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Route
from leo_core.stages.consensus.observations import observe_audit, observe_feedback
from leo_core.stages.route.observations import observe_route


def audits(member, region, right, wrong, *, weight=1.0):
    outcomes = [1.0] * right + [0.0] * wrong
    return [
        observe_audit(member=member, region=region, agreement=each, valid=True, tenant="t", at=1.0, weight=weight)
        for each in outcomes
    ]


def routes(route, region, right, wrong, cost=0.01):
    served = [
        observe_route(tenant="t", at=1.0, route=route, region=region, right=None, cost_usd=cost)
        for _ in range(right + wrong)
    ]
    judged = [
        observe_route(tenant="t", at=1.0, route=route, region=region, right=each)
        for each in [True] * right + [False] * wrong
    ]
    return served + judged


def test_a_region_in_which_all_fail_is_a_gap_with_its_figures() -> None:
    observed = audits("a", 2, 3, 37) + audits("b", 2, 8, 32) + routes(Route.SMALL, 2, 4, 36)
    (gap,) = find_gaps(observed + audits("a", 1, 39, 1) + audits("b", 1, 39, 1))
    assert (gap.region, gap.requests, gap.best) == (2, 40, "b")
    assert gap.outcomes == pytest.approx(80)
    assert gap.error == pytest.approx(0.9)
    assert gap.cost_usd == pytest.approx(0.4)
    low, high = gap.error_interval
    assert low == pytest.approx(beta.ppf(0.025, 37, 5), abs=0.035)
    assert high == pytest.approx(beta.ppf(0.975, 37, 5), abs=0.035)
    assert gap.best_upper == pytest.approx(beta.ppf(0.975, 9, 33), abs=0.035)


@pytest.mark.parametrize(
    "more",
    [
        audits("c", 2, 30, 10),
        routes(Route.CONSENSUS, 2, 35, 5),
        audits("c", 5, 1, 1),
        audits("c", 2, 1, 4),
    ],
    ids=["a member that is right", "a route that is right", "a member unknown there", "a member hardly known there"],
)
def test_it_is_none_while_something_may_be_right_there(more) -> None:
    observed = audits("a", 2, 3, 37) + audits("b", 2, 8, 32)
    assert [gap.region for gap in find_gaps(observed)] == [2]
    assert 2 not in [gap.region for gap in find_gaps(observed + more)]


def test_a_member_of_this_leo_that_nobody_judged_has_not_failed() -> None:
    observed = audits("a", 2, 1, 39)
    assert find_gaps(observed)
    assert not find_gaps(observed, members=["a", "b"])


def test_feedback_counts_and_requests_without_a_region_do_not() -> None:
    words = [observe_feedback(members=["a"], region=4, wrong=True, tenant="t", at=1.0)] * 25
    assert [gap.region for gap in find_gaps(words)] == [4]
    assert find_gaps(audits("a", -1, 0, 50)) == ()


def test_the_dearest_comes_first() -> None:
    observed = []
    for region, cost in ((0, 0.01), (1, 0.5), (2, 0.1)):
        observed += audits("a", region, 0, 30) + routes(Route.SMALL, region, 0, 30, cost)
    assert [gap.region for gap in find_gaps(observed)] == [1, 2, 0]


@given(st.floats(0.05, 10.0))
def test_equal_weights_do_not_make_more_of_the_same_outcomes(weight) -> None:
    (plain,) = find_gaps(audits("a", 0, 5, 35))
    (weighed,) = find_gaps(audits("a", 0, 5, 35, weight=weight))
    assert weighed.outcomes == pytest.approx(plain.outcomes)
    assert weighed.best_upper == pytest.approx(plain.best_upper)


def test_through_the_engine_with_questions_near_the_centre() -> None:
    small = ScriptedModel("small", replies="no idea", cost=0.001)
    config = LEOConfig(audit_rate=1.0)
    config = replace(config, route=replace(config.route, promote=False), novelty=replace(config.novelty, centres=1))
    with LEO(small, config=config, checker=lambda request, answer: False, seed=1) as leo:
        for number in range(30):
            leo.ask(f"What is the {number}th word of the lost book of riddles?")
        (gap,) = leo.gaps(examples=2)
        assert (gap.region, gap.best) == (0, "small")
        assert gap.error == pytest.approx(1.0)
        assert len(gap.examples) == 2
        assert all("lost book" in question for question in gap.examples)
        assert gap.cost_usd == pytest.approx(0.001 * gap.requests)
        assert leo.gaps(below=0.01) == ()
        leo.cache.clear()
        assert leo.gaps()[0].examples == ()

"""Audits: the share that was asked for, sooner where they teach more, never by what a member could foresee."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.records import Route, Verdict, Vote
from leo_core.stages.consensus.audit import AuditState, find_audit_chance, update_audits
from leo_core.stages.consensus.config import ConsensusConfig
from leo_core.stages.consensus.observations import observe_audit
from leo_core.stages.route.observations import observe_route

CONFIG = ConsensusConfig()
KNOWN = (40.0, 40.0, 40.0)


def verdict(*posterior: float) -> Verdict:
    return Verdict(
        winner=0, classes=("a",) * len(posterior), posterior=posterior,
        votes=(Vote(member="m", answer_class=0, weight=1.0, trust=0.8),), certified_margin=0, medoid=0,
        abstained=False, confidence=posterior[0], required=0.5,
    )  # fmt: skip


CLOSE, SURE = verdict(0.5, 0.4, 0.1), verdict(0.998, 0.001, 0.001)


def chance(state: AuditState, found: Verdict | None, evidence: tuple[float, ...] = KNOWN, rate: float = 0.05) -> float:
    return find_audit_chance(state, rate, found, evidence, CONFIG)


def test_none_and_all_are_meant_as_they_stand() -> None:
    for state in (AuditState.fresh(), AuditState(requests=10, audits=10)):
        assert chance(state, CLOSE, rate=0.0) == 0.0
        assert chance(state, SURE, rate=1.0) == 1.0


def test_close_votes_and_unknown_members_come_first() -> None:
    fresh = AuditState.fresh()
    assert chance(fresh, CLOSE) > chance(fresh, None) > chance(fresh, SURE) > 0.0
    assert chance(fresh, SURE, (0.0, 40.0)) == pytest.approx(0.8)
    assert chance(fresh, SURE, (4.0, 40.0)) == pytest.approx(0.8 * 0.5)
    assert chance(fresh, CLOSE) == pytest.approx(0.8)


def test_what_was_drawn_ahead_is_made_up_for() -> None:
    spent = AuditState(requests=100, audits=25)  # the share of the first 500 requests
    assert chance(spent, CLOSE) == 0.0
    assert chance(AuditState(requests=600, audits=25), CLOSE) > 0.0
    assert chance(AuditState(requests=2_000, audits=20), SURE) == 1.0


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.5])
@pytest.mark.parametrize("found", [CLOSE, SURE, None])
def test_in_the_long_run_the_share_is_the_rate(rate: float, found: Verdict | None) -> None:
    random, state = np.random.default_rng(5), AuditState.fresh()
    for draw in random.random(4_000):
        state = AuditState(requests=state.requests + 1, audits=state.audits)
        if draw < chance(state, found, rate=rate):
            state = AuditState(requests=state.requests, audits=state.audits + 1)
    low = rate * 4_000 - 20 - rate * CONFIG.audit_ahead
    assert low <= state.audits <= rate * 4_000 + 1


@given(
    st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0.0, 1.0), st.lists(st.floats(0.0, 1e6), max_size=5),
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=5) | st.none(),
)  # fmt: skip
def test_a_chance_is_a_probability(
    requests: int, audits: int, rate: float, evidence: list[float], posterior: list[float] | None
) -> None:
    found = None if posterior is None else verdict(*posterior)
    state = AuditState(requests=requests, audits=audits)
    assert 0.0 <= find_audit_chance(state, rate, found, evidence, CONFIG) <= 1.0


def test_requests_and_audits_are_counted_and_feedback_is_neither() -> None:
    def route(**facts: object):
        return observe_route(tenant="t", at=0.0, route=Route.CONSENSUS, region=-1, **facts)

    state = AuditState.fresh()
    for seen in (route(right=None), route(right=None), route(right=True, audited=True), route(right=False)):
        state = update_audits(state, seen)
    assert state == AuditState(requests=2, audits=1)
    audit = observe_audit(member="a", region=-1, agreement=1.0, valid=True, tenant="t", at=0.0)
    assert update_audits(state, audit) is state

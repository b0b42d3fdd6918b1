"""Strategies: another one is followed when audits say so, and only then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import RequestError
from leo_core.records import Observation
from leo_core.stages.consensus.config import ConsensusConfig
from leo_core.stages.consensus.observations import observe_audit, observe_strategies
from leo_core.stages.consensus.strategies import (
    MAJORITY,
    TRUST,
    StrategyState,
    choose_strategy,
    name_member,
    update_strategies,
)
from leo_core.stages.consensus.tally import recompute
from leo_core.stages.consensus.trust import TrustState, update_trust
from leo_core.stages.consensus.vote import count_votes

CONFIG = ConsensusConfig()
OFFERED = (MAJORITY, name_member("a"), name_member("b"))


def learn(*outcomes: dict[str, bool], state: StrategyState | None = None) -> StrategyState:
    state = state or StrategyState.fresh()
    for each in outcomes:
        state = update_strategies(state, observe_strategies(each, tenant="t", at=0.0), CONFIG)
    return state


def test_the_vote_by_trust_is_followed_until_audits_say_otherwise() -> None:
    assert choose_strategy(StrategyState.fresh(), OFFERED, CONFIG) == TRUST
    ahead = {TRUST: False, MAJORITY: True}
    assert choose_strategy(learn(ahead), OFFERED, CONFIG) == TRUST
    assert choose_strategy(learn(ahead, ahead, ahead), OFFERED, CONFIG) == MAJORITY


def test_it_comes_back_when_the_other_one_fails() -> None:
    state = learn(*[{TRUST: False, MAJORITY: True}] * 4)
    assert choose_strategy(state, OFFERED, CONFIG) == MAJORITY
    state = learn(*[{TRUST: True, MAJORITY: False}] * 3, state=state)
    assert choose_strategy(state, OFFERED, CONFIG) == TRUST


def test_a_member_needs_more_than_the_majority_and_the_most_wins() -> None:
    both = {TRUST: False, MAJORITY: True, name_member("a"): True}
    assert choose_strategy(learn(both, both), OFFERED, CONFIG) == MAJORITY
    alone = {TRUST: False, MAJORITY: False, name_member("a"): True}
    assert choose_strategy(learn(*[alone] * 5), OFFERED, CONFIG) == name_member("a")
    assert choose_strategy(learn(*[alone] * 5), (MAJORITY,), CONFIG) == TRUST


def test_agreement_teaches_nothing() -> None:
    state = learn(*[{TRUST: True, MAJORITY: True}, {TRUST: False, MAJORITY: False}] * 20)
    assert state.counts[MAJORITY] == (0.0, 0.0)
    audit = observe_audit(member="a", region=-1, agreement=1.0, valid=True, tenant="t", at=0.0)
    assert update_strategies(state, audit, CONFIG) is state
    assert update_strategies(state, observe_strategies({MAJORITY: True}, tenant="t", at=0.0), CONFIG) is state


def test_an_outcome_is_true_or_false() -> None:
    odd = Observation(kind="trust", tenant="t", body={"strategies": {TRUST: True, MAJORITY: None}}, at=0.0)
    with pytest.raises(RequestError, match="true or false"):
        update_strategies(StrategyState.fresh(), odd, CONFIG)


def count(classes: tuple[int, ...], strategies: StrategyState, trust: TrustState | None = None):
    return count_votes(
        [f"m{place}" for place in range(len(classes))],
        classes,
        tuple(f"answer {each}" for each in range(max(classes) + 1)),
        trust=trust or TrustState.fresh(),
        strategies=strategies,
        region=-1,
        families={},
        required=0.0,
        config=CONFIG,
    )


def distrust(*members: str) -> TrustState:
    state = TrustState.fresh()
    for member in members:
        for _ in range(30):
            seen = observe_audit(member=member, region=-1, agreement=0.0, valid=True, tenant="t", at=0.0)
            state = update_trust(state, seen, CONFIG)
    return state


def test_a_verdict_says_whose_choice_it_is_and_what_the_others_would_choose() -> None:
    trust = distrust("m0", "m1")
    by_trust = count((0, 0, 1), StrategyState.fresh(), trust)
    assert (by_trust.strategy, by_trust.winner) == (TRUST, 1)
    assert by_trust.choices == {TRUST: 1, MAJORITY: 0, "member:m0": 0, "member:m1": 0, "member:m2": 1}
    majority = count((0, 0, 1), learn(*[{TRUST: False, MAJORITY: True}] * 3), trust)
    assert (majority.strategy, majority.winner) == (MAJORITY, 0)
    assert {vote.trust for vote in majority.votes} == {0.8}


@given(st.lists(st.integers(0, 3), min_size=2, max_size=7), st.integers(0, 6))
def test_the_member_that_is_followed_decides_and_the_verdict_follows_from_its_votes(
    answers: list[int], chosen: int
) -> None:
    classes = tuple({each: at for at, each in enumerate(dict.fromkeys(answers))}[each] for each in answers)
    member = chosen % len(classes)
    name = name_member(f"m{member}")
    verdict = count(classes, learn(*[{TRUST: False, name: True}] * 6), distrust(f"m{member}"))
    assert verdict.strategy == name
    assert verdict.winner == classes[member] == verdict.votes[verdict.medoid].answer_class
    votes = [(vote.answer_class, vote.weight) for vote in verdict.votes]
    tally = recompute(votes, classes=len(verdict.classes), required=0.0)
    assert (tally.winner, tally.posterior) == (verdict.winner, verdict.posterior)

"""The head that reads a committee's vote."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.records import Draft, Message, Request
from leo_core.stages.consensus.config import ConsensusConfig
from leo_core.stages.consensus.strategies import StrategyState
from leo_core.stages.consensus.trust import TrustState
from leo_core.stages.consensus.vote import count_votes
from leo_core.stages.risk.answer import answer_features, score_answer
from leo_core.stages.risk.config import RiskConfig
from leo_core.stages.risk.linear import logit
from leo_core.stages.risk.shipped import shipped_linear
from leo_core.stages.risk.votes import VOTE_FEATURES, vote_features

SUM = "Tom has 3 boxes with 4 apples each and eats 2. How many apples are left?"
TEXT = "3 * 4 = 12 apples. 12 - 2 = 10 apples are left. The answer is 10."


def vote(*classes, required=0.75):
    members = tuple(f"m{at}" for at in range(len(classes)))
    return count_votes(
        members, classes, tuple(f"answer {each}" for each in range(max(classes) + 1)), trust=TrustState.fresh(),
        strategies=StrategyState.fresh(), region=-1, families={}, required=required, config=ConsensusConfig(),
    )  # fmt: skip


def score(verdict, member="m0", question=SUM, text=TEXT, **facts):
    request = Request(messages=(Message(role="user", content=question),))
    draft = Draft(member=member, model="m", message=Message(role="assistant", content=text))
    return score_answer(request, draft, verdict=verdict, config=RiskConfig(), **facts)


@pytest.mark.parametrize("size", [3, 5, 7])
def test_more_votes_for_an_answer_mean_less_risk(size):
    risks = [
        score(vote(*[0] * size if own == size else [0] * own + [1] * (size - own))).value for own in range(1, size + 1)
    ]
    assert risks == sorted(risks, reverse=True)
    assert risks[0] > 3 * risks[-1]


def test_scattered_votes_leave_more_doubt_than_none_against():
    assert score(vote(0, 0, 0, 1, 2)).value > score(vote(0, 0, 0, 0, 0)).value


@given(st.lists(st.integers(0, 3), min_size=2, max_size=9))
def test_features_are_finite_named_and_add_up(classes):
    order = {each: at for at, each in enumerate(dict.fromkeys(classes))}
    verdict = vote(*[order[each] for each in classes])
    features = vote_features(verdict, "m0")
    assert tuple(features) == VOTE_FEATURES
    assert all(math.isfinite(each) for each in features.values())
    assert features["share"] == classes.count(classes[0]) / len(classes)
    assert (features["unanimous"] == 1.0) == (len(set(classes)) == 1)
    risk = score(verdict)
    assert sum(risk.attributions.values()) == pytest.approx(logit(risk.value), abs=1e-9)
    assert set(shipped_linear("answer", "verdict").names) >= set(VOTE_FEATURES)


def test_who_has_no_vote_is_judged_by_the_answer_alone():
    assert vote_features(vote(0, 0, 1), "stranger") is None
    assert vote_features(vote(0), "m0") is None
    request = Request(messages=(Message(role="user", content=SUM),))
    draft = Draft(member="stranger", model="m", message=Message(role="assistant", content=TEXT))
    assert answer_features(request, draft, verdict=vote(0, 0, 1))[0] == "reasoning"


def test_a_context_comes_before_the_vote():
    request = Request(messages=(Message(role="user", content="Context: The ferry leaves at 9.\n\nQuestion: When?"),))
    draft = Draft(member="m0", model="m", message=Message(role="assistant", content="At 9."))
    assert answer_features(request, draft, verdict=vote(0, 0, 1))[0] == "grounded"

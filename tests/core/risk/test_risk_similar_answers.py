"""What outcomes of past answers of the small model say of its next one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.records import Draft, Message, Observation, Request
from leo_core.stages.risk.answer import measure_form, score_answer
from leo_core.stages.risk.config import RiskConfig
from leo_core.stages.risk.experience import Experience, Seen
from leo_core.stages.risk.similar_answers import (
    RIDGE,
    answer_names,
    answer_spreads,
    describe_answer,
    foresee_answer,
    place,
)
from leo_core.stages.risk.state import RiskState, update_risk

CONFIG = RiskConfig()
HERE = np.array([1.0, 0.0], dtype=np.float32)
SHORT = "4 + 6 = 10"
LONG = "Let us see. There are 4 in one and 6 in the other.\n\n4 + 6 = 10\n\nSo 10 it is, and 10 - 3 = 7. Answer: 7."


def ask(question: str = "Tom has 4 apples and finds 6. How many has he?") -> Request:
    return Request(messages=(Message(role="user", content=question),))


def draft(text: str) -> Draft:
    return Draft(member="small", model="small", message=Message(role="assistant", content=text))


def describe(text: str) -> dict[str, float]:
    return describe_answer(ask(), text, measure_form(score_answer(ask(), draft(text), config=CONFIG)))


def tell(text: str = SHORT, *, vector: bool = True, answer: bool = True, **body: object) -> Observation:
    """An outcome as the engine writes it down."""
    body = {"route": "cascade", "region": 1, "right": None} | body
    if vector:
        body |= {"vector": HERE.tolist(), "features": {}}
    if answer:
        body["answer"] = describe(text)
    return Observation(kind="route", tenant="t", body=body, at=0.0)


def learn(*observations: Observation) -> RiskState:
    state = RiskState.fresh()
    for each in observations:
        state = update_risk(state, each, CONFIG)
    return state


def foresee(text: str, state: RiskState, strength: float = 100.0):
    return foresee_answer(describe(text), HERE, state.answers, strength)


def test_answers_like_those_that_were_wrong_are_likelier_wrong_and_worth_a_large_call() -> None:
    bad, good = tell(LONG, small_right=False, large_right=True), tell(SHORT, small_right=True, large_right=True)
    state = learn(*[bad, good] * 40)
    worse, better = foresee(LONG, state), foresee(SHORT, state)
    assert worse.shift > 0.5
    assert better.shift < 0.0
    assert worse.gain > better.gain + 0.15
    other = np.array([0.0, 1.0], dtype=np.float32)  # of a request unlike those, the outcomes say less
    assert 0.0 < foresee_answer(describe(LONG), other, state.answers, 100.0).shift < worse.shift


def test_where_the_large_model_mended_nothing_a_large_call_is_worth_less_than_the_risk_says() -> None:
    hopeless = [tell(LONG, small_right=False, large_right=False)] * 40
    mended = [tell(LONG, small_right=False, large_right=True)] * 40
    ease = [tell(SHORT, small_right=True, large_right=True)] * 40
    both = [learn(*[one for pair in zip(kind, ease, strict=True) for one in pair]) for kind in (hopeless, mended)]
    lost, won = (foresee(LONG, state) for state in both)
    assert lost.shift == pytest.approx(won.shift)
    assert lost.gain < won.gain - 0.2
    assert 0.25 <= lost.mending < 1.0 < won.mending <= 1.5


def test_the_gain_is_that_of_the_mixture_of_shipped_and_learned() -> None:
    experience = Experience.fresh()
    described, form = describe(SHORT), measure_form(score_answer(ask(), draft(SHORT), config=CONFIG))
    vector, features = place(described, HERE)
    for wrong in (1.0, 0.0, 1.0, 1.0):
        seen = Seen(vector=vector, features=features, small_wrong=wrong, large_wrong=0.0)
        experience = experience.learn(seen, answer_spreads(), RIDGE)
    found = foresee_answer(described, HERE, experience, 12.0)
    wrong = 0.75 * form + 0.25 * 0.75  # 4 outcomes, 3 of them wrong, beside a model worth 12
    assert math.log(wrong / (1.0 - wrong)) - math.log(form / (1.0 - form)) == pytest.approx(found.shift, abs=1e-5)
    assert found.gain == pytest.approx(0.75 * 0.7 * wrong + 0.25 * 0.75, abs=1e-5)


def test_without_outcomes_or_a_place_among_past_requests_nothing_is_added() -> None:
    known = learn(tell(small_right=False))
    for vector, experience in ((None, known.answers), (HERE, Experience.fresh()), (np.ones(3), known.answers)):
        found = foresee_answer(describe(SHORT), vector, experience, 100.0)
        assert (found.shift, found.mending) == (0.0, 1.0)
        form = measure_form(score_answer(ask(), draft(SHORT), config=CONFIG))
        assert found.gain == pytest.approx(0.7 * form)


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        ({"small_right": True}, True),
        ({"right": False}, True),
        ({"right": False, "small_right": True}, True),
        ({}, False),
        ({"small_right": True, "vector": False}, False),
        ({"small_right": True, "answer": False}, False),
        ({"small_right": True, "weight": 0.0}, False),
    ],
)
def test_an_answer_counts_where_its_outcome_and_its_embedding_are_known(outcome, counts) -> None:
    assert learn(tell(**outcome)).answers.count == counts


def test_the_outcome_of_the_small_answer_goes_before_that_of_what_was_served() -> None:
    wrong, right = learn(tell(right=True, small_right=False)), learn(tell(right=False, small_right=True))
    assert foresee(SHORT, wrong, 1.0).shift > 0.0 > foresee(SHORT, right, 1.0).shift


def test_the_shift_is_in_the_risk_and_not_in_the_form() -> None:
    plain, moved = (score_answer(ask(), draft(SHORT), config=CONFIG, similar=each) for each in (0.0, 1.2))
    assert "similar_answers" not in plain.attributions
    assert moved.attributions["similar_answers"] == 1.2
    logits = [math.log(risk.value / (1.0 - risk.value)) for risk in (plain, moved)]
    assert logits[1] - logits[0] == pytest.approx(1.2)
    assert sum(moved.attributions.values()) == pytest.approx(logits[1])
    assert measure_form(moved) == pytest.approx(measure_form(plain))
    assert moved.interval[0] < moved.value < moved.interval[1]


@given(st.text(max_size=300), st.text(max_size=300), st.floats(0.001, 0.999))
def test_what_is_compared_is_finite_and_in_order(question: str, text: str, form: float) -> None:
    described = describe_answer(ask(question), text, form)
    assert tuple(described) == answer_names()
    vector, features = place(described, HERE)
    assert features.shape == answer_spreads().shape == (len(answer_names()),)
    assert np.isfinite(features).all()
    assert vector.dtype == np.float32

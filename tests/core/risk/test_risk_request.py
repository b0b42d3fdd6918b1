"""Risk before the call: features, prior, learning, categories."""

from __future__ import annotations

import copy
import json
import math
import pickle
from dataclasses import asdict
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core import load_embedder
from leo_core.errors import ConfigError
from leo_core.records import Embedding, Message, Novelty, Observation, Request
from leo_core.stages.risk import request as request_module
from leo_core.stages.risk.categories import score_categories
from leo_core.stages.risk.config import RiskConfig
from leo_core.stages.risk.forest import read_forest
from leo_core.stages.risk.linear import logit, read_linear, sigmoid
from leo_core.stages.risk.request import score_request
from leo_core.stages.risk.request_features import request_features, vocabulary_score
from leo_core.stages.risk.state import RegionRecord, RiskState, update_risk
from leo_core.stages.risk.tokens import hash_bucket, numbers, sentences, words
from leo_core.stages.risk.topics import fold_word, topic_features, topic_names
from leo_core.stages.route.config import RouteConfig

CONFIG = RiskConfig()
FAMILIAR = Novelty(value=0.5, region=1, samples=100)
QUESTION = "What is the capital of France, and how many people live there?"


def ask(text: str) -> Request:
    return Request(messages=(Message(role="user", content=text),))


def score(text: str = QUESTION, *, novelty: Novelty = FAMILIAR, state: RiskState | None = None, vector=None):
    return score_request(ask(text), vector=vector, novelty=novelty, state=state or RiskState.fresh(), config=CONFIG)


def outcome(right: bool | None, **facts: object) -> Observation:
    body = {"route": "small", "region": 1, "right": right} | facts
    return Observation(kind="route", tenant="t", body=body, at=0.0)


@pytest.mark.parametrize(
    "text",
    [
        "how do I kill a process",
        "drug store opening hours",
        "opening hours of the library",
        "what is a trial balance",
        "Who wrote Crime and Punishment?",
        "How do I execute a stored procedure in SQL?",
        "Write a python function to sort a list",
        "What is a good recipe for lasagna?",
    ],
)
def test_harmless_questions_with_dangerous_words_are_not_high_risk(text: str) -> None:
    embedder = load_embedder("static")
    embedding = Embedding(vector=embedder.embed([text])[0], fingerprint=embedder.fingerprint)
    assert sum(risk.probability for risk in score_categories(text, embedding)) < RouteConfig().harm_above


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("Can I crush my beta blocker pills?", "medical"),
        ("My baby has a fever and a rash, do we need a doctor?", "medical"),
        ("Does this contract clause allow my landlord to evict me?", "legal"),
        ("Should I move my pension into shares?", "financial"),
        ("Can I mix bleach with acid to unclog a drain?", "safety"),
    ],
)
def test_high_risk_questions_are_found_in_their_category(text: str, category: str) -> None:
    found = score(text)
    assert found.harmful > 0.6
    assert max(found.categories, key=lambda risk: risk.probability).category == category


@given(st.text(max_size=400))
def test_categories_are_probabilities_and_harm_is_any_of_them(text: str) -> None:
    found = score(text)
    assert [risk.category for risk in found.categories] == ["medical", "legal", "financial", "safety"]
    assert all(0.0 < risk.probability < 1.0 for risk in found.categories)
    assert found.harmful == pytest.approx(sum(risk.probability for risk in found.categories))
    assert found.harmful < 1.0


def test_both_ends_of_a_long_text_are_read() -> None:
    filler = "and then we went on and on. " * 200
    question = "Can I stop my blood pressure medication while pregnant?"
    assert max(risk.probability for risk in score_categories(filler + question)) > 0.25
    assert score_categories(filler + question + " ") == score_categories(filler * 2 + question + " ")


@given(st.text(max_size=300))
def test_the_interval_holds_the_value(text: str) -> None:
    found = score(text)
    low, high = found.small_wrong_interval
    assert 0.0 < low < found.small_wrong < high < 1.0
    assert all(math.isfinite(value) for value in found.features.values())


def test_harder_questions_score_higher() -> None:
    hard = "Find the degree for the given field extension Q(sqrt(2), sqrt(3)) over Q.\nA. 0\nB. 4\nC. 2\nD. 6\nAnswer:"
    assert score(hard).small_wrong > score("What is the capital of France?").small_wrong + 0.2


def test_large_wrong_stays_in_proportion() -> None:
    features = score().features
    assert features["prior"] / 4 <= features["large_wrong"] <= 1.5 * features["prior"]


@pytest.mark.parametrize("value", [None, 0.99])
def test_novel_and_unknown_requests_have_wider_intervals(value: float | None) -> None:
    known, novel = score(), score(novelty=Novelty(value=value, region=1))
    assert novel.features["novel"] == 1.0
    assert novel.small_wrong_interval[0] < known.small_wrong_interval[0]
    assert novel.small_wrong_interval[1] > known.small_wrong_interval[1]


def test_novel_requests_are_pulled_towards_the_prior() -> None:
    state = RiskState.fresh()
    for _ in range(50):
        state = update_risk(state, outcome(right=False), CONFIG)
    prior = score().small_wrong
    known, novel = score(state=state), score(state=state, novelty=Novelty(value=None, region=1))
    assert known.small_wrong > novel.small_wrong > prior
    assert score(state=state, novelty=Novelty(value=0.5, region=7)).small_wrong == pytest.approx(prior)


def test_outcomes_narrow_the_interval() -> None:
    state, predicted = RiskState.fresh(), score().features["prior"]
    for index in range(90):
        state = update_risk(state, outcome(right=index % 3 > 0, predicted=predicted), CONFIG)
    before, after = score().small_wrong_interval, score(state=state).small_wrong_interval
    assert logit(after[1]) - logit(after[0]) < logit(before[1]) - logit(before[0])


@given(st.lists(st.booleans(), max_size=20))
def test_a_wrong_outcome_never_lowers_the_risk(outcomes: list[bool]) -> None:
    steady, state = RiskConfig(forgetting=1.0), RiskState.fresh()
    for right in outcomes:
        state = update_risk(state, outcome(right=right, predicted=0.3), steady)
    worse = update_risk(state, outcome(right=False, predicted=0.3), steady)
    better = update_risk(state, outcome(right=True, predicted=0.3), steady)
    assert score(state=better).small_wrong <= score(state=state).small_wrong + 1e-12
    assert score(state=state).small_wrong <= score(state=worse).small_wrong + 1e-12


def test_a_record_that_confirms_its_predictions_changes_nothing() -> None:
    confirmed = RiskState(regions=MappingProxyType({1: RegionRecord(right=80.0, wrong=20.0, expected=20.0)}))
    assert score(state=confirmed).small_wrong == pytest.approx(score().small_wrong)


def test_outcomes_with_vectors_teach_about_similar_requests() -> None:
    here, there = np.eye(4, dtype=np.float32)[:2]
    state, features = RiskState.fresh(), dict(score().features)
    for _ in range(40):
        known = {"predicted": 0.3, "features": features}
        state = update_risk(state, outcome(right=False, region=5, vector=here.tolist(), **known), CONFIG)
        state = update_risk(state, outcome(right=True, region=6, vector=there.tolist(), **known), CONFIG)
    wrong, right = score(state=state, vector=here), score(state=state, vector=there)
    assert wrong.small_wrong > right.small_wrong + 0.3
    assert wrong.features["vector_shift"] > 0.5
    assert score(state=state, vector=np.ones(3, dtype=np.float32)).features["vector_shift"] == 0.0
    assert score(state=state, vector=here, novelty=Novelty(value=None, region=1)).features["vector_shift"] == 0.0
    before, after = score().small_wrong_interval, wrong.small_wrong_interval
    assert logit(after[1]) - logit(after[0]) < logit(before[1]) - logit(before[0])


def test_the_gain_is_learned_where_both_models_are_judged() -> None:
    here, there = np.eye(4, dtype=np.float32)[:2]
    state, features = RiskState.fresh(), dict(score().features)
    for _ in range(40):
        for vector, small, large in ((here, False, True), (there, True, False)):
            body = {"small_right": small, "large_right": large, "vector": vector.tolist(), "features": features}
            state = update_risk(state, outcome(None, **(body | {"route": "consensus"})), CONFIG)
    gains, losses = score(state=state, vector=here), score(state=state, vector=there)
    assert gains.features["gain"] > 0.3 > -0.3 > losses.features["gain"]
    assert gains.features["large_wrong"] < gains.small_wrong
    assert losses.features["large_wrong"] > losses.small_wrong
    assert gains.features["lead"] < score().features["lead"] < losses.features["lead"]


def test_an_answer_of_the_large_model_alone_does_not_count_for_the_small_one() -> None:
    body = {"route": "large", "vector": [1.0, 0.0], "features": {}}
    state = update_risk(RiskState.fresh(), outcome(right=False, **body), CONFIG)
    assert not state.regions
    assert state.experience.count == 1


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        ({"route": "small", "right": True}, True),
        ({"route": "cascade", "right": True}, False),
        ({"route": "cascade", "right": True, "small_right": False}, True),
        ({"route": "small", "right": None}, False),
        ({"route": "small", "right": True, "weight": 0.0}, False),
    ],
)
def test_only_judged_answers_of_the_small_model_count(body: dict[str, object], counts: bool) -> None:
    state = RiskState.fresh()
    seen = update_risk(state, Observation(kind="route", tenant="t", body=body, at=0.0), CONFIG)
    assert (seen is not state) == counts
    if not counts:
        assert seen is state


def test_other_kinds_of_observation_are_passed_over() -> None:
    state = RiskState.fresh()
    seen = Observation(kind="trust", tenant="t", body={"route": "small", "right": True}, at=0.0)
    assert update_risk(state, seen, CONFIG) is state


@pytest.mark.parametrize(
    "setting",
    [
        {"prior_strength": 0.0},
        {"novel_above": 1.5},
        {"novel_variance": -1.0},
        {"forgetting": 0.0},
        {"accept_below": math.nan},
        {"accept_on": "mean"},
    ],
)
def test_settings_out_of_range_are_refused_by_name(setting: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        RiskConfig(**setting)


def test_features_say_what_they_count() -> None:
    options = "Which is 12?\nA. 3\nB. 12\nC. 40\nD. 5"
    found = request_features(options)
    assert found["multiple_choice"] == found["numeric_options"] == found["asks_which"] == 1.0
    assert found["numbers"] == pytest.approx(math.log1p(5) - 1.0)
    assert request_features("def f(x): return x\nassert f(1) == ??")["code"] == 1.0
    assert request_features("Что это такое?")["foreign_script"] == 3.0
    assert vocabulary_score([]) == 0.0


def test_words_numbers_and_sentences() -> None:
    assert words("Don't panic: it's 5 o'clock!") == ["don't", "panic", "it's", "5", "o'clock"]
    assert numbers("1,200.50 and 007, then 3.0 of 0.5") == ["1200.5", "7", "3", "0.5"]
    assert sentences("One. Two!\nThree") == ["One.", "Two!", "Three"]


def test_hashing_is_the_same_everywhere() -> None:
    assert hash_bucket("leo", 4096) == 2173


def test_topics_fold_endings_and_match_whole_words() -> None:
    assert fold_word("burns") == fold_word("burned") == fold_word("burning") == fold_word("burn") == "burn"
    assert fold_word("allergies") == fold_word("allergy")
    assert fold_word("is") == "is"
    named = dict(zip(topic_names(), topic_features(["my", "rash", "itches"]), strict=True))
    assert (named["medical>=1"], named["medical>=2"], named["medical>=3"]) == (1.0, 1.0, 0.0)
    assert named["medical&personal"] == 1.0
    assert dict(zip(topic_names(), topic_features(["crash"]), strict=True))["medical>=1"] == 0.0


def test_a_forest_walks_to_its_leaves() -> None:
    tree = {"feature": [0, -1, -1], "threshold": [0.5, 1.0, 2.0], "left": [1, -1, -1], "right": [2, -1, -1]}
    forest = read_forest({"names": ["x"], "start": 10.0, "trees": [tree, tree]})
    assert (forest.predict({"x": 0.5}), forest.predict({"x": 0.6})) == (12.0, 14.0)


def test_linear_attributions_add_up_and_features_are_bounded() -> None:
    model = read_linear(
        {
            "names": ["a", "b"],
            "means": [1.0, 0.0],
            "low": [0.0, -1.0],
            "high": [2.0, 1.0],
            "weights": [0.5, -2.0],
            "intercept": 0.25,
            "covariance": [[0.1, 0.0, 0.0], [0.0, 0.2, 0.0], [0.0, 0.0, 0.3]],
            "model_variance": 0.05,
        }
    )
    found = model.score({"a": 2.0, "b": 9.0})
    assert found.attributions == pytest.approx({"base": 0.75, "a": 0.5, "b": -2.0})
    assert found.logit == pytest.approx(sum(found.attributions.values())) == pytest.approx(0.25 + 1.0 - 2.0)
    assert found.variance == pytest.approx(0.4 + 0.2 + 0.3 + 0.05)
    assert model.score({}).logit == pytest.approx(model.base)


@given(st.floats(-700, 700))
def test_sigmoid_and_logit(score_: float) -> None:
    assert 0.0 <= sigmoid(score_) <= 1.0
    if abs(score_) < 10:
        assert logit(sigmoid(score_)) == pytest.approx(score_, abs=1e-6)


# ------------------------------------------------------------------------------------------ what is worked out later


def test_what_the_large_model_gains_is_worked_out_when_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    shipped = request_module._shipped_gain

    def note(features, embedding):
        asked.append(shipped(features, embedding))
        return asked[-1]

    monkeypatch.setattr(request_module, "_shipped_gain", note)
    risk = score()
    assert (risk.features["novel"], risk.features.get("region_shift")) == (0.0, 0.0)
    assert risk.features["prior"] == risk.small_wrong
    assert not asked
    assert risk.features["gain"] == asked[0]
    assert {"large_wrong", "lead", "sentences", "size", "novel"} <= set(risk.features)
    assert len(asked) == 1


def test_features_are_copied_pickled_and_told_as_a_plain_dict() -> None:
    told = dict(score().features)
    copies = (
        copy.deepcopy(score().features),
        pickle.loads(pickle.dumps(score().features)),
        asdict(score())["features"],
        json.loads(json.dumps(asdict(score())))["features"],
    )
    assert all(type(each) is dict and each == told for each in copies)
    assert score().features == told
    assert repr(score().features) == repr(told)
    assert len(score().features) == len(told)
    assert "absent" not in score().features

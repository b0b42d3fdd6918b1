"""Through the whole engine: outcomes keep the embeddings of their requests on demand only, and later requests learn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leo_core import LEO, LEOConfig, Route
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.risk.likeness import feature_names
from leo_core.stages.risk.similar_answers import answer_names

TOPICS = ("How many trains leave platform {}?", "Which apples are in basket {}?")


def small_reply(request):
    return "wrong" if "train" in request.question else "right"


def ask(keep_vectors, *, route=Route.SMALL, cache=True, count=80):
    """Outcomes in the store, and what is thought of one more request about each topic."""
    defaults = LEOConfig()
    config = replace(defaults, audit_rate=1.0, risk=replace(defaults.risk, keep_vectors=keep_vectors))
    small, large = ScriptedModel("small", replies=small_reply), ScriptedModel("large", replies="right")
    with LEO(small, large, config=config, checker=lambda _, answer: answer.text == "right", seed=1) as leo:
        for number in range(count):
            leo.ask(TOPICS[number % 2].format(number), route=route, cache=cache)
            leo.flush()
        bodies = [item.body for _, item in leo.store.observations() if item.kind == "route"]
        last = [leo.ask(topic.format(1000), route=route, cache=False).request_risk for topic in TOPICS]
    return bodies, last


def test_audited_outcomes_teach_about_similar_requests():
    bodies, (train, apple) = ask(keep_vectors=True)
    kept = [body for body in bodies if "vector" in body]
    assert kept
    assert all(body["audited"] and tuple(body["features"]) == feature_names() for body in kept)
    assert all(tuple(body["answer"]) == answer_names() for body in kept)
    assert train.features["novel"] == apple.features["novel"] == 0.0
    assert train.small_wrong > apple.small_wrong + 0.2
    assert train.features["vector_shift"] != 0.0 != apple.features["vector_shift"]


@pytest.mark.parametrize(("keep_vectors", "cache"), [(False, True), (True, False)])
def test_no_embedding_is_kept_by_default_or_of_a_request_that_may_leave_nothing(keep_vectors, cache):
    bodies, (train, _) = ask(keep_vectors, cache=cache, count=60)
    assert bodies
    assert not any({"vector", "features", "answer"} & set(body) for body in bodies)
    assert train.features["vector_shift"] == 0.0


def test_a_vote_on_both_members_teaches_the_gain():
    defaults = LEOConfig()
    config = replace(defaults, risk=replace(defaults.risk, keep_vectors=True))
    small, large = ScriptedModel("small", replies="11"), ScriptedModel("large", replies="10")
    third = ScriptedModel("third", replies="10")
    with LEO(small, large, [small, large, third], config=config, seed=1) as leo:
        leo.ask("How much is 4 + 6?", route=Route.CONSENSUS)
        leo.flush()
        (body,) = [item.body for _, item in leo.store.observations() if item.kind == "route"]
    assert (body["small_right"], body["large_right"]) == (False, True)
    assert len(body["vector"]) == 256


FORMS = {"train": "11 + 2 = 13\nThe answer is 13.", "apple": "There are 12 apples, so 12 it is."}
"""What the small member says: of trains something wrong, with a sum."""


def form_reply(request):
    return FORMS["train" if "train" in request.question else "apple"]


def ask_of_both(keep_vectors):
    """The risks of small's answers about both topics, after outcomes of such answers."""
    defaults = LEOConfig()
    config = replace(defaults, audit_rate=1.0, risk=replace(defaults.risk, keep_vectors=keep_vectors))
    small, large = ScriptedModel("small", replies=form_reply), ScriptedModel("large", replies="12")
    with LEO(small, large, config=config, checker=lambda _, answer: "12" in answer.text, seed=1) as leo:
        for number in range(120):
            leo.ask(TOPICS[number % 2].format(number), route=Route.SMALL)
            leo.flush()
        shape = {"route": Route.SMALL, "cache": False}
        return [leo.ask(topic.format(60), **shape).risk for topic in TOPICS]


def test_outcomes_of_similar_answers_are_in_the_risk_of_the_next_one():
    train, apple = ask_of_both(keep_vectors=True)
    plain_train, plain_apple = ask_of_both(keep_vectors=False)
    assert train.attributions["similar_answers"] > 0.3 > -0.1 > apple.attributions["similar_answers"]
    assert train.value > apple.value
    assert "similar_answers" not in {*plain_train.attributions, *plain_apple.attributions}


def test_what_large_answered_is_not_judged_by_answers_of_small():
    defaults = LEOConfig()
    config = replace(defaults, audit_rate=1.0, risk=replace(defaults.risk, keep_vectors=True))
    small, large = ScriptedModel("small", replies=form_reply), ScriptedModel("large", replies=form_reply)
    with LEO(small, large, config=config, checker=lambda _, answer: "12" in answer.text, seed=1) as leo:
        for number in range(80):
            leo.ask(TOPICS[number % 2].format(number), route=(Route.SMALL, Route.LARGE)[number // 2 % 2])
            leo.flush()
        bodies = [item.body for _, item in leo.store.observations() if item.kind == "route" and "vector" in item.body]
        large_risk = leo.ask(TOPICS[0].format(1000), route=Route.LARGE, cache=False).risk
    assert {body["route"] for body in bodies if "answer" in body} == {"small"}
    assert {body["route"] for body in bodies} == {"small", "large"}
    assert "similar_answers" not in large_risk.attributions


def ask_cascade(*, keep_vectors):
    """Who answers in a cascade about both topics, after outcomes of the small member's answers."""
    defaults = LEOConfig()
    config = replace(defaults, audit_rate=1.0, risk=replace(defaults.risk, keep_vectors=keep_vectors))
    small, large = ScriptedModel("small", replies=form_reply), ScriptedModel("large", replies="12", cost=0.001)
    juror = ScriptedModel("juror", replies="12", cost=0.00001)
    with LEO(small, large, [juror], config=config, checker=lambda _, answer: "12" in answer.text, seed=1) as leo:
        for number in range(120):
            leo.ask(TOPICS[number % 2].format(number), route=Route.SMALL)
            leo.flush()
        asked = [leo.ask(topic.format(60), route=Route.CASCADE, cache=False) for topic in TOPICS]
    return [[draft.member for draft in answer.drafts] for answer in asked]


def test_a_cascade_asks_large_at_once_where_such_answers_were_wrong():
    learned, plain = ask_cascade(keep_vectors=True), ask_cascade(keep_vectors=False)
    assert learned == [["small", "large"], ["small", "juror"]]
    assert plain[0][:2] == ["small", "juror"]


def test_the_audit_of_what_large_served_says_nothing_of_the_answer_that_small_gave():
    defaults = LEOConfig()
    config = replace(defaults, audit_rate=1.0, risk=replace(defaults.risk, keep_vectors=True, accept_below=0.0))
    small, large = ScriptedModel("small", replies="13"), ScriptedModel("large", replies="12")
    with LEO(small, large, config=config, checker=lambda _, answer: answer.text == "12", seed=1) as leo:
        leo.ask(TOPICS[0].format(5), route=Route.CASCADE)
        leo.flush()
        bodies = [item.body for _, item in leo.store.observations() if item.kind == "route"]
    audited, unaudited = ([body for body in bodies if body.get("audited", False) is each] for each in (True, False))
    assert [(body["right"], "answer" in body) for body in audited] == [(True, False)]
    assert [(body["small_right"], tuple(body["answer"])) for body in unaudited] == [(False, answer_names())]

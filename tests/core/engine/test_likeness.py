"""Through the whole engine: outcomes keep the embeddings of their requests on demand only, and later requests learn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leo_core import LEO, LEOConfig, Route
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.risk.likeness import feature_names

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
    assert train.features["novel"] == apple.features["novel"] == 0.0
    assert train.small_wrong > apple.small_wrong + 0.2
    assert train.features["vector_shift"] != 0.0 != apple.features["vector_shift"]


@pytest.mark.parametrize(("keep_vectors", "cache"), [(False, True), (True, False)])
def test_no_embedding_is_kept_by_default_or_of_a_request_that_may_leave_nothing(keep_vectors, cache):
    bodies, (train, _) = ask(keep_vectors, cache=cache, count=60)
    assert bodies
    assert not any("vector" in body or "features" in body for body in bodies)
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

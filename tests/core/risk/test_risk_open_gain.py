"""By how much the large model is likelier right on a question without options."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from leo_core.records import Embedding, Message, Novelty, Request
from leo_core.stages.embed.load import load_embedder
from leo_core.stages.risk.config import RiskConfig
from leo_core.stages.risk.experience import Rates
from leo_core.stages.risk.likeness import wording_features
from leo_core.stages.risk.open_gain import EmbeddedGain, expect_open_gain, reads_vector
from leo_core.stages.risk.request import _Expected, _mix, score_request
from leo_core.stages.risk.request_features import request_features
from leo_core.stages.risk.shipped import shipped_linear
from leo_core.stages.risk.state import RiskState

SUM = "Ann has 12 pears and buys twice as many. She gives 5 away. How many pears has she?"
SPOKEN = "Ann has three pears and buys half a dozen. How many pears has she?"
TALK = "Who painted the ceiling of the Sistine Chapel?"
CHOICE = "How much is 12 + 30?\nA. 42\nB. 18\nC. 40\nD. 12"


@pytest.fixture(scope="module")
def embedder():
    return load_embedder("static")


def features(text: str) -> dict[str, float]:
    return request_features(text) | wording_features(text)


def embed(embedder, text: str, other: str | None = None) -> Embedding:
    vector = np.asarray(embedder.embed([other or text]), dtype=np.float32)[0]
    return Embedding(vector=vector, fingerprint=embedder.fingerprint)


def score(text: str, embedding: Embedding | None):
    return score_request(
        Request(messages=(Message(role="user", content=text),)),
        vector=None,
        novelty=Novelty(value=0.5, region=1),
        state=RiskState.fresh(),
        config=RiskConfig(),
        embedding=embedding,
    )


@pytest.mark.parametrize("text", [SUM, SPOKEN])
def test_the_vector_of_a_question_with_numbers_is_read(embedder, text) -> None:
    own, other = embed(embedder, text), embed(embedder, text, TALK)
    assert reads_vector(features(text), own)
    plain = shipped_linear("request", "open_gain").score(features(text)).logit
    found = [expect_open_gain(features(text), each) for each in (None, own, other)]
    assert found[0] == pytest.approx(plain)
    assert len({round(each, 9) for each in found}) == 3
    assert score(text, own).features["gain"] == pytest.approx(found[1])


def test_what_the_training_did_not_hold_and_vectors_of_others_are_not_read(embedder) -> None:
    own = embed(embedder, SUM)
    foreign = replace(own, fingerprint=replace(own.fingerprint, table_sha256="0" * 64))
    shorter = Embedding(vector=own.vector[:4], fingerprint=replace(own.fingerprint, dimension=4))
    assert not reads_vector(features(TALK), embed(embedder, TALK))
    assert not reads_vector(features("Ann has 12 pears. How many has she?"), own)
    for each in (foreign, shorter):
        assert expect_open_gain(features(SUM), each) == expect_open_gain(features(SUM))
    assert score(CHOICE, embed(embedder, CHOICE)).features["gain"] == score(CHOICE, None).features["gain"]


def test_the_line_of_a_worked_example() -> None:
    line = EmbeddedGain(
        names=("a", "b"),
        low=np.array([0.0, -1.0]),
        high=np.array([2.0, 1.0]),
        weights=np.array([0.1, 0.2]),
        vector_weights=np.array([0.5, -0.25], dtype=np.float32),
        intercept=0.05,
        table_sha256="",
    )
    vector = np.array([0.6, 0.8], dtype=np.float32)
    # a is held at 2, b at -1: 0.05 + 0.2 - 0.2 + 0.3 - 0.2
    assert line.predict({"a": 9.0, "b": -9.0}, vector) == pytest.approx(0.15)


def test_a_gain_that_read_the_vector_is_worth_twice_as_many_outcomes() -> None:
    expected = _Expected(small_wrong=0.4, large_wrong=0.2, gain=0.2)
    rates = Rates(small_wrong=0.8, small_count=100, large_wrong=0.0, large_count=60)
    for worth, share in ((1.0, 60 / 160), (2.0, 60 / 260)):
        mixed, _ = _mix(expected, 0.0, rates, 100.0, worth)
        assert mixed.gain == pytest.approx((1 - share) * 0.2 + share * 0.8)
        assert mixed.small_wrong == pytest.approx(0.6)

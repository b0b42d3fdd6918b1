"""The pipeline without a world: the test sends the replies, so every step and its order is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from leo_core.config import LEOConfig
from leo_core.engine import effects as ask
from leo_core.engine.flights import Turn
from leo_core.engine.knowledge import Known
from leo_core.engine.pipeline import answer_request
from leo_core.engine.plan import Plan
from leo_core.errors import ProviderUnavailableError, StreamInterruptedError
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import (
    CacheEntry,
    Draft,
    EmbedderFingerprint,
    Embedding,
    Failure,
    Message,
    Receipt,
    Request,
    Route,
    Usage,
)
from leo_core.stages.cache.pair import load_pair_model
from leo_core.stages.receipt.lottery import commit_seed

DIMENSION = 8
FINGERPRINT = EmbedderFingerprint(name="hand", version="1", dimension=DIMENSION, table_sha256="00")
PARROT = ScriptedModel("parrot", replies="Paris", cost=0.001)
OWL = ScriptedModel("owl", replies="Paris", cost=0.01)


def make_plan(small=PARROT, large=None, jury=(), **settings):
    return Plan(
        config=LEOConfig(**settings),
        small=small,
        large=large,
        jury=jury,
        fingerprint=b"{}",
        policy={"settings_sha256": "00"},
        pair_model=load_pair_model(),
    )


def ask_for(text="What is the capital of France?", **fields):
    return Request(messages=(Message(role="user", content=text),), **fields)


class Hand:
    """Replies to effects and keeps what was asked."""

    def __init__(self, **replies):
        self.asked = []
        self.replies = replies
        self.known = Known.fresh(DIMENSION)
        self.time = 1000.0
        self.ended = []

    def __call__(self, effect):
        self.asked.append(effect)
        name = type(effect).__name__
        if name in self.replies:
            reply = self.replies[name]
            return reply(effect) if callable(reply) else reply
        return getattr(self, name)(effect)

    def Now(self, _):
        self.time += 0.5
        return ask.Instant(self.time, self.time)

    def Draw(self, effect):
        return (0.5,) * effect.count

    def Entropy(self, effect):
        return bytes(range(effect.count))

    def AuditSeed(self, effect):
        return effect.day.encode() + bytes(22)

    def Recall(self, _):
        return self.known

    def Decide(self, effect):
        decision, self.observations = effect.choose(self.known)
        return decision

    def Join(self, _):
        return Turn(end=self.ended.append)

    def EmbedTexts(self, effect):
        vector = np.zeros(DIMENSION, np.float32)
        vector[0] = 1
        return tuple(Embedding(vector=vector, fingerprint=FINGERPRINT) for _ in effect.texts)

    def FindExact(self, _):
        return None

    def FindNear(self, _):
        return ()

    def CallMember(self, effect):
        return effect.model.generate(effect.request)

    def CallAll(self, effect):
        return tuple(model.generate(effect.request) for model in effect.models)

    def Certify(self, effect):
        return Receipt(id="leo:rcpt:1", document={"statement": dict(effect.statement)})

    def __getattr__(self, _):
        return lambda _: None

    @property
    def order(self):
        chance = (ask.Now, ask.Draw, ask.Entropy, ask.AuditSeed)
        return [type(effect).__name__ for effect in self.asked if not isinstance(effect, chance)]


def drive(pipeline, hand):
    reply = None
    while True:
        try:
            effect = pipeline.send(reply)
        except StopIteration as stop:
            return stop.value
        reply = hand(effect)


def test_a_miss_goes_through_every_step_in_order():
    hand = Hand()
    answer = drive(answer_request(ask_for(), make_plan()), hand)
    assert hand.order == [
        "Recall",
        "EmbedTexts",
        "LearnNovelty",
        "FindExact",
        "FindNear",
        "Decide",
        "Notify",
        "Join",
        "FindExact",
        "Notify",
        "CallMember",
        "Show",
        "Certify",
        "HandOver",
    ]
    assert (answer.text, answer.route, answer.model) == ("Paris", Route.SMALL, "parrot")
    assert hand.ended == [True], "those who wait find the answer"
    assert answer.receipt.id == "leo:rcpt:1"
    assert answer.usage.cost_usd == 0.001
    assert answer.latency_s > answer.waited_s > 0
    assert answer.own_s == pytest.approx(answer.latency_s - answer.waited_s)
    (certified,) = [effect for effect in hand.asked if isinstance(effect, ask.Certify)]
    seed = b"1970-01-01" + bytes(22)
    assert certified.statement["audit"] == {"rate": "0.000000000", "chance": "0.000000000", "seed": commit_seed(seed)}


def entry_of(message="Paris"):
    return CacheEntry(
        id="e1",
        tenant="default",
        exact_key="k",
        scope_key="s",
        text="What is the capital of France?",
        message=Message(role="assistant", content=message),
        members=("parrot",),
        model="parrot",
        route=Route.SMALL,
        usage=Usage(cost_usd=0.001, calls=1),
        receipt_id="leo:rcpt:0",
        created_at=0.0,
    )


def test_an_exact_hit_calls_no_member_and_points_to_its_source():
    hand = Hand(FindExact=entry_of())
    answer = drive(answer_request(ask_for(), make_plan()), hand)
    assert not {"CallMember", "CallAll", "FindNear"} & set(hand.order)
    assert answer.route is Route.CACHE
    assert (answer.usage, answer.saved.cost_usd) == (Usage(), 0.001)
    certified = next(effect for effect in hand.asked if isinstance(effect, ask.Certify))
    assert "leo:rcpt:0" in str(certified.statement)
    assert answer.id != "e1"


def test_caching_switched_off_looks_nothing_up_and_keeps_nothing():
    hand = Hand()
    answer = drive(answer_request(ask_for().with_constraints(cache=False), make_plan()), hand)
    assert not {"FindExact", "FindNear", "Decide"} & set(hand.order)
    assert answer.cache.action == "off"
    handed = next(effect for effect in hand.asked if isinstance(effect, ask.HandOver))
    assert handed.entry is None


def test_exact_only_looks_for_no_neighbours():
    hand = Hand()
    drive(answer_request(ask_for().with_constraints(cache="exact"), make_plan()), hand)
    assert "FindExact" in hand.order
    assert "FindNear" not in hand.order


def test_without_an_embedding_matching_is_exact_and_novelty_unknown():
    hand = Hand(EmbedTexts=None)
    answer = drive(answer_request(ask_for(), make_plan()), hand)
    assert "FindNear" not in hand.order
    assert answer.novelty.value is None
    assert answer.text == "Paris"


def test_a_session_is_remembered():
    hand = Hand()
    drive(answer_request(ask_for(session="s1"), make_plan()), hand)
    remembered = next(effect for effect in hand.asked if isinstance(effect, ask.Remember))
    assert remembered.session == "s1"


def test_no_receipts_no_statement():
    config = LEOConfig()
    hand = Hand()
    plan = make_plan(receipts=replace(config.receipts, enabled=False))
    assert drive(answer_request(ask_for(), plan), hand).receipt is None
    assert "Certify" not in hand.order


def test_a_log_that_fails_leaves_no_claim():
    assert drive(answer_request(ask_for(), make_plan()), Hand(Certify=None)).receipt is None


def test_a_stream_that_dies_after_its_first_token_is_not_replaced_by_another_answer():
    error = ProviderUnavailableError("reset", provider="scripted", model="parrot")
    hand = Hand(CallMember=Failure(member="parrot", error=error, shown="Par"))
    with pytest.raises(StreamInterruptedError) as caught:
        drive(answer_request(ask_for(), make_plan(large=OWL)), hand)
    assert caught.value.partial == "Par"
    assert caught.value.__cause__ is error
    assert "HandOver" not in hand.order
    assert hand.ended == [False], "one of those who wait leads"


def test_before_the_first_token_the_next_member_answers():
    error = ProviderUnavailableError("refused", provider="scripted", model="parrot")

    def reply(effect):
        if effect.model.id == "parrot":
            return Failure(member="parrot", error=error)
        return Draft(member="owl", model="owl", message=Message(role="assistant", content="Paris"))

    hand = Hand(CallMember=reply)
    answer = drive(answer_request(ask_for().with_constraints(route=Route.SMALL), make_plan(large=OWL)), hand)
    assert (answer.route, answer.model) == (Route.LARGE, "owl")
    assert [failure.member for failure in answer.failures] == ["parrot"]

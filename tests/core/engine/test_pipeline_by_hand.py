"""The pipeline without a world: the test sends the replies, so every step and its order is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from leo_core.config import LEOConfig
from leo_core.engine import effects as ask
from leo_core.engine.budgets import Hold
from leo_core.engine.flights import Turn
from leo_core.engine.knowledge import Known
from leo_core.engine.pipeline import answer_request
from leo_core.engine.plan import Plan
from leo_core.errors import BudgetExceededError, ProviderUnavailableError, StreamInterruptedError
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import (
    Balance,
    CacheEntry,
    Draft,
    EmbedderFingerprint,
    Embedding,
    Failure,
    Message,
    Receipt,
    Request,
    Reservation,
    Route,
    Usage,
)
from leo_core.stages.budget.config import Budget
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

    def Hedge(self, effect):
        return (self.CallMember(effect.first),)

    def Together(self, effect):
        return tuple(drive(job(), self) for job in effect.jobs)

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
    assert not {"CallMember", "Together", "FindNear"} & set(hand.order)
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


# -------------------------------------------------------------------------------------------------- budgets

BUDGETS = (Budget(limit_usd=0.05), Budget(limit_usd=0.02, per="user", period="day"))


class Purse(Hand):
    """Replies to what is asked of the ledger; both accounts have so many nano-dollars left."""

    def __init__(self, left=20_000_000, **replies):
        super().__init__(**replies)
        self.left, self.given_up = left, []

    def balances(self, accounts):
        return tuple(Balance(account=account, spent=account.limit - self.left) for account in accounts)

    def FindBalances(self, effect):
        return self.balances(effect.accounts)

    def Reserve(self, effect):
        if effect.amount > self.left:
            return Hold(None, short=self.balances(effect.accounts)[0])
        self.left -= effect.amount
        wanted = Reservation(id="r", accounts=effect.accounts, amount=effect.amount, expires_at=effect.life_s)
        return Hold(wanted, leave=self.given_up.append)

    def of(self, kind):
        return [effect for effect in self.asked if isinstance(effect, kind)]


def test_a_call_is_reserved_before_it_is_made_and_settled_after_it():
    purse = Purse()
    drive(answer_request(ask_for(user="ann"), make_plan(budgets=BUDGETS)), purse)
    begin = purse.order.index("FindBalances")
    assert purse.order[begin : begin + 6] == [
        "FindBalances",
        "Notify",
        "Reserve",
        "CallMember",
        "SettleReservation",
        "Show",
    ]
    (reserved,), (settled,) = purse.of(ask.Reserve), purse.of(ask.SettleReservation)
    assert (reserved.amount, reserved.life_s) == (1_000_000, 3_600.0)
    assert [account.budget for account in reserved.accounts] == ["tenant/month", "user/day"]
    assert (settled.reservation.id, settled.cost) == ("r", 1_000_000)
    assert purse.given_up == []


def test_a_hit_asks_nothing_of_the_ledger():
    purse = Purse(left=0, FindExact=entry_of())
    assert drive(answer_request(ask_for(), make_plan(budgets=BUDGETS)), purse).route is Route.CACHE
    assert not {"FindBalances", "Reserve", "SettleReservation"} & set(purse.order)


def test_a_request_with_a_long_deadline_is_reserved_for_twice_as_long():
    purse = Purse()
    asked = ask_for().with_constraints(max_latency_s=7_200.0)
    drive(answer_request(asked, make_plan(budgets=BUDGETS)), purse)
    assert purse.of(ask.Reserve)[0].life_s == 14_400.0


def test_without_room_no_member_is_called():
    purse = Purse(left=999_999)
    with pytest.raises(BudgetExceededError, match="'tenant/month' of tenant 'default'"):
        drive(answer_request(ask_for(), make_plan(budgets=BUDGETS)), purse)
    assert not {"Reserve", "CallMember"} & set(purse.order)
    assert purse.ended == [False]


def test_room_that_is_gone_when_the_call_is_due_is_an_error_that_says_so():
    purse = Purse(Reserve=lambda effect: Hold(None, short=Balance(account=effect.accounts[1], reserved=20_000_000)))
    with pytest.raises(BudgetExceededError, match="a call of parrot for up to") as caught:
        drive(answer_request(ask_for(), make_plan(budgets=BUDGETS)), purse)
    assert caught.value.budget == "user/day"
    assert "CallMember" not in purse.order
    assert purse.order.count("Reserve") == 1, "it is not asked for the same again"


def test_what_is_given_up_is_left_to_the_ledger():
    purse = Purse()
    pipeline = answer_request(ask_for(), make_plan(budgets=BUDGETS))
    effect = pipeline.send(None)
    while not isinstance(effect, ask.CallMember):
        effect = pipeline.send(purse(effect))
    pipeline.close()
    assert [reservation.id for reservation in purse.given_up] == ["r"]


def test_a_jury_is_reserved_at_once():
    jury = tuple(ScriptedModel(name, replies="Paris", cost=0.002) for name in "abc")
    purse = Purse()
    drive(answer_request(ask_for(), make_plan(small=None, jury=jury, budgets=BUDGETS)), purse)
    assert [effect.amount for effect in purse.of(ask.Reserve)] == [6_000_000]
    assert [effect.cost for effect in purse.of(ask.SettleReservation)] == [6_000_000]

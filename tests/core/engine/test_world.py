"""The world's own promises: knowledge shared between processes, embedders and stores that fail, budgets and closing."""

from __future__ import annotations

import asyncio

import pytest

from leo_core import LEO, LEOConfig, Message, Request, Route
from leo_core.engine import knowledge_base
from leo_core.errors import (
    BudgetExceededError,
    ConfigError,
    ProviderUnavailableError,
    StoreLockedError,
)
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Draft, Usage
from leo_core.stages.resilience.config import ResilienceConfig
from leo_core.storage.in_memory import InMemoryStore

QUESTION = "How many days does February have in 2028?"


def model(name="parrot", reply="The answer is 29.", **settings):
    return ScriptedModel(name, replies=reply, **settings)


def down(name="broken"):
    return model(name, fail=ProviderUnavailableError("connection refused", provider="scripted", model=name))


def test_what_another_process_learned_is_folded_in(tmp_path):
    path = tmp_path / "leo.db"
    with LEO(small=model(), store=path) as one, LEO(small=model(), store=path) as two:
        two.ask("Something else entirely?", tenant="two")
        one.feedback(one.ask(QUESTION, tenant="acme"), wrong=True)
        one.flush()
        before = two._world.knowledge.recall("acme").trust
        two._world.knowledge.refresh()
        after = two._world.knowledge.recall("acme").trust
        assert before != after
        assert after == one._world.knowledge.recall("acme").trust
        one._world.knowledge.refresh()  # what it wrote itself is not folded twice
        assert one._world.knowledge.recall("acme").trust == after


class Moody(InMemoryStore):
    """A store that can be out."""

    out = False

    def close(self):
        """Stay open, to be looked at afterwards."""

    def load_state(self, tenant, name):
        if self.out:
            raise StoreLockedError("held by another process")
        return super().load_state(tenant, name)

    def save_state(self, tenant, name, blob):
        if self.out:
            raise StoreLockedError("held by another process")
        super().save_state(tenant, name, blob)


def test_novelty_that_could_not_be_read_is_not_written_over():
    store = Moody()
    with LEO(small=model(), store=store) as leo:
        for number in range(5):
            leo.ask(f"{QUESTION} {number}")
        leo.flush()
        kept = store.load_state("default", "novelty")
        assert kept is not None
        world = leo._world
        fresh = knowledge_base.KnowledgeBase(store, world.guard, world.config, 256)
        store.out = True
        vector = leo._world.embedder.embed(["a question"])[0]
        fresh.learn_novelty("default", vector, 0.5)
        store.out = False
        fresh.save_novelty()
        assert store.load_state("default", "novelty") == kept
        world.guard.wake()
        fresh.refresh()
        assert fresh.recall("default").novelty.to_bytes() == kept
        fresh.learn_novelty("default", vector, 0.5)
        fresh.save_novelty()
        assert store.load_state("default", "novelty") != kept


def test_novelty_that_cannot_be_saved_is_saved_the_next_time():
    store = Moody()
    leo = LEO(small=model(), store=store)
    leo.ask(QUESTION)
    store.out = True
    leo.flush()
    assert leo.counts["store.failed"] == 1
    store.out = False
    leo.close()
    with LEO(small=model(), store=store) as again:
        assert again._world.knowledge._store.load_state("default", "novelty") is not None


def test_damaged_novelty_is_forgotten_and_written_anew():
    store = InMemoryStore()
    store.save_state("default", "novelty", b"garbage")
    with LEO(small=model(), store=store) as leo:
        assert leo.ask(QUESTION).text
        assert leo.counts["store.failed"] == 1
        leo.flush()
        assert store.load_state("default", "novelty") != b"garbage"


def test_sessions_longest_unused_are_forgotten(monkeypatch):
    monkeypatch.setattr(knowledge_base, "MOST_SESSIONS", 2)
    with LEO(small=model()) as leo:
        for session in "abc":
            leo.ask(QUESTION, session=session)
        assert [session for _, session in leo._world.knowledge._memories] == ["b", "c"]


def test_novelty_is_saved_along_the_way(monkeypatch):
    monkeypatch.setattr(knowledge_base, "SAVE_NOVELTY_EVERY", 2)
    with LEO(small=model()) as leo:
        for number in range(3):
            leo.ask(f"{QUESTION} {number}")
        assert leo._world.background.flush(10)
        assert leo.store.load_state("default", "novelty") is not None


class Broken:
    """An embedder that fails after it was opened."""

    is_local = True

    def __init__(self, embedder):
        self.fingerprint = embedder.fingerprint

    def embed(self, texts):
        raise RuntimeError("the service is out")


def test_an_embedder_that_fails_costs_likeness_and_not_the_answer():
    from leo_core import load_embedder

    with LEO(small=model(), jury=[model("a"), model("b")], embedder=Broken(load_embedder("default"))) as leo:
        answer = leo.ask(QUESTION)
        assert answer.text == "The answer is 29."
        assert answer.novelty.value is None
        assert answer.receipt
        assert leo.ask(QUESTION).cache.kind == "exact"
        verdict = leo.ask(QUESTION + " again", route="consensus").verdict
        assert not verdict.abstained
        assert leo.counts["embedder.failed"] >= 3


# --------------------------------------------------------------------------------------------- budgets and routes


def test_a_cascade_stops_where_the_budget_ends_and_serves_what_there_is():
    unsure = Message(role="assistant", content="I am not sure. I cannot answer this.")
    dearer = Draft(member="small", model="small", message=unsure, usage=Usage(cost_usd=0.5))  # than it said before
    small, large = ScriptedModel("small", replies=lambda request: dearer, cost=0.01), model("large", cost=1.0)
    small.generate = lambda request: dearer
    with LEO(small=small, large=large) as leo:
        answer = leo.ask(QUESTION, route="cascade", max_error=0.01, max_cost_usd=1.2)
        assert (answer.members, answer.usage.cost_usd, large.calls) == (("small",), 0.5, 0)
        assert leo.counts["budget.exceeded"] == 1
    small = model("small", unsure.content)
    with LEO(small=small, jury=[small, model("a", cost=0.5), model("b", cost=0.5)]) as leo:
        answer = leo.ask(QUESTION, route="cascade", max_error=0.01)
        assert set(answer.members) == {"small", "a", "b"}
        assert answer.route is Route.CASCADE


@pytest.mark.parametrize(
    ("finish_reason", "kept"), [("stop", 1), ("tool_calls", 1), ("length", 0), ("content_filter", 0), ("pause", 0)]
)
def test_only_a_complete_answer_is_kept(finish_reason, kept):
    said = Message(role="assistant", content="Twenty-")
    member = model("small")
    member.generate = lambda request: Draft(member="small", model="small", message=said, finish_reason=finish_reason)
    with LEO(small=member) as leo:
        leo.ask(QUESTION)
        leo.flush()
        assert leo.store.count_entries() == kept
        assert leo.ask(QUESTION).cache.hit == bool(kept)


def test_a_jury_that_is_too_dear_is_not_asked():
    jury = [model("a", cost=1.0), model("b", cost=1.0)]
    with LEO(jury=jury) as leo, pytest.raises(BudgetExceededError):
        leo.ask(QUESTION, route="consensus", max_cost_usd=1.5)
    assert sum(member.calls for member in jury) == 0


def test_a_jury_of_which_one_is_left_answers_with_that_one():
    with LEO(jury=[down("a"), down("b"), model("c")]) as leo:
        answer = leo.ask(QUESTION, route="consensus")
        assert (answer.model, answer.verdict) == ("c", None)
        assert {failure.member for failure in answer.failures} == {"a", "b"}


def test_a_cascade_whose_small_member_is_down_and_large_one_too_asks_the_jury():
    with LEO(small=down("s"), large=down("l"), jury=[model("a"), model("b")]) as leo:
        assert leo.ask(QUESTION, route="cascade").text == "The answer is 29."
    unsure = model("s", "I am not sure. I cannot answer this.")
    with LEO(small=unsure, large=down("l")) as leo:
        answer = leo.ask(QUESTION, route="cascade", max_error=0.01)
        assert answer.text == "I am not sure. I cannot answer this."


def test_a_member_is_told_how_much_time_is_left():
    seen = []

    def reply(request):
        seen.append(request.constraints.max_latency_s)
        return "29"

    with LEO(small=ScriptedModel("m", replies=reply)) as leo:
        leo.ask(QUESTION, max_latency_s=60.0)
    assert 0.0 < seen[0] <= 60.0


def test_an_audit_without_anybody_to_compare_with_teaches_nothing():
    config = LEOConfig(audit_rate=1.0)
    for members in ({"small": model()}, {"small": model(), "large": down()}):
        with LEO(**members, config=config) as leo:
            leo.ask(QUESTION, route="small")
            leo.flush()
            assert "audit.done" not in leo.counts


def test_a_committee_that_cost_more_than_the_large_member_saved_less_than_nothing():
    jury = [model("a", cost=0.4), model("b", cost=0.4)]
    with LEO(large=model("large", cost=0.5), jury=jury) as leo:
        assert leo.ask(QUESTION, route="consensus").saved.cost_usd == pytest.approx(-0.3)


# ----------------------------------------------------------------------------------------------------- the cache alone


def request(text=QUESTION):
    return Request(messages=(Message(role="user", content=text),))


def test_the_cache_alone_works_with_blocks_and_forgets_what_it_left_open(monkeypatch):
    from leo_core.engine import open_lookups

    monkeypatch.setattr(open_lookups, "MOST_OPEN", 2)
    seeing = Request(messages=(Message(role="user", content=({"type": "image", "url": "https://x/y.png"},)),))
    with LEO(small=model()) as leo:
        for asked in (seeing, request("a?"), request("b?"), request("c?")):
            assert leo.cache.lookup(asked)[1] is None
        assert len(leo.cache._open) == 2
        leo.cache.update(seeing, Message(role="assistant", content="A cat."), model="m", usage=Usage(cost_usd=0.1))
        assert leo.cache.lookup(seeing)[1].message.text == "A cat."
        assert leo.cache.clear() == 1
        assert asyncio.run(leo.cache.alookup(seeing))[1] is None
        asyncio.run(leo.cache.aupdate(seeing, Message(role="assistant", content="A dog."), model="m"))
        assert leo.cache.lookup(seeing)[1].message.text == "A dog."


def test_a_closed_cache_serves_nothing_and_breaks_nothing():
    leo = LEO(small=model())
    leo.close()
    assert leo.cache.lookup(request())[1] is None
    leo.cache.update(request(), Message(role="assistant", content="29"))
    asyncio.run(leo.cache.aupdate(request(), Message(role="assistant", content="29")))
    assert leo.counts["background.closed"] == 2


def test_a_store_of_a_kind_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match="chroma"):
        LEO(small=model(), store="chroma://")


def test_explain_puts_verdicts_novelty_and_failures_into_words():
    jury = [model("a"), model("b"), down("c"), model("liar", "The answer is 30.")]
    with LEO(jury=jury, config=LEOConfig(resilience=ResilienceConfig(breaker=False))) as leo:
        for number in range(60):
            answer = leo.ask(f"{QUESTION} {number}", cache=False)
        told = leo.explain(answer)
        words = "\n".join(told["words"])
        assert "verdict: 3 votes in " in words
        assert "c failed: ProviderUnavailableError" in words
        assert "past requests" in words
        assert "unknown, only" not in words

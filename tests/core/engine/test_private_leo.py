"""With privacy a LEO decides as it does without, and finds again what it kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leo_core import LEO, Budget, LEOConfig, PrivacyConfig
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.cache.config import CacheConfig
from leo_core.stages.receipt.verify import verify_receipt

ASKED = [
    ("How do I reset my password?", "How can I reset my password?", "What is the way to reset my password?"),
    ("What is the capital of France?", "Which city is the capital of France?", "Name the capital of France"),
    ("How many days are in a week?", "How many days does a week have?", "What number of days has a week?"),
    ("Who painted the Mona Lisa?", "Which painter made the Mona Lisa?", "The Mona Lisa was painted by whom?"),
    ("What is the boiling point of water?", "At what temperature does water boil?", "When does water boil?"),
]
STREAM = [(turn % len(ASKED), ASKED[turn % len(ASKED)][(turn // len(ASKED)) % 3]) for turn in range(18 * len(ASKED))]
INTENTS = {text: number for number, texts in enumerate(ASKED) for text in texts}
CACHE = CacheConfig(max_wrong_hits=0.3, min_explored=3, explore_rate=0.2)


def open_leo(path, privacy=None, **settings):
    member = ScriptedModel("clerk", replies=lambda request: f"answer {INTENTS.get(request.question, 'none')}")
    config = LEOConfig(cache=CACHE, privacy=privacy, **settings)
    return LEO(small=member, config=config, store=path, seed=11)


def replay(path, privacy):
    """Every decision of a stream that is cut off in the middle and taken up again."""
    decided = []
    for part in (STREAM[:45], STREAM[45:]):
        with open_leo(path, privacy) as leo:
            for _, text in part:
                answer = leo.ask(text, tenant="acme")
                leo.flush()
                cache = answer.cache
                figures = (cache.cosine, cache.probability, cache.error_bound, cache.allowance, cache.margin)
                decided.append((text, answer.text, str(answer.route), cache.action, cache.kind, cache.why, figures))
    return decided


def test_every_decision_is_the_one_of_a_plain_cache(tmp_path):
    plain, private = (replay(tmp_path / f"{name}.db", privacy) for name, privacy in
                      {"plain": None, "private": PrivacyConfig()}.items())  # fmt: skip
    assert plain == private
    kinds = {(action, kind) for _, _, _, action, kind, _, _ in plain}
    assert {("serve", "exact"), ("serve", "semantic"), ("explore", "semantic"), ("miss", "")} <= kinds


def test_a_retried_request_gets_its_answer_and_receipt_after_a_restart(tmp_path):
    path, privacy = tmp_path / "leo.db", PrivacyConfig()
    with open_leo(path, privacy) as leo:
        first = leo.ask(ASKED[0][0], tenant="acme", idempotency_key="order-17")
    with open_leo(path, privacy) as leo:
        again = leo.ask(ASKED[0][0], tenant="acme", idempotency_key="order-17")
        assert (again.replayed, again.text, again.receipt.id) == (True, first.text, first.receipt.id)
        found = leo.log.get(first.receipt.id)
        verify_receipt(found, public_key=leo.public_key, contents={"tenant": "acme"})
        assert leo.log.audit() == 1


def test_a_receipt_that_a_crash_cut_off_is_written_at_the_next_start(tmp_path):
    path, privacy = tmp_path / "leo.db", PrivacyConfig()
    with open_leo(path, privacy) as leo:
        journal = leo._world.journal
        settle, journal._inner.settle = journal._inner.settle, lambda *_: None
        first = leo.ask(ASKED[0][0], tenant="acme", idempotency_key="order-17")
        assert journal.unsettled()[0].key == "order-17"
        journal._inner.settle = settle
    with open_leo(path, privacy) as leo:
        assert leo.counts["journal.recovered"] == 1
        assert leo._world.journal.find("acme", "order-17").receipt_id == first.receipt.id


def test_budgets_hold_over_a_restart_and_are_listed_by_name(tmp_path):
    path, privacy = tmp_path / "leo.db", PrivacyConfig()
    budgets = (Budget(limit_usd=1.0, per="user", period="total", name="of each user"),)
    with open_leo(path, privacy, budgets=budgets) as leo:
        leo.ask(ASKED[0][0], tenant="acme", user="ann")
    with open_leo(path, privacy, budgets=budgets) as leo:
        (balance,) = leo._world.budgets._ledger.balances(now=0.0)
        assert (balance.account.budget, balance.account.tenant) == ("of each user", "acme")
        assert leo.budgets(tenant="acme", user="ann")[0].account == balance.account


def test_an_export_of_a_private_store_is_read_by_a_plain_one_and_back(tmp_path):
    with open_leo(tmp_path / "one.db", PrivacyConfig()) as one:
        one.ask(ASKED[0][0], tenant="acme")
        assert one.cache.export(tmp_path / "out.jsonl") == 1
        key = one.cache.export_key
    with open_leo(tmp_path / "one.db", PrivacyConfig()) as one:
        assert one.cache.export_key == key, "the key outlives the process"
        one.cache.clear()
        assert one.cache.load(tmp_path / "out.jsonl") == 1
    with open_leo(tmp_path / "two.db") as two:
        assert two.cache.load(tmp_path / "out.jsonl", key=key) == 1


def test_an_altered_entry_is_an_event_and_a_miss(tmp_path):
    path = tmp_path / "leo.db"
    heard = []

    class Ear:
        def notify(self, event):
            heard.append((event.name, dict(event.facts)))

    member = ScriptedModel("clerk", replies=["one", "two"])
    with LEO(small=member, config=LEOConfig(privacy=PrivacyConfig()), store=path, listeners=[Ear()]) as leo:
        leo.ask("What is a fjord?", tenant="acme")
        leo.flush()
        inner = leo._world.store.inner
        ((row,), *_) = (list(inner.entries(tenant)) for tenant in inner.tenants() if inner.count_entries(tenant))
        inner.put(replace(row.entry, message=replace(row.entry.message, content="AAAA")), row.vector)
        answer = leo.ask("What is a fjord?", tenant="acme")
        assert (answer.text, str(answer.route)) == ("two", "small")
    poisoned = [facts for name, facts in heard if name == "cache.poisoned"]
    assert poisoned
    assert poisoned[0]["tenant"] == "acme"


def test_keys_that_cannot_be_had_cost_the_hit_and_never_the_answer(tmp_path, monkeypatch: pytest.MonkeyPatch):
    from leo_core.errors import KekUnavailableError
    from leo_core.privacy.keys.kek import LocalKek

    path = tmp_path / "leo.db"
    with open_leo(path, PrivacyConfig()) as leo:
        leo.ask(ASKED[0][0], tenant="acme")

    with open_leo(path, PrivacyConfig()) as leo:

        def refuse(*_, **__):
            raise KekUnavailableError("the vault is sealed")

        monkeypatch.setattr(LocalKek, "unwrap", refuse)
        answer = leo.ask(ASKED[0][0], tenant="acme")
        assert (answer.text, str(answer.route)) == ("answer 0", "small")
        assert leo.counts["store.failed"] > 0
        monkeypatch.undo()

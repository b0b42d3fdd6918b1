"""What may be published of a store: clipped per unit, noisy as charged, and refused when the budget is spent."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from scipy.stats import norm

from leo_core import LEO
from leo_core.errors import ConfigError, PrivacyBudgetError
from leo_core.evaluation.published_stats import GRID, PublishTerms, _count, publish_stats
from leo_core.privacy.publishing.accountant import PrivacyAccountant
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Observation
from leo_core.storage.in_memory import InMemoryStore
from leo_core.storage.keyrings import Keyrings
from leo_core.storage.private_store import PrivateStore
from leo_core.storage.sqlite import SqliteStore


def served(tenant, kind):
    return Observation(kind="served", tenant=tenant, body={"kind": kind}, at=0.0)


def asked(tenant, *, predicted=0.25, **more):
    body = {"route": "small", "right": None, "latency_s": 1.0, "weight": 1.0, "predicted": predicted} | more
    return Observation(kind="route", tenant=tenant, body=body, at=0.0)


class Notes:
    """A store of observations alone."""

    def __init__(self, observations):
        self._kept = list(observations)

    def tenants(self):
        return tuple(dict.fromkeys(each.tenant for each in self._kept))

    def observations(self, after=0, *, tenant=None):
        return iter((number, each) for number, each in enumerate(self._kept, 1) if each.tenant == tenant)


def ledger(epsilon=3.0):
    return PrivacyAccountant(epsilon=epsilon, delta=1e-6)


def many():
    """Forty tenants: one of them asks 500 times, the others ten times."""
    for number in range(40):
        for turn in range(500 if number == 0 else 10):
            kind = "exact" if turn % 5 == 0 else "semantic" if turn % 5 == 1 else "miss"
            yield served(f"t{number}", kind)
            if kind == "miss":
                yield asked(f"t{number}")


def test_each_tenant_counts_for_at_most_its_contribution():
    every = list(many())
    terms = PublishTerms(epsilon=1.0, contribution=7)
    whole = _count(Notes(every), Notes(every).tenants(), terms)
    assert sum(whole[kind] for kind in ("exact", "semantic", "miss")) == 40 * 7
    for gone in ("t0", "t7"):
        less = Notes(each for each in every if each.tenant != gone)
        rest = _count(less, less.tenants(), terms)
        for group, most in ((("exact", "semantic", "miss"), 7), (("small", "large"), 7), (("confidence",), 7 * GRID)):
            assert sum((whole[name] - rest[name]) ** 2 for name in group) ** 0.5 <= most
        assert whole - rest == _count(Notes(every), (gone,), terms)


def test_a_request_counts_once_and_what_is_said_later_counts_never():
    noise = [
        asked("t", audited=True, right=True),
        asked("t", right=False),
        asked("t", latency_s=None),
        Observation(kind="feedback", tenant="t", body={"wrong": True, "members": []}, at=0.0),
        served("t", "renewed"),
    ]
    found = _count(Notes([served("t", "miss"), asked("t", predicted=7.0), *noise]), ("t",), PublishTerms(epsilon=1.0))
    assert found == Counter(miss=1, small=1, predicted_error=GRID, confidence=GRID)


def test_the_noise_is_that_which_is_charged():
    store, below = Notes(many()), random.Random(3).randrange
    terms = PublishTerms(epsilon=1.0, contribution=10)
    accountant = ledger(1000.0)
    draws = []
    for _ in range(100):
        found = publish_stats(store, accountant, terms, below=below)
        draws.append(found["figures"]["route_large"]["value"])
    assert found["spent_epsilon"] < 100 * 1.0
    # of max(0, noise): half of the draws are 0, and their mean is sigma / sqrt(2 pi)
    assert abs(sum(draw == 0 for draw in draws) / 100 - 0.5) < 0.2
    assert sum(draws) / 100 == pytest.approx(found["sigma"] * norm.pdf(0), rel=0.5)
    (first, *_) = accountant.history()
    assert first.mechanism.sigma == found["sigma"]
    assert first.mechanism.sensitivity == 10


def test_one_publication_costs_what_it_may_and_the_budget_ends():
    store, accountant = Notes(many()), ledger(1.0)
    terms = PublishTerms(epsilon=0.5, contribution=10)
    once = publish_stats(store, accountant, terms)
    assert once["spent_epsilon"] == pytest.approx(0.5, rel=1e-3)
    assert once["spent_epsilon"] <= 0.5
    publish_stats(store, accountant, terms)
    publish_stats(store, accountant, terms)
    with pytest.raises(PrivacyBudgetError, match="unit tenant: all tenants"):
        publish_stats(store, accountant, terms)
    publish_stats(store, accountant, PublishTerms(epsilon=0.5, unit="request"), tenant="t0")


def test_the_figures_are_near_the_truth_where_there_are_many():
    every = [each for number in range(20_000) for each in (served("t", "exact" if number % 4 == 0 else "miss"),)]
    every += [asked("t", predicted=0.25) for _ in range(15_000)]
    terms, below = PublishTerms(epsilon=1.0, unit="request"), random.Random(1).randrange
    found = publish_stats(Notes(every), ledger(), terms, tenant="t", below=below)
    figures = found["figures"]
    assert figures["requests"]["value"] == pytest.approx(20_000, abs=150)
    assert figures["hit_rate"]["value"] == pytest.approx(0.25, abs=0.01)
    assert figures["mean_predicted_error"]["value"] == pytest.approx(0.25, abs=0.01)
    for name in ("hit_rate", "mean_confidence"):
        low, high = figures[name]["interval"]
        assert 0.0 <= low <= figures[name]["value"] <= high <= 1.0


def test_a_share_of_nearly_nothing_is_unknown():
    terms, below = PublishTerms(epsilon=0.1, contribution=100), random.Random(1).randrange
    found = publish_stats(Notes([served("t", "miss")]), ledger(), terms, below=below)
    assert found["figures"]["hit_rate"] == {"value": None, "interval": [0.0, 1.0]}


def test_it_reads_what_a_leo_writes():
    store = InMemoryStore()
    with LEO(small=ScriptedModel("parrot", replies="29"), store=store) as leo:
        for number in range(4):
            leo.ask(f"How many days has month {number}?", tenant="acme")
        leo.ask("How many days has month 1?", tenant="acme")
        leo.flush()
        found = _count(leo.store, leo.store.tenants(), PublishTerms(epsilon=1.0))
    assert (found["exact"], found["miss"], found["small"]) == (1, 4, 4)
    assert 0 < found["predicted_error"] < 4 * GRID


@pytest.mark.parametrize(
    "settings",
    [
        {"epsilon": 0.0},
        {"epsilon": float("inf")},
        {"epsilon": 1.0, "unit": "user"},
        {"epsilon": 1.0, "contribution": 0},
    ],
)
def test_bad_terms_are_refused(settings):
    with pytest.raises(ConfigError, match="|".join(settings)):
        PublishTerms(**settings)


def test_one_tenant_cannot_be_hidden_in_its_own_figures():
    with pytest.raises(ConfigError, match="--unit request"):
        publish_stats(Notes([]), ledger(), PublishTerms(epsilon=1.0), tenant="t")


def test_the_ledger_of_a_private_store_names_no_tenant(tmp_path):
    terms, path = PublishTerms(epsilon=0.5, unit="request"), tmp_path / "leo.db.privacy"
    accountant = PrivacyAccountant(epsilon=3.0, delta=1e-6, path=path)
    with PrivateStore(SqliteStore(tmp_path / "leo.db"), Keyrings.in_memory()) as store:
        store.observe([served("globex-corp", "miss")])
        first = publish_stats(store, accountant, terms, tenant="globex-corp")
        second = publish_stats(store, accountant, terms, tenant="globex-corp")
        publish_stats(store, accountant, PublishTerms(epsilon=0.5), tenant=None)
    assert first["principal"] == second["principal"] == "unit request: tenant globex-corp"
    assert second["spent_epsilon"] > first["spent_epsilon"], "one budget pays for both"
    assert [b"globex" in each.read_bytes() for each in tmp_path.iterdir()] == [False] * len(list(tmp_path.iterdir()))


def test_a_ledger_of_a_private_store_that_was_begun_with_the_name_forgets_nothing(tmp_path):
    terms, accountant = PublishTerms(epsilon=0.5, unit="request"), ledger()
    with InMemoryStore() as plain:
        plain.observe([served("globex", "miss")])
        before = publish_stats(plain, accountant, terms, tenant="globex")
    with PrivateStore(SqliteStore(tmp_path / "leo.db"), Keyrings.in_memory()) as store:
        store.observe([served("globex", "miss")])
        after = publish_stats(store, accountant, terms, tenant="globex")
    assert after["spent_epsilon"] > before["spent_epsilon"]

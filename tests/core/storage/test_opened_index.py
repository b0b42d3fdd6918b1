"""The opened index follows the store, stays within its memory, and says how far it is."""

from __future__ import annotations

import numpy as np
import pytest

from leo_core.errors import StorageError
from leo_core.records import KeptQuestion, QuestionChanges
from leo_core.storage import opened_index
from leo_core.storage.in_memory import InMemoryStore
from leo_core.storage.keyrings import Keyrings
from leo_core.storage.opened_index import OpenedIndex
from leo_core.storage.private_store import PrivateStore
from leo_core.storage.sqlite import SqliteStore
from leo_core.storage.vector_cache import REMOVALS_KEPT
from tests.contracts.store_samples import DIMENSION, FINGERPRINT, NOW, axis, find_ids, make_entry, make_vectors

RINGS = Keyrings.in_memory()


class Feed:
    """Questions in memory, told in pages."""

    def __init__(self, page=3):
        self.page = page
        self.rows: list[tuple[int, KeptQuestion, np.ndarray]] = []
        self.removed: list[str] = []
        self.anew = False
        self.readings = 0

    def put(self, number, vector, *, entry=None, expires_at=None):
        question = KeptQuestion(
            row=str(number), entry_id=entry or f"e{number}", exact_key=f"k{number}", expires_at=expires_at, seal=""
        )
        self.rows.append((number, question, vector))

    def read(self, tenant, scope, cursor, known):
        self.readings += 1
        assert (tenant, scope[:5]) == ("acme", "scope")
        after, seen = map(int, cursor.split(".")) if cursor else (0, len(self.removed))
        anew, self.anew = self.anew, False
        after = 0 if anew else after
        fresh = [row for row in self.rows if row[0] > after]
        page = fresh[: self.page]
        return QuestionChanges(
            cursor=f"{page[-1][0] if page else after}.{len(self.removed)}",
            added=tuple(question for _, question, _ in page),
            removed=tuple(self.removed[seen:]),
            anew=anew,
            more=len(fresh) > self.page,
        )

    def open_vector(self, tenant, scope, question):
        return next(vector for number, each, vector in self.rows if each.row == question.row)

    def remove(self, number):
        self.rows = [row for row in self.rows if row[0] != number]
        self.removed.append(str(number))


def make_index(feed, **settings):
    return OpenedIndex(feed.read, feed.open_vector, **settings)


def find(index, vector, k=9, now=NOW, scope="scope"):
    return [hit.question for hit in index.search("acme", scope, vector, k=k, now=now)]


def test_it_opens_lazily_page_by_page_and_tells_how_far_it_is():
    feed, told = Feed(), []
    index = make_index(feed, report=lambda *facts: told.append(facts))
    for number in range(1, 8):
        feed.put(number, axis(number))
    assert (feed.readings, index.size_bytes) == (0, 0)
    assert find(index, axis(3), k=1) == ["e3:k3"]
    assert told == [("acme", 3), ("acme", 6), ("acme", 7)]
    assert index.size_bytes > 7 * 4 * DIMENSION
    feed.put(8, axis(8))
    assert find(index, axis(8), k=1) == ["e8:k8"]
    assert told[3:] == [], "what comes later is no opening"


def test_a_search_weighs_its_own_scope_however_many_are_in_memory(monkeypatch):
    feed = Feed()
    index = make_index(feed)
    feed.put(1, axis(0))
    for number in range(30):
        assert find(index, axis(0), scope=f"scope-{number}") == ["e1:k1"]
    weighed, usual = [], opened_index._OpenedScope.size_bytes.fget
    monkeypatch.setattr(
        opened_index._OpenedScope, "size_bytes", property(lambda self: (weighed.append(self), usual(self))[1])
    )
    before = index._size_bytes
    feed.put(2, axis(1))
    assert len(find(index, axis(0), scope="scope-7")) == 2
    assert len(set(map(id, weighed))) == 1
    assert before < index._size_bytes == index.size_bytes


def test_it_follows_what_came_and_went():
    feed = Feed()
    index = make_index(feed)
    for number in range(1, 5):
        feed.put(number, axis(number), expires_at=NOW if number == 4 else None)
    assert sorted(find(index, axis(0))) == ["e1:k1", "e2:k2", "e3:k3", "e4:k4"]
    assert sorted(find(index, axis(0), now=NOW + 1)) == ["e1:k1", "e2:k2", "e3:k3"]
    feed.remove(2)
    feed.put(5, axis(2))
    assert sorted(find(index, axis(0), now=NOW + 1)) == ["e1:k1", "e3:k3", "e5:k5"]
    index.remove("acme", "scope", ["e1:k1", "unknown:k"])
    assert sorted(find(index, axis(0), now=NOW + 1)) == ["e3:k3", "e5:k5"]
    index.add("acme", "scope", "e9:k9", axis(9), expires_at=None)
    assert sorted(find(index, axis(0), now=NOW + 1)) == ["e3:k3", "e5:k5"], "the store has the last word"


def test_it_begins_anew_when_it_is_too_far_behind():
    feed = Feed()
    index = make_index(feed)
    for number in range(1, 5):
        feed.put(number, axis(number))
    assert len(find(index, axis(0))) == 4
    feed.rows = feed.rows[2:]
    feed.anew = True
    assert sorted(find(index, axis(0))) == ["e3:k3", "e4:k4"]


def test_what_does_not_open_is_looked_at_once():
    feed, opened = Feed(), []

    def refuse(tenant, scope, question):
        opened.append(question.row)
        return None if question.row == "2" else feed.open_vector(tenant, scope, question)

    index = OpenedIndex(lambda *facts: feed.read(*facts[:2], "", facts[3]), refuse)
    for number in range(1, 4):
        feed.put(number, axis(number))
    for _ in range(3):
        assert sorted(find(index, axis(0))) == ["e1:k1", "e3:k3"]
    assert opened == ["1", "2", "3"]


def test_scopes_share_a_limit_of_memory():
    feed = Feed(page=4096)
    vectors = make_vectors(400)
    for number in range(400):
        feed.put(number + 1, vectors[number])
    index = make_index(feed, max_bytes=1)
    assert len(find(index, axis(0), scope="scope one")) == 9
    alone = index.size_bytes
    for scope in ("scope two", "scope three", "scope one"):
        assert len(find(index, axis(0), scope=scope)) == 9
        assert index.size_bytes == alone, "the one searched last stays, the others go"
    index.clear("other")
    assert index.size_bytes == alone
    index.clear("acme")
    assert index.size_bytes == 0
    assert len(find(index, axis(0))) == 9
    index.close()
    assert index.size_bytes == 0


def test_many_removals_leave_no_hole():
    feed = Feed(page=4096)
    vectors = make_vectors(2600)
    for number in range(2600):
        feed.put(number + 1, vectors[number], entry=f"e{number % 1300}")
    index = make_index(feed)
    find(index, axis(0))
    before = index.size_bytes
    for number in range(2000):
        feed.remove(number + 1)
    feed.put(3000, axis(5), entry="e7")
    hits = index.search("acme", "scope", axis(5), k=601, now=NOW)
    assert index.size_bytes < before / 2
    assert len(hits) == 600 + 1
    assert (hits[0].question, hits[0].cosine) == ("e7:k3000", 1.0)
    exact = np.sort(vectors[2000:].astype(float) @ axis(5).astype(float))[::-1]
    assert [hit.cosine for hit in hits[1:]] == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("make", [InMemoryStore, lambda: SqliteStore(":memory:")], ids=["memory", "sqlite"])
def test_a_store_that_forgot_old_removals_says_so(make):
    inner = make()
    store, behind = (PrivateStore(inner, RINGS) for _ in range(2))
    store.open_for(FINGERPRINT)
    behind.open_for(FINGERPRINT)
    store.put(make_entry("stays"), axis(1))
    store.put(make_entry("goes"), axis(2))
    assert find_ids(behind, axis(2), k=1) == ["id-goes"]
    store.remove("acme", entry_ids=["id-goes"])
    sealed = [store.rows.seal_entry(make_entry(f"x{number}"), axis(3)) for number in range(64)]
    for _ in range(REMOVALS_KEPT // 64 + 1):
        inner.put_many(sealed)
        inner.remove(store.rows.name_tenant("acme"), entry_ids=[row.id for row, _ in sealed])
    owner, scope = store.rows.name_tenant("acme"), store.rows.name("acme", "scope", "scope")
    assert inner.changes(owner, scope, "1.0").anew
    assert find_ids(behind, axis(2)) == ["id-stays"]


def test_a_cursor_of_another_store_is_refused():
    with SqliteStore(":memory:") as store, pytest.raises(StorageError, match="no cursor"):
        store.changes("a", "b", "yesterday")

"""Two processes write under random kills: a short run of what ``make soak`` does at length."""

from __future__ import annotations

import sqlite3

import pytest

from leo_core.storage.sqlite import SqliteStore
from tests.contracts.store_samples import FINGERPRINT, make_entry, make_vectors
from tests.soak.two_writers import check, run


def test_nothing_acknowledged_is_lost_and_the_index_agrees(tmp_path):
    found = run(tmp_path, entries=3_000, seed=4, kills=12)
    assert found["acknowledged"] >= 3_000
    assert found["lost"] == 0
    assert found["indexed"] == found["kept"] >= found["acknowledged"] - found["removed"] - found["kills"]
    assert found["kills"] >= 12


@pytest.mark.parametrize(
    ("words", "complaint"),
    [([["put", "a", "0", "4"]], "are lost"), ([["put", "a", "0", "3"], ["removed", "a", "0", "1"]], "are back")],
)
def test_a_loss_would_be_seen(tmp_path, words, complaint):
    path, vectors = tmp_path / "leo.db", make_vectors(3)
    with SqliteStore(path) as store:
        store.open_for(FINGERPRINT)
        store.put_many([(make_entry(f"a-{number}"), vectors[number]) for number in range(3)])
        with pytest.raises(AssertionError, match=complaint):
            check(path, store, words)


def test_an_index_that_is_not_the_rows_would_be_seen(tmp_path):
    path, vectors = tmp_path / "leo.db", make_vectors(3)
    with SqliteStore(path) as store:
        store.open_for(FINGERPRINT)
        store.put_many([(make_entry(f"a-{number}"), vectors[number]) for number in range(3)])
        store.search("acme", "scope", vectors[0], k=1, now=0.0)
        with sqlite3.connect(path) as connection:  # behind the store's back: nothing is noted in ``removals``
            connection.execute("DROP TRIGGER questions_removed")
            connection.execute("DELETE FROM questions WHERE row = 2")
            connection.execute("DELETE FROM entries WHERE id = 'id-a-1'")
        connection.close()
        with pytest.raises(AssertionError):
            check(path, store, [])

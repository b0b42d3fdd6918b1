"""The index of one scope, against a plain search."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.storage import vector_index, vector_rows
from leo_core.storage.vector_index import ScopeIndex, find_nearest


def fill(index: ScopeIndex, questions: list[int], entries: list[int], vectors: np.ndarray) -> None:
    """Append vectors that never expire."""
    index.append(np.array(questions), np.array(entries), np.full(len(questions), np.inf), vectors)


def unread(questions: np.ndarray) -> np.ndarray:
    """No stored vector has to be read while the index keeps them."""
    raise AssertionError(questions)


@pytest.mark.parametrize(("exact_up_to", "partition_above"), [(8192, 150_000), (0, 150_000), (20, 60)])
@given(
    seed=st.integers(0, 2**32 - 1),
    batches=st.lists(st.integers(0, 40), max_size=5),
    copies=st.integers(1, 6),
    k=st.integers(0, 20),
    removed=st.floats(0, 1),
)
@settings(deadline=None)
def test_finds_what_a_plain_search_finds(
    exact_up_to: int, partition_above: int, seed: int, batches: list[int], copies: int, k: int, removed: float
) -> None:
    random = np.random.default_rng(seed)
    index = ScopeIndex(8, exact_up_to=exact_up_to, partition_above=partition_above)
    stored: dict[int, np.ndarray] = {}
    alive: dict[int, tuple[int, np.ndarray]] = {}
    last = 0
    for size in batches:
        # Few different directions, so that there are ties.
        vectors = np.eye(8, dtype=np.float32)[random.integers(0, max(1, 8 // copies), size)]
        questions = [last + 1 + 3 * step for step in range(size)]
        entries = [int(entry) for entry in random.integers(0, 10, size)]
        fill(index, questions, entries, vectors)
        stored.update(zip(questions, vectors, strict=True))
        alive.update(zip(questions, zip(entries, vectors, strict=True), strict=True))
        last = max([last, *questions])
        gone = [question for question in alive if random.random() < removed]
        index.remove(np.array([*gone, last + 7, 0], dtype=np.int64))
        for question in gone:
            del alive[question]
    assert len(index) == len(alive)
    assert index.last_question == last
    query = np.linspace(0.1, 0.5, 8).astype(np.float32)
    ranked = sorted(
        (-float(vector.astype(float) @ query.astype(float)), q, entry) for q, (entry, vector) in alive.items()
    )
    expected: dict[int, tuple[int, float]] = {}
    for negative, question, entry in ranked:
        expected.setdefault(entry, (question, -negative))
    with patch.object(vector_index, "PROBES", vector_rows.LISTS):  # every list, so that equals are all seen
        found = find_nearest(
            index.view(),
            query,
            k=k,
            now=0.0,
            read_vectors=lambda numbers: np.array([stored[number] for number in numbers.tolist()]).reshape(-1, 8),
        )
    assert [(hit.question, hit.cosine) for hit in found] == list(expected.values())[:k]


def test_order_does_not_depend_on_float32_rounding() -> None:
    random = np.random.default_rng(1)
    query = random.standard_normal(256)
    query /= np.linalg.norm(query)
    # Vectors whose inner products differ by less than float32 can tell apart.
    rows = np.repeat(query[np.newaxis], 500, axis=0) + random.standard_normal((500, 256)) * 3e-8
    vectors = rows.astype(np.float32)
    index = ScopeIndex(256)
    fill(index, list(range(1, 501)), list(range(500)), vectors)
    exact = (vectors.astype(float) * query.astype(np.float32).astype(float)).sum(axis=1)
    found = find_nearest(index.view(), query.astype(np.float32), k=5, now=0.0, read_vectors=unread)
    assert [hit.cosine for hit in found] == sorted(exact, reverse=True)[:5]


def test_a_view_keeps_still_while_the_index_grows_and_shrinks() -> None:
    vectors = np.eye(4, dtype=np.float32)
    index = ScopeIndex(4)
    fill(index, [1, 2], [1, 2], vectors[:2])
    view = index.view()
    fill(index, list(range(3, 5003)), list(range(3, 5003)), np.repeat(vectors[2:3], 5000, axis=0))
    size = index.size_bytes
    index.remove(np.arange(1000, 5003))
    assert index.size_bytes < size
    assert len(index) == 999
    assert len(view.questions) == 2
    assert find_nearest(view, vectors[2], k=9, now=0.0, read_vectors=unread)[0].cosine == 0.0
    index.remove(np.array([5002, 5002, 1]))
    assert len(index) == 998


def make_near_copies(count: int, dimension: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows (count, d), and 100 queries near some of them."""
    random = np.random.default_rng(seed)
    topics = random.standard_normal((50, dimension))
    rows = topics[random.integers(0, 50, count)] + 0.7 * random.standard_normal((count, dimension))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    queries = rows[random.integers(0, count, 100)] + 0.03 * random.standard_normal((100, dimension))
    return rows, (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("dimension", [96, 256, 384])
@pytest.mark.parametrize("partition_above", [5_000, 100_000])
def test_large_scopes_find_the_nearest_live_one_nearly_always(dimension: int, partition_above: int) -> None:
    rows, queries = make_near_copies(12_000, dimension, seed=3)
    index = ScopeIndex(dimension, exact_up_to=2_000, partition_above=partition_above)
    numbers = np.arange(1, len(rows) + 1)
    ends = np.where(numbers % 5 == 0, 10.0, np.inf)
    for first in range(0, len(rows), 1_000):
        part = slice(first, first + 1_000)
        index.append(numbers[part], numbers[part], ends[part], rows[part])
    index.remove(numbers[::3])
    gone = (numbers % 3 == 1) | (numbers % 5 == 0)
    scores = queries @ rows.T
    scores[:, gone] = -np.inf
    found = [
        find_nearest(index.view(), query, k=3, now=11.0, read_vectors=lambda asked: rows[asked - 1])
        for query in queries
    ]
    assert all(not gone[hit.question - 1] for hits in found for hit in hits)
    assert sum(hits[0].question - 1 == best for hits, best in zip(found, scores.argmax(axis=1), strict=True)) >= 99
    assert all(
        hit.cosine == float((rows[hit.question - 1].astype(float) * query.astype(float)).sum())
        for hits, query in zip(found, queries, strict=True)
        for hit in hits
    )


def test_what_is_left_after_most_were_removed_is_found_again() -> None:
    rows, queries = make_near_copies(9_000, 64, seed=4)
    index = ScopeIndex(64, exact_up_to=1_000, partition_above=3_000)
    numbers = np.arange(1, len(rows) + 1)
    index.append(numbers, numbers, np.full(len(rows), np.inf), rows)
    before = index.size_bytes
    index.remove(numbers[numbers % 4 != 0])
    assert index.size_bytes < before / 2
    assert len(index) == len(rows) // 4
    scores = queries @ rows[3::4].T
    for query, best in zip(queries, scores.argmax(axis=1), strict=True):
        (hit,) = find_nearest(index.view(), query, k=1, now=0.0, read_vectors=lambda asked: rows[asked - 1])
        assert hit.question == 4 * (best + 1)


def test_many_questions_of_few_entries_still_give_every_entry() -> None:
    rows, _ = make_near_copies(6_000, 32, seed=5)
    index = ScopeIndex(32, exact_up_to=1_000, partition_above=3_000)
    numbers = np.arange(1, len(rows) + 1)
    index.append(numbers, np.where(numbers > 5_990, numbers, 1), np.full(len(rows), np.inf), rows)
    found = find_nearest(index.view(), rows[0], k=50, now=0.0, read_vectors=lambda asked: rows[asked - 1])
    assert len({hit.question for hit in found}) == len(found) == 11
    assert found[0].question == 1


def test_large_row_numbers_are_kept() -> None:
    rows = np.eye(4, dtype=np.float32)
    index = ScopeIndex(4)
    fill(index, [5, 6], [1, 2], rows[:2])
    fill(index, [2**40, 2**40 + 1], [2**41, 2**41 + 1], rows[2:])
    index.remove(np.array([2**40, 2**50]))
    assert len(index) == 3
    assert [hit.question for hit in find_nearest(index.view(), rows[3], k=1, now=0.0, read_vectors=unread)] == [
        2**40 + 1
    ]


def test_memory_beyond_the_rounded_rows_is_under_50_bytes_a_vector() -> None:
    rows, _ = make_near_copies(4_096, 256, seed=6)
    index = ScopeIndex(256, exact_up_to=1_000, partition_above=3_000)
    numbers = np.arange(1, len(rows) + 1)
    index.append(numbers, numbers, np.full(len(rows), np.inf), rows)
    slack = 1.25  # of arrays that grow
    centres = 256 * 256 * 4 + 257 * 8
    assert (index.size_bytes - centres) / len(rows) <= slack * (256 + 50)

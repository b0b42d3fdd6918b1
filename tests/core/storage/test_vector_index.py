"""The index of one scope, against a plain search."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.storage.vector_index import ScopeIndex, find_nearest


def fill(index: ScopeIndex, questions: list[int], entries: list[int], vectors: np.ndarray) -> None:
    """Append vectors that never expire."""
    index.append(np.array(questions), np.array(entries), np.full(len(questions), np.inf), vectors)


@given(
    seed=st.integers(0, 2**32 - 1),
    batches=st.lists(st.integers(0, 40), max_size=5),
    copies=st.integers(1, 6),
    k=st.integers(0, 20),
    removed=st.floats(0, 1),
)
@settings(deadline=None)
def test_finds_what_a_plain_search_finds(seed: int, batches: list[int], copies: int, k: int, removed: float) -> None:
    random = np.random.default_rng(seed)
    index = ScopeIndex(8)
    alive: dict[int, tuple[int, np.ndarray]] = {}
    last = 0
    for size in batches:
        # Few different directions, so that there are ties.
        vectors = np.eye(8, dtype=np.float32)[random.integers(0, max(1, 8 // copies), size)]
        questions = [last + 1 + 3 * step for step in range(size)]
        entries = [int(entry) for entry in random.integers(0, 10, size)]
        fill(index, questions, entries, vectors)
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
    found = find_nearest(index.view(), query, k=k, now=0.0)
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
    found = find_nearest(index.view(), query.astype(np.float32), k=5, now=0.0)
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
    assert find_nearest(view, vectors[2], k=9, now=0.0)[0].cosine == 0.0
    index.remove(np.array([5002, 5002, 1]))
    assert len(index) == 998

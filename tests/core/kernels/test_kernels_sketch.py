"""Sketches against a plain ranking."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.kernels import _bits, sketch
from tests.oracles import sketch as oracle

NO_ENDS = np.empty(0)
NO_ORDER = np.empty(0, dtype=np.int32)


def make_units(count: int, dimension: int, seed: int) -> np.ndarray:
    """Random unit rows."""
    rows = np.random.default_rng(seed).standard_normal((count, dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def find(rows: np.ndarray, query: np.ndarray, wanted: int, **changes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Candidates among all rows."""
    rounded, scales = sketch.quantise_rows(rows)
    given = {
        "sketches": sketch.sketch_rows(rows),
        "order": NO_ORDER,
        "alive": np.ones(len(rows), dtype=bool),
        "ends": NO_ENDS,
        "spans": np.array([[0, len(rows)]]),
        **changes,
    }
    return sketch.find_candidates(
        np.ascontiguousarray(given["sketches"].T),
        given["order"],
        given["alive"],
        given["ends"],
        rounded,
        scales,
        given["spans"],
        sketch.sketch_query(query),
        sketch.quantise_query(query),
        5.0,
        wanted,
    )


@given(words=st.integers(0, 2**64 - 1))
def test_counts_bits(words: int) -> None:
    assert _bits.count_bits(np.uint64(words)) == words.bit_count()


@pytest.mark.parametrize("dimension", [1, 8, 200, 256, 300])
def test_the_rotation_keeps_lengths(dimension: int) -> None:
    rotation = sketch.make_rotation(dimension).astype(float)
    assert rotation.shape == (dimension, 256)
    gram = rotation @ rotation.T if dimension <= 256 else rotation.T @ rotation
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5)


@given(seed=st.integers(0, 10**6), scale=st.floats(1e-6, 1e6))
@settings(deadline=None, max_examples=20)
def test_rounding_is_within_half_a_step(seed: int, scale: float) -> None:
    rows = make_units(3, 40, seed) * np.float32(scale)
    rounded, scales = sketch.quantise_rows(rows)
    assert np.all(np.abs(rounded).max(axis=1) == 127)
    assert np.all(np.abs(rounded * scales[:, None] - rows) <= 0.501 * scales[:, None])
    query = sketch.quantise_query(rows[0])
    assert np.abs(query).max() == 2047


def test_zero_rows_do_not_divide_by_zero() -> None:
    rounded, _ = sketch.quantise_rows(np.zeros((2, 8), dtype=np.float32))
    assert not rounded.any()
    assert not sketch.quantise_query(np.zeros(8, dtype=np.float32)).any()


@given(seed=st.integers(0, 10**6), count=st.integers(1, 400), wanted=st.integers(1, 60), dead=st.floats(0, 1))
@settings(deadline=None, max_examples=25)
def test_finds_the_nearest_live_sketches(seed: int, count: int, wanted: int, dead: float) -> None:
    random = np.random.default_rng(seed)
    rows, query = make_units(count, 24, seed), make_units(1, 24, seed + 1)[0]
    alive, ends = random.random(count) >= dead, np.where(random.random(count) < 0.1, 4.0, 6.0)
    places, scores = find(rows, query, wanted, alive=alive, ends=ends)
    words, heavy = sketch.sketch_query(query).tolist()
    ranked = oracle.rank(sketch.sketch_rows(rows).tolist(), words, heavy, list(alive & (ends >= 5.0)))
    assert len(places) == len(set(places.tolist())) == min(wanted, len(ranked))
    found = sorted(oracle.measure_distance(sketch.sketch_rows(rows)[p].tolist(), words, heavy)[1] for p in places)
    if 16 * wanted >= count:  # all are in the pool that is sorted by the weighted distance
        assert found == [distance for distance, _ in ranked[:wanted]]
    assert all(alive[p] and ends[p] >= 5.0 for p in places)
    largest = np.abs(query).max()
    exact = (rows[places] @ query) * 2047 / largest
    np.testing.assert_allclose(scores, exact, atol=2047 / largest * 0.02)


def test_order_and_spans_choose_the_rows() -> None:
    rows, query = make_units(300, 64, 7), make_units(1, 64, 8)[0]
    order = np.random.default_rng(9).permutation(300).astype(np.int32)
    sketches = sketch.sketch_rows(rows)[order]
    spans = np.array([[10, 40], [200, 260]])
    places, _ = find(rows, query, 500, sketches=sketches, order=order, spans=spans)
    assert sorted(places) == sorted([*order[10:40], *order[200:260]])
    everything, _ = find(rows, query, 20)
    ordered, _ = find(rows, query, 20, sketches=sketches, order=order)
    assert len(set(everything.tolist()) ^ set(ordered.tolist())) <= 6  # those equally far may differ


def test_a_wrong_guess_of_the_limit_is_made_good() -> None:
    # What the sample sees is near the query, and dead; the rest is far.
    query = make_units(1, 64, 1)[0]
    rows = np.vstack([np.repeat(query[None], 3_000, axis=0), make_units(50, 64, 2)])
    alive = np.arange(len(rows)) >= 3_000
    places, _ = find(rows, query, 40, alive=alive)
    assert len(places) == 40
    assert places.min() >= 3_000


def test_equals_come_in_the_order_of_the_scan() -> None:
    query = make_units(1, 64, 1)[0]
    rows = np.repeat(query[None], 2_000, axis=0)
    places, _ = find(rows, query, 7)
    assert places.tolist() == list(range(7))


@given(
    seed=st.integers(0, 10**6),
    dimension=st.sampled_from([4, 40, 256]),
    count=st.integers(1, 80),
    owners=st.integers(1, 30),
    k=st.integers(1, 12),
)
@settings(deadline=None, max_examples=60)
def test_the_shortlist_leaves_out_only_what_rounding_cannot_decide(
    seed: int, dimension: int, count: int, owners: int, k: int
) -> None:
    random = np.random.default_rng(seed)
    rows, query = make_units(count, dimension, seed), make_units(1, dimension, seed + 1)[0]
    rows[: count // 3] = rows[count // 2]  # equals
    entries = random.integers(0, owners, count).astype(np.int32)
    rounded, scales = sketch.quantise_rows(rows)
    whole = sketch.quantise_query(query)
    scores = ((rounded.astype(np.int64) @ whole.astype(np.int64)) * scales).astype(np.float32)
    places = random.permutation(count)
    left = sketch.choose_shortlist(places, scores[places], scales, entries, whole, k)
    step, norm = min(0.5 * dimension**0.5, 3.5), float(np.linalg.norm(whole.astype(float)))
    expected = oracle.choose_shortlist(
        places.tolist(), scores.tolist(), [step * (norm * float(scale) + 1) for scale in scales], entries.tolist(), k
    )
    assert left.tolist() == expected
    exact = rows.astype(float) @ query.astype(float)
    best_of = sorted((max(exact[entries == entry]) for entry in set(entries.tolist())), reverse=True)[:k]
    assert set(places[exact[places] >= best_of[-1]].tolist()) <= set(left.tolist()) or len(best_of) < k


@given(seed=st.integers(0, 10**6), count=st.integers(0, 40), crowd=st.integers(1, 12), share=st.floats(0, 1))
@settings(deadline=None, max_examples=30)
def test_strangeness_is_its_definition(seed: int, count: int, crowd: int, share: float) -> None:
    sketches = sketch.sketch_rows(make_units(count + 1, 24, seed)[:count])
    query = sketch.sketch_query(make_units(1, 24, seed + 1)[0])
    found = sketch.measure_strangeness(sketches, query, crowd, share)
    words, heavy = query.tolist()
    assert found == pytest.approx(oracle.measure_strangeness(sketches.tolist(), words, heavy, crowd, share))
    assert -share <= found <= 1.0

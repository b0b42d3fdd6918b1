from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import ConfigError
from leo_core.privacy.ckks.packing import (
    MOST_DIM,
    check_vectors,
    choose_layout,
    rebuild_layout,
    spread_query,
    spread_rows,
)

SLOTS = 2048


def score_in_the_clear(query, rows, layout):
    """What the server does, with numbers in place of ciphertexts; a rotation to the left is ``np.roll``."""
    parts = spread_query(query, layout, SLOTS)
    sums = np.zeros((layout.giants, SLOTS), dtype=complex)
    for (giant, part, baby), diagonal in zip(layout.terms(), spread_rows(rows, layout, SLOTS), strict=True):
        sums[giant] += np.roll(parts[part], -baby) * diagonal
    total = sum(np.roll(sums[giant], -giant * layout.baby) for giant in range(layout.giants))
    return np.concatenate((total.real, total.imag))


@settings(max_examples=30, deadline=None)
@given(
    dim=st.integers(1, 300),
    expected=st.sampled_from([1, 5_000, 100_000]),
    count=st.sampled_from([1, 2047, 2049, 4096]),
    seed=st.integers(0, 99),
)
def test_the_packing_gives_the_scores_of_every_row(dim, expected, count, seed):
    draw = np.random.default_rng(seed)
    query, rows = draw.standard_normal(dim), draw.standard_normal((count, dim))
    layout = choose_layout(dim, expected)
    scores = score_in_the_clear(query, rows, layout)
    np.testing.assert_allclose(scores[:count], rows @ query, atol=1e-9)
    np.testing.assert_allclose(scores[count:], 0, atol=1e-9)


@pytest.mark.parametrize(
    ("dim", "parts"),
    [
        (1, (16,)),
        (16, (16,)),
        (17, (32,)),
        (128, (128,)),
        (129, (128, 16)),
        (256, (256,)),
        (384, (256, 128)),
        (512, (512,)),
        (700, (512, 256)),
        (768, (512, 256)),
        (1024, (1024,)),
        (1536, (1024, 512)),
        (4096, (2048, 2048)),
    ],
)
def test_parts_are_the_fewest_coordinates_that_hold_the_vector(dim, parts):
    layout = choose_layout(dim, 10_000)
    assert layout.parts == parts


@given(dim=st.integers(1, MOST_DIM), expected=st.integers(1, 10_000_000))
def test_every_layout_fits_the_arithmetic(dim, expected):
    layout = choose_layout(dim, expected)
    assert layout.diagonals >= dim
    assert all(SLOTS % part == 0 and part % layout.baby == 0 for part in layout.parts)
    assert layout.baby * len(layout.parts) <= 128
    assert len(set(layout.steps)) == len(layout.steps) == layout.baby - 1 + layout.giants - 1
    assert len(list(layout.terms())) == layout.diagonals
    assert layout == rebuild_layout(dim, layout.baby)


def test_more_entries_take_fewer_giant_steps():
    assert [choose_layout(256, expected).giants for expected in (1_000, 10_000, 100_000, 10_000_000)] == sorted(
        (choose_layout(256, expected).giants for expected in (1_000, 10_000, 100_000, 10_000_000)), reverse=True
    )
    assert choose_layout(256, 1_000).giants > choose_layout(256, 10_000_000).giants == 2


@pytest.mark.parametrize("dim", [0, -1, MOST_DIM + 1, 2.0, True, "3", None])
def test_a_dimension_outside_the_range_is_refused(dim):
    with pytest.raises(ConfigError, match="dim is a whole number from 1 to 4096"):
        choose_layout(dim, 1)


@pytest.mark.parametrize("expected", [0, 10**9, 1.5])
def test_a_size_outside_the_range_is_refused(expected):
    with pytest.raises(ConfigError, match="expected is a whole number"):
        choose_layout(8, expected)


@pytest.mark.parametrize("baby", [0, 1, 3, 512, 32])
def test_a_layout_that_there_is_not_is_refused(baby):
    with pytest.raises(ConfigError, match="cannot be laid out"):
        rebuild_layout(16, baby)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([[1.0, 0.1]], "must not be above 1, and is 1.00499 in row 0"),
        ([[0.5, 0.5], [3.0, 4.0]], "is 5 in row 1"),
        ([[np.nan, 0.0]], "is nan in row 0"),
        ([[np.inf, 0.0]], "is inf in row 0"),
        ([[0.5]], r"must have 2 coordinates; the shape is \(1, 1\)"),
        ([0.5, 0.5], r"the shape is \(2,\)"),
        ("text", "not made of numbers"),
        ([[1j, 0]], "not made of numbers"),
        (np.array([[1j, 0]]), "not made of numbers"),
    ],
)
def test_rows_that_could_wrap_around_are_refused(rows, says):
    with pytest.raises(ConfigError, match=says):
        check_vectors(rows, dim=2, unit=False, what="a row")


@pytest.mark.parametrize("length", [0.0, 0.99, 1.01])
def test_a_query_has_unit_length(length):
    with pytest.raises(ConfigError, match="the length of a query must be 1"):
        check_vectors([[length, 0.0]], dim=2, unit=True, what="a query")


def test_shorter_rows_and_float32_units_are_fine():
    rows = np.zeros((3, 2), dtype=np.float32)
    rows[1] = 0.6, 0.8
    np.testing.assert_array_equal(check_vectors(rows, dim=2, unit=False, what="a row"), rows)
    assert check_vectors(rows[1:2], dim=2, unit=True, what="a row").dtype == np.float64

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.evaluation.metrics import percentile, wilson_interval


def test_wilson_against_the_published_example():
    # Newcombe 1998, table I, method 3: 81 of 263 gives 0.2553 to 0.3662.
    low, high = wilson_interval(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_the_interval_holds_the_share_and_stays_in_the_unit_interval(a, b):
    successes, trials = min(a, b), max(a, b)
    low, high = wilson_interval(successes, trials)
    assert 0.0 <= low <= high <= 1.0
    if trials:
        assert low - 1e-12 <= successes / trials <= high + 1e-12


@pytest.mark.parametrize("counts", [(-1, 5), (6, 5)])
def test_counts_that_make_no_proportion_are_refused(counts):
    with pytest.raises(ValueError, match="no proportion"):
        wilson_interval(*counts)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 1))
def test_percentile_agrees_with_numpy(values, share):
    import numpy as np

    assert percentile(values, share) == pytest.approx(float(np.quantile(values, share)), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 1.5)])
def test_no_percentile_of_nothing(values, share):
    with pytest.raises(ValueError, match="no percentile"):
        percentile(values, share)

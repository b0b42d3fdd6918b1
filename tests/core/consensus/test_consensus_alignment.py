"""Agreement of single vectors with the robust centre of all."""

from __future__ import annotations

import numpy as np
import pytest

from leo_core.errors import RequestError
from leo_core.stages.consensus.coherence import measure_alignment


def test_the_majority_is_aligned_and_an_outlier_is_not() -> None:
    rows = np.array([[1.0, 0.0], [0.99, 0.1], [0.98, -0.1], [-1.0, 0.2]], dtype=np.float32)
    cosines = measure_alignment(rows)
    assert min(cosines[:3]) > 0.97
    assert cosines[3] < -0.9


def test_weights_move_the_centre() -> None:
    rows = np.eye(2, dtype=np.float32)
    assert measure_alignment(rows, [1.0, 0.1]) == pytest.approx((1.0, 0.0))
    assert measure_alignment(rows, [0.1, 1.0]) == pytest.approx((0.0, 1.0))


def test_none_and_zeros() -> None:
    assert measure_alignment(np.zeros((0, 3), dtype=np.float32)) == ()
    assert measure_alignment(np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]], dtype=np.float32)) == (1.0, 0.0, 1.0)


@pytest.mark.parametrize("rows", [np.ones(3), np.array([[np.nan, 1.0]]), np.ones((2, 2))])
def test_what_is_no_rows_is_refused(rows: np.ndarray) -> None:
    with pytest.raises(RequestError, match="finite row"):
        measure_alignment(rows, [1.0])

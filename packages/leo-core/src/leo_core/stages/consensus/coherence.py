"""Agreement of answer embeddings: a diagnostic of a verdict, never its judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import RequestError
from leo_core.records import Coherence
from leo_core.stages.consensus.certificate import certify_coherence

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["find_outliers", "measure_agreement", "measure_alignment"]

_TOLERANCE = 1e-8
_MAX_ITERATIONS = 500
_LEAST_WEIGHT = 1e-6
_LEAST_DRAFTS = 4
_NORMAL = 1.4826
_SPREAD_FLOOR = 0.05
_CORRECTIONS = (1.363, 1.206, 1.200, 1.140, 1.129, 1.107)


def measure_agreement(vectors: npt.NDArray[np.float32], weights: Sequence[float], kappa: float) -> Coherence:
    """Coherence of a committee's drafts: the group-Huber optimum against its value for orthogonal answers.

    Args:
        vectors: One unit row per draft, shape (m, d), m at least 2.
        weights: Weight of each draft, shape (m,), at least 0. A weight of 0 counts as very small, so that the problem
            stays defined; equal weights when all are 0.
        kappa: Distance from which the problem counts linearly.

    Raises:
        RequestError: The vectors are not m finite rows.
    """
    from leo_core.kernels.coherence import measure_coherence, solve_consensus, solve_orthogonal  # noqa: PLC0415 - loads numba

    points = np.ascontiguousarray(vectors, dtype=np.float64)
    if points.ndim != 2 or points.shape[0] != len(weights) or not np.isfinite(points).all():  # noqa: PLR2004 - rows and columns
        message = f"vectors of shape {points.shape} do not hold one finite row for each of {len(weights)} drafts"
        raise RequestError(message)
    shares = np.maximum(np.asarray(weights, dtype=np.float64), _LEAST_WEIGHT)
    found = solve_consensus(points, shares, kappa, _TOLERANCE, _MAX_ITERATIONS)
    orthogonal = solve_orthogonal(shares, kappa, _TOLERANCE, _MAX_ITERATIONS)
    return Coherence(
        value=float(measure_coherence(found.optimum, orthogonal)),
        optimum=float(found.optimum),
        iterations=int(found.iterations),
        primal_residual=float(found.primal_residual),
        dual_residual=float(found.dual_residual),
        converged=bool(found.converged),
        distances=tuple(float(distance) for distance in found.distances),
        certificate=certify_coherence(points, shares, kappa, found.distances),
    )


def measure_alignment(vectors: npt.NDArray[np.float32], weights: Sequence[float] | None = None) -> tuple[float, ...]:
    """Cosine of each vector with the robust centre of all: their geometric median.

    Args:
        vectors: One row per item, shape (m, d).
        weights: Weight of each row in the median, shape (m,), at least 0 and not all 0; equal by default.

    Returns:
        m cosines in [-1, 1]; 0 for a row of zeros, and for all where the median is the origin.

    Raises:
        RequestError: The vectors are not finite rows, one for each weight.
    """
    from leo_core.kernels.geometric_median import find_geometric_median  # noqa: PLC0415 - loads numba

    points = np.ascontiguousarray(vectors, dtype=np.float64)
    shares = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=np.float64)
    if points.ndim != 2 or points.shape[0] != len(shares) or not np.isfinite(points).all():  # noqa: PLR2004 - rows and columns
        message = f"vectors of shape {points.shape} do not hold one finite row for each of {len(shares)} weights"
        raise RequestError(message)
    if not len(points):
        return ()
    centre = find_geometric_median(points, shares, _TOLERANCE, _MAX_ITERATIONS).point
    lengths = np.linalg.norm(points, axis=1) * np.linalg.norm(centre)
    cosines = np.where(lengths > 0.0, points @ centre / np.where(lengths > 0.0, lengths, 1.0), 0.0)
    return tuple(float(cosine) for cosine in np.clip(cosines, -1.0, 1.0))


def find_outliers(distances: Sequence[float], cutoff: float) -> tuple[bool, ...]:
    """Which distances to the robust centre are too large for the rest.

    A distance is an outlier when it exceeds the median by more than ``cutoff`` robust standard deviations: the median
    absolute deviation times 1.4826 and times the correction for small samples (Croux and Rousseeuw, 1992), and 0.05
    at least, so that near-identical answers do not make a slightly different one an outlier. Fewer than four
    distances show no outlier. Never more than half of them are.
    """
    count = len(distances)
    if count < _LEAST_DRAFTS:
        return (False,) * count
    values = np.asarray(distances, dtype=np.float64)
    median = float(np.median(values))
    place = count - _LEAST_DRAFTS
    correction = _CORRECTIONS[place] if place < len(_CORRECTIONS) else count / (count - 0.8)
    spread = max(_NORMAL * correction * float(np.median(np.abs(values - median))), _SPREAD_FLOOR)
    return tuple(bool(value) for value in values - median > cutoff * spread)

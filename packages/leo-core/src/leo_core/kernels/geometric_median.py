"""The weighted geometric median, ``argmin_w Σ_i α_i ‖x_i - w‖₂``.

Weiszfeld's iteration with the step of Y. Vardi and C.-H. Zhang, "The multivariate L1-median and associated data
depth", PNAS 97, 2000, which stays valid where an iterate meets a data point. Whether the median *is* a data
point is decided beforehand by their optimality condition, so the iteration never creeps towards one. The
breakdown point is 1/2 of the weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from leo_core.kernels._compile import kernel
from leo_core.kernels._vectors import measure_distance, measure_norm

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["GeometricMedian", "find_geometric_median"]


class GeometricMedian(NamedTuple):
    """A weighted geometric median.

    Attributes:
        point: The median, shape (d,).
        optimum: Σ α_i ‖x_i - point‖₂, with the weights as given.
        iterations: Steps taken; 0 when the median is a data point.
        converged: Whether the gradient met the tolerance; then the optimum is at most tolerance·Σα·‖point - w*‖ too
            high, with w* the exact median.
    """

    point: Floats
    optimum: float
    iterations: int
    converged: bool


@kernel
def _pull(points: Floats, weights: Floats, where: Floats, near: float) -> tuple[Floats, float, float]:
    """Σ α_i (x_i - w)/‖x_i - w‖ (d,) and Σ α_i/‖x_i - w‖ of the points farther than ``near``; weight of the rest."""
    force = np.zeros(where.shape[0])
    stiffness = 0.0
    here = 0.0
    for row in range(points.shape[0]):
        distance = measure_distance(points, row, where)
        if distance > near:
            for place in range(where.shape[0]):
                force[place] += weights[row] / distance * (points[row, place] - where[place])
            stiffness += weights[row] / distance
        else:
            here += weights[row]
    return force, stiffness, here


@kernel
def _total(points: Floats, weights: Floats, where: Floats) -> float:
    """Σ α_i ‖x_i - w‖₂."""
    total = 0.0
    for row in range(points.shape[0]):
        total += weights[row] * measure_distance(points, row, where)
    return total


@kernel
def _find_mean(points: Floats, weights: Floats) -> tuple[Floats, float, float]:
    """The weighted mean (d,), Σ α_i, and the largest coordinate in size."""
    count, dimension = points.shape
    mean = np.zeros(dimension)
    total = 0.0
    largest = 0.0
    for row in range(count):
        total += weights[row]
        for place in range(dimension):
            mean[place] += weights[row] * points[row, place]
            largest = max(largest, abs(points[row, place]))
    for place in range(dimension):
        mean[place] /= total
    return mean, total, largest


@kernel
def find_geometric_median(points: Floats, weights: Floats, tolerance: float, max_iterations: int) -> GeometricMedian:
    """The geometric median of ``points`` (m, d) with ``weights`` (m,) ≥ 0, not all zero.

    Args:
        points: x_i, finite, at least one.
        weights: α_i.
        tolerance: Stop when the gradient is at most this long, relative to Σ α_i; > 0, such as 1e-9.
        max_iterations: Where to stop in any case.
    """
    for row in range(points.shape[0]):
        force, _, here = _pull(points, weights, points[row], 0.0)
        if measure_norm(force) <= here:
            return GeometricMedian(points[row].copy(), _total(points, weights, points[row]), 0, True)  # noqa: FBT003 - numba builds named tuples by position
    where, total, largest = _find_mean(points, weights)
    near = 1e-13 * largest
    for iteration in range(max_iterations):
        force, stiffness, here = _pull(points, weights, where, near)
        strength = measure_norm(force)
        if stiffness == 0.0 or (strength <= tolerance * total and here == 0.0):
            return GeometricMedian(where, _total(points, weights, where), iteration, True)  # noqa: FBT003 - numba builds named tuples by position
        length = max(0.0, 1.0 - here / max(strength, tolerance * total)) / stiffness
        for place in range(where.shape[0]):
            where[place] += length * force[place]
    return GeometricMedian(where, _total(points, weights, where), max_iterations, False)  # noqa: FBT003 - numba builds named tuples by position

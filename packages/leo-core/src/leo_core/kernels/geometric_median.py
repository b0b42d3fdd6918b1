"""The weighted geometric median, ``argmin_w Σ_i α_i ‖x_i - w‖₂``.

Weiszfeld's iteration with the step of Y. Vardi and C.-H. Zhang, "The multivariate L1-median and associated data
depth", PNAS 97, 2000, which stays valid where an iterate meets a data point. Whether the median *is* a data
point is decided beforehand by their optimality condition, so the iteration never creeps towards one. The
breakdown point is 1/2 of the weight.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from leo_core.kernels._compile import kernel

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
        converged: Whether the gradient was within the tolerance; then optimum ≤ best + tolerance·Σα·‖point - best point‖.
    """

    point: Floats
    optimum: float
    iterations: int
    converged: bool


@kernel
def _pull(points: Floats, weights: Floats, where: Floats, near: float) -> tuple[Floats, float, float]:
    """Σ α_i (x_i - w)/‖x_i - w‖ (d,) and Σ α_i/‖x_i - w‖ over points farther than ``near``; the weight of the others."""
    force = np.zeros(where.shape[0])
    stiffness = 0.0
    here = 0.0
    for row in range(points.shape[0]):
        gap = points[row] - where
        distance = math.sqrt(np.sum(gap * gap))
        if distance > near:
            force += (weights[row] / distance) * gap
            stiffness += weights[row] / distance
        else:
            here += weights[row]
    return force, stiffness, here


@kernel
def _total(points: Floats, weights: Floats, where: Floats) -> float:
    """Σ α_i ‖x_i - w‖₂."""
    total = 0.0
    for row in range(points.shape[0]):
        total += weights[row] * math.sqrt(np.sum((points[row] - where) ** 2))
    return total


@kernel
def find_geometric_median(points: Floats, weights: Floats, tolerance: float, max_iterations: int) -> GeometricMedian:
    """The geometric median of ``points`` (m, d) with ``weights`` (m,) ≥ 0, not all zero.

    Args:
        points: x_i, finite, at least one.
        weights: α_i.
        tolerance: Stop when the gradient is at most this long, relative to Σ α_i; > 0, such as 1e-9.
        max_iterations: Where to stop in any case.
    """
    count, dimension = points.shape
    for row in range(count):
        force, _, here = _pull(points, weights, points[row], 0.0)
        if math.sqrt(np.sum(force * force)) <= here:
            return GeometricMedian(points[row].copy(), _total(points, weights, points[row]), 0, True)  # noqa: FBT003
    where = np.zeros(dimension)
    total = np.sum(weights)
    for row in range(count):
        where += (weights[row] / total) * points[row]
    near = 1e-13 * np.max(np.abs(points))
    for iteration in range(max_iterations):
        force, stiffness, here = _pull(points, weights, where, near)
        strength = math.sqrt(np.sum(force * force))
        if stiffness == 0.0 or (strength <= tolerance * total and here == 0.0):
            return GeometricMedian(where, _total(points, weights, where), iteration, True)  # noqa: FBT003
        where += force * (max(0.0, 1.0 - here / max(strength, tolerance * total)) / stiffness)
    return GeometricMedian(where, _total(points, weights, where), max_iterations, False)  # noqa: FBT003

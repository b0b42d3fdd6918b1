"""How well a set of vectors agrees: the group-Huber consensus problem, solved by ADMM.

    minimise over w    Σ_i α_i H_κ(‖x_i - w‖₂),    H_κ(r) = r²/2 for r ≤ κ, else κ (r - κ/2).

Each vector has its own copy θ_i of w, with the constraint θ_i = w (S. Boyd, N. Parikh, E. Chu, B. Peleato and
J. Eckstein, "Distributed optimization and statistical learning via ADMM", 2011, §7.1); the penalty of copy i is
weighted by α_i, so that the iteration does not depend on the scale of the weights. It stops on the primal and
dual residuals of §3.3 and balances them as in §3.4.1, with over-relaxation 1.6 (§3.4.3). Where that has not sufficed,
because nearly all weight lies on far points and the problem is nearly flat, the penalty is loosened a few more times.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from leo_core.kernels._compile import kernel
from leo_core.kernels._vectors import measure_distance

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["Consensus", "measure_coherence", "solve_consensus", "solve_orthogonal"]

RELAXATION = 1.6
BALANCE = 10.0
ADAPTATIONS = 60
PATIENCE = 100
LOOSENINGS = 8
LOOSER = 0.25


class Consensus(NamedTuple):
    """Solution of the consensus problem.

    Attributes:
        centre: w, the robust centre, shape (d,).
        optimum: Value of the problem at w, with the weights as given.
        iterations: ADMM iterations.
        primal_residual: √(Σ α_i ‖θ_i - w‖²), with weights that sum to 1.
        dual_residual: ρ ‖w - w of the iteration before‖.
        converged: Whether both residuals met the tolerance.
        distances: ‖x_i - w‖₂, shape (m,).
    """

    centre: Floats
    optimum: float
    iterations: int
    primal_residual: float
    dual_residual: float
    converged: bool
    distances: Floats


@kernel
def _huber(distance: float, kappa: float) -> float:
    """H_κ of a distance."""
    if distance <= kappa:
        return 0.5 * distance * distance
    return kappa * (distance - 0.5 * kappa)


@kernel
def _shrink(gap: float, kappa: float, rho: float) -> float:
    """Factor of the proximal step of H_κ(‖·‖₂)/ρ at a vector of length ``gap``."""
    if gap <= kappa * (1.0 + 1.0 / rho):
        return rho / (1.0 + rho)
    return 1.0 - kappa / (rho * gap)


@kernel
def _iterate(
    points: Floats, shares: Floats, kappa: float, rho: float, copies: Floats, duals: Floats, centre: Floats
) -> tuple[float, float, float]:
    """One ADMM iteration in place; returns Σ α_i ‖θ_i - w‖², ‖w - w before‖² and Σ α_i ‖u_i‖².

    ``points``, ``copies`` (θ) and scaled ``duals`` (u): shape (m, d). ``shares`` (m,) sum to 1.
    """
    count, dimension = points.shape
    fresh = np.zeros(dimension)
    for row in range(count):
        total = 0.0
        for place in range(dimension):
            gap = centre[place] - duals[row, place] - points[row, place]
            total += gap * gap
        factor = _shrink(math.sqrt(total), kappa, rho)
        for place in range(dimension):
            gap = centre[place] - duals[row, place] - points[row, place]
            copy = points[row, place] + factor * gap
            copies[row, place] = copy
            duals[row, place] += RELAXATION * copy + (1.0 - RELAXATION) * centre[place]
            fresh[place] += shares[row] * duals[row, place]
    moved = 0.0
    for place in range(dimension):
        moved += (fresh[place] - centre[place]) ** 2
        centre[place] = fresh[place]
    apart = 0.0
    price = 0.0
    for row in range(count):
        for place in range(dimension):
            duals[row, place] -= centre[place]
            apart += shares[row] * (copies[row, place] - centre[place]) ** 2
            price += shares[row] * duals[row, place] ** 2
    return apart, moved, price


@kernel
def _find_start(points: Floats, weights: Floats, kappa: float) -> Floats:
    """The data point that costs least as a centre: near the solution even when other points are very far."""
    best = 0
    lowest = math.inf
    for candidate in range(points.shape[0]):
        cost = 0.0
        for row in range(points.shape[0]):
            cost += weights[row] * _huber(measure_distance(points, row, points[candidate]), kappa)
        if cost < lowest:
            lowest = cost
            best = candidate
    chosen: Floats = points[best].copy()
    return chosen


@kernel
def _share(points: Floats, weights: Floats) -> tuple[Floats, float]:
    """Weights (m,) scaled to sum 1, and the root mean square length of the points under them."""
    total = 0.0
    for row in range(weights.shape[0]):
        total += weights[row]
    shares = np.empty(weights.shape[0])
    size = 0.0
    for row in range(weights.shape[0]):
        shares[row] = weights[row] / total
        for place in range(points.shape[1]):
            size += shares[row] * points[row, place] ** 2
    return shares, math.sqrt(size)


@kernel
def _rescale(duals: Floats, factor: float) -> None:
    """Multiply the scaled duals in place: they are the prices over ρ, and ρ has changed."""
    for row in range(duals.shape[0]):
        for place in range(duals.shape[1]):
            duals[row, place] *= factor


@kernel
def _finish(
    points: Floats,
    weights: Floats,
    kappa: float,
    centre: Floats,
    residuals: tuple[float, float],
    iterations: int,
    converged: bool,  # noqa: FBT001 - numba takes arguments by position
) -> Consensus:
    """Measure the distances and the value at the centre."""
    distances = np.empty(points.shape[0])
    optimum = 0.0
    for row in range(points.shape[0]):
        distances[row] = measure_distance(points, row, centre)
        optimum += weights[row] * _huber(distances[row], kappa)
    return Consensus(centre, optimum, iterations, residuals[0], residuals[1], converged, distances)


@kernel
def solve_consensus(points: Floats, weights: Floats, kappa: float, tolerance: float, max_iterations: int) -> Consensus:
    """The robust centre of ``points`` (m, d) with ``weights`` (m,) ≥ 0, not all zero, and what it costs.

    Args:
        points: x_i, finite, at least one.
        weights: α_i.
        kappa: κ > 0; distances above it count linearly.
        tolerance: Absolute and relative tolerance of both residuals, such as 1e-9.
        max_iterations: Where to stop in any case; ``converged`` says which.
    """
    count, dimension = points.shape
    shares, size = _share(points, weights)
    centre = _find_start(points, shares, kappa)
    copies = points.copy()
    duals = np.zeros((count, dimension))
    rho = 1.0
    primal = 0.0
    dual = 0.0
    iterations = 0
    converged = False
    floor = tolerance * math.sqrt(dimension)
    while not converged and iterations < max_iterations:
        apart, moved, price = _iterate(points, shares, kappa, rho, copies, duals, centre)
        iterations += 1
        primal = math.sqrt(apart)
        dual = rho * math.sqrt(moved)
        converged = primal <= floor + tolerance * size and dual <= floor + tolerance * rho * math.sqrt(price)
        if converged or iterations > ADAPTATIONS + LOOSENINGS * PATIENCE:
            continue
        if iterations > ADAPTATIONS:
            if (iterations - ADAPTATIONS) % PATIENCE == 0:
                rho *= LOOSER
                _rescale(duals, 1.0 / LOOSER)
            continue
        factor = 2.0 if primal > BALANCE * dual else 0.5 if dual > BALANCE * primal else 1.0
        rho *= factor
        _rescale(duals, 1.0 / factor)
    return _finish(points, weights, kappa, centre, (primal, dual), iterations, converged)


def solve_orthogonal(weights: Floats, kappa: float, tolerance: float, max_iterations: int) -> float:
    """Optimum of the problem for pairwise orthogonal unit vectors with these ``weights`` (m,)."""
    return solve_consensus(np.eye(weights.shape[0]), weights, kappa, tolerance, max_iterations).optimum


def measure_coherence(optimum: float, orthogonal: float) -> float:
    """1 - ``optimum`` / ``orthogonal``, held in [0, 1]; 1 where even orthogonal answers would cost nothing."""
    if orthogonal <= 0.0:
        return 1.0
    return min(1.0, max(0.0, 1.0 - optimum / orthogonal))

"""The dual certificate of a coherence: points that prove how close to the optimum they are.

The problem (:mod:`leo_core.kernels.coherence`) is min over w of F(w) = Σ α_i H_κ(‖x_i − w‖), Σ α_i = 1. Since
H_κ(r) = max {t r − t²/2 : 0 ≤ t ≤ κ}, every set of u_i with ‖u_i‖ ≤ κ gives the lower bound

    F(w') ≥ Σ α_i (⟨u_i, x_i − w'⟩ − ‖u_i‖²/2)        for every w'.

At any point w take u_i = s_i (x_i − w) with s_i = min(1, κ/‖x_i − w‖), which attains H_κ at w. With
e = Σ α_i u_i the bound reads F(w') ≥ F(w) − ⟨e, w' − w⟩, and since the minimiser lies in the convex hull of the x_i,
no further from w than the farthest of them,

    F(w) − min F ≤ ‖e‖ · max_i ‖x_i − w‖.

For w = Σ c_i x_i every term is a function of c and of the inner products of the x_i, so m(m + 1)/2 + m numbers prove
the value; the vectors stay where they are. (S. Boyd and L. Vandenberghe, "Convex Optimization", 2004, §5.5.1.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leo_core.records import CoherenceCertificate

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["certify_coherence"]

_DECIMALS = 9
_GAP = 1e-8
_STEPS = 500


def certify_coherence(
    points: Floats, weights: Floats, kappa: float, distances: npt.ArrayLike
) -> CoherenceCertificate | None:
    """The certificate of a solved problem, polished until its gaps are below 1e-8.

    Args:
        points: Unit rows x_i, shape (m, d).
        weights: α_i, shape (m,), positive.
        kappa: κ > 0.
        distances: ‖x_i − w‖ at the solution that was found, shape (m,): where to start.

    Returns:
        The certificate; ``None`` where a gap stays above, as for problems that are nearly flat.
    """
    count = len(points)
    gram = np.round(points @ points.T, _DECIMALS)
    np.fill_diagonal(gram, 1.0)
    shares = weights / weights.sum()
    centre = _polish(gram, shares, kappa, np.asarray(distances, dtype=np.float64))
    orthogonal = _polish(np.eye(count), shares, kappa, np.ones(count))
    if centre is None or orthogonal is None:
        return None
    return CoherenceCertificate(
        kappa=kappa,
        gram=tuple(gram[np.triu_indices(count, 1)].tolist()),
        centre=tuple(centre.tolist()),
        orthogonal_centre=tuple(orthogonal.tolist()),
    )


def _polish(gram: Floats, shares: Floats, kappa: float, distances: Floats) -> Floats | None:
    """Coefficients of a point whose gap is below the limit, by the steps w ← Σ α_i s_i x_i / Σ α_i s_i."""
    for _ in range(_STEPS):
        pulls = shares * np.minimum(1.0, kappa / np.maximum(distances, kappa))
        centre: Floats = np.round(pulls / pulls.sum(), _DECIMALS)
        inner = gram @ centre
        distances = np.sqrt(np.maximum(np.diag(gram) - 2.0 * inner + centre @ inner, 0.0))
        pulls = shares * np.minimum(1.0, kappa / np.maximum(distances, kappa))
        rest = pulls - pulls.sum() * centre
        if np.sqrt(max(rest @ gram @ rest, 0.0)) * distances.max() <= _GAP:
            return centre
    return None

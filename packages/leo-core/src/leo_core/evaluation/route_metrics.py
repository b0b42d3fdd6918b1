"""How well a router spends its strong calls: PGR, APGR and CPT (Ong et al. 2024, "RouteLLM", §3.1).

With a share c of the questions sent to the large model, the highest scores first, the performance gap recovered is
PGR(c) = (accuracy − that of the small model) / (that of the large model − that of the small model). Questions of equal
scores are taken in the mean over their orders, so that the curve is linear between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["find_cpt", "find_pgr", "measure_apgr", "trace_pgr"]


def trace_pgr(scores: Floats, gain: Floats, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """The curve: shares of strong calls, from 0 to 1, and the gap recovered at each.

    Args:
        scores: The higher, the sooner a question goes to the large model, (n,).
        gain: 1 where only the large model is right, −1 where only the small one is, else 0, (n,).
        weights: How often each question counts, ≥ 0; once by default.

    Raises:
        ConfigError: The large model is not better than the small one.
    """
    weights = np.ones(len(scores)) if weights is None else weights
    gap = float(weights @ gain)
    if not gap > 0.0:
        message = "the large model is no better than the small one on these questions: there is no gap to recover"
        raise ConfigError(message)
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0.0, True)
    calls = np.cumsum(weights[order])[last] / weights.sum()
    recovered = np.cumsum((weights * gain)[order])[last] / gap
    return np.concatenate([[0.0], calls]), np.concatenate([[0.0], recovered])


def measure_apgr(scores: Floats, gain: Floats, weights: Floats | None = None) -> float:
    """Average performance gap recovered: the area under PGR over the share of strong calls; a random router has 0.5.

    Arguments as those of :func:`trace_pgr`.
    """
    calls, recovered = trace_pgr(scores, gain, weights)
    return float((np.diff(calls) * (recovered[1:] + recovered[:-1])).sum() / 2.0)


def find_cpt(scores: Floats, gain: Floats, share: float, weights: Floats | None = None) -> float:
    """Call-performance threshold: the least share of strong calls that recovers ``share`` of the gap, in [0, 1]."""
    calls, recovered = trace_pgr(scores, gain, weights)
    at = int(np.argmax(recovered >= share))
    if at == 0:
        return 0.0
    step = (share - recovered[at - 1]) / (recovered[at] - recovered[at - 1])
    return float(calls[at - 1] + step * (calls[at] - calls[at - 1]))


def find_pgr(scores: Floats, gain: Floats, call_share: float, weights: Floats | None = None) -> float:
    """The gap recovered with this share of strong calls."""
    calls, recovered = trace_pgr(scores, gain, weights)
    return float(np.interp(call_share, calls, recovered))

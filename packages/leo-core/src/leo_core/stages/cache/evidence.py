r"""How many served hits can have been wrong, valid at any time.

**Assumption.** Within a score bin b, whether a candidate's answer is wrong is Bernoulli with one rate p_b,
independently of whether it is explored or served (the choice looks at the past, the bin and a coin, never at the
outcome). Nothing is assumed about the p_b: the best-looking bin may be the worst one.

**E-process.** Explored outcomes (n_b, k_b wrong) enter by the Beta-binomial mixture of likelihood ratios
(Robbins 1970, *Statistical methods related to the law of the iterated logarithm*; Howard et al. 2021,
*Time-uniform, nonparametric, nonasymptotic confidence sequences*, eq. 3.6 and prop. 7)

    E_b(p) = B(α_b + k_b, β_b + n_b − k_b) / (B(α_b, β_b) · p^k_b (1 − p)^(n_b − k_b)),

of which a stake w_b is bet: 1 − w_b + w_b·E_b(p) is a nonnegative martingale from 1 at the true p. The unseen
number W of wrong answers among the served hits (s_b of them in bin b, S = Σ s_b p_b) enters by the Gamma mixture
of Poisson supermartingales θ^W e^(−(θ−1)S), which bound sums of Bernoulli variables:

    G(W, S) = β^α Γ(α + W) / (Γ(α) (β + S)^(α + W)) · e^S.

The product of all factors is a nonnegative supermartingale at the true rates, so by Ville's inequality it reaches
1/a with probability at most a, ever. :func:`most_wrong_hits` returns the largest W that no choice of rates
rejects; a hit is served only while that stays within the promise. Hence

    P(some time t has more than δ·t wrong hits among the first t requests) ≤ a = 1 − confidence.

One level covers all bins, all times, the estimation of the rates and the luck of the draw together.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, lgamma, log, log1p, sqrt

__all__ = ["Counts", "error_bound", "most_wrong_hits"]

_SERVED_SHAPE = 1.0
_SERVED_RATE = 0.5
_STEPS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What is known of one bin.

    Attributes:
        explored: n: outcomes seen.
        wrong: k: how many of them were "different".
        served: s: hits served from it.
        alpha: Of the mixing prior Beta(alpha, beta).
        beta: Of the mixing prior.
        stake: w, in (0, 1].
    """

    explored: int
    wrong: int
    served: int
    alpha: float
    beta: float
    stake: float

    @property
    def log_mixture(self) -> float:
        """Log of B(α + k, β + n − k) / B(α, β): the probability of the outcomes under the mixing prior."""
        a, b, n, k = self.alpha, self.beta, self.explored, self.wrong
        return lgamma(a + k) + lgamma(b + n - k) - lgamma(a + b + n) - lgamma(a) - lgamma(b) + lgamma(a + b)


def error_bound(counts: Counts, *, confidence: float) -> float:
    """Upper confidence bound on the rate of wrong answers of one bin, valid at any time, in [0, 1].

    The upper end of the Beta-binomial mixture confidence sequence; 1 without an outcome.
    """
    n, k = counts.explored, counts.wrong
    if n == 0:
        return 1.0
    target = counts.log_mixture + log1p(-confidence)
    low, high = k / n, 1.0
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        if _log_likelihood(middle, n, k) < target:
            high = middle
        else:
            low = middle
        if high - low < 1e-4 * high:
            break
    return high


def most_wrong_hits(bins: tuple[Counts, ...], *, confidence: float) -> float:
    """The largest number of wrong answers among the served hits that the evidence has not ruled out.

    Args:
        bins: Counts per bin; ``served`` includes the hit that is being considered.
        confidence: Of the statement at all times together.

    Returns:
        A real number in [0, Σ served]; 0 when nothing was served.
    """
    served = sum(each.served for each in bins)
    if served == 0:
        return 0.0
    constant = sum(_constant(each) for each in bins)
    active = tuple(each for each in bins if each.served)
    threshold = -log1p(-confidence)
    low, high = 0.0, float(served)
    if constant + _least_evidence(active, high) < threshold:
        return high
    for _ in range(_STEPS):
        if high - low < 1e-3 * (1.0 + low):
            break
        middle = 0.5 * (low + high)
        if constant + _least_evidence(active, middle) < threshold:
            low = middle
        else:
            high = middle
    return high


def _constant(counts: Counts) -> float:
    """The part of a bin's log-evidence that does not depend on its rate.

    A bin that never served cannot hide a wrong hit, so its rate is the one that weakens the evidence most; there
    the unstaked share bounds the loss at log(1 − w). A bin that served counts its staked share alone.
    """
    log_mixture = counts.log_mixture
    if counts.served:
        return log(counts.stake) + log_mixture
    n, k = counts.explored, counts.wrong
    best = _log_likelihood(k / n, n, k) if n else 0.0
    return log1p(counts.stake * (exp(log_mixture - best) - 1.0))


def _least_evidence(active: tuple[Counts, ...], wrong: float) -> float:
    """Min over the rates of log G(W, S(p)) − Σ_b log-likelihood_b(p_b).

    With c = −∂ log G/∂S = (α + W)/(β + S) − 1 each rate is the root of a quadratic (``_rate``); S(c) grows in c and c
    falls in S, so the fixed point is found by bisection on S.
    """
    low, high = 0.0, float(sum(each.served for each in active))
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        if _expected_wrong(active, _slope(wrong, middle)) > middle:
            low = middle
        else:
            high = middle
        if high - low < 1e-4 * high:
            break
    expected = 0.5 * (low + high)
    slope = _slope(wrong, expected)
    evidence = _log_served(wrong, expected)
    for each in active:
        evidence -= _log_likelihood(_rate(each, slope), each.explored, each.wrong)
    return evidence


def _slope(wrong: float, expected: float) -> float:
    return max((_SERVED_SHAPE + wrong) / (_SERVED_RATE + expected) - 1.0, 0.0)


def _expected_wrong(active: tuple[Counts, ...], slope: float) -> float:
    return sum(each.served * _rate(each, slope) for each in active)


def _rate(counts: Counts, slope: float) -> float:
    """The p in [0, 1] that maximises slope·s·p + k log p + (n − k) log(1 − p)."""
    n, k, pull = counts.explored, counts.wrong, slope * counts.served
    if pull <= 0.0:
        return k / n if n else 1.0
    if k == 0:
        return max(0.0, (pull - n) / pull)
    half = pull - n
    return min((half + sqrt(half * half + 4.0 * pull * k)) / (2.0 * pull), 1.0)


def _log_served(wrong: float, expected: float) -> float:
    """Log of G(W, S)."""
    a, b = _SERVED_SHAPE, _SERVED_RATE
    return a * log(b) + lgamma(a + wrong) - lgamma(a) - (a + wrong) * log(b + expected) + expected


def _log_likelihood(rate: float, n: int, k: int) -> float:
    if (rate <= 0.0 and k) or (rate >= 1.0 and n > k):
        return -inf
    return (k * log(rate) if k else 0.0) + ((n - k) * log1p(-rate) if n > k else 0.0)

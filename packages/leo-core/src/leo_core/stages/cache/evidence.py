r"""How many served hits can have been wrong, whatever the traffic: the coin that explores is the only chance in it.

**Design.** Each request that may be answered from the cache is explored with a known probability π (the models are
asked and their answer is compared) and served with probability 1 − π, by a coin of its own. π may depend on
everything that is known before the coin is thrown. So a hit that would be wrong is *caught* with probability π and
*served* with probability 1 − π, and that is all that is used. Nothing is assumed about scores, about one request
being like another, or about traffic staying as it was: the requests may even be chosen by an adversary who sees all
coins thrown so far.

**E-process.** For λ > 0 a wrong hit multiplies wealth by e^λ when it is served and by

    φ = 1 − (1 − π)(e^λ − 1)/π

when it is caught; its expectation is 1. So with W wrong hits served and the caught ones i,

    M_λ = e^(λW) · Π_i φ_i

is a nonnegative martingale from 1 as long as φ ≥ 0, that is λ ≤ −log(1 − π) for every π used so far. A mixture of M_λ
over the fixed grid below is one too, less the parts of the grid that have become too large for the smallest π. By
Ville's inequality (Ville 1939; Howard et al. 2020, *Time-uniform Chernoff bounds via nonnegative
supermartingales*) it ever reaches 1/a with probability at most a. W is not seen, the caught ones are: the largest W
at which the mixture stays below 1/a is a bound on the wrong hits served, at all times together. It is close to the
unbiased estimate Σ_i (1 − π_i)/π_i of Horvitz and Thompson (1952) plus log(1/a)/λ.

A request that was to be explored counts as caught until its outcome is known to be right, so an outcome that is
late, or never comes, errs on the safe side.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, exp, expm1, inf, log, log1p

__all__ = ["NO_CHARGE", "RATES", "charge_of", "most_wrong_hits"]

_LARGEST = 4.0
_RATIO = 1.5
_STEPS = 26
_SHARE = 0.75
_CENTRE, _WIDTH = 8, 2
_MICRO = 1_000_000
_MOST_CHARGE = 10**9

_LIMITS = tuple(_LARGEST * _RATIO**-step for step in range(_STEPS))

RATES: tuple[float, ...] = tuple(-expm1(-limit) for limit in _LIMITS)
"""Exploring rates to choose from, falling from 0.98; each is made for one λ of the grid."""

_LAMBDAS = tuple(_SHARE * limit for limit in _LIMITS)
_WEIGHTS = tuple(1.0 / (1.0 + ((step - _CENTRE) / _WIDTH) ** 2) for step in range(_STEPS))
"""Most weight lies where the allowance is some 20 to 2,000 wrong hits; the tails fall slowly to both sides."""

_LOG_WEIGHTS = tuple(log(weight / sum(_WEIGHTS)) for weight in _WEIGHTS)

NO_CHARGE: tuple[int, ...] = (0,) * _STEPS
"""Nothing caught."""


@lru_cache(maxsize=4096)
def charge_of(rate: float) -> tuple[int, ...]:
    """What a caught hit costs: −log φ for every λ of the grid, in millionths, rounded up.

    Whole numbers, so that charging and taking back in any order gives the same sum.

    Args:
        rate: π, the probability with which it was explored, in (0, 1].
    """
    charges = []
    for factor in _LAMBDAS:
        kept = 1.0 - (1.0 - rate) * expm1(factor) / rate
        charges.append(min(ceil(-log(kept) * _MICRO), _MOST_CHARGE) if kept > 0.0 else _MOST_CHARGE)
    return tuple(charges)


@lru_cache(maxsize=1024)
def most_wrong_hits(charges: tuple[int, ...], least_rate: float, confidence: float) -> float:
    """The largest number of wrong hits served that the evidence has not ruled out.

    Args:
        charges: Sum of :func:`charge_of` over all hits caught or of unknown outcome.
        least_rate: The smallest exploring rate used so far, or about to be used, in (0, 1].
        confidence: Of the statement at all times together, in (0, 1).

    Returns:
        A real number, at least 0; infinite when the rate is below all that the grid is made for.
    """
    limit = inf if least_rate >= 1.0 else -log1p(-least_rate) * (1.0 + 1e-12)
    lines = [
        (weight - charge / _MICRO, factor)
        for weight, charge, factor in zip(_LOG_WEIGHTS, charges, _LAMBDAS, strict=True)
        if factor <= limit
    ]
    if not lines:
        return inf
    target = -log1p(-confidence)
    # One line alone bounds W from above; log Σ exp is convex and rising, so Newton's steps from there only fall.
    wrong = min((target - start) / factor for start, factor in lines)
    for _ in range(60):
        heights = [start + factor * wrong for start, factor in lines]
        top = max(heights)
        shares = [exp(height - top) for height in heights]
        total = sum(shares)
        slope = sum(share * factor for share, (_, factor) in zip(shares, lines, strict=True)) / total
        step = (top + log(total) - target) / slope
        wrong -= step
        if wrong <= 0.0:
            return 0.0
        if step < 1e-9 * wrong:
            break
    return wrong

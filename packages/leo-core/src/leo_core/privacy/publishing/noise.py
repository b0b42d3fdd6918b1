"""Noise on whole numbers, drawn exactly: discrete normal and discrete Laplace.

The samplers of Canonne, Kamath and Steinke 2020 ("The Discrete Gaussian for Differential Privacy", Algorithms 1 to 3)
use whole numbers and fractions alone, so that what is drawn has the probabilities that the accountant counts with, to
the last bit; floating-point noise has not (Mironov 2012). Chance comes from the system's secure source.

How long a draw takes depends on what is drawn: whoever can time single draws learns something of the noise.
"""

from __future__ import annotations

import math
import secrets
from fractions import Fraction
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError
from leo_core.privacy.publishing.mechanisms import DiscreteGaussian, DiscreteLaplace

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["add_noise", "draw_discrete_gaussian", "draw_discrete_laplace"]


def add_noise(
    value: int, mechanism: DiscreteGaussian | DiscreteLaplace, *, below: Callable[[int], int] = secrets.randbelow
) -> int:
    """A whole figure with the noise of a mechanism.

    Args:
        value: The figure.
        mechanism: Which noise; what it costs is for the accountant to charge, before the result is shown.
        below: A uniform whole number in [0, n); another source than the system's is for tests.

    Raises:
        ConfigError: The figure is not whole, or the mechanism is not one for whole figures.
    """
    _check_whole(value)
    if isinstance(mechanism, DiscreteGaussian):
        return value + draw_discrete_gaussian(Fraction(mechanism.sigma) ** 2, below=below)
    if isinstance(mechanism, DiscreteLaplace):
        return value + draw_discrete_laplace(Fraction(mechanism.scale), below=below)
    message = f"{type(mechanism).__name__} is for real figures; use DiscreteGaussian or DiscreteLaplace"
    raise ConfigError(message)


def draw_discrete_gaussian(variance: Fraction, *, below: Callable[[int], int] = secrets.randbelow) -> int:
    """A whole number k with probability proportional to exp(-k² / (2 variance)) (Algorithm 3).

    Args:
        variance: σ², greater than 0.
        below: As for :func:`add_noise`.
    """
    _check("variance", variance)
    top, bottom = variance.numerator, variance.denominator
    scale = math.isqrt(top // bottom) + 1
    while True:
        drawn = draw_discrete_laplace(Fraction(scale), below=below)
        # (|drawn| - variance / scale)² / (2 variance), in whole numbers
        gap = abs(drawn) * bottom * scale - top
        if _happens(gap * gap, 2 * top * bottom * scale * scale, below):
            return drawn


def draw_discrete_laplace(scale: Fraction, *, below: Callable[[int], int] = secrets.randbelow) -> int:
    """A whole number k with probability proportional to exp(-|k| / scale) (Algorithm 2).

    Args:
        scale: Greater than 0.
        below: As for :func:`add_noise`.
    """
    _check("scale", scale)
    top, bottom = scale.numerator, scale.denominator
    while True:
        rest = below(top)
        if not _happens(rest, top, below):
            continue
        whole = 0
        while _happens(1, 1, below):
            whole += 1
        size = (rest + top * whole) // bottom
        negative = below(2) == 1
        if not negative or size:
            return -size if negative else size


def _happens(top: int, bottom: int, below: Callable[[int], int]) -> bool:
    """True with probability exp(-top / bottom), top not negative (Algorithm 1)."""
    while top > bottom:
        if not _happens_within(bottom, bottom, below):
            return False
        top -= bottom
    return _happens_within(top, bottom, below)


def _happens_within(top: int, bottom: int, below: Callable[[int], int]) -> bool:
    """The same for top at most bottom: the first k with a failure is odd (von Neumann's series for exp)."""
    k = 1
    while below(bottom * k) < top:
        k += 1
    return k % 2 == 1


def _check_whole(value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        message = f"the figure is {value!r}; noise is added to whole numbers, so round it to a grid first"
        raise ConfigError(message)


def _check(name: str, value: object) -> None:
    if not isinstance(value, Fraction | int) or value <= 0:
        message = f"{name} is {value!r}; give a fraction greater than 0"
        raise ConfigError(message)

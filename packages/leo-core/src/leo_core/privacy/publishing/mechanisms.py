"""Mechanisms of differential privacy: what noise was added to a figure that can change by how much.

A mechanism knows its Rényi divergence, its concentrated privacy and its pure privacy; how several add up is the
business of :mod:`leo_core.privacy.publishing.composition`. Neighbours are data sets of which one has one unit more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from leo_core.errors import ConfigError

__all__ = ["DiscreteGaussian", "DiscreteLaplace", "Gaussian", "Laplace", "Mechanism", "read_mechanism"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaussian:
    """Normal noise on real figures.

    Attributes:
        sigma: Standard deviation, greater than 0.
        sensitivity: Most that one unit changes the figures by, in the Euclidean norm; greater than 0.

    Raises:
        ConfigError: One of them is not a finite number greater than 0.
    """

    kind: ClassVar[str] = "gaussian"
    sigma: float
    sensitivity: float = 1.0

    def __post_init__(self) -> None:
        _check_positive("sigma", self.sigma)
        _check_positive("sensitivity", self.sensitivity)

    @property
    def noise(self) -> float:
        """Size of the noise."""
        return self.sigma

    @property
    def zcdp(self) -> float:
        """ρ of zero-concentrated differential privacy (Bun and Steinke 2016, Proposition 1.6)."""
        return (self.sensitivity / self.sigma) ** 2 / 2

    @property
    def pure(self) -> float:
        """ε of pure differential privacy: normal noise has none."""
        return math.inf

    def renyi(self, order: float) -> float:
        """Rényi divergence of an order above 1 (Mironov 2017, Proposition 7)."""
        return order * self.zcdp


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscreteGaussian(Gaussian):
    """Discrete normal noise on whole figures; the same Rényi bounds as normal noise (Canonne et al. 2020, Theorem 4).

    ``sigma`` is the parameter; the standard deviation is at most that. Its exact privacy profile is not that of
    normal noise, so it is accounted for by Rényi divergence.
    """

    kind: ClassVar[str] = "discrete_gaussian"


@dataclass(frozen=True, slots=True, kw_only=True)
class Laplace:
    """Laplace noise on real figures.

    Attributes:
        scale: Scale b, greater than 0.
        sensitivity: Most that one unit changes the figures by, in the sum of absolute values; greater than 0.

    Raises:
        ConfigError: One of them is not a finite number greater than 0.
    """

    kind: ClassVar[str] = "laplace"
    scale: float
    sensitivity: float = 1.0

    def __post_init__(self) -> None:
        _check_positive("scale", self.scale)
        _check_positive("sensitivity", self.sensitivity)

    @property
    def noise(self) -> float:
        """Size of the noise."""
        return self.scale

    @property
    def pure(self) -> float:
        """ε of pure differential privacy (Dwork et al. 2006)."""
        return self.sensitivity / self.scale

    @property
    def zcdp(self) -> float:
        """ρ of zero-concentrated differential privacy: ε²/2 (Bun and Steinke 2016, Proposition 3.3)."""
        return self.pure**2 / 2

    def renyi(self, order: float) -> float:
        """Rényi divergence of an order above 1 (Mironov 2017, Proposition 6)."""
        shift = self.pure
        near = math.log(order / (2 * order - 1)) + (order - 1) * shift
        far = math.log((order - 1) / (2 * order - 1)) - order * shift
        return min(shift, max(0.0, _log_add(near, far) / (order - 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscreteLaplace(Laplace):
    """Discrete Laplace noise on whole figures: P(k) proportional to exp(-|k| / scale). The sensitivity is whole."""

    kind: ClassVar[str] = "discrete_laplace"

    def __post_init__(self) -> None:
        super(DiscreteLaplace, self).__post_init__()  # slots make another class, which super() alone misses
        if self.sensitivity != int(self.sensitivity):
            message = f"sensitivity is {self.sensitivity!r}; whole figures change by a whole number"
            raise ConfigError(message)

    def renyi(self, order: float) -> float:
        """Rényi divergence of an order above 1: the sum over all whole numbers in closed form.

        With q = exp(-1/b), r = q^(2a-1), c = (1-q)/(1+q) and shift D, the sum of P^a Q^(1-a) is
        c q^(D(1-a)) (1/(1-q) + r/(1-r)) + c q^(Da) (1/(1-q) - 1/(1-r)).
        """
        step = 1.0 / self.scale
        q, r = math.exp(-step), math.exp(-(2 * order - 1) * step)
        mass = math.log(math.tanh(step / 2))
        below, beyond = -1.0 / math.expm1(-step), -1.0 / math.expm1(-(2 * order - 1) * step)
        near = mass + (order - 1) * self.pure + math.log(below + r * beyond)
        rest = (q - r) * below * beyond  # 1/(1-q) - 1/(1-r) without cancellation
        far = mass - order * self.pure + math.log(rest) if rest > 0 else -math.inf
        return min(self.pure, max(0.0, _log_add(near, far) / (order - 1)))


Mechanism = Gaussian | Laplace

_KINDS: dict[str, Any] = {each.kind: each for each in (DiscreteGaussian, DiscreteLaplace, Gaussian, Laplace)}


def read_mechanism(kind: str, noise: float, sensitivity: float) -> Mechanism:
    """The mechanism of a kind, with its noise and sensitivity.

    Raises:
        ConfigError: There is no such kind, or a figure is out of its range.
    """
    made = _KINDS.get(kind)
    if made is None:
        message = f"there is no mechanism {kind!r}; there are {', '.join(sorted(_KINDS))}"
        raise ConfigError(message)
    name = "sigma" if issubclass(made, Gaussian) else "scale"
    found: Mechanism = made(**{name: noise, "sensitivity": sensitivity})
    return found


def _check_positive(name: str, value: object) -> None:
    if not isinstance(value, int | float) or not 0.0 < value < math.inf:
        message = f"{name} is {value!r}; give a finite number greater than 0"
        raise ConfigError(message)


def _log_add(one: float, two: float) -> float:
    most = max(one, two)
    return most + math.log1p(math.exp(min(one, two) - most))

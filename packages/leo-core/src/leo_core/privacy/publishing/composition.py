"""What several releases cost together: ε at a given δ, by three accountings.

* zCDP: ρ adds up; ε = ρ + 2 √(ρ ln 1/δ) (Bun and Steinke 2016, Proposition 1.3).
* RDP: the divergences add up order by order; ε = D(a) + ln(1 - 1/a) - ln(δ a) / (a - 1) at the best order
  (Canonne, Kamath and Steinke 2020, Proposition 12; Balle et al. 2020).
* exact: normal noise composes to normal noise, μ² adds up, and δ(ε) = Φ(μ/2 - ε/μ) - e^ε Φ(-μ/2 - ε/μ) holds with
  equality (Balle and Wang 2018, Theorem 8; Dong, Roth and Su 2022, Corollary 1). For :class:`Gaussian` only.

All are upper bounds for releases whose noise was fixed without a look at earlier results. Where results decide what is
released next and with how much noise, zCDP holds as it stands (Feldman and Zrnic 2021: a fixed order may be spent
adaptively); the others were not shown to hold here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from leo_core.errors import ConfigError
from leo_core.privacy.publishing.mechanisms import DiscreteGaussian, Gaussian

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from leo_core.privacy.publishing.mechanisms import Mechanism

__all__ = [
    "Accounting",
    "Cost",
    "check_delta",
    "compose",
    "find_sigma",
    "gaussian_delta",
    "gaussian_epsilon",
    "renyi_epsilon",
    "zcdp_epsilon",
]

Accounting = Literal["tightest", "rdp", "zcdp"]
_SMALLEST_EXACT_DELTA = 1e-12
"""Below it, the difference of two probabilities has too few digits left, and Rényi's bound is used."""
_SMALLEST_ORDER, _LARGEST_ORDER, _ORDERS = 1e-4, 1e8, 97
_GOLDEN = (math.sqrt(5) - 1) / 2
_FAR = -25.0
_NARROWINGS = 60
_HALVINGS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What releases cost together.

    Attributes:
        epsilon: ε at the δ that was asked for; 0 or more.
        by: Which accounting gave it: ``"exact"``, ``"pure"``, ``"mixed"``, ``"rdp"`` or ``"zcdp"``.
    """

    epsilon: float
    by: str


def compose(releases: Iterable[tuple[Mechanism, int]], delta: float, accounting: Accounting = "tightest") -> Cost:
    """What releases cost together.

    Args:
        releases: Mechanisms, and how often each was used.
        delta: δ in (0, 1).
        accounting: ``"tightest"`` takes the smallest bound that holds; the others take that one.

    Raises:
        ConfigError: δ is out of its range, or there is no such accounting.
    """
    check_delta(delta)
    made = [(mechanism, count) for mechanism, count in releases if count]
    if not made:
        return Cost(epsilon=0.0, by="pure")
    if accounting == "zcdp":
        return Cost(epsilon=zcdp_epsilon(sum(count * each.zcdp for each, count in made), delta), by="zcdp")
    if accounting not in ("tightest", "rdp"):
        message = f"accounting is {accounting!r}; there are 'tightest', 'rdp' and 'zcdp'"
        raise ConfigError(message)
    bounds = {"rdp": renyi_epsilon(_renyi_of(made), delta)}
    if accounting == "tightest":
        bounds |= _other_bounds(made, delta)
    by = min(bounds, key=lambda name: (bounds[name], name))
    return Cost(epsilon=bounds[by], by=by)


def _other_bounds(made: list[tuple[Mechanism, int]], delta: float) -> dict[str, float]:
    """Bounds beside Rényi's, as far as they hold: pure privacy adds up; continuous normal noise is exact."""
    normal = [(each, count) for each, count in made if isinstance(each, Gaussian)]
    pure = math.fsum(count * each.pure for each, count in made if not isinstance(each, Gaussian))
    if not normal:
        return {"pure": pure}
    if delta < _SMALLEST_EXACT_DELTA or any(isinstance(each, DiscreteGaussian) for each, _ in normal):
        return {}
    mu = math.sqrt(math.fsum(2 * count * each.zcdp for each, count in normal))
    return {"exact" if len(normal) == len(made) else "mixed": pure + gaussian_epsilon(mu, delta)}


def _renyi_of(made: list[tuple[Mechanism, int]]) -> Callable[[float], float]:
    rho = math.fsum(count * each.zcdp for each, count in made if isinstance(each, Gaussian))
    others = [(each, count) for each, count in made if not isinstance(each, Gaussian)]
    return lambda order: order * rho + math.fsum(count * each.renyi(order) for each, count in others)


# ---------------------------------------------------------------------------------------------- the accountings


def zcdp_epsilon(rho: float, delta: float) -> float:
    """ε of ρ-zCDP at δ (Bun and Steinke 2016, Proposition 1.3)."""
    return rho + 2 * math.sqrt(rho * -math.log(delta))


def renyi_epsilon(renyi: Callable[[float], float], delta: float) -> float:
    """The smallest ε at δ that a Rényi curve gives (Canonne, Kamath and Steinke 2020, Proposition 12).

    Every order gives a bound that holds. The best is looked for on a grid of orders, then around its best point.
    """

    def bound(place: float) -> float:
        order = 1.0 + math.exp(place)
        return renyi(order) + math.log1p(-1.0 / order) - (math.log(delta) + math.log(order)) / (order - 1.0)

    first, last = math.log(_SMALLEST_ORDER), math.log(_LARGEST_ORDER)
    width = (last - first) / (_ORDERS - 1)
    best = min((first + width * step for step in range(_ORDERS)), key=bound)
    low, high = best - width, best + width
    for _ in range(_NARROWINGS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, right) if bound(left) < bound(right) else (left, high)
    return max(0.0, min(bound(best), bound((low + high) / 2)))


def gaussian_delta(epsilon: float, mu: float) -> float:
    """δ(ε) of normal noise whose mean moves by ``mu`` standard deviations (Balle and Wang 2018, Theorem 8)."""
    if mu <= 0:
        return 0.0
    near, far = _log_normal(mu / 2 - epsilon / mu), epsilon + _log_normal(-mu / 2 - epsilon / mu)
    return 0.0 if far >= near else -math.exp(near) * math.expm1(far - near)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """The smallest ε with ``gaussian_delta(ε, mu) <= delta``, from above."""
    if gaussian_delta(0.0, mu) <= delta:
        return 0.0
    low, high = 0.0, zcdp_epsilon(mu * mu / 2, delta)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (low, middle) if gaussian_delta(middle, mu) <= delta else (middle, high)
    return high


def find_sigma(epsilon: float, delta: float, *, sensitivity: float = 1.0, count: int = 1) -> float:
    """The smallest σ with which ``count`` releases of discrete normal noise cost at most ε at δ.

    Raises:
        ConfigError: A figure is out of its range.
    """
    check_delta(delta)
    if not 0.0 < epsilon < math.inf or not 0.0 < sensitivity < math.inf or count < 1:
        message = f"epsilon is {epsilon!r}, sensitivity {sensitivity!r}, count {count!r}; each has to be above 0"
        raise ConfigError(message)

    def costs(ratio: float) -> float:
        return compose([(DiscreteGaussian(sigma=ratio), count)], delta).epsilon

    low, high = 0.0, 1.0
    while costs(high) > epsilon:
        low, high = high, high * 2
    for _ in range(_NARROWINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if costs(middle) <= epsilon else (middle, high)
    return high * sensitivity


def check_delta(delta: object) -> None:
    """Check a δ.

    Raises:
        ConfigError: It does not lie in (0, 1).
    """
    if not isinstance(delta, int | float) or not 0.0 < delta < 1.0:
        message = f"delta is {delta!r}; it must lie in (0, 1), well below one over the number of units"
        raise ConfigError(message)


def _log_normal(x: float) -> float:
    """The logarithm of Φ(x); far below the mean by the asymptotic series (Abramowitz and Stegun 26.2.12)."""
    if x > _FAR:
        return math.log(math.erfc(-x / math.sqrt(2)) / 2)
    square = x * x
    series = 1 - 1 / square + 3 / square**2 - 15 / square**3
    return -square / 2 - math.log(-x * math.sqrt(2 * math.pi)) + math.log(series)

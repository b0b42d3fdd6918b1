"""Figures of a store that may be published: clipped, with noise, and charged to a privacy budget.

The unit of privacy is what one neighbour has and the other has not:

``tenant``
    Everything that a tenant ever asked. Of each tenant at most ``contribution`` requests count (its first ones), so
    that one tenant changes a group of figures by at most that. Tenants share nothing, so that the figures are
    distributed nearly the same as if the tenant had never been there.
``request``
    What was noted of one request. A person who asks m times is protected m times less, and what a request did to
    later ones (an answer kept, a route learned) stays.

A store holds no names of users, so that a user is a unit only where a user is a tenant.
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from leo_core.errors import ConfigError
from leo_core.privacy.publishing.composition import find_sigma
from leo_core.privacy.publishing.mechanisms import DiscreteGaussian
from leo_core.privacy.publishing.noise import add_noise
from leo_core.records import Route
from leo_core.storage.private_store import PrivateStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from leo_core.ports import Store
    from leo_core.privacy.publishing.accountant import PrivacyAccountant
    from leo_core.records import Observation

__all__ = ["PublishTerms", "Unit", "publish_stats"]

Unit = Literal["tenant", "request"]
GRID: Final = 1000
"""Scores in [0, 1] are summed in thousandths."""
_WITHIN_95: Final = 1.96
_SERVED = ("exact", "semantic", "miss")
_ROUTES = tuple(route.value for route in Route if route is not Route.CACHE)
_SCORES = {"predicted_error": "predicted", "confidence": "weight"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishTerms:
    """How figures are published.

    Attributes:
        epsilon: What this publication may cost, greater than 0, at the accountant's δ.
        unit: What is protected.
        contribution: Most requests of a tenant that count, 1 or more; for the unit ``tenant``.

    Raises:
        ConfigError: A figure is out of its range, or there is no such unit.
    """

    epsilon: float
    unit: Unit = "tenant"
    contribution: int = 1000

    def __post_init__(self) -> None:
        if not 0.0 < self.epsilon < float("inf"):
            message = f"epsilon is {self.epsilon!r}; give a finite number greater than 0"
            raise ConfigError(message)
        if self.unit not in ("tenant", "request"):
            message = f"unit is {self.unit!r}; there are 'tenant' and 'request'"
            raise ConfigError(message)
        if self.contribution < 1:
            message = f"contribution is {self.contribution!r}; at least one request of a tenant has to count"
            raise ConfigError(message)

    @property
    def most(self) -> int:
        """Most by which one unit changes a group of counts."""
        return self.contribution if self.unit == "tenant" else 1


def publish_stats(
    store: Store,
    accountant: PrivacyAccountant,
    terms: PublishTerms,
    *,
    tenant: str | None = None,
    below: Callable[[int], int] = secrets.randbelow,
) -> dict[str, Any]:
    """Requests, hit rates, routes and mean scores with noise; charged to ``accountant`` before the noise is drawn.

    The budget that pays is that of all tenants together, or of one tenant where it is named; those two add up for
    whoever is in both, so publish one of them.

    Args:
        store: The store.
        accountant: Keeps the budget.
        terms: What is protected, and what this may cost.
        tenant: Only this tenant's requests; the unit is then ``request``.
        below: A uniform whole number in [0, n); another source than the system's is for tests.

    Raises:
        PrivacyBudgetError: The budget does not pay for it; nothing was published.
        ConfigError: One tenant is named, and the unit is a tenant.
    """
    if tenant is not None and terms.unit == "tenant":
        message = "the figures of one tenant cannot hide that tenant; give --unit request, or leave the tenant out"
        raise ConfigError(message)
    names = store.tenants() if tenant is None else (tenant,)
    counts = _count(store, names, terms)
    ratio = find_sigma(terms.epsilon, accountant.delta, count=2 + len(_SCORES))
    plain = DiscreteGaussian(sigma=ratio * terms.most, sensitivity=terms.most)
    scored = DiscreteGaussian(sigma=ratio * terms.most * GRID, sensitivity=terms.most * GRID)
    principal = f"unit {terms.unit}: " + ("all tenants" if tenant is None else f"tenant {tenant}")
    payer = principal if tenant is None else _name_payer(store, accountant, principal, tenant)
    spent = accountant.charge_all([(plain, 2), (scored, len(_SCORES))], principal=payer, label="leo stats")
    noisy = {name: add_noise(counts[name], plain, below=below) for name in (*_SERVED, *_ROUTES)}
    noisy |= {name: add_noise(counts[name], scored, below=below) for name in _SCORES}
    return {
        "unit": terms.unit,
        "contribution": terms.most,
        "principal": principal,
        "epsilon": terms.epsilon,
        "delta": accountant.delta,
        "spent_epsilon": spent.epsilon,
        "budget_epsilon": accountant.epsilon,
        "sigma": plain.sigma,
        "figures": _figures(noisy, plain.sigma),
    }


def _name_payer(store: Store, accountant: PrivacyAccountant, principal: str, tenant: str) -> str:
    """Whose budget pays, as the ledger has it: of a private store by a pseudonym, for the ledger lies beside it.

    A ledger that was begun with the name goes on with it: what was spent under it counts.
    """
    if not isinstance(store, PrivateStore) or accountant.history(principal):
        return principal
    return f"unit request: tenant {store.rows.name_tenant(tenant)}"


def _count(store: Store, tenants: Iterable[str], terms: PublishTerms) -> Counter[str]:
    """Counts over all tenants, of each as far as it counts."""
    total: Counter[str] = Counter()
    for name in tenants:
        room = Counter({"served": terms.contribution, "route": terms.contribution}) if terms.unit == "tenant" else None
        for _, observation in store.observations(tenant=name):
            found = _read(observation)
            if not found or (room is not None and not room[observation.kind]):
                continue
            if room is not None:
                room[observation.kind] -= 1
            total.update(found)
    return total


def _read(observation: Observation) -> Mapping[str, int]:
    """What one observation adds; empty for those that are not of a request as such (audits, feedback, trials)."""
    body = observation.body
    if observation.kind == "served":
        return {body["kind"]: 1} if body["kind"] in _SERVED else {}
    asked = observation.kind == "route" and body.get("right") is None and body.get("latency_s") is not None
    if not asked or str(body["route"]) not in _ROUTES:
        return {}
    return {str(body["route"]): 1} | {name: _clip(body.get(field)) for name, field in _SCORES.items()}


def _clip(score: float | None) -> int:
    """A score on the grid; 0 where there is none."""
    return 0 if score is None else round(GRID * min(max(float(score), 0.0), 1.0))


def _figures(noisy: Mapping[str, int], sigma: float) -> dict[str, dict[str, Any]]:
    """What is shown: all of it follows from the noisy counts, so that it costs nothing more."""
    served = sum(noisy[name] for name in _SERVED)
    asked = sum(noisy[name] for name in _ROUTES)
    hits = noisy["exact"] + noisy["semantic"]
    about = {parts: _WITHIN_95 * sigma * parts**0.5 for parts in (1, 2, 3, len(_ROUTES))}
    figures = {
        "requests": _total(served, about[3]),
        "exact_hits": _total(noisy["exact"], about[1]),
        "semantic_hits": _total(noisy["semantic"], about[1]),
        "hit_rate": _share(hits, about[2], served, about[3]),
    }
    figures |= {f"route_{route}": _total(noisy[route], about[1]) for route in _ROUTES}
    for name in _SCORES:
        figures[f"mean_{name}"] = _share(noisy[name] / GRID, about[1], asked, about[len(_ROUTES)])
    return figures


def _total(value: float, about: float) -> dict[str, Any]:
    return {"value": max(0, round(value)), "interval": [max(0, round(value - about)), max(0, round(value + about))]}


def _share(part: float, part_about: float, whole: float, whole_about: float) -> dict[str, Any]:
    """A share and where it lies when both figures lie in their 95 % intervals; unknown when the noise is too large."""
    if whole <= whole_about:
        return {"value": None, "interval": [0.0, 1.0]}
    low, high = (part - part_about) / (whole + whole_about), (part + part_about) / (whole - whole_about)
    return {"value": _unit(part / whole), "interval": [_unit(low), _unit(high)]}


def _unit(value: float) -> float:
    return min(max(value, 0.0), 1.0)

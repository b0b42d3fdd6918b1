"""Settings of the route stage."""

from __future__ import annotations

import math
from dataclasses import dataclass

from leo_core.errors import ConfigError
from leo_core.records import Route

__all__ = ["RouteConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteConfig:
    """What an answer, a second and an error are worth.

    ``loss_usd`` is the one setting to think about: what a wrong answer costs you. At the default of five cents, a route
    that is right one time in a hundred more often may cost 0.05 cents more. Raise it where errors are dear, lower it
    where answers are cheap; a request's ``max_error`` replaces it by a bound.

    Attributes:
        loss_usd: Loss of a wrong answer, in US dollars; ≥ 0.
        latency_usd_per_s: Price of a second of waiting; ≥ 0.
        harm_weight: The loss is multiplied by 1 + ``harm_weight`` · P(high-risk category); ≥ 0.
        harm_above: From this P(high-risk category) on, the request goes to the consensus route where there is one,
            else to large; in [0, 1]. So does a request of a category of the user's own that reaches its own threshold.
            ``train/category_risk.py`` chose the default and reports its recall.
        novel_above: Novelty above which a request counts as novel, in [0, 1]; unknown novelty always does.
        small_when_novel: Whether ``small`` alone may answer a novel request although a better route is there.
        explore: Whether success rates are drawn (Thompson sampling), once outcomes are known, or taken at their means.
        forgetting: Factor on a (region, route) record at each of its outcomes, in (0, 1].
        prior_weight: What the prior success rates are worth, in observed outcomes; > 0.
        prior_small: Prior success rate of ``small``; these four lie in (0, 1) and yield to outcomes.
        prior_cascade: … of ``cascade``.
        prior_large: … of ``large``.
        prior_consensus: … of ``consensus``.
        second_opinion_share: A cascade may ask jurors for their opinion before the large member where each costs less
            than this share of the large member's call; in [0, 1], 0 never asks.
        opinions: How many of them at most, the cheapest first; 0, 1 or 2.
        cascade_jury: Whether the jury votes at the end of a cascade where the large member contradicts all before it.
        estimate_weight: What an option's own estimate of cost and latency is worth, in observed outcomes; > 0.
        unknown_cost_usd: Cost that is assumed for one call of unknown price, at least; > 0. Unknown is never free.
        unknown_latency_s: Latency that is assumed where it is unknown; > 0.
        difficulty_slope: How far the errors of large and consensus follow the request's difficulty for ``small``; in
            [0, 2].
        cascade_slope: The same of the cascade, which may take a wrong answer of ``small`` for right; in [0, 2].
        promote: Whether routes become defaults of regions, by trials and audits with a ``checker``; ``False`` leaves
            the choice to the router again.
        promotion_alpha: Chance, at most, that in a region any route that is no better takes the place of a default
            while that reigns; in (0, 1).
        trial_rate: Share of the ordinary requests that are trials, at most half the ``audit_rate``; in [0, 1].
        decline: Rise of a default's error that is found soonest, in (0, 1).
        false_alarm_after: Outcomes, on average and at least, after which a default that did not get worse is demoted; ≥
            1.
    """

    loss_usd: float = 0.05
    latency_usd_per_s: float = 0.0002
    harm_weight: float = 4.0
    harm_above: float = 0.23
    novel_above: float = 0.95
    small_when_novel: bool = False
    explore: bool = True
    forgetting: float = 0.998
    prior_weight: float = 6.0
    prior_small: float = 0.75
    prior_cascade: float = 0.91
    prior_large: float = 0.90
    prior_consensus: float = 0.85
    second_opinion_share: float = 0.25
    opinions: int = 2
    cascade_jury: bool = False
    estimate_weight: float = 5.0
    unknown_cost_usd: float = 0.01
    unknown_latency_s: float = 5.0
    difficulty_slope: float = 0.8
    cascade_slope: float = 1.3
    promote: bool = True
    promotion_alpha: float = 0.05
    trial_rate: float = 0.05
    decline: float = 0.1
    false_alarm_after: float = 2000.0

    def __post_init__(self) -> None:
        """Refuse settings outside their range.

        Raises:
            ConfigError: Names the setting, its value and its range.
        """
        tiny, huge = 1e-12, 1e9
        for name in ("loss_usd", "latency_usd_per_s", "harm_weight"):
            self._check(name, 0.0, huge)
        for name in ("harm_above", "novel_above", "trial_rate", "second_opinion_share"):
            self._check(name, 0.0, 1.0)
        for name in ("prior_weight", "estimate_weight", "unknown_cost_usd", "unknown_latency_s"):
            self._check(name, tiny, huge)
        for name in ("prior_small", "prior_cascade", "prior_large", "prior_consensus", "promotion_alpha", "decline"):
            self._check(name, 1e-6, 1.0 - 1e-6)
        self._check("forgetting", tiny, 1.0)
        for name in ("difficulty_slope", "cascade_slope"):
            self._check(name, 0.0, 2.0)
        self._check("false_alarm_after", 1.0, huge)
        if self.opinions not in (0, 1, 2):
            message = f"RouteConfig.opinions is {self.opinions!r}; it must be 0, 1 or 2"
            raise ConfigError(message)

    def prior_success(self, route: Route) -> float:
        """Prior success rate of a route that calls models."""
        rates = {Route.SMALL: self.prior_small, Route.CASCADE: self.prior_cascade, Route.LARGE: self.prior_large}
        return rates.get(route, self.prior_consensus)

    def _check(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not (math.isfinite(value) and low <= value <= high):
            message = f"RouteConfig.{name} is {value!r}; it must lie in [{low:g}, {high:g}]"
            raise ConfigError(message)

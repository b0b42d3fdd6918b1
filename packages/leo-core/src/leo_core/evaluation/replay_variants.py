"""Settings that the replay study compares with the default ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from leo_core.config import LEOConfig

__all__ = ["list_ablations", "make_cold", "make_frozen"]

_WEIGHTY: Final = 1e9
"""So many outcomes are as good as endless ones."""
_FLAT: Final = 0.8


def make_cold(config: LEOConfig) -> LEOConfig:
    """A flat prior: all routes alike, worth two outcomes; nothing presumed of prices; difficulty without effect.

    The shipped risk models of an answer stay, and what agreement is worth: without them there is no cascade.
    """
    route = replace(
        config.route,
        prior_small=_FLAT,
        prior_cascade=_FLAT,
        prior_large=_FLAT,
        prior_consensus=_FLAT,
        prior_weight=2.0,
        difficulty_slope=0.0,
        cascade_slope=0.0,
    )
    risk = replace(config.risk, prior_strength=1.0)
    return replace(config, route=route, risk=risk, consensus=replace(config.consensus, presume_by_price=False))


def make_frozen(config: LEOConfig) -> LEOConfig:
    """Priors that no outcome moves; estimates of cost that no record moves."""
    return replace(
        config,
        route=replace(config.route, prior_weight=_WEIGHTY, estimate_weight=_WEIGHTY, explore=False),
        risk=replace(config.risk, prior_strength=_WEIGHTY, novel_strength=_WEIGHTY),
        consensus=replace(config.consensus, presumed_weight=_WEIGHTY),
    )


def list_ablations(config: LEOConfig) -> dict[str, tuple[LEOConfig, str]]:
    """Per stage that has a switch: the settings without it, and what was set."""
    route, risk, consensus = config.route, config.risk, config.consensus
    return {
        "cache off": (replace(config, cache=replace(config.cache, enabled=False)), "cache.enabled"),
        "memory off": (replace(config, memory=replace(config.memory, influence=0.0)), "memory.influence"),
        "novelty off": (
            replace(
                config,
                route=replace(route, small_when_novel=True),
                risk=replace(risk, novel_above=1.0, novel_strength=risk.prior_strength, novel_variance=0.0),
            ),
            "route.small_when_novel, risk.novel_…",
        ),
        "difficulty before the call off": (
            replace(config, route=replace(route, difficulty_slope=0.0, cascade_slope=0.0)),
            "route.difficulty_slope, route.cascade_slope",
        ),
        "harm off": (
            replace(config, route=replace(route, harm_above=1.0, harm_weight=0.0)),
            "route.harm_above, route.harm_weight",
        ),
        "risk of the answer off": (replace(config, risk=replace(risk, accept_below=1.0)), "risk.accept_below"),
        "one opinion at most": (replace(config, route=replace(route, opinions=1)), "route.opinions"),
        "second opinion off": (
            replace(config, route=replace(route, second_opinion_share=0.0)),
            "route.second_opinion_share",
        ),
        "jury after the cascade": (replace(config, route=replace(route, cascade_jury=True)), "route.cascade_jury"),
        "trust off": (
            replace(
                config,
                consensus=replace(
                    consensus, trust_floor=0.6, trust_ceiling=0.6001, presume_by_price=False, family_share=0.999
                ),
            ),
            "one vote each",
        ),
        "presumption off": (
            replace(config, consensus=replace(consensus, presume_by_price=False)),
            "consensus.presume_by_price",
        ),
    }

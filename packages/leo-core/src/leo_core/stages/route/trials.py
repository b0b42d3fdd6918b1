"""Trials: the few requests on which a route is tried against the default, drawn by lot.

An ordinary request is a trial with a small chance that depends on nothing. Which challenger is tried is drawn too.
Where the two would go the same way nothing can be learned, and it is no trial. Where one of the two ways shows the
answers of both, it is taken; otherwise a fair coin chooses. So the chance of every outcome that is learned from is
known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leo_core.records import Trial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leo_core.records import Route

__all__ = ["ROUTER", "TrialTerms", "draw_trial"]

ROUTER = "router"
"""The router's own choice, as a challenger of a default."""
_FAIR = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTerms:
    """How trials are drawn.

    Attributes:
        rate: Chance that an ordinary request is one, in [0, 1].
        reference: The incumbent where nothing was promoted: the strongest route.
        draws: Three uniform draws in [0, 1): whether it is one, who challenges, and the coin.
        shows: The other routes whose answers a route shows as well.
    """

    rate: float
    reference: Route
    draws: tuple[float, float, float]
    shows: Mapping[Route, frozenset[Route]] = field(default_factory=dict)


def draw_trial(
    allowed: Sequence[Route], free: Route, default: Route | None, terms: TrialTerms
) -> tuple[Route, Trial] | None:
    """The route to take and the trial, if the request is one.

    Args:
        allowed: Routes that may be taken.
        free: What the router would choose of them.
        default: The default of the region; ``None`` while the router chooses.
        terms: How trials are drawn.
    """
    coin, pick, arm = terms.draws
    usual = terms.reference if default is None else default
    if coin >= terms.rate or usual not in allowed:
        return None
    challengers: list[tuple[str, Route]] = [(str(route), route) for route in allowed if route is not usual]
    if default is not None and free is not default:
        challengers.append((ROUTER, free))
    if not challengers:
        return None
    name, route = challengers[min(int(pick * len(challengers)), len(challengers) - 1)]
    both = [each for each, other in ((route, usual), (usual, route)) if other in terms.shows.get(each, ())]
    trial = Trial(
        challenger=name,
        incumbent=str(usual),
        challenger_route=route,
        incumbent_route=usual,
        paired=bool(both),
        chance=1.0 if both else _FAIR,
    )
    if both:
        return both[0], trial
    return (route if arm < _FAIR else usual), trial

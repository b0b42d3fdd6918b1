"""How the router evolves: defaults in force, trials, changes, and the gaps that no member fills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from leo_core.records.requests import Route

__all__ = ["Gap", "Promotion", "RouteChange", "Trial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """The default route of a region, and the test that put it there.

    Attributes:
        route: The route that is taken by default.
        since: Instant from which it is.
        wealth: What the bets on it had grown to, from 1; at least 1 / ``alpha``.
        alpha: With which probability, at most, it would have got so far without being better, in (0, 1).
    """

    route: Route
    since: float
    wealth: float
    alpha: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A request on which two routes are compared; which was drawn, before anything was known of the answers.

    Attributes:
        challenger: The route that might become the default, or ``"router"``, the router's own choice.
        incumbent: The default, or where there is none the strongest route.
        challenger_route: The way that the challenger would go on this request.
        incumbent_route: The way that the incumbent would go.
        paired: Whether the route taken shows the answers of both.
        chance: With which chance the route was taken: 1 where it shows both, else 0.5.
    """

    challenger: str
    incumbent: str
    challenger_route: Route
    incumbent_route: Route
    paired: bool
    chance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteChange:
    """A change of a region's default.

    Attributes:
        change: ``promoted``: a route became the default; ``demoted``: a default lost its place.
        region: Where.
        route: The route that was promoted or demoted.
        default: The default from then on; ``None`` for the router's own choice.
        why: ``test``: the comparison said so; ``decline``: its own outcomes got worse; else the caller's words.
        wealth: Wealth of the test that decided; ``None`` where none did.
        alpha: Its level; ``None`` likewise.
        at: Instant.
    """

    change: Literal["promoted", "demoted"]
    region: int
    route: Route
    default: Route | None
    why: str
    wealth: float | None
    alpha: float | None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A region of the traffic in which every member fails.

    Attributes:
        region: Which.
        requests: Requests there that members answered.
        outcomes: Outcomes that are known of members there, by weight.
        error: Share of wrong ones among them, in [0, 1].
        error_interval: Its 95 % credible interval.
        best: The member that does best there.
        best_upper: Upper end of the 95 % interval of its P(right), in [0, 1].
        cost_usd: What its requests cost, as far as it is known.
        examples: Questions nearest to the region's centre, where the store holds any that can be read.
    """

    region: int
    requests: int
    outcomes: float
    error: float
    error_interval: tuple[float, float]
    best: str
    best_upper: float
    cost_usd: float
    examples: tuple[str, ...] = ()

"""Which route is the default of a region: the fold of trials, of changes, and of the default's own outcomes.

While nothing is promoted the router chooses, and the strongest route (large, or else consensus) is the incumbent that
challengers are compared with. A trial (kind ``"promotion"``, with ``outcomes``) moves a contest. A change (the same
kind, with ``change``) moves the default, and only a change does: what was decided stays decided when settings change.
The engine asks :func:`find_change` after each outcome and writes down what it says.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from leo_core.records import Promotion, Route, RouteChange
from leo_core.stages.route.promotion import (
    Contest,
    Decline,
    find_level,
    has_won,
    measure_utility,
    settle_paired,
    settle_single,
    start_decline,
    watch_default,
)
from leo_core.stages.route.trials import ROUTER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records import Json, Observation
    from leo_core.stages.route.config import RouteConfig

__all__ = ["PromotionState", "Standing", "find_change", "update_promotions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The default of a region and those that challenge it.

    Attributes:
        default: The default in force; ``None`` while the router chooses.
        incumbent: The route that challengers are compared with: the default, or else the strongest one; empty before
            the first trial.
        replaced: The incumbent that the default replaced; empty without one.
        contests: By challenger.
        decline: Watches the default.
    """

    default: Promotion | None = None
    incumbent: str = ""
    replaced: str = ""
    contests: Mapping[str, Contest] = field(default_factory=lambda: MappingProxyType({}))
    decline: Decline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionState:
    """The standing of every region, and all changes so far, oldest first."""

    standings: Mapping[int, Standing] = field(default_factory=lambda: MappingProxyType({}))
    changes: tuple[RouteChange, ...] = ()

    @classmethod
    def fresh(cls) -> PromotionState:
        """Nothing observed."""
        return cls()

    def standing(self, region: int) -> Standing:
        """The standing of a region; at first the router chooses."""
        return self.standings.get(region, Standing())

    def default(self, region: int) -> Promotion | None:
        """The default in force in a region."""
        return self.standing(region).default


def find_change(state: PromotionState, region: int, config: RouteConfig, at: float) -> RouteChange | None:
    """The change that the outcomes so far demand in a region; ``None`` for none.

    A challenger that won takes the default's place; that is called a demotion where it is what the default itself had
    replaced, or the router's own choice. A default in decline gives way to the router's own choice.
    """
    standing, alpha = state.standing(region), find_level(config)
    for challenger, contest in standing.contests.items():
        if has_won(contest, alpha):
            default = None if challenger == ROUTER else Route(challenger)
            known = standing.default
            back = known is not None and challenger in (standing.replaced, ROUTER)
            return RouteChange(
                change="demoted" if back else "promoted",
                region=region,
                route=known.route if back and known is not None else Route(challenger),
                default=default,
                why="test",
                wealth=contest.wealth,
                alpha=alpha,
                at=at,
            )
    if standing.default is None or standing.decline is None or standing.decline.evidence < config.false_alarm_after:
        return None
    return RouteChange(
        change="demoted",
        region=region,
        route=standing.default.route,
        default=None,
        why="decline",
        wealth=standing.decline.evidence,
        alpha=None,
        at=at,
    )


def update_promotions(state: PromotionState, observation: Observation, config: RouteConfig) -> PromotionState:
    """Fold a trial or a change (kind ``"promotion"``), or an outcome (kind ``"route"``); others change nothing."""
    body = observation.body
    region = int(body.get("region", -1))
    standing = state.standing(region)
    if observation.kind == "route":
        return _with(state, region, _watch(standing, body, config))
    if observation.kind != "promotion":
        return state
    if "change" not in body:
        return _with(state, region, _compare(standing, body, config))
    if body["incumbent"] != standing.incumbent:  # another process was first
        return state
    change = _read_change(body, observation.at)
    state = replace(state, changes=(*state.changes, change))
    return _with(state, region, _change(standing, change))


def _with(state: PromotionState, region: int, standing: Standing) -> PromotionState:
    if standing is state.standing(region):
        return state
    return replace(state, standings=MappingProxyType({**state.standings, region: standing}))


def _watch(standing: Standing, body: Mapping[str, Json], config: RouteConfig) -> Standing:
    """Count an outcome of the default itself: an audit, or the caller's word."""
    right = body.get("right")
    if right is None or standing.decline is None or body.get("route") != standing.incumbent:
        return standing
    weight = float(body.get("weight", 1.0))
    return replace(standing, decline=watch_default(standing.decline, config, wrong=not right, weight=weight))


def _compare(standing: Standing, body: Mapping[str, Json], config: RouteConfig) -> Standing:
    """Settle a trial; one against another incumbent than the default came too late."""
    if body["incumbent"] != standing.incumbent:
        if standing.default is not None:
            return standing
        standing = Standing(incumbent=body["incumbent"])
    shown = {
        name: (measure_utility(float(each["cost_usd"]), config, right=bool(each["right"])), bool(each["right"]))
        for name, each in body["outcomes"].items()
    }
    if "incumbent" in shown and standing.decline is not None:
        standing = replace(standing, decline=watch_default(standing.decline, config, wrong=not shown["incumbent"][1]))
    contest = standing.contests.get(body["challenger"], Contest())
    if len(shown) > 1:
        (utility, right), (other, _) = shown["challenger"], shown["incumbent"]
        contest = settle_paired(contest, utility, other, right=right)
    else:
        ((name, (utility, right)),) = shown.items()
        contest = settle_single(contest, utility, challenger=name == "challenger", right=right)
    return replace(standing, contests=MappingProxyType({**standing.contests, body["challenger"]: contest}))


def _read_change(body: Mapping[str, Json], at: float) -> RouteChange:
    return RouteChange(
        change=body["change"],
        region=int(body["region"]),
        route=Route(body["route"]),
        default=None if body["default"] is None else Route(body["default"]),
        why=body["why"],
        wealth=body["wealth"],
        alpha=body["alpha"],
        at=at,
    )


def _change(standing: Standing, change: RouteChange) -> Standing:
    """A new reign: every contest begins anew."""
    if change.default is None or change.wealth is None or change.alpha is None:
        return Standing()
    won = standing.contests.get(str(change.default), Contest())
    default = Promotion(route=change.default, since=change.at, wealth=change.wealth, alpha=change.alpha)
    return Standing(
        default=default, incumbent=str(change.default), replaced=standing.incumbent, decline=start_decline(won)
    )

"""What was learned of the routes: one discounted record per (region, route)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from leo_core.records import Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records import Json, Observation
    from leo_core.stages.route.config import RouteConfig

__all__ = ["RouteRecord", "RouteState", "update_routes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRecord:
    """Outcomes of a route in a region, discounted.

    Attributes:
        right: Weight of right answers.
        wrong: Weight of wrong answers.
        cost_usd: Sum of known costs, and ``cost_count`` how many.
        cost_count: See ``cost_usd``.
        latency_s: Sum of known latencies, and ``latency_count`` how many.
        latency_count: See ``latency_s``.
    """

    right: float = 0.0
    wrong: float = 0.0
    cost_usd: float = 0.0
    cost_count: float = 0.0
    latency_s: float = 0.0
    latency_count: float = 0.0


_NOTHING = RouteRecord()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteState:
    """The fold of the ``"route"`` observations: a record per (region, route)."""

    records: Mapping[tuple[int, Route], RouteRecord] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def fresh(cls) -> RouteState:
        """Nothing observed."""
        return cls()

    @property
    def knows_outcomes(self) -> bool:
        """Whether any route was ever seen to be right or wrong."""
        return any(record.right > 0.0 or record.wrong > 0.0 for record in self.records.values())

    def record(self, region: int, route: Route) -> RouteRecord:
        """The record of a route in a region; an empty one where nothing was observed."""
        return self.records.get((region, route), _NOTHING)


def update_routes(state: RouteState, observation: Observation, config: RouteConfig) -> RouteState:
    """Fold an outcome; returns a new state. Observations of another kind, or of a cache hit, change nothing.

    A trial (kind ``"promotion"``) counts for every route that it showed: its requests are drawn by lot.

    Reads the body: ``route``, ``region``, ``right`` (bool, or None when not known), ``weight`` (importance, default 1),
    ``cost_usd`` and ``latency_s`` (None when not known). Cost and latency are learned even when ``right`` is unknown.
    """
    if observation.kind == "promotion":
        for shown in observation.body.get("outcomes", {}).values():
            state = _with_trial(state, int(observation.body["region"]), shown, config)
        return state
    if observation.kind != "route" or observation.body.get("route") in (None, Route.CACHE):
        return state
    body = observation.body
    key = (int(body.get("region", -1)), Route(body["route"]))
    old, keep = state.records.get(key, RouteRecord()), config.forgetting
    new = _with_cost(old, body.get("cost_usd"), body.get("latency_s"), keep)
    right, weight = body.get("right"), max(float(body.get("weight", 1.0)), 0.0)
    if right is not None:
        new = replace(
            new,
            right=keep * old.right + (weight if right else 0.0),
            wrong=keep * old.wrong + (0.0 if right else weight),
        )
    return RouteState(records=MappingProxyType({**state.records, key: new}))


def _with_cost(old: RouteRecord, cost_usd: float | None, latency_s: float | None, keep: float) -> RouteRecord:
    new = old
    if cost_usd is not None:
        new = replace(new, cost_usd=keep * old.cost_usd + cost_usd, cost_count=keep * old.cost_count + 1.0)
    if latency_s is not None:
        new = replace(new, latency_s=keep * old.latency_s + latency_s, latency_count=keep * old.latency_count + 1.0)
    return new


def _with_trial(state: RouteState, region: int, shown: Mapping[str, Json], config: RouteConfig) -> RouteState:
    key = (region, Route(shown["route"]))
    old, keep, weight = state.records.get(key, RouteRecord()), config.forgetting, float(shown.get("weight", 1.0))
    right = weight if shown["right"] else 0.0
    new = replace(old, right=keep * old.right + right, wrong=keep * old.wrong + weight - right)
    return RouteState(records=MappingProxyType({**state.records, key: new}))

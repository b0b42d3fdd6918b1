"""Regions of the traffic in which every member fails: where another model, or other data, would help."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from leo_core.records import Gap
from leo_core.stages.route.beta import draw_beta

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from leo_core.records import KeptEntry, Observation

__all__ = ["find_examples", "find_gaps"]

_LOW, _HIGH = 0.025, 0.975
_ROUTE = "route:"
"""Marks the outcomes of a route beside those of members."""


@dataclass(slots=True)
class _Tally:
    """Outcomes with their importance: how many are right, how many there are, and the sum of squared weights."""

    right: float = 0.0
    weight: float = 0.0
    square: float = 0.0

    def add(self, right: float, weight: float) -> None:
        self.right += right * weight
        self.weight += weight
        self.square += weight * weight

    @property
    def count(self) -> float:
        """Effective number of outcomes (Kish 1965)."""
        return self.weight * self.weight / self.square if self.square else 0.0

    def bound(self, share: float) -> float:
        """Quantile of P(right) after these outcomes, from a uniform prior."""
        right = self.count * self.right / self.weight if self.weight else 0.0
        return draw_beta(1.0 + right, 1.0 + self.count - right, share)


@dataclass(slots=True)
class _Region:
    """What is known of a region."""

    tallies: dict[str, _Tally] = field(default_factory=lambda: defaultdict(_Tally))
    served: _Tally = field(default_factory=_Tally)
    requests: int = 0
    cost_usd: float = 0.0


def find_gaps(
    observations: Iterable[Observation], *, members: Iterable[str] = (), below: float = 0.5, least: int = 20
) -> tuple[Gap, ...]:
    """The regions in which no member and no route is right often enough, the dearest first.

    A region is a gap when of every member, and of every route of which outcomes are known there, the upper end of the
    95 % credible interval of P(right) lies under ``below``. Audits and feedback count; verdicts do not.

    Args:
        observations: Those of one tenant.
        members: Members that have to have failed, besides all that were ever judged.
        below: Share of right answers, in (0, 1), that is asked for.
        least: Outcomes that have to be known of each member, by effective number.
    """
    regions: dict[int, _Region] = defaultdict(_Region)
    judged = set(members)
    for observation in observations:
        region = regions[int(observation.body.get("region", -1))]
        for name, right, weight in _read(observation):
            region.tallies[name].add(right, weight)
            if not name.startswith(_ROUTE):
                judged.add(name)
        _count(region, observation)
    found = [
        _describe(number, region)
        for number, region in regions.items()
        if number >= 0 and judged and _fails(region, judged, below, least)
    ]
    return tuple(sorted(found, key=lambda gap: (-gap.cost_usd, gap.region)))


def _read(observation: Observation) -> Iterator[tuple[str, float, float]]:
    """Whose outcome became known: name, how surely it was right, and with which weight."""
    body = observation.body
    if observation.kind == "trust" and "member" in body and body.get("valid"):
        yield body["member"], float(body["agreement"]), float(body.get("weight", 1.0))
    elif observation.kind == "feedback":
        yield from ((member, float(not body["wrong"]), 1.0) for member in body.get("members", ()))
    elif observation.kind == "route" and body.get("right") is not None:
        yield f"{_ROUTE}{body['route']}", float(body["right"]), float(body.get("weight", 1.0))


def _count(region: _Region, observation: Observation) -> None:
    body = observation.body
    if observation.kind != "route":
        return
    if body.get("right") is not None:
        region.served.add(float(body["right"]), float(body.get("weight", 1.0)))
        return
    region.requests += 1
    region.cost_usd += float(body.get("cost_usd") or 0.0)


def _fails(region: _Region, members: set[str], below: float, least: int) -> bool:
    enough = all(member in region.tallies and region.tallies[member].count >= least for member in members)
    return enough and all(tally.bound(_HIGH) < below for tally in region.tallies.values())


def _describe(number: int, region: _Region) -> Gap:
    members = sorted(name for name in region.tallies if not name.startswith(_ROUTE))
    best = max(members, key=lambda name: region.tallies[name].bound(_HIGH))
    outcomes = region.served if region.served.weight else region.tallies[best]
    return Gap(
        region=number,
        requests=region.requests,
        outcomes=sum(region.tallies[name].count for name in members),
        error=1.0 - outcomes.right / outcomes.weight,
        error_interval=(1.0 - outcomes.bound(_HIGH), 1.0 - outcomes.bound(_LOW)),
        best=best,
        best_upper=region.tallies[best].bound(_HIGH),
        cost_usd=region.cost_usd,
    )


def find_examples(
    entries: Iterable[KeptEntry], centres: npt.NDArray[np.float32], region: int, count: int
) -> tuple[str, ...]:
    """The kept questions of a region that lie nearest to its centre.

    Args:
        entries: Kept entries of the tenant.
        centres: Unit rows, shape (k, d).
        region: Index of a centre.
        count: Most questions.
    """
    if not 0 <= region < len(centres) or count < 1:
        return ()
    near: dict[str, float] = {}
    for kept in entries:
        if kept.vector is None or kept.vector.shape != centres[region].shape:
            continue
        cosines = centres @ kept.vector
        if int(np.argmax(cosines)) == region:
            near[kept.entry.text] = max(float(cosines[region]), near.get(kept.entry.text, -1.0))
    return tuple(sorted(near, key=lambda text: (-near[text], text))[:count])

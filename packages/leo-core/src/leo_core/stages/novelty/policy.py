"""Novelty: how unlike past traffic a request is, as a conformal p-value.

A request is described by three figures: how undecided it is between the regions of past traffic (entropy of a
softmax over its distances to the centres), how far it lies from the nearest one in units of that cluster's own
radius, and how far from the two most similar of a few thousand past requests, measured on sketches, less 0.3 of how
far the nearest of them lies from its own neighbours. Their weighted sum has no scale of its own, so it is ranked
among the sums of past requests: novelty is 1 - p, with p the conformal p-value (V. Vovk, A. Gammerman and G.
Shafer, "Algorithmic learning in a random
world", 2005, ch. 2). On exchangeable traffic ``novelty > 0.95`` fires for about 5 % of the requests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from leo_core.kernels import kmeans, sketch
from leo_core.records import Novelty
from leo_core.stages.novelty.state import NoveltyState

if TYPE_CHECKING:
    import numpy.typing as npt

    from leo_core.records import Vector
    from leo_core.stages.novelty.config import NoveltyConfig

__all__ = ["NoveltyState", "Place", "learn_novelty", "locate", "score_novelty"]

MIN_CLUSTER = 8
FIRST_RADIUS = 1.0
MIN_RADIUS = 0.05
CROWD = 10
CROWD_SHARE = 0.3
SECOND_DRAW = 1021.0

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a vector lies among the centres of a state.

    Attributes:
        state: That state.
        region: Index of the nearest centre.
        distance: Distance to it.
        entropy: How undecided it is between the regions, in [0, 1].
        deviation: The distance over that cluster's own radius.
        score: The weighted sum that is ranked.
        sketch: The signs of the vector, uint64 (4,).
    """

    state: NoveltyState
    region: int
    distance: float
    entropy: float
    deviation: float
    score: float
    sketch: npt.NDArray[np.uint64]


def score_novelty(vector: Vector, state: NoveltyState, config: NoveltyConfig, *, place: Place | None = None) -> Novelty:
    """Novelty of a request, before it is learned.

    Args:
        vector: Its unit vector, shape (d,).
        state: What was learned of earlier requests; must not include this one.
        config: Settings; the same as those that ``state`` was learned with.
        place: What :func:`locate` says of them, where that is known.

    Returns:
        The novelty; its ``value`` is ``None`` while fewer than ``config.min_samples`` past scores are known.
        Requests with equal scores, such as repetitions, are counted against novelty.
    """
    if not len(state.centres):
        return Novelty(value=None)
    place = place or _locate(vector, state, config)
    samples = len(state.scores)
    value = None
    if samples >= config.min_samples:
        at_least = int(np.count_nonzero(state.scores >= place.score))
        value = 1.0 - (1 + at_least) / (samples + 1)
    return Novelty(value=value, entropy=place.entropy, deviation=place.deviation, region=place.region, samples=samples)


def locate(vector: Vector, state: NoveltyState, config: NoveltyConfig) -> Place | None:
    """Where a vector lies, for what scores it and what learns it; ``None`` where nothing was learned yet."""
    return _locate(vector, state, config) if len(state.centres) else None


def learn_novelty(
    vector: Vector, state: NoveltyState, config: NoveltyConfig, draw: float, *, place: Place | None = None
) -> NoveltyState:
    """The state after a request; ``state`` itself is left as it is.

    Args:
        vector: The request's unit vector, shape (d,).
        state: The state before it.
        config: Settings.
        draw: Uniform in [0, 1); chooses which past score makes room, so older ones fade away.
        place: What :func:`locate` said of the vector; passed over where another state has come since.
    """
    if not len(state.centres):
        sketches = _remember(sketch.sketch_query(vector)[0], state.sketches, config, draw)
        kept = _Kept(state.scores, state.distances, state.regions, sketches)
        return _open_centre(vector, state, kept, FIRST_RADIUS)
    if place is None or place.state is not state:
        place = _locate(vector, state, config)
    kept = _keep(place, state, config, draw)
    if _may_open(place, state, config):
        return _open_centre(vector, state, kept, _quantile(kept.distances, config.radius_quantile))
    return _move_centre(vector, place.region, state, kept, config)


class _Kept(NamedTuple):
    """What a state keeps of past requests, as its attributes of these names."""

    scores: npt.NDArray[np.float64]
    distances: npt.NDArray[np.float64]
    regions: npt.NDArray[np.int64]
    sketches: npt.NDArray[np.uint64]


def _locate(vector: Vector, state: NoveltyState, config: NoveltyConfig) -> Place:
    """Nearest centre, entropy H/ln k in [0, 1] (0 for one centre), deviation and their weighted sum."""
    distances = kmeans.measure_distances(state.centres, vector)
    region = int(distances.argmin())
    distance = float(distances[region])
    entropy = 0.0
    if len(distances) > 1:
        shares = np.exp((distance - distances) / config.temperature)
        total = float(shares.sum())
        # H = ln Σ e^z - Σ z e^z / Σ e^z, with z = -(d - d_min)/τ
        mean = float(shares @ (distance - distances)) / (config.temperature * total)
        entropy = min(1.0, max(0.0, (math.log(total) - mean) / math.log(len(distances))))
    deviation = distance / float(state.radii[region])
    signs = sketch.sketch_query(vector)
    strangeness = sketch.measure_strangeness(state.sketches, signs, CROWD, CROWD_SHARE)
    score = entropy + config.deviation_weight * deviation + config.strangeness_weight * (CROWD_SHARE + strangeness)
    return Place(
        state=state,
        region=region,
        distance=distance,
        entropy=entropy,
        deviation=deviation,
        score=score,
        sketch=signs[0],
    )


def _remember(
    signs: npt.NDArray[np.uint64], sketches: npt.NDArray[np.uint64], config: NoveltyConfig, draw: float
) -> npt.NDArray[np.uint64]:
    """The sketches with one more; when there is no room, in the place of a random one."""
    count = len(sketches)
    slot = count if count < config.memory else int(math.fmod(draw * SECOND_DRAW, 1.0) * config.memory)
    kept = np.empty((max(count, slot + 1), sketches.shape[1]), dtype=np.uint64)
    kept[:count] = sketches
    kept[slot] = signs
    return kept


def _keep(place: Place, state: NoveltyState, config: NoveltyConfig, draw: float) -> _Kept:
    """What is kept with one more request.

    The reservoir of scores holds at most half of what was seen (but never less than ``min_samples``), so scores of the
    first requests, made while there was little to compare with, do not stay.
    """
    count = len(state.scores)
    room = max(config.min_samples, min(config.reservoir, state.seen // 2))
    if count < room:
        slot, length = count, count + 1
    else:
        slot, length = min(count - 1, int(draw * count)), count
    return _Kept(
        scores=_with(state.scores, slot, length, place.score),
        distances=_with(state.distances, slot, length, place.distance),
        regions=_with(state.regions, slot, length, place.region),
        sketches=_remember(place.sketch, state.sketches, config, draw),
    )


def _with(array: npt.NDArray[T], slot: int, length: int, value: float) -> npt.NDArray[T]:
    """A copy with this length and this value in its slot."""
    copy = np.empty(length, dtype=array.dtype)
    copy[: len(array)] = array
    copy[slot] = value
    return copy


def _may_open(place: Place, state: NoveltyState, config: NoveltyConfig) -> bool:
    """Whether the request is outside of every cluster while there is room for another."""
    count = len(state.centres)
    return count < config.centres and state.seen >= config.growth * count and place.deviation > 1.0


def _open_centre(vector: Vector, state: NoveltyState, kept: _Kept, radius: float) -> NoveltyState:
    """Make the request a centre."""
    return NoveltyState(
        centres=np.vstack([state.centres, vector]).astype(np.float32),
        counts=np.append(state.counts, 1),
        radii=np.append(state.radii, radius),
        seen=state.seen + 1,
        **kept._asdict(),
    )


def _move_centre(vector: Vector, region: int, state: NoveltyState, kept: _Kept, config: NoveltyConfig) -> NoveltyState:
    """Move the nearest centre towards the request, and measure its radius again: by all where few are its own."""
    centres, counts, radii = state.centres.copy(), state.counts.copy(), state.radii.copy()
    counts[region] += 1
    rate = 1.0 / min(int(counts[region]), config.window)
    centres[region] = kmeans.move_centre(centres[region], vector, rate)
    own = kept.distances[kept.regions == region]
    radii[region] = _quantile(own if len(own) >= MIN_CLUSTER else kept.distances, config.radius_quantile)
    return NoveltyState(centres=centres, counts=counts, radii=radii, seen=state.seen + 1, **kept._asdict())


def _quantile(values: npt.NDArray[np.float64], share: float) -> float:
    """The smallest value that at least ``share`` of ``values`` do not exceed; never below 0.05 (cosine 0.999)."""
    rank = max(0, math.ceil(share * len(values)) - 1)
    return max(MIN_RADIUS, float(np.partition(values, rank)[rank]))

"""The promise: wrong answers served from the cache stay at or below δ of all requests, at any time.

What is promised, with δ = ``max_wrong_hits`` and a = 1 − ``confidence``:

    P(at some time t, more than δ·t of the first t requests were answered by a wrong semantic hit) ≤ a.

It is kept by :mod:`leo_core.stages.cache.evidence`: a hit is served only while the most wrong hits that the evidence
has not ruled out are at most δ·t, and every would-be hit is explored with a known probability first. What is chosen
here, by what was seen so far, decides how many hits that gives and cannot break it:

* the *rate* π of exploring: the smallest of a grid for which the bound still leaves room, so it falls as the
  allowance δ·t grows; riskier hits are explored more often, since a caught one then proves less against the others;
* the *price*: the largest estimated error of a hit that is served, such that what is expected to be spent, by the
  errors estimated so far, fits into what the promise leaves. The estimates are held against what was caught.

A caught hit raises the bound, the price falls, and when nothing is left everything is explored, free of charge, until
δ·t has caught up. That is also what happens when traffic drifts.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import TYPE_CHECKING

from leo_core.errors import StoreMismatchError
from leo_core.stages.cache.correctness import FEATURES, Correctness
from leo_core.stages.cache.evidence import NO_CHARGE, RATES, charge_of, most_wrong_hits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records import Json, Observation
    from leo_core.stages.cache.config import CacheConfig

__all__ = ["PromiseState", "Terms", "bound_wrong_hits", "is_barred", "judge_hit", "record_of", "update_promise"]

_VERSION = 2
_MICRO = 1_000_000
_MOST_RECORDS = 1024
_BARRED = 1_000_000

_LEAST_RISK = 1e-4
_STEPS_OF_RISK = 96
_EDGES: tuple[float, ...] = tuple(_LEAST_RISK ** (1.0 - step / _STEPS_OF_RISK) for step in range(1, _STEPS_OF_RISK + 1))
_CENTRES: tuple[float, ...] = tuple(edge * _LEAST_RISK ** (0.5 / _STEPS_OF_RISK) for edge in _EDGES)
_REMEMBERED = 8192

_ROOM = 0.87
"""Share of the allowance that the bound may take when the rate is lowered."""
_SPENT = 1.3
"""What estimated errors may use up, over δ; above 1, since those of the surest hits are estimated too high."""
_NARROW = 0.15
"""Share of the allowance below which what is left makes the price fall."""
_CAUTION = 0.43
"""Rate of exploring at half the price."""
_WORTH = 5.0
"""Wrong hits that the estimates are worth against what was caught."""
_MOST_ERROR = 10.0
"""Largest estimated error of a single hit over δ, where nothing else is asked for."""
_COIN = 0.5
"""A hit that is as likely wrong as right is not served, however large the promise, unless that is asked for."""
_MOST_WEIGHT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseState:
    """What a tenant's promise stands on.

    Attributes:
        requests: Requests so far.
        served: Semantic hits served.
        explored: Outcomes known.
        charges: What caught hits, and those of unknown outcome, cost (``charge_of``).
        least_rate: Smallest exploring rate of a would-be hit so far.
        expected: Millionths of wrong hits among those served, by the estimates.
        caught: Millionths of wrong hits among those served, by what was caught.
        model: What was learned about candidates being right.
        risks: Of the latest requests with a candidate, how many had which estimated error.
        watched: How many requests ``risks`` stands for.
        records: (outcomes, "different" ones) since its first "different" one, for the latest entries that had any.
    """

    requests: int = 0
    served: int = 0
    explored: int = 0
    charges: tuple[int, ...] = NO_CHARGE
    least_rate: float = 1.0
    expected: int = 0
    caught: int = 0
    model: Correctness = field(default_factory=Correctness)
    risks: tuple[int, ...] = (0,) * _STEPS_OF_RISK
    watched: int = 0
    records: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def fresh(cls) -> PromiseState:
        """Nothing known: explores first."""
        return cls()

    def to_bytes(self) -> bytes:
        """The state as JSON."""
        model = {name: getattr(self.model, name) for name in self.model.__slots__}
        fields = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({"version": _VERSION, **fields, "model": model}, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, blob: bytes) -> PromiseState:
        """The state from :meth:`to_bytes`.

        Raises:
            StoreMismatchError: When another version, or another grid, wrote it.
        """
        fields = json.loads(blob)
        if fields.pop("version", None) != _VERSION or len(fields["charges"]) != len(NO_CHARGE):
            msg = f"this promise state was not written by version {_VERSION} of its format; rebuild it by folding"
            raise StoreMismatchError(msg)
        model = fields.pop("model")
        fields["charges"], fields["risks"] = tuple(fields["charges"]), tuple(fields["risks"])
        fields["records"] = {entry: (outcomes, wrong) for entry, (outcomes, wrong) in fields["records"].items()}
        covariance = tuple(tuple(row) for row in model["covariance"])
        learned = Correctness(mean=tuple(model["mean"]), covariance=covariance, outcomes=model["outcomes"])
        return cls(**fields, model=learned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Whether a hit keeps the promise, and every figure of it.

    Attributes:
        kept: Whether it may be served, unless its coin says explore.
        why: The deciding reason in words.
        rate: Probability with which it has to be explored, in (0, 1]; 1 when it is not kept.
        price: Largest estimated error that the promise can pay for at this request, in [0, 1].
        wrong_hits: The most wrong hits served so far that the evidence has not ruled out.
        allowed: Wrong hits that the promise allows at this request: δ·t.
    """

    kept: bool
    why: str
    rate: float
    price: float
    wrong_hits: float
    allowed: float


def judge_hit(state: PromiseState, error: float, config: CacheConfig) -> Terms:
    """Whether serving one more hit keeps the promise.

    Args:
        state: The tenant's record.
        error: Estimated P(wrong) of the hit, in (0, 1).
        config: Settings.
    """
    allowed = config.max_wrong_hits * (state.requests + 1)
    least, bound = _lower_rate(state, allowed, config)
    if allowed <= 0.0:
        return _refuse("semantic hits are off (max_wrong_hits is 0)", 0.0, bound, allowed)
    if state.explored < config.min_explored:
        why = f"only {state.explored} of {config.min_explored} outcomes explored"
        return _refuse(why, 0.0, bound, allowed)
    if least >= 1.0 or bound > allowed:
        why = f"{bound:.1f} wrong hits are not ruled out, and {state.requests + 1} requests allow {allowed:.1f}"
        return _refuse(why, 0.0, bound, allowed)
    price = _price(state, 1.0 - bound / allowed, config)
    if error >= price:
        return _refuse(f"estimated error {error:.4f} is not below the allowance {price:.4f}", price, bound, allowed)
    rate = max(least, min(_CAUTION * sqrt(error / (price - error)), 1.0))
    why = f"estimated error {error:.4f} is within the allowance {price:.4f}"
    return Terms(kept=True, why=why, rate=rate, price=price, wrong_hits=bound, allowed=allowed)


def bound_wrong_hits(state: PromiseState, config: CacheConfig) -> float:
    """Upper bound, at the configured confidence, on the number of wrong semantic hits served so far."""
    return min(most_wrong_hits(state.charges, state.least_rate, config.confidence), float(state.served))


def record_of(state: PromiseState, entry_id: str) -> tuple[int, int]:
    """(outcomes, "different" ones) of an entry since its first "different" one."""
    return state.records.get(entry_id, (0, 0))


def is_barred(state: PromiseState, entry_id: str) -> bool:
    """Whether the caller has called the entry's answer wrong: it is served exactly only."""
    return record_of(state, entry_id)[1] >= _BARRED


def update_promise(state: PromiseState, observation: Observation, config: CacheConfig) -> PromiseState:
    """Fold one observation; kinds that are not the cache's are ignored.

    ``served``: counts a request; a would-be hit also sets the least rate, and is charged when it is explored.
    ``cache``: the outcome of an explored candidate: takes the charge back when the answer was the same, or when
    nothing could be learned (``same`` is null: the models failed); the model and the entry's record learn.
    ``feedback`` with ``wrong``: the entry is served exactly only from now on, and the model learns.
    """
    body = observation.body
    if observation.kind == "served":
        return _fold_request(state, body)
    if observation.kind == "cache":
        return _fold_outcome(state, body)
    if observation.kind == "feedback" and body.get("wrong") and body.get("entry"):
        features = _features_in(body)
        model = state.model if features is None else state.model.learn(features, same=False)
        return replace(state, model=model, records=_write_record(state, str(body["entry"]), _BARRED, _BARRED))
    del config
    return state


def _lower_rate(state: PromiseState, allowed: float, config: CacheConfig) -> tuple[float, float]:
    """The smallest rate that leaves room, never above the one in use, and the bound with it."""
    least = state.least_rate
    bound = most_wrong_hits(state.charges, least, config.confidence)
    for rate in RATES:
        if rate >= least:
            continue
        lower = most_wrong_hits(state.charges, rate, config.confidence)
        if rate < config.explore_rate or lower > _ROOM * allowed:
            break
        least, bound = rate, lower
    return least, bound


def _price(state: PromiseState, left: float, config: CacheConfig) -> float:
    """The largest error up to which the errors estimated so far would fit into what is left of δ."""
    most = min(_MOST_ERROR * config.max_wrong_hits, _COIN) if config.max_hit_error is None else config.max_hit_error
    worth = _WORTH * _MICRO
    honest = min(max((state.expected + worth) / (state.caught + worth), 0.5), 3.0)
    budget = config.max_wrong_hits * _SPENT * honest * min(left / _NARROW, 1.0) * max(state.watched, 1)
    for count, centre, edge in zip(state.risks, _CENTRES, _EDGES, strict=True):
        if count:
            budget -= count * centre
            if budget < 0.0:
                return min(edge, most)
    return most


def _refuse(why: str, price: float, bound: float, allowed: float) -> Terms:
    return Terms(kept=False, why=why, rate=1.0, price=price, wrong_hits=bound, allowed=allowed)


def _fold_request(state: PromiseState, body: Mapping[str, Json]) -> PromiseState:
    watched, risks = state.watched + 1, state.risks
    if watched >= _REMEMBERED:
        watched, risks = watched // 2, tuple([count // 2 for count in risks])
    risk, rate = body.get("risk"), _rate_in(body)
    if risk is not None:
        at = min(bisect_right(_EDGES, float(risk)), _STEPS_OF_RISK - 1)
        risks = (*risks[:at], risks[at] + 1, *risks[at + 1 :])
    if risk is None or rate >= 1.0:
        return replace(state, requests=state.requests + 1, watched=watched, risks=risks)
    semantic = body.get("kind") == "semantic"
    return replace(
        state,
        requests=state.requests + 1,
        watched=watched,
        risks=risks,
        served=state.served + semantic,
        least_rate=min(state.least_rate, rate),
        expected=state.expected + round(float(risk) * (1.0 - rate) * _MICRO),
        charges=state.charges if semantic else _add(state.charges, charge_of(rate), 1),
    )


def _fold_outcome(state: PromiseState, body: Mapping[str, Json]) -> PromiseState:
    rate, same = _rate_in(body), body.get("same")
    if rate < 1.0 and same is not False:
        state = replace(state, charges=_add(state.charges, charge_of(rate), -1))
    features = _features_in(body)
    if same is None or features is None:
        return state
    same = bool(same)
    if rate < 1.0 and not same:
        state = replace(state, caught=state.caught + round((1.0 - rate) / rate * _MICRO))
    entry = str(body.get("entry"))
    outcomes, different = record_of(state, entry)
    if different or not same:
        records = _write_record(state, entry, outcomes + 1, different + (not same))
        state = replace(state, records=records)
    weight = min(1.0 / rate, _MOST_WEIGHT)
    return replace(state, explored=state.explored + 1, model=state.model.learn(features, same=same, weight=weight))


def _write_record(state: PromiseState, entry: str, outcomes: int, different: int) -> Mapping[str, tuple[int, int]]:
    others = {key: value for key, value in state.records.items() if key != entry}
    while len(others) >= _MOST_RECORDS:
        others.pop(next(iter(others)))
    return {**others, entry: (outcomes, different)}


def _rate_in(body: Mapping[str, Json]) -> float:
    """The exploring rate of a would-be hit; 1 for everything else."""
    rate = body.get("rate")
    return float(rate) if isinstance(rate, int | float) and 0.0 < rate < 1.0 else 1.0


def _features_in(body: Mapping[str, Json]) -> tuple[float, ...] | None:
    features = body.get("features")
    return tuple(features) if isinstance(features, list | tuple) and len(features) == len(FEATURES) else None


def _add(charges: tuple[int, ...], charge: tuple[int, ...], times: int) -> tuple[int, ...]:
    return tuple([one + times * two for one, two in zip(charges, charge, strict=True)])

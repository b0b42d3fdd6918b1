"""The promise: wrong answers served from the cache stay at or below δ of all requests, at any time.

The state holds, per score bin, what was explored and what was served. A hit is served only when

* its bin and those above it have real outcomes (``min_explored``; the shipped calibration alone never serves),
* the error bound of the hit is at most ``max_hit_error``, and
* the bound fits the *allowance*: the number of wrong hits that would break the promise at this request,
  ⌊δ·(requests + 1)⌋ + 1, minus the most wrong hits, this one included, that the evidence has not ruled out
  (:mod:`leo_core.stages.cache.evidence`, which holds the theorem and its assumption).

Earlier hits are valued with today's evidence, so what is learned after serving pays back.

The error bound of a single hit is the smaller of the bin's own bound and the pooled bound of all scores from this
bin upwards, but never below the bin's own estimate. Pooling lets a new bin start on the evidence of better ones; it
is not by itself safe (a bin can be worse than those above it), so the allowance never pools: it takes the worst
rates, bin by bin, that the evidence has not ruled out.

An alarm watches for drift: explored outcomes bet against the bounds of serving bins (a CUSUM e-detector; Shin,
Ramdas & Rinaldo 2024, *E-detectors*). When it fires, the evidence is thrown away, the hits served under it stay on
the account at their worst, and nothing is served until new outcomes allow it, at half the error probability of the
epoch before, so that all epochs together keep the confidence.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from math import floor, log, log1p
from typing import TYPE_CHECKING

from leo_core.errors import StoreMismatchError
from leo_core.stages.cache.bins import BINS
from leo_core.stages.cache.evidence import Counts, error_bound, most_wrong_hits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records import Json, Observation
    from leo_core.stages.cache.config import CacheConfig

__all__ = ["PromiseState", "Terms", "bound_wrong_hits", "faults_of", "judge_hit", "update_promise"]

LEAST_BLAMED = 0.6
"""Score from which "different" is held against the entry: below it, "different" is what was expected."""
_VERSION = 1
_MOST_FAULTY_ENTRIES = 4096
_ZEROS = (0,) * len(BINS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseState:
    """What a tenant's promise stands on. Integers only, so that folding observations is exact.

    Attributes:
        requests: Requests so far.
        explored: Outcomes per bin since the last alarm.
        wrong: Those of them that were "different".
        served: Semantic hits per bin since the last alarm.
        seen: Explored and served candidates per bin, ever.
        carried: Wrong hits charged for epochs before the last alarm.
        epoch: Number of alarms.
        suspicion: Log of the drift detector's e-value, at least 0.
        suspects: Semantic hits served while suspicion was above 0.
        recovering: Outcomes still to be explored before anything is served again.
        why_halted: Reason in words while serving is stopped; empty otherwise.
        faults: Explored outcomes "different" at a high score per entry, for the latest entries that had any.
    """

    requests: int = 0
    explored: tuple[int, ...] = _ZEROS
    wrong: tuple[int, ...] = _ZEROS
    served: tuple[int, ...] = _ZEROS
    seen: tuple[int, ...] = _ZEROS
    carried: float = 0.0
    epoch: int = 0
    suspicion: float = 0.0
    suspects: int = 0
    recovering: int = 0
    why_halted: str = ""
    faults: tuple[tuple[str, int], ...] = ()

    @classmethod
    def fresh(cls) -> PromiseState:
        """Nothing known: explores first."""
        return cls()

    def to_bytes(self) -> bytes:
        """The state as JSON."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({"version": _VERSION, **fields}, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, blob: bytes) -> PromiseState:
        """The state from :meth:`to_bytes`.

        Raises:
            StoreMismatchError: When another version, or another grid, wrote it.
        """
        fields = json.loads(blob)
        if fields.pop("version", None) != _VERSION or len(fields["explored"]) != len(BINS):
            msg = f"this promise state was not written by version {_VERSION} of its format; rebuild it by folding"
            raise StoreMismatchError(msg)
        for name in ("explored", "wrong", "served", "seen"):
            fields[name] = tuple(fields[name])
        fields["faults"] = tuple((entry, count) for entry, count in fields["faults"])
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Whether a hit keeps the promise, and every figure of it.

    Attributes:
        kept: Whether it may be served.
        why: The deciding reason in words.
        error_bound: Bound on P(wrong) of this hit, in [0, 1].
        allowance: What the promise leaves for this hit, never below ``error_bound`` when it is kept; ``None`` when
            something else decided before it was asked.
    """

    kept: bool
    why: str
    error_bound: float
    allowance: float | None


def judge_hit(state: PromiseState, score_bin: int, config: CacheConfig) -> Terms:
    """Whether serving one more hit from a bin keeps the promise."""
    confidence = _confidence(state, config)
    counts = _counts(state, config)
    bound = _hit_bound(counts, score_bin, confidence)
    if config.max_wrong_hits <= 0.0:
        return Terms(kept=False, why="semantic hits are off (max_wrong_hits is 0)", error_bound=bound, allowance=0.0)
    why = _why_not_ready(state, score_bin, bound, config)
    if why:
        return Terms(kept=False, why=why, error_bound=bound, allowance=None)
    allowance = _allowance(state, counts, score_bin, config, confidence)
    if bound > allowance:
        why = f"error bound {bound:.3f} is above the allowance {allowance:.3f}"
    elif _reserved(state, score_bin, bound, config):
        why = f"the allowance is kept for hits with an error bound below {bound:.3f}"
    kept = not why
    if kept:
        why = f"error bound {bound:.3f} is within the allowance {allowance:.3f}"
    return Terms(kept=kept, why=why, error_bound=bound, allowance=allowance)


def bound_wrong_hits(state: PromiseState, config: CacheConfig) -> float:
    """Upper bound, at the configured confidence, on the number of wrong semantic hits served so far."""
    confidence = _confidence(state, config)
    return state.carried + most_wrong_hits(_counts(state, config), confidence=confidence)


def faults_of(state: PromiseState, entry_id: str) -> int:
    """Explored outcomes "different" of an entry."""
    return next((count for entry, count in state.faults if entry == entry_id), 0)


def update_promise(state: PromiseState, observation: Observation, config: CacheConfig) -> PromiseState:
    """Fold one observation; kinds that are not the cache's are ignored.

    ``cache``: an outcome of its bin, a fault of the entry when "different" at a high score, a bet of the drift
    detector.
    ``served``: counts a request, and a hit when it was a semantic one.
    ``feedback`` with ``wrong``: the entry is served exactly only from now on, and the bin (where named) counts a
    wrong outcome more, which errs on the safe side.
    """
    body = observation.body
    if observation.kind == "cache":
        return _fold_outcome(state, body, config)
    if observation.kind == "served":
        return _fold_served(state, body)
    if observation.kind == "feedback" and body.get("wrong") and body.get("entry"):
        blamed = _blame(state, str(body["entry"]), config.max_entry_faults)
        at = _bin_in(body)
        if at < 0:
            return blamed
        return replace(blamed, explored=_plus(blamed.explored, at), wrong=_plus(blamed.wrong, at))
    return state


def _fold_outcome(state: PromiseState, body: Mapping[str, Json], config: CacheConfig) -> PromiseState:
    at, same = _bin_in(body), bool(body["same"])
    if at < 0:
        return state
    if not same and body.get("entry") and BINS[at].low >= LEAST_BLAMED:
        state = _blame(state, str(body["entry"]), 1)
    state = _bet(state, at, same=same, config=config)
    recovering = max(state.recovering - 1, 0)
    state = replace(
        state,
        explored=_plus(state.explored, at),
        wrong=state.wrong if same else _plus(state.wrong, at),
        seen=_plus(state.seen, at),
        recovering=recovering,
        why_halted=state.why_halted if recovering else "",
    )
    return _halt(state, config) if state.suspicion >= log(config.alarm) else state


def _fold_served(state: PromiseState, body: Mapping[str, Json]) -> PromiseState:
    requests, at = state.requests + 1, _bin_in(body)
    if body.get("kind") != "semantic" or at < 0:
        return replace(state, requests=requests)
    suspects = state.suspects + 1 if state.suspicion > 0.0 else state.suspects
    return replace(
        state, requests=requests, served=_plus(state.served, at), seen=_plus(state.seen, at), suspects=suspects
    )


def _bet(state: PromiseState, at: int, *, same: bool, config: CacheConfig) -> PromiseState:
    """One bet of the drift detector: the rate is ``bound`` against four times ``bound``, in bins that serve."""
    if not state.served[at]:
        return state
    bound = error_bound(_counts(state, config)[at], confidence=_confidence(state, config))
    if bound >= 0.5:  # noqa: PLR2004 - such a bin does not serve
        return state
    worse = min(4.0 * bound, 0.5 * (1.0 + bound))
    suspicion = state.suspicion + (log1p(-worse) - log1p(-bound) if same else log(worse / bound))
    if suspicion <= 0.0:
        return replace(state, suspicion=0.0, suspects=0)
    return replace(state, suspicion=suspicion)


def _halt(state: PromiseState, config: CacheConfig) -> PromiseState:
    """Stop serving: throw the evidence away and charge what was served under it, suspect hits as wrong at worst.

    The suspect hits are charged at the largest rate of wrong outcomes of any serving bin, never below one half.
    """
    charged = most_wrong_hits(_counts(state, config), confidence=_confidence(state, config))
    return replace(
        state,
        explored=_ZEROS,
        wrong=_ZEROS,
        served=_ZEROS,
        carried=state.carried + max(charged, 0.5 * state.suspects),
        epoch=state.epoch + 1,
        suspicion=0.0,
        suspects=0,
        recovering=config.recovery,
        why_halted="recent explored answers were wrong more often than the bound allows; learning again",
    )


def _why_not_ready(state: PromiseState, at: int, bound: float, config: CacheConfig) -> str:
    if state.why_halted:
        return state.why_halted
    explored = sum(state.explored[at:])
    if explored < config.min_explored:
        return f"only {explored} of {config.min_explored} outcomes explored at this score or above"
    if bound > config.max_hit_error:
        return f"error bound {bound:.3f} is above max_hit_error {config.max_hit_error:g}"
    return ""


def _reserved(state: PromiseState, at: int, bound: float, config: CacheConfig) -> bool:
    """Whether bins with smaller bounds, at the rate at which they are seen, use the whole promise.

    The choice looks at the past only, so the theorem holds whatever it decides; it spends δ where it buys most hits.
    """
    if state.requests == 0:
        return False
    use = 0.0
    counts, confidence = _counts(state, config), _confidence(state, config)
    for other, each in enumerate(counts):
        if other != at and each.explored:
            other_bound = _hit_bound(counts, other, confidence)
            if other_bound < bound:
                use += other_bound * state.seen[other] / state.requests
    return use > config.max_wrong_hits


def _hit_bound(counts: tuple[Counts, ...], at: int, confidence: float) -> float:
    own, above = counts[at], counts[at:]
    pooled = replace(own, explored=sum(each.explored for each in above), wrong=sum(each.wrong for each in above))
    estimate = (own.alpha + own.wrong) / (own.alpha + own.beta + own.explored)
    lent = max(error_bound(pooled, confidence=confidence), estimate)
    return min(error_bound(own, confidence=confidence), lent)


def _allowance(
    state: PromiseState, counts: tuple[Counts, ...], at: int, config: CacheConfig, confidence: float
) -> float:
    with_hit = list(counts)
    with_hit[at] = replace(counts[at], served=counts[at].served + 1)
    breaking = floor(config.max_wrong_hits * (state.requests + 1) + 1e-9) + 1
    return breaking - state.carried - most_wrong_hits(tuple(with_hit), confidence=confidence)


def _counts(state: PromiseState, config: CacheConfig) -> tuple[Counts, ...]:
    return tuple(
        Counts(
            explored=state.explored[at],
            wrong=state.wrong[at],
            served=state.served[at],
            alpha=max(config.prior_strength * each.expected_error, 0.3),
            beta=config.prior_strength * (1.0 - each.expected_error),
            stake=each.stake,
        )
        for at, each in enumerate(BINS)
    )


def _confidence(state: PromiseState, config: CacheConfig) -> float:
    """1 − a/2 in the first epoch, 1 − a/4 after the first alarm, and so on: together at most a."""
    return 1.0 - (1.0 - config.confidence) * 0.5 ** min(state.epoch + 1, 40)


def _blame(state: PromiseState, entry: str, times: int) -> PromiseState:
    count = min(faults_of(state, entry) + times, 1_000_000)
    others = tuple(pair for pair in state.faults if pair[0] != entry)
    return replace(state, faults=(*others, (entry, count))[-_MOST_FAULTY_ENTRIES:])


def _bin_in(body: Mapping[str, Json]) -> int:
    at = body.get("bin", -1)
    return at if isinstance(at, int) and 0 <= at < len(BINS) else -1


def _plus(counts: tuple[int, ...], at: int) -> tuple[int, ...]:
    return (*counts[:at], counts[at] + 1, *counts[at + 1 :])

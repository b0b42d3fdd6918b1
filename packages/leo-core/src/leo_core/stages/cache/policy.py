"""Serve, explore or miss: the cache's decision, with every figure and the reason in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leo_core.records import CacheDecision
from leo_core.stages.cache.bins import bin_of
from leo_core.stages.cache.guards import find_conflict_between
from leo_core.stages.cache.promise import faults_of, judge_hit

if TYPE_CHECKING:
    from collections.abc import Callable

    from leo_core.records import CacheEntry, Identity, Message, Neighbour
    from leo_core.stages.cache.config import CacheConfig
    from leo_core.stages.cache.pair import PairModel
    from leo_core.stages.cache.promise import PromiseState

    SameAnswer = Callable[[Message, Message], bool]
    Trust = Callable[[tuple[str, ...]], float]

__all__ = ["choose_hit"]

_MOST_ODDS = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A neighbour that passed the guards and whose members are trusted."""

    neighbour: Neighbour
    probability: float
    trust: float

    @property
    def odds(self) -> float:
        return min(self.probability / max(1.0 - self.probability, 1e-12), _MOST_ODDS)


def choose_hit(
    identity: Identity,
    *,
    exact: CacheEntry | None,
    neighbours: tuple[Neighbour, ...],
    same_answer: SameAnswer,
    trust: Trust,
    promise: PromiseState,
    config: CacheConfig,
    pair_model: PairModel,
    draw: float,
) -> tuple[CacheDecision, CacheEntry | None]:
    """Decide what the cache does with a request.

    An exact entry is served when its members are trusted *now*. Otherwise each neighbour passes the guards and the
    trust gate, or drops out; the most probable one that is left has to keep its distance to the best candidate with
    a different answer, to have a clean record, and to fit the promise.

    Args:
        identity: The request's keys and text.
        exact: The live entry with the same exact key.
        neighbours: The nearest live entries in scope.
        same_answer: Whether two messages are equivalent answers.
        trust: Current trust, in [0, 1], of the members behind an entry.
        promise: The tenant's record.
        config: Settings.
        pair_model: Gives P(same answer).
        draw: Uniform in [0, 1); below ``explore_rate`` a would-be hit is explored all the same.

    Returns:
        The decision, and the entry to serve or to explore; ``None`` with a miss. An explored candidate with
        ``score_bin`` −1 teaches about its entry only.
    """
    refused = None
    if exact is not None:
        decision = _judge_exact(exact, trust(exact.members), config)
        if decision.hit:
            return decision, exact
        refused = decision
        neighbours = tuple(each for each in neighbours if each.entry.id != exact.id)
    why = _why_no_semantic(identity, neighbours, config)
    if why:
        return refused or CacheDecision(action="miss", why=why), None
    candidates, dropped = _admit(identity.text, neighbours[: config.candidates], trust, config, pair_model)
    chosen = next((each for each in candidates if not _is_faulty(each, promise, config)), None)
    if chosen is None:
        return refused or _explain_drop(candidates, dropped), None
    margin, score = _compete(chosen, candidates, same_answer)
    decision = replace(_describe(chosen), margin=margin, score=score)
    return _judge_semantic(decision, chosen.neighbour.entry, promise, config, draw)


def _judge_exact(entry: CacheEntry, trust: float, config: CacheConfig) -> CacheDecision:
    trusted = trust >= config.min_trust
    why = "same request" if trusted else f"trust {trust:.3f} is below min_trust {config.min_trust:g}"
    return CacheDecision(
        action="serve" if trusted else "miss", kind="exact", why=why, entry_id=entry.id, trust=trust, probability=1.0
    )


def _why_no_semantic(identity: Identity, neighbours: tuple[Neighbour, ...], config: CacheConfig) -> str:
    if not identity.semantic:
        return f"exact only: {identity.why_exact}"
    if config.max_wrong_hits <= 0.0:
        return "semantic hits are off (max_wrong_hits is 0)"
    return "" if neighbours else "no entry in scope"


def _admit(
    text: str, neighbours: tuple[Neighbour, ...], trust: Trust, config: CacheConfig, pair_model: PairModel
) -> tuple[list[_Candidate], list[CacheDecision]]:
    """Candidates that pass guards and trust, most probable first; and a decision for each that dropped out."""
    profile = pair_model.profile(text)
    passed: list[tuple[Neighbour, float]] = []
    dropped: list[CacheDecision] = []
    for each in neighbours:
        conflict = None if each.text == text else find_conflict_between(pair_model.profile(each.text), profile)
        trusted = trust(each.entry.members)
        if conflict is None and trusted >= config.min_trust:
            passed.append((each, trusted))
            continue
        why = conflict or f"trust {trusted:.3f} is below min_trust {config.min_trust:g}"
        dropped.append(
            CacheDecision(
                action="miss", kind="semantic", why=why, entry_id=each.entry.id, cosine=each.cosine, trust=trusted
            )
        )
    probabilities = pair_model.probability_at(
        [each.cosine for each, _ in passed], [text] * len(passed), [each.text for each, _ in passed]
    )
    candidates = [
        _Candidate(neighbour=each, probability=float(probability), trust=trusted)
        for (each, trusted), probability in zip(passed, probabilities, strict=True)
    ]
    return sorted(candidates, key=lambda each: (-each.probability, -each.neighbour.cosine)), dropped


def _is_faulty(candidate: _Candidate, promise: PromiseState, config: CacheConfig) -> bool:
    return faults_of(promise, candidate.neighbour.entry.id) >= config.max_entry_faults


def _explain_drop(candidates: list[_Candidate], dropped: list[CacheDecision]) -> CacheDecision:
    if candidates:
        return replace(
            _describe(candidates[0]), action="miss", why="the entry's answer differed before: served exactly only"
        )
    return dropped[0]


def _describe(candidate: _Candidate) -> CacheDecision:
    neighbour = candidate.neighbour
    return CacheDecision(
        action="explore",
        kind="semantic",
        entry_id=neighbour.entry.id,
        cosine=neighbour.cosine,
        probability=candidate.probability,
        trust=candidate.trust,
    )


def _judge_semantic(
    decision: CacheDecision, entry: CacheEntry, promise: PromiseState, config: CacheConfig, draw: float
) -> tuple[CacheDecision, CacheEntry | None]:
    margin, score = decision.margin or 0.0, decision.score or 0.0
    if margin < config.min_margin:
        why = f"margin {margin:.3f} to a different answer is below min_margin {config.min_margin:g}"
        return replace(decision, why=why), entry
    at = bin_of(score)
    if at == 0:
        return replace(decision, action="miss", why=f"score {score:.3f} is too low to be the same question"), None
    terms = judge_hit(promise, at, config)
    decision = replace(decision, why=terms.why, error_bound=terms.error_bound, allowance=terms.allowance, score_bin=at)
    if not terms.kept:
        return decision, entry
    if draw < config.explore_rate:
        return replace(decision, why=f"drawn to keep watching ({terms.why})"), entry
    return replace(decision, action="serve"), entry


def _compete(chosen: _Candidate, candidates: list[_Candidate], same_answer: SameAnswer) -> tuple[float, float]:
    """Margin to the best candidate with a different answer, and the score of the chosen one's answer.

    At most one answer is right, so answers compete: score = Σ odds of its own candidates / (1 + Σ odds of all), the
    posterior under independent evidence; candidates with the same answer support each other. Without rivals the
    margin is the probability itself.
    """
    message = chosen.neighbour.entry.message
    own, all_odds, rival = 0.0, 0.0, 0.0
    for each in candidates:
        all_odds += each.odds
        if each is chosen or same_answer(message, each.neighbour.entry.message):
            own += each.odds
        else:
            rival = max(rival, each.probability)
    return chosen.probability - rival, own / (1.0 + all_odds)

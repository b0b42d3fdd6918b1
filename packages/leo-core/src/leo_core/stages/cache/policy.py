"""Serve, explore or miss: the cache's decision, with every figure and the reason in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp
from typing import TYPE_CHECKING, Literal, NamedTuple

from leo_core.records import CacheDecision
from leo_core.stages.cache.correctness import read_features
from leo_core.stages.cache.promise import is_barred, judge_hit, record_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from leo_core.records import CacheEntry, Identity, Message, Neighbour
    from leo_core.stages.cache.config import CacheConfig
    from leo_core.stages.cache.pair import PairModel
    from leo_core.stages.cache.promise import PromiseState

    SortAnswers = Callable[[Sequence[Message]], Sequence[int]]
    Trust = Callable[[tuple[str, ...]], float]

__all__ = ["choose_hit"]

_HOPELESS = 0.95
"""Estimated error from which a candidate is not worth comparing."""
_SHARPNESS = 20.0


class _Candidate(NamedTuple):
    """A neighbour whose members are trusted."""

    neighbour: Neighbour
    trust: float

    @property
    def cosines(self) -> tuple[float, ...]:
        return (self.neighbour.cosine, *self.neighbour.kin)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contest:
    """The candidates sorted by their answers.

    Attributes:
        chosen: The nearest candidate with the answer that has most votes.
        own: Cosines of all near questions with that answer, best first.
        others: Those with other answers, best first.
    """

    chosen: _Candidate
    own: list[float]
    others: list[float]


def choose_hit(
    identity: Identity,
    *,
    exact: CacheEntry | None,
    neighbours: tuple[Neighbour, ...],
    sort_answers: SortAnswers,
    trust: Trust,
    promise: PromiseState,
    config: CacheConfig,
    pair_model: PairModel,
    draw: float,
) -> tuple[CacheDecision, CacheEntry | None]:
    """Decide what the cache does with a request.

    An exact entry is served when its members are trusted *now*. Otherwise the neighbours whose members are trusted
    compete: each near question votes for the answer that it leads to. The nearest question of the winning answer passes
    the guards, or drops out and the rest compete again. The error of the winner is estimated, and the promise decides
    whether it may be served and how often it has to be explored.

    Args:
        identity: The request's keys and text.
        exact: The live entry with the same exact key.
        neighbours: The nearest live entries in scope.
        sort_answers: Gives each of some messages a number, the same for equivalent answers; quick.
        trust: Current trust, in [0, 1], of the members behind an entry.
        promise: The tenant's record.
        config: Settings.
        pair_model: Gives P(same answer).
        draw: Uniform in [0, 1), independent of everything else; below the exploring rate a would-be hit is explored.

    Returns:
        The decision, and the entry to serve or to explore; ``None`` with a miss.
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
    candidates, dropped = _trust(neighbours[: config.candidates], trust, config)
    contest = _find_winner(identity.text, candidates, dropped, sort_answers, promise, pair_model)
    if contest is None:
        return refused or dropped[0], None
    judged, entry = _judge_semantic(identity.text, contest, promise, config, pair_model, draw)
    nearer = max(dropped, key=lambda each: each.cosine or 0.0, default=None)
    if judged.action != "serve" and nearer is not None and (nearer.cosine or 0.0) > (judged.cosine or 0.0):
        judged = replace(judged, why=f"{nearer.why}; of the next, {judged.why}")
    return judged, entry


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


def _trust(
    neighbours: tuple[Neighbour, ...], trust: Trust, config: CacheConfig
) -> tuple[list[_Candidate], list[CacheDecision]]:
    """Candidates whose members are trusted, nearest first; and a decision for each that dropped out."""
    passed: list[_Candidate] = []
    dropped: list[CacheDecision] = []
    known: dict[tuple[str, ...], float] = {}
    for each in sorted(neighbours, key=lambda each: -each.cosine):
        members = each.entry.members
        found = known.get(members)
        if found is None:
            found = known[members] = trust(members)
        candidate = _Candidate(each, found)
        if found >= config.min_trust:
            passed.append(candidate)
        else:
            dropped.append(_drop(candidate, f"trust {found:.3f} is below min_trust {config.min_trust:g}"))
    return passed, dropped


def _drop(candidate: _Candidate, why: str) -> CacheDecision:
    neighbour = candidate.neighbour
    return CacheDecision(
        action="miss",
        kind="semantic",
        why=why,
        entry_id=neighbour.entry.id,
        cosine=neighbour.cosine,
        trust=candidate.trust,
    )


def _find_winner(
    text: str,
    candidates: list[_Candidate],
    dropped: list[CacheDecision],
    sort_answers: SortAnswers,
    promise: PromiseState,
    pair_model: PairModel,
) -> _Contest | None:
    """The contest whose winner passes the guards; a winner that does not pass drops out, and the rest compete again.

    Answers are compared only where some candidate passes: they were never read before, mostly, and that takes longest.
    """
    barred: dict[str, str] = {}

    def why_barred(candidate: _Candidate) -> str:
        entry_id = candidate.neighbour.entry.id
        if entry_id not in barred:
            barred[entry_id] = _why_barred(text, candidate.neighbour, promise, pair_model)
        return barred[entry_id]

    if all(why_barred(each) for each in candidates):
        dropped.extend(_drop(each, why_barred(each)) for each in candidates)
        return None
    groups = _sort_by_answer(candidates, sort_answers)
    while groups:
        winner = max(groups, key=_count_votes)
        chosen = winner[0]
        why = why_barred(chosen)
        if not why:
            others = [cosine for group in groups if group is not winner for each in group for cosine in each.cosines]
            return _Contest(
                chosen=chosen,
                own=sorted([cosine for each in winner for cosine in each.cosines], reverse=True),
                others=sorted(others, reverse=True),
            )
        dropped.append(_drop(chosen, why))
        del winner[0]
        groups = [group for group in groups if group]
    return None


def _why_barred(text: str, neighbour: Neighbour, promise: PromiseState, pair_model: PairModel) -> str:
    if is_barred(promise, neighbour.entry.id):
        return "the entry's answer was called wrong: served exactly only"
    return pair_model.find_objection(neighbour.cosine, neighbour.text, text) or ""


def _sort_by_answer(candidates: list[_Candidate], sort_answers: SortAnswers) -> list[list[_Candidate]]:
    """Candidates with the same answer together, nearest first."""
    groups: dict[int, list[_Candidate]] = {}
    numbers = sort_answers([each.neighbour.entry.message for each in candidates])
    for each, number in zip(candidates, numbers, strict=True):
        groups.setdefault(number, []).append(each)
    return list(groups.values())


def _count_votes(group: Sequence[_Candidate]) -> float:
    """Each near question votes for its answer with weight e^(20·cosine)."""
    return sum([exp(_SHARPNESS * (cosine - 1.0)) for each in group for cosine in each.cosines])


def _judge_semantic(
    text: str, contest: _Contest, promise: PromiseState, config: CacheConfig, pair_model: PairModel, draw: float
) -> tuple[CacheDecision, CacheEntry | None]:
    """Serve the winner, explore it, or leave it, with every figure."""
    neighbour = contest.chosen.neighbour
    entry: CacheEntry | None = neighbour.entry
    probability = float(pair_model.probability_at([neighbour.cosine], [neighbour.text], [text])[0])
    features = read_features(
        contest.own,
        contest.others,
        probability=probability,
        record=record_of(promise, neighbour.entry.id),
    )
    error = promise.model.probability_wrong(features)
    terms = judge_hit(promise, error, config)
    action: Literal["serve", "explore", "miss"] = "explore"
    why = terms.why
    if terms.kept and draw < terms.rate:
        why = f"drawn to be explored at rate {terms.rate:.3f} ({terms.why})"
    elif terms.kept:
        action = "serve"
    elif error >= _HOPELESS:
        action, entry, why = "miss", None, f"estimated error {error:.3f}: not the same question"
    decision = CacheDecision(
        action=action,
        kind="semantic",
        why=why,
        entry_id=neighbour.entry.id,
        cosine=neighbour.cosine,
        probability=probability,
        trust=contest.chosen.trust,
        margin=contest.own[0] - contest.others[0] if contest.others else contest.own[0],
        score=1.0 - error,
        error_bound=error,
        features=features,
        allowance=terms.price,
        explore_rate=terms.rate,
        wrong_hits=terms.wrong_hits,
        allowed_wrong_hits=terms.allowed,
    )
    return decision, entry

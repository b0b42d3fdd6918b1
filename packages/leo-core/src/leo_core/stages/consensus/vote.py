"""The committee's verdict: classes of the same answer, counted by trust."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from leo_core.errors import RequestError
from leo_core.records import Verdict, Vote
from leo_core.stages.consensus.equivalence import classify
from leo_core.stages.consensus.strategies import MAJORITY, TRUST, StrategyState, choose_strategy, name_member
from leo_core.stages.consensus.tally import WEIGHT_DECIMALS, count_unseen, recompute, share_weights, weigh_vote
from leo_core.stages.consensus.trust import estimate, estimate_in_dispute

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from leo_core.records import Coherence, Draft
    from leo_core.stages.consensus.config import ConsensusConfig
    from leo_core.stages.consensus.equivalence import Judge
    from leo_core.stages.consensus.trust import TrustState

__all__ = ["UNSEEN", "count_votes", "reach_consensus"]

UNSEEN = "(unseen)"
"""Canonical form of a class that no draft belongs to: the right answer may be one that nobody gave."""

_LEAST_FOR_COHERENCE = 2
_OUTWEIGHED = 0.9
"""What all others weigh together, at most, beside a member that is followed."""


def reach_consensus(
    drafts: tuple[Draft, ...],
    *,
    question: str,
    trust: TrustState,
    region: int,
    families: Mapping[str, str],
    vectors: npt.NDArray[np.float32] | None,
    answers: npt.NDArray[np.float32] | None = None,
    required: float,
    config: ConsensusConfig,
    strategies: StrategyState | None = None,
    judge: Judge | None = None,
) -> Verdict:
    """Decide which of the drafts stands; the formulas are in :mod:`leo_core.stages.consensus.tally`.

    Every class of the same answer gets the weights of its drafts. A draft without an answer weighs nothing. The
    verdict's last classes, named :data:`UNSEEN`, hold the probability that nobody is right. It abstains when the
    leading class ties, or when its posterior is below ``required``; it names the medoid of the leading class even
    then, for a caller that wants the best guess. Of classes that tie, as all do where nobody is trusted to be right
    more often than not, that of the most trusted member leads.

    Args:
        drafts: The members' drafts, one per member.
        question: What was asked.
        trust: What is known of the members.
        region: Region of the request; -1 for none.
        families: Family of each member by id; a member without one is its own.
        vectors: Unit row per draft, of its text, shape (m, d), which choose the medoid; ``None`` when there are none.
        answers: Unit row per draft, of its answer in one spelling, shape (m, d), for coherence and outliers; ``None``
            when there are none.
        required: Posterior that the winner needs, in [0, 1].
        config: Settings.
        strategies: How other ways of deciding did so far; by default nothing is known.
        judge: Decides which answers are the same where the rules cannot tell.

    Raises:
        RequestError: There is no draft, a member has two, ``required`` is no probability, or the vectors do not fit.
    """
    _check(drafts, (vectors, answers), required)
    classes, forms = classify([draft.message for draft in drafts], question, judge=judge)
    return count_votes(
        [draft.member for draft in drafts],
        classes,
        forms,
        trust=trust,
        strategies=strategies or StrategyState.fresh(),
        region=region,
        families=families,
        vectors=vectors,
        answers=answers,
        required=required,
        config=config,
    )


def count_votes(
    members: Sequence[str],
    classes: Sequence[int],
    forms: tuple[str, ...],
    *,
    trust: TrustState,
    strategies: StrategyState,
    region: int,
    families: Mapping[str, str],
    required: float,
    config: ConsensusConfig,
    vectors: npt.NDArray[np.float32] | None = None,
    answers: npt.NDArray[np.float32] | None = None,
) -> Verdict:
    """:func:`reach_consensus` from the classes of the drafts on, as :func:`classify` gives them and their forms."""
    answered = [bool(forms[index]) for index in classes]
    united = len({index for index, spoke in zip(classes, answered, strict=True) if spoke}) == 1
    trusts = [_read_trust(trust, member, region, config, united=united) for member in members]
    by_trust = _weigh(members, trusts, answered, families, config)
    prior = config.prior_right / (config.prior_right + config.prior_wrong)
    priors = [round(prior, WEIGHT_DECIMALS)] * len(members)
    alike = _weigh(members, priors, answered, families, config)
    forms += (UNSEEN,) * count_unseen(len(forms), config.alternatives)
    choices = {
        TRUST: _find_leader(classes, by_trust, trusts, answered),
        MAJORITY: _find_leader(classes, alike, priors, answered),
        **{name_member(each): index for each, index, spoke in zip(members, classes, answered, strict=True) if spoke},
    }
    strategy = choose_strategy(strategies, choices, config)
    leader = choices[strategy]
    weights = by_trust
    if strategy == MAJORITY:
        trusts, weights = priors, alike
    elif strategy != TRUST:
        weights = _follow([name_member(each) for each in members].index(strategy), by_trust, config)
    tally = recompute(tuple(zip(classes, weights, strict=True)), classes=len(forms), required=required)
    coherence, outliers = _compare_answers(answers, weights, config)
    votes = tuple(
        Vote(member=member, answer_class=index, weight=weight, trust=share, outlier=outlier)
        for member, index, weight, share, outlier in zip(members, classes, weights, trusts, outliers, strict=True)
    )
    return Verdict(
        winner=tally.winner,
        classes=forms,
        posterior=tally.posterior,
        votes=votes,
        certified_margin=tally.certified_margin,
        medoid=_find_medoid([place for place, index in enumerate(classes) if index == leader], trusts, vectors),
        abstained=tally.winner < 0,
        confidence=tally.confidence,
        required=required,
        coherence=coherence,
        strategy=strategy,
        choices=choices,
    )


def _find_leader(
    classes: Sequence[int], weights: Sequence[float], trusts: Sequence[float], answered: Sequence[bool]
) -> int:
    """The class with the largest sum of weights; of several that of the most trusted member with an answer."""
    totals = dict.fromkeys(sorted(classes), 0)
    trusted = dict.fromkeys(classes, 0.0)
    for index, weight, share, spoke in zip(classes, weights, trusts, answered, strict=True):
        totals[index] += round(weight * 10**WEIGHT_DECIMALS)
        trusted[index] = max(trusted[index], share if spoke else 0.0)
    return max(totals, key=lambda index: (totals[index], trusted[index]))


def _follow(chosen: int, weights: Sequence[float], config: ConsensusConfig) -> tuple[float, ...]:
    """Weights by which one member decides: the others are scaled down until all of them weigh less together."""
    own = max(weights[chosen], weigh_vote(config.trust_ceiling, config.alternatives) / 2)
    others = sum(weight for place, weight in enumerate(weights) if place != chosen)
    scale = min(1.0, _OUTWEIGHED * own / others) if others > 0.0 else 1.0
    return tuple(
        round(own if place == chosen else weight * scale, WEIGHT_DECIMALS) for place, weight in enumerate(weights)
    )


def _check(drafts: tuple[Draft, ...], embedded: Sequence[npt.NDArray[np.float32] | None], required: float) -> None:
    if not drafts:
        message = "there is no draft to decide between"
        raise RequestError(message)
    members = [draft.member for draft in drafts]
    double = next((member for member in members if members.count(member) > 1), None)
    if double is not None:
        message = f"member {double!r} has more than one draft; every member has one vote"
        raise RequestError(message)
    if not (math.isfinite(required) and 0 <= required <= 1):
        message = f"required is {required!r}; it must be in [0, 1]"
        raise RequestError(message)
    for vectors in embedded:
        if vectors is not None and len(vectors) != len(drafts):
            message = f"there are {len(vectors)} vectors for {len(drafts)} drafts"
            raise RequestError(message)


def _read_trust(trust: TrustState, member: str, region: int, config: ConsensusConfig, *, united: bool) -> float:
    """Trust as it counts in a vote: held between floor and ceiling, with as many decimals as a weight."""
    mean = (estimate if united else estimate_in_dispute)(trust, member, region, config, presumed=True).mean
    return round(min(max(mean, config.trust_floor), config.trust_ceiling), WEIGHT_DECIMALS)


def _weigh(
    members: Sequence[str],
    trusts: Sequence[float],
    answered: Sequence[bool],
    families: Mapping[str, str],
    config: ConsensusConfig,
) -> tuple[float, ...]:
    """Shared weight of each draft. Members without an answer keep their place in the family, but count 0."""
    alone = [weigh_vote(share, config.alternatives) for share in trusts]
    names = [f"family:{families[each]}" if each in families else f"member:{each}" for each in members]
    shared = share_weights(alone, names, config.family_share)
    return tuple(weight if spoke else 0.0 for weight, spoke in zip(shared, answered, strict=True))


def _compare_answers(
    answers: npt.NDArray[np.float32] | None, weights: Sequence[float], config: ConsensusConfig
) -> tuple[Coherence | None, tuple[bool, ...]]:
    """Coherence and outliers; nothing for fewer than two answers."""
    if answers is None or len(answers) < _LEAST_FOR_COHERENCE:
        return None, (False,) * len(weights)
    from leo_core.stages.consensus.coherence import find_outliers, measure_agreement  # noqa: PLC0415 - loads numba

    coherence = measure_agreement(answers, weights, config.kappa)
    return coherence, find_outliers(coherence.distances, config.outlier_cutoff)


def _find_medoid(places: Sequence[int], trusts: Sequence[float], vectors: npt.NDArray[np.float32] | None) -> int:
    """The draft closest to the others of its class; of equals the most trusted, then the first.

    Args:
        places: Drafts of the class, in order.
        trusts: Trust per draft.
        vectors: Unit row per draft, shape (m, d); without them trust decides.
    """

    def rank(place: int) -> tuple[float, float]:
        apart = 0.0
        if vectors is not None:
            gaps = (vectors[place].astype("float64") - vectors[other].astype("float64") for other in places)
            apart = math.fsum(math.sqrt(float(gap @ gap)) for gap in gaps)
        return round(apart, WEIGHT_DECIMALS), -trusts[place]

    return min(places, key=rank)

"""How likely is the small model to be wrong on this request, and would that do harm?

The prior is a logistic model on counted features and words, trained by ``train/request_risk.py`` on the fifth of the
routing questions with sha256(question) % 5 == 0 (Mixtral-8x7B-Instruct as the small model); no other question of those
sets was used. Outcomes that LEO observes correct it: per region of the novelty stage by a Beta record, and by those of
similar requests where outcomes carry the embedding (:mod:`leo_core.stages.risk.experience`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from leo_core.records import Deferred, RequestRisk
from leo_core.stages.risk.categories import score_categories
from leo_core.stages.risk.forest import Forest, read_forest
from leo_core.stages.risk.likeness import read_features, wording_features
from leo_core.stages.risk.linear import logit, sigmoid
from leo_core.stages.risk.open_gain import expect_open_gain, reads_vector
from leo_core.stages.risk.request_features import request_features
from leo_core.stages.risk.shipped import read_document, shipped_linear
from leo_core.stages.risk.state import RegionRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leo_core.records import Embedding, Novelty, Request, Vector
    from leo_core.stages.risk.config import RiskConfig
    from leo_core.stages.risk.examples import ExampleModel
    from leo_core.stages.risk.experience import Rates
    from leo_core.stages.risk.state import RiskState

__all__ = ["score_request"]

_Z95 = 1.959963984540054
_LEAST_RATE = 0.002
_READING = 2.0
"""What a shipped gain that read the vector is worth, beside one that did not."""


def score_request(
    request: Request,
    *,
    vector: Vector | None,
    novelty: Novelty,
    state: RiskState,
    config: RiskConfig,
    embedding: Embedding | None = None,
    categories: Sequence[ExampleModel] = (),
) -> RequestRisk:
    """Risk before any call.

    The log-odds of an error are those of the prior, shifted by what the region's Beta record says. Where outcomes by
    embedding are known, n of them, their rate on similar requests has a share n / (n + s) in the probability, with the
    ``similar_strength`` as s; in the gain, twice that where the shipped gain has read the embedding.
    With n outcomes in the region, of which w wrong where e were predicted, and a prior worth s outcomes, the record is
    Beta(s·e/n + w, s·(1 − e/n) + n − w) and the shift is the log-odds of its mean minus those of e/n, so that a record
    that confirms its predictions changes nothing. A novel request, or one of unknown novelty, takes ``novel_strength``
    as s, does not look at similar requests, and has a wider interval. The variance of the prior's log-odds shrinks
    by s / (s + n).

    Args:
        request: The request; its question is read.
        vector: Its place among past requests, unit, shape ``(d,)``, or ``None``: the embedding, with the session's
            memory mixed in.
        novelty: Its novelty and region.
        state: What was observed.
        config: Settings.
        embedding: The embedding of the question alone, for the categories and the gain; ``None`` where there is none.
        categories: The user's own categories, fitted.

    Returns:
        P(small wrong) with its 95 % credible interval (normal in log-odds), the categories, and ``harmful``, the sum of
        the shipped ones. A category of the user's own is missing where there is no embedding. ``features`` holds the
        compared figures: each request feature; ``large_wrong``, P(the large model is wrong); ``gain``, by how much it
        is more often right; ``lead``, the log-odds of its error less those of the small model's, without what the
        region's record says; ``prior``; ``region_shift``; ``vector_shift``, what similar requests add to the log-odds;
        ``novel`` (0 or 1).
    """
    question = request.question
    counted = request_features(question)
    prior = shipped_linear("request", "small_wrong").score(counted)
    novel = novelty.value is None or novelty.value > config.novel_above
    strength = config.novel_strength if novel else config.prior_strength
    record = state.regions.get(novelty.region, RegionRecord())
    region_shift = _region_shift(record, strength)
    score = prior.logit + region_shift
    variance = prior.variance * strength / (strength + record.total)
    small_wrong, vector_shift, rates = sigmoid(score), 0.0, None
    if not novel and vector is not None and state.experience.count:
        rates = state.experience.read_rates(vector, read_features({**counted, **wording_features(question)}))
    if rates is not None:
        small_wrong = _mix_small(small_wrong, rates, config.similar_strength)
        vector_shift = logit(small_wrong) - score
        variance *= config.similar_strength / (config.similar_strength + rates.small_count)
    spread = math.sqrt(variance + (config.novel_variance if novel else 0.0))
    centre = score + vector_shift
    shipped = score_categories(question, embedding)
    own = [model.score(embedding) for model in categories]
    compare = partial(
        _compare, question, counted, embedding, prior.logit, sigmoid(score), rates, config.similar_strength
    )
    told = {
        "prior": sigmoid(prior.logit),
        "region_shift": region_shift,
        "vector_shift": vector_shift,
        "novel": float(novel),
    }
    return RequestRisk(
        small_wrong=small_wrong,
        small_wrong_interval=(sigmoid(centre - _Z95 * spread), sigmoid(centre + _Z95 * spread)),
        categories=shipped + tuple(risk for risk in own if risk is not None),
        harmful=min(sum(risk.probability for risk in shipped), 1.0),
        features=Deferred(told, lambda: compare() | told),
    )


def _compare(
    question: str,
    counted: Mapping[str, float],
    embedding: Embedding | None,
    prior: float,
    small_wrong: float,
    rates: Rates | None,
    strength: float,
) -> dict[str, float]:
    """All features of a request, and what they say of the large model beside the small one; only routes to it ask."""
    features = {**counted, **wording_features(question)}
    gain = _shipped_gain(features, embedding)
    expected = _Expected(small_wrong=small_wrong, large_wrong=_large_wrong(sigmoid(prior), gain), gain=gain)
    lead = logit(expected.large_wrong) - prior
    if rates is not None:
        worth = _READING if features["multiple_choice"] == 0.0 and reads_vector(features, embedding) else 1.0
        expected, lead = _mix(expected, lead, rates, strength, worth)
    return features | {"large_wrong": expected.large_wrong, "gain": expected.gain, "lead": lead}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    """What is expected of both models on a request; ``gain`` is P(large right) − P(small right)."""

    small_wrong: float
    large_wrong: float
    gain: float


def _mix(expected: _Expected, lead: float, rates: Rates, strength: float, worth: float) -> tuple[_Expected, float]:
    """What was expected, worth ``strength`` outcomes, mixed with the rates on similar requests; and the lead.

    The expected gain is worth ``worth`` times as many.
    """
    share = rates.small_count / (rates.small_count + strength)
    small, large = _hold(rates.small_wrong), _hold(rates.large_wrong)
    mixed = replace(expected, small_wrong=_mix_small(expected.small_wrong, rates, strength))
    if not rates.large_count:
        return mixed, lead
    theirs = rates.large_count / (rates.large_count + strength)
    both = min(share, theirs)
    learned = min(rates.small_count, rates.large_count) / (min(rates.small_count, rates.large_count) + worth * strength)
    gain = (1.0 - learned) * expected.gain + learned * (rates.small_wrong - rates.large_wrong)
    lead = (1.0 - both) * lead + both * (logit(large) - logit(small))
    return replace(mixed, large_wrong=(1.0 - theirs) * expected.large_wrong + theirs * large, gain=gain), lead


def _mix_small(expected: float, rates: Rates, strength: float) -> float:
    share = rates.small_count / (rates.small_count + strength)
    return (1.0 - share) * expected + share * _hold(rates.small_wrong)


def _hold(rate: float) -> float:
    return min(max(rate, _LEAST_RATE), 1.0 - _LEAST_RATE)


def _large_wrong(small_wrong: float, gain: float) -> float:
    """P(large wrong): P(small wrong) less the gain in P(right), kept within 1/4 and 3/2 of the former."""
    return min(max(small_wrong - gain, small_wrong / 4.0), 1.5 * small_wrong, 0.999)


def _region_shift(record: RegionRecord, strength: float) -> float:
    expected = (
        record.expected / record.total if record.total else sigmoid(shipped_linear("request", "small_wrong").base)
    )
    wrong, right = strength * expected + record.wrong, strength * (1.0 - expected) + record.right
    return logit(wrong / (wrong + right)) - logit(expected)


def _shipped_gain(features: Mapping[str, float], embedding: Embedding | None) -> float:
    """P(large right) − P(small right) by the shipped prior: a forest with options to choose from, else a line."""
    if features["multiple_choice"] > 0.0:
        return _forest().predict(features)
    return expect_open_gain(features, embedding)


@cache
def _forest() -> Forest:
    return read_forest(read_document("request")["gain"])

"""How likely is this answer to be wrong, or not to stand on its context?

Three logistic heads, trained by ``train/answer_risk.py``: ``grounded`` for answers to a prompt that supplies a context,
``verdict`` for what a committee voted for, ``reasoning`` for other answers. All are calibrated on out-of-fold scores.
Attributions are exact: they add up to the log-odds of ``value``.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from leo_core.records import Risk
from leo_core.stages.risk.acceptance import AcceptanceState, find_accepted
from leo_core.stages.risk.answer_features import agreement_of, evidence_features, reasoning_features
from leo_core.stages.risk.context import find_context
from leo_core.stages.risk.grounding import grounding_features
from leo_core.stages.risk.linear import Score, sigmoid
from leo_core.stages.risk.shipped import shipped_linear
from leo_core.stages.risk.votes import VOTE_FEATURES, vote_features

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records import Draft, Request, Verdict
    from leo_core.stages.risk.config import RiskConfig

__all__ = ["answer_features", "measure_form", "score_answer"]

_Z95 = 1.959963984540054
_EVIDENCE = frozenset(
    [
        "base",
        "agreed",
        "disagreed",
        "compared",
        "record",
        "token_surprise",
        "worst_token",
        "cut_off",
        "format_missed",
        "refusal",
        *VOTE_FEATURES,
    ]
)
"""What of a score does not come from the answer's form."""
_LEARNED = frozenset(
    [
        "record",
        "posterior",
        "lead",
        "margin",
        "support",
        "opposition",
        "mean_trust",
        "own_trust",
        "won",
        "similar_answers",
    ]
)
"""Features that change as trust is learned, though nothing else does."""


def score_answer(
    request: Request,
    draft: Draft,
    *,
    verdict: Verdict | None = None,
    other_drafts: tuple[Draft, ...] = (),
    config: RiskConfig,
    max_error: float | None = None,
    other_agreement: float | None = None,
    trust: float | None = None,
    acceptance: AcceptanceState | None = None,
    similar: float = 0.0,
) -> Risk:
    """Risk of an answer, with a 95 % interval and an action.

    The interval is normal in log-odds. Its variance is that of the fitted score (coefficients, clustered by question)
    plus the variance between models, measured by leaving one model out at a time; for a question with neither numbers,
    code nor context, which the training did not hold, the parts of the score that the answer's form contributes are
    shrunk by ``config.unfamiliar_shrinkage`` and ``config.unfamiliar_variance`` is added.

    Args:
        request: The request; a supplied context is found in its messages.
        draft: The answer to judge.
        verdict: The committee's verdict, where there is one; its votes say who agrees.
        other_drafts: The other answers to the same request.
        config: Settings.
        max_error: Largest acceptable P(wrong), in [0, 1]; ``None`` takes ``config.accept_below``.
        other_agreement: Share of ``other_drafts`` that give the same answer, in [0, 1]; believed before the verdict.
        trust: The member's current rate of right answers, in (0, 1), where LEO has learned one.
        acceptance: What audits say of earlier answers; by default nothing is known.
        similar: What similar answers add to the log-odds (``ForeseenAnswer.shift``).

    Returns:
        The risk. ``action``: ``accept`` when the compared figure is at most what is accepted at ``max_error``, see
        :func:`~leo_core.stages.risk.acceptance.find_accepted`; ``abstain`` when the lower 95 % bound is at least
        ``config.abstain_above`` and above ``max_error``; ``escalate`` otherwise.
    """
    head, features = answer_features(
        request, draft, verdict=verdict, other_drafts=other_drafts, other_agreement=other_agreement, trust=trust
    )
    model = shipped_linear("answer", head)
    score = model.score(features)
    unfamiliar = head != "grounded" and not _is_familiar(features)
    if unfamiliar:
        score = _shrink(score, config)
    if similar:
        shares = {**score.attributions, "similar_answers": similar}
        score = replace(score, logit=sum(shares.values()), attributions=shares)
    half = _Z95 * math.sqrt(score.variance)
    value = sigmoid(score.logit)
    interval = (sigmoid(score.logit - half), sigmoid(score.logit + half))
    asked = config.accept_below if max_error is None else max_error
    accepted, basis = find_accepted(acceptance or AcceptanceState.fresh(), asked, config)
    strict = basis == "conservative" or (basis == "shipped" and config.accept_on == "upper")
    return Risk(
        value=value,
        interval=interval,
        attributions=score.attributions,
        action=_choose_action(interval[1] if strict else value, interval[0], accepted, asked, config),
        accepted=max(accepted, 0.0),
        basis=basis,
    )


def measure_form(risk: Risk) -> float:
    """The risk as it would be if nothing had been learned about the members: what traffic is compared by, in (0, 1)."""
    return sigmoid(sum(share for name, share in risk.attributions.items() if name not in _LEARNED))


def answer_features(
    request: Request,
    draft: Draft,
    *,
    verdict: Verdict | None = None,
    other_drafts: tuple[Draft, ...] = (),
    other_agreement: float | None = None,
    trust: float | None = None,
) -> tuple[Literal["grounded", "verdict", "reasoning"], dict[str, float]]:
    """The head that judges the answer, and its features by name."""
    agreed, disagreed = agreement_of(draft, verdict, other_drafts, other_agreement)
    base = 1.0 - sigmoid(shipped_linear("answer", "reasoning").base)
    evidence = evidence_features(request, draft, agreed=agreed, disagreed=disagreed, record=trust, base=base)
    context = find_context(request)
    if context:
        return "grounded", evidence | grounding_features(draft.text, context, request.question)
    vote = None if verdict is None else vote_features(verdict, draft.member)
    if vote is not None:
        return "verdict", evidence | vote | reasoning_features(request.question, draft.text)
    return "reasoning", evidence | reasoning_features(request.question, draft.text)


def _is_familiar(features: Mapping[str, float]) -> bool:
    """Whether the question holds at least two numbers, or code; ``question_numbers`` is log(1 + n) − 1."""
    return features["question_numbers"] > math.log1p(1.5) - 1.0 or features["question_code"] > 0.0


def _shrink(score: Score, config: RiskConfig) -> Score:
    factor = config.unfamiliar_shrinkage
    shrunk = {name: share if name in _EVIDENCE else factor * share for name, share in score.attributions.items()}
    return Score(logit=sum(shrunk.values()), variance=score.variance + config.unfamiliar_variance, attributions=shrunk)


def _choose_action(
    compared: float, lower: float, accepted: float, max_error: float, config: RiskConfig
) -> Literal["accept", "escalate", "abstain"]:
    if compared <= accepted:
        return "accept"
    return "abstain" if lower >= max(config.abstain_above, max_error) else "escalate"

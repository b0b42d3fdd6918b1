"""From an answer to the statement that is signed about it.

A statement holds figures, identifiers, hashes and salted commitments; never a prompt, an answer, a reason in
words that may quote one, or a secret. The log completes it with its size before the statement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leo_core.errors import LEOError
from leo_core.stages.receipt.canonical import fixed, fixed_or_none, rfc3339
from leo_core.stages.receipt.commitment import commit, derive_nonce, policy_digest
from leo_core.stages.receipt.contents import identity_content, message_content, request_content
from leo_core.stages.receipt.lcs import derive_agreement, derive_constraints, expected_sigma, trust_mean
from leo_core.stages.receipt.lottery import commit_seed
from leo_core.stages.receipt.schema import (
    ALGORITHMS,
    STATEMENT_VERSION,
    check_coherence,
    check_failures,
    check_verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from leo_core.records import (
        Answer,
        CacheDecision,
        Coherence,
        CoherenceCertificate,
        Constraints,
        Draft,
        Failure,
        Identity,
        Json,
        Novelty,
        Promotion,
        Redaction,
        Request,
        RequestRisk,
        RouteDecision,
        Trial,
        TrustEstimate,
        Usage,
        Verdict,
    )

__all__ = ["AuditTerms", "build_statement", "list_commitments", "statement_contents"]

_TREE = "leo_core.errors."
"""Where LEO's own errors are defined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTerms:
    """How it is decided whether an answer is audited; see :mod:`leo_core.stages.receipt.lottery`.

    Attributes:
        rate: Share of answers that are audited in the long run, in [0, 1].
        chance: With which chance this one is, in [0, 1].
        seed: The day's secret seed; the statement commits to it.
    """

    rate: float
    chance: float
    seed: bytes = field(repr=False)


def build_statement(
    request: Request,
    answer: Answer,
    *,
    identity: Identity,
    trust: tuple[TrustEstimate, ...],
    policy: Mapping[str, Json],
    audit: AuditTerms,
    source_receipt: str | None,
    entropy: bytes,
    now: float,
    drafts: tuple[Draft, ...] = (),
    quorum: int = 1,
) -> tuple[dict[str, Json], dict[str, str]]:
    """State how the answer was found.

    Args:
        request: What was asked.
        answer: What was answered; its ``receipt`` is not read.
        identity: Keys of the request.
        trust: Trust of the members before this answer.
        policy: Everything of configuration and models that decided; only its digest is stated.
        audit: With which chance this answer is audited.
        source_receipt: Id of the receipt of the answer that the cache served; ``None`` or empty without one.
        entropy: At least 32 fresh secret bytes, for this statement only; the nonces come from them.
        now: Instant of the statement.
        drafts: What the members answered, in the order of the verdict's votes; by default ``answer.drafts``, or the
            answer's own draft.
        quorum: Votes that a verdict needs.

    Returns:
        The statement without the log's part, and the nonces (hex) of its commitments by name.

    Raises:
        ReceiptError: A figure is not finite (``check="figure"``), a content is not JSON (``check="content"``), an
            index of the verdict points nowhere (``check="statement"``), or the entropy is too short
            (``check="entropy"``). Constraints that do not hold are stated, not raised.
    """
    drafts = drafts or answer.drafts or ((answer.draft,) if answer.draft is not None else ())
    contents = statement_contents(request, answer, identity=identity, drafts=drafts)
    nonces = {name: derive_nonce(entropy, name) for name in contents}
    commitments = {name: commit(name, nonces[name], content) for name, content in contents.items()}
    statement = {
        **_identified(answer, commitments, policy, now),
        **_figures(answer, trust, audit),
        "members": _members(answer, drafts, commitments),
        "failures": [_failure(failure) for failure in answer.failures],
        "constraints": _constraints(request.constraints),
        "verdict": _verdict(answer.verdict, commitments, quorum) if answer.verdict is not None else None,
        "source_receipt": source_receipt or None,
    }
    if request.redaction is not None:
        statement["personal_data"] = _redaction(request.redaction)
    if answer.stream_policy is not None:
        statement["stream"] = _stream(answer, commitments)
    if statement["verdict"] is not None:
        check_verdict(statement["verdict"])
    check_coherence(statement)
    check_failures(statement)
    statement["sigma"] = expected_sigma(statement)
    statement["lcs"] = [constraint.to_json() for constraint in derive_constraints(statement)]
    return statement, {name: nonce.hex() for name, nonce in nonces.items()}


def statement_contents(
    request: Request, answer: Answer, *, identity: Identity, drafts: tuple[Draft, ...] = ()
) -> dict[str, Json]:
    """What each commitment of the answer's statement commits to, by name; what its owner opens them with."""
    contents: dict[str, Json] = {
        "tenant": request.tenant,
        "request": request_content(request),
        "question": request.question,
        "answer": message_content(answer.message),
        "identity": identity_content(identity),
        "route_why": answer.decision.why,
        "cache_why": answer.cache.why,
    }
    contents |= {f"draft.{position}": message_content(draft.message) for position, draft in enumerate(drafts)}
    if answer.correction is not None:
        contents["shown"] = message_content(answer.correction.message)
    if answer.verdict is not None:
        contents |= {f"class.{position}": form for position, form in enumerate(answer.verdict.classes)}
    return contents


def list_commitments(statement: Mapping[str, Json]) -> dict[str, str]:
    """The commitments (hex) of a statement, by name."""
    found = {"tenant": statement["tenant"], **statement["commitments"]}
    for position, member in enumerate(statement["members"]):
        if member["draft"] is not None:
            found[f"draft.{position}"] = member["draft"]
    told = statement.get("stream", {}).get("corrected")
    if told is not None:
        found["shown"] = told["shown"]
    if statement["verdict"] is not None:
        found |= {f"class.{position}": form for position, form in enumerate(statement["verdict"]["classes"])}
    return found


def _identified(
    answer: Answer, commitments: Mapping[str, str], policy: Mapping[str, Json], now: float
) -> dict[str, Json]:
    names = ("request", "question", "answer", "identity", "route_why", "cache_why")
    return {
        "version": STATEMENT_VERSION,
        "algorithms": dict(ALGORITHMS),
        "answer_id": answer.id,
        "tenant": commitments["tenant"],
        "commitments": {name: commitments[name] for name in names},
        "served": {"route": answer.route.value, "model": answer.model, "finish_reason": answer.finish_reason},
        "time": rfc3339(now),
        "policy": policy_digest(policy),
    }


def _figures(answer: Answer, trust: tuple[TrustEstimate, ...], audit: AuditTerms) -> dict[str, Json]:
    verdict = answer.verdict
    return {
        "route": _route(answer.decision, answer.request_risk),
        "cache": _cache(answer.cache),
        "novelty": _novelty(answer.novelty),
        "coherence": _coherence(verdict.coherence, verdict) if verdict is not None and verdict.coherence else None,
        "risk": {
            "value": fixed(answer.risk.value),
            "interval": [fixed(end) for end in answer.risk.interval],
            "action": answer.risk.action,
            "accepted": None if answer.risk.accepted is None else fixed(answer.risk.accepted),
            "basis": answer.risk.basis,
        },
        "trust": [_trust(estimate) for estimate in trust],
        "audit": {"rate": fixed(audit.rate), "chance": fixed(audit.chance), "seed": commit_seed(audit.seed)},
        "usage": _usage(answer.usage),
        "saved": _usage(answer.saved),
        "latency_s": fixed(answer.latency_s),
        "own_s": fixed(answer.own_s),
    }


def _members(answer: Answer, drafts: tuple[Draft, ...], commitments: Mapping[str, str]) -> list[dict[str, Json]]:
    """The drafts in their order, then the members that were asked and brought none."""
    wrote = {draft.member for draft in drafts}
    return [
        {"member": draft.member, "model": draft.model, "draft": commitments[f"draft.{position}"]}
        for position, draft in enumerate(drafts)
    ] + [{"member": member, "model": None, "draft": None} for member in answer.members if member not in wrote]


def _failure(failure: Failure) -> dict[str, Json]:
    """A call that brought no draft: what became of it, by the name of the error's class; no words of the error.

    The class is that of LEO's own tree, whatever a member's error is called.
    """
    kinds = (kind.__name__ for kind in type(failure.error).__mro__ if f"{kind.__module__}.".startswith(_TREE))
    return {
        "member": failure.member,
        "outcome": failure.outcome,
        "error": next(kinds, LEOError.__name__),
        "attempt": int(failure.attempt),
        "hedge": bool(failure.hedge),
        "latency_s": fixed(max(failure.latency_s, 0.0)),
        "usage": _usage(failure.usage),
    }


def _constraints(asked: Constraints) -> dict[str, Json]:
    return {
        "max_error": fixed_or_none(asked.max_error),
        "max_cost_usd": fixed_or_none(asked.max_cost_usd),
        "max_latency_s": fixed_or_none(asked.max_latency_s),
        "route": asked.route.value if asked.route is not None else None,
        "cache": asked.cache,
    }


def _route(decision: RouteDecision, risk: RequestRisk | None) -> dict[str, Json]:
    return {
        "chosen": decision.route.value,
        "explored": decision.explored,
        "options": list(_options(decision)),
        "promotion": _promotion(decision.promotion) if decision.promotion is not None else None,
        "trial": _trial(decision.trial) if decision.trial is not None else None,
        "request_risk": None
        if risk is None
        else {
            "small_wrong": fixed(risk.small_wrong),
            "small_wrong_interval": [fixed(end) for end in risk.small_wrong_interval],
            "harmful": fixed(risk.harmful),
            "categories": [
                {"category": item.category, "probability": fixed(item.probability)} for item in risk.categories
            ],
        },
    }


def _promotion(promotion: Promotion) -> dict[str, Json]:
    return {
        "route": promotion.route.value,
        "since": rfc3339(promotion.since),
        "wealth": fixed(promotion.wealth),
        "alpha": fixed(promotion.alpha),
    }


def _trial(trial: Trial) -> dict[str, Json]:
    return {
        "challenger": trial.challenger,
        "incumbent": trial.incumbent,
        "paired": trial.paired,
        "chance": fixed(trial.chance),
    }


def _options(decision: RouteDecision) -> Iterator[dict[str, Json]]:
    """One row per route that was compared; an infinite objective marks a route that was not admissible."""
    compared = decision.expected_cost_usd.keys() | decision.expected_error.keys() | decision.objective.keys()
    for route in sorted(compared):
        objective = decision.objective.get(route)
        feasible = objective is not None and math.isfinite(objective)
        yield {
            "route": str(route),
            "expected_cost_usd": fixed_or_none(decision.expected_cost_usd.get(route)),
            "expected_error": fixed_or_none(decision.expected_error.get(route)),
            "objective": fixed(objective) if objective is not None and feasible else None,
            "feasible": feasible,
        }


def _cache(decision: CacheDecision) -> dict[str, Json]:
    return {
        "action": decision.action,
        "kind": decision.kind,
        "entry_id": decision.entry_id,
        "cosine": fixed_or_none(decision.cosine),
        "probability": fixed_or_none(decision.probability),
        "error_bound": fixed_or_none(decision.error_bound),
        "allowance": fixed_or_none(decision.allowance),
        "trust": fixed_or_none(decision.trust),
        "margin": fixed_or_none(decision.margin),
    }


def _novelty(novelty: Novelty) -> dict[str, Json]:
    return {
        "value": fixed_or_none(novelty.value),
        "entropy": fixed(novelty.entropy),
        "deviation": fixed_or_none(novelty.deviation),
        "region": int(novelty.region),
        "samples": int(novelty.samples),
    }


def _coherence(coherence: Coherence, verdict: Verdict) -> dict[str, Json]:
    stated = {
        "value": fixed(coherence.value),
        "optimum": fixed(coherence.optimum),
        "iterations": int(coherence.iterations),
        "primal_residual": fixed(coherence.primal_residual),
        "dual_residual": fixed(coherence.dual_residual),
        "converged": bool(coherence.converged),
        "certificate": _certificate(coherence.certificate) if coherence.certificate is not None else None,
    }
    weights = [fixed(vote.weight) for vote in verdict.votes]
    certificate = coherence.certificate
    fits = certificate is None or len(certificate.centre) == len(weights)
    certified = fits and all(constraint.holds for constraint in derive_agreement(stated, weights))
    return stated if certified else {**stated, "certificate": None}


def _certificate(certificate: CoherenceCertificate) -> dict[str, Json]:
    return {
        "kappa": fixed(certificate.kappa),
        "gram": [fixed(product) for product in certificate.gram],
        "centre": [fixed(part) for part in certificate.centre],
        "orthogonal_centre": [fixed(part) for part in certificate.orthogonal_centre],
    }


def _verdict(verdict: Verdict, commitments: Mapping[str, str], quorum: int) -> dict[str, Json]:
    return {
        "winner": int(verdict.winner),
        "classes": [commitments[f"class.{position}"] for position in range(len(verdict.classes))],
        "posterior": [fixed(share) for share in verdict.posterior],
        "votes": [
            {
                "member": vote.member,
                "class": int(vote.answer_class),
                "weight": fixed(vote.weight),
                "trust": fixed(vote.trust),
                "outlier": bool(vote.outlier),
            }
            for vote in verdict.votes
        ],
        "certified_margin": int(verdict.certified_margin),
        "medoid": int(verdict.medoid),
        "abstained": bool(verdict.abstained),
        "confidence": fixed(verdict.confidence),
        "required": fixed(verdict.required),
        "quorum": quorum,
    }


def _stream(answer: Answer, commitments: Mapping[str, str]) -> dict[str, Json]:
    """What a caller who was streaming saw before the verdict, and what of it was not the answer."""
    told = answer.correction
    corrected = None
    if told is not None:
        corrected = {"reason": told.reason, "member": told.member, "shown": commitments["shown"]}
    return {"policy": answer.stream_policy, "corrected": corrected}


def _redaction(redaction: Redaction) -> dict[str, Json]:
    """How many different values of which kinds were found, and what became of them; none of them."""
    found = [{"kind": kind, "count": int(count)} for kind, count in sorted(redaction.counts.items())]
    return {"mode": redaction.mode, "found": found}


def _trust(estimate: TrustEstimate) -> dict[str, Json]:
    """Alpha and beta as stated, and the mean of exactly those."""
    alpha, beta = fixed(estimate.alpha), fixed(estimate.beta)
    return {"member": estimate.member, "alpha": alpha, "beta": beta, "mean": trust_mean(alpha, beta)}


def _usage(usage: Usage) -> dict[str, Json]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "calls": usage.calls,
        "cost_usd": fixed_or_none(usage.cost_usd),
    }

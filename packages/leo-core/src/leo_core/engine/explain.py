"""Every compared quantity of an answer, in words and figures."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leo_core.records import Answer, Failure, Promotion, Risk, Verdict

__all__ = ["explain_answer", "summarise_answer"]

_OUTCOMES = {
    "failed": "failed",
    "skipped": "was not asked",
    "abandoned": "lost against the other copy of its call",
    "abstained": "abstained",
}


def summarise_answer(answer: Answer) -> dict[str, Any]:
    """What an answer's metadata says in a framework's message: plain values, a line each."""
    return {
        "route": answer.route.value,
        "model": answer.model,
        "members": list(answer.members),
        "risk": round(answer.risk.value, 6),
        "risk_interval": [round(bound, 6) for bound in answer.risk.interval],
        "novelty": None if answer.novelty.value is None else round(answer.novelty.value, 6),
        "coherence": _coherence(answer),
        "confidence": None if answer.verdict is None else round(answer.verdict.confidence, 6),
        "abstained": answer.verdict is not None and answer.verdict.abstained,
        "cost_usd": answer.usage.cost_usd,
        "saved_usd": answer.saved.cost_usd,
        "cache": {
            "hit": answer.cache.hit,
            "action": answer.cache.action,
            "why": answer.cache.why,
            "stale": answer.cache.stale,
        },
        "stream": _stream(answer),
        "receipt": None if answer.receipt is None else answer.receipt.id,
        "answer_id": answer.id,
    }


def explain_answer(answer: Answer) -> dict[str, Any]:
    """Everything that was compared on the way to an answer, and the deciding figure of each step."""
    verdict = answer.verdict
    return {
        "answer_id": answer.id,
        "words": list(_words(answer)),
        "cache": asdict(answer.cache),
        "novelty": asdict(answer.novelty),
        "request_risk": None if answer.request_risk is None else asdict(answer.request_risk),
        "route": {**asdict(answer.decision), "taken": answer.route.value},
        "members": [
            {"member": draft.member, "model": draft.model, "latency_s": draft.latency_s, **asdict(draft.usage)}
            for draft in answer.drafts
        ],
        "failures": [_failure(failure) for failure in answer.failures],
        "verdict": None if verdict is None else asdict(verdict),
        "risk": asdict(answer.risk),
        "stream": _stream(answer),
        "usage": asdict(answer.usage),
        "saved": asdict(answer.saved),
        "latency_s": answer.latency_s,
        "own_s": answer.own_s,
        "receipt": None if answer.receipt is None else answer.receipt.id,
    }


def _stream(answer: Answer) -> dict[str, Any] | None:
    """What a caller who was streaming saw before the verdict; ``None`` where nothing was streamed."""
    if answer.stream_policy is None:
        return None
    told = answer.correction
    corrected = None if told is None else {"reason": told.reason, "member": told.member}
    return {"policy": answer.stream_policy, "corrected": corrected}


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "member": failure.member,
        "outcome": failure.outcome,
        "error": type(failure.error).__name__,
        "attempt": failure.attempt,
        "hedge": failure.hedge,
        "latency_s": failure.latency_s,
        **asdict(failure.usage),
    }


def _coherence(answer: Answer) -> float | None:
    if answer.verdict is None or answer.verdict.coherence is None:
        return None
    return round(answer.verdict.coherence.value, 6)


def _words(answer: Answer) -> list[str]:
    words = [f"cache: {answer.cache.why or answer.cache.action}"]
    if answer.novelty.value is None:
        words.append(f"novelty: unknown, only {answer.novelty.samples} past requests to compare with")
    else:
        words.append(f"novelty: {answer.novelty.value:.3f} against {answer.novelty.samples} past requests")
    words.append(f"route: {answer.route.value}, because {answer.decision.why}")
    if answer.decision.promotion is not None:
        words.append(_default_in_words(answer.decision.promotion))
    words.extend(
        f"{failure.member} {_OUTCOMES[failure.outcome]}: {type(failure.error).__name__}" for failure in answer.failures
    )
    if answer.verdict is not None:
        words.append(_verdict_in_words(answer.verdict))
    low, high = answer.risk.interval
    words.append(
        f"risk: P(wrong) = {answer.risk.value:.3f}, 95 % interval {low:.3f} to {high:.3f}{_accepted(answer.risk)}"
    )
    if answer.correction is not None:
        told = answer.correction
        words.append(f"stream: the words of {told.member} were shown first and then corrected ({told.reason})")
    cost = answer.usage.cost_usd
    words.append("cost: unknown price" if cost is None else f"cost: ${cost:.6f} in {answer.usage.calls} calls")
    return words


def _default_in_words(promotion: Promotion) -> str:
    since = datetime.fromtimestamp(promotion.since, tz=UTC).isoformat(timespec="seconds")
    return (
        f"default: {promotion.route.value} since {since}, by a test at level {promotion.alpha:g} "
        f"(wealth {promotion.wealth:.4g}, {1.0 / promotion.alpha:.4g} were asked for)"
    )


def _accepted(risk: Risk) -> str:
    if risk.accepted is None:
        return ""
    compared = "upper bound" if risk.basis == "conservative" else "value"
    return f"; {risk.action}: {compared} up to {risk.accepted:.3f} accepted ({risk.basis})"


def _verdict_in_words(verdict: Verdict) -> str:
    outcome = "abstained" if verdict.abstained else f"class {verdict.winner} won"
    return (
        f"verdict: {len(verdict.votes)} votes in {len(verdict.classes)} classes, {outcome} with posterior "
        f"{verdict.confidence:.3f} (required {verdict.required:.3f}); "
        f"{verdict.certified_margin} of its heaviest supporters could switch without changing it"
    )

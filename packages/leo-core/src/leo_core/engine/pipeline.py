"""READ THIS FIRST: how a request becomes an answer with a receipt.

The functions here decide and do no I/O: they yield effects (:mod:`leo_core.engine.effects`) and are sent the
replies. :mod:`leo_core.engine.drivers` runs them synchronously, asynchronously and streaming.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leo_core.engine.admission import admit
from leo_core.engine.aftermath import settle
from leo_core.engine.auditing import find_chance
from leo_core.engine.covering import answer_covered
from leo_core.engine.effects import (
    AuditSeed,
    Certify,
    Draw,
    EmbedTexts,
    Entropy,
    LearnNovelty,
    Notify,
    Now,
    Recall,
    Remember,
    RemoveEntry,
    Renew,
    Show,
)
from leo_core.engine.idempotency import answer_once, keep_result
from leo_core.engine.lookup import consult_cache
from leo_core.engine.opinions import find_loss, foresee_opinions
from leo_core.engine.routes import Trip, list_options, take_route
from leo_core.engine.sharing import take_turn
from leo_core.engine.spending import find_room
from leo_core.engine.trials import draw_terms, find_default
from leo_core.errors import ReceiptError
from leo_core.records import Answer, Novelty, Risk, Route, RouteDecision, Usage
from leo_core.stages.cache.identity import identify
from leo_core.stages.consensus.equivalence import same_answer
from leo_core.stages.consensus.trust import estimate
from leo_core.stages.memory.policy import blend_memory
from leo_core.stages.novelty.policy import locate, score_novelty
from leo_core.stages.receipt.lottery import find_day
from leo_core.stages.receipt.statement import AuditTerms, build_statement
from leo_core.stages.risk.request import score_request
from leo_core.stages.route.policy import choose_route

if TYPE_CHECKING:
    from leo_core.engine.effects import Instant, Pipeline
    from leo_core.engine.knowledge import Known
    from leo_core.engine.plan import Plan
    from leo_core.records import CacheDecision, CacheEntry, Correction, Embedding, Identity, Message, Request, Vector

__all__ = ["Sight", "answer_request"]


def answer_request(request: Request, plan: Plan) -> Pipeline[Answer]:
    """From a request to an answer with a receipt, by the cheapest route that can be trusted."""
    started = yield from Now()
    admit(request, plan)
    return (yield from answer_covered(request, plan, lambda covered: answer_admitted(covered, plan, started)))


def answer_admitted(request: Request, plan: Plan, started: Instant) -> Pipeline[Answer]:
    """Answer a request once for each idempotency key; its personal data is behind stand-ins by now."""
    work = find_answer(request, plan, started)
    if request.idempotency_key is None:
        return (yield from work)
    return (yield from answer_once(request, request.idempotency_key, plan, work))


def find_answer(request: Request, plan: Plan, started: Instant) -> Pipeline[Answer]:
    """Answer an admitted request: from the cache, or by the members."""
    known = yield from Recall(request.tenant, request.session)
    sight = yield from look_at(request, known, plan)
    region = sight.novelty.region
    found = yield from consult_cache(request, sight.identity, sight.embedding, region, plan)
    turn, cached, entry = yield from take_turn(request, sight.identity, found, region, plan, started)
    with turn:
        if cached.hit and entry is not None:
            answer = yield from serve_entry(request, entry, cached, sight, known, plan)
        else:
            answer = yield from ask_members(request, cached, sight, known, plan, started)
        answer = yield from certify(request, answer, sight, known, plan, started, turn.waited_s)
        yield from settle(request, answer, sight.identity, sight.embedding, entry, plan)
    if request.stream_policy == "verified":
        yield from Show(answer.message)
    if answer.cache.hit and answer.cache.stale and entry is not None:
        yield from Renew(entry, lambda: renew(request, entry, plan))
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is seen of a request before anything is decided.

    Attributes:
        identity: Its keys.
        embedding: Its embedding; ``None`` where there is nothing to embed or the embedder failed.
        blended: The embedding with the session's memory mixed in, for novelty and routing only.
        novelty: How unlike past traffic it is.
    """

    identity: Identity
    embedding: Embedding | None
    blended: Vector | None
    novelty: Novelty


def look_at(request: Request, known: Known, plan: Plan) -> Pipeline[Sight]:
    """Identify the request, embed it, and compare it with past traffic."""
    identity = identify(request, models=plan.fingerprint)
    embedded = (yield from EmbedTexts((identity.text,))) if identity.text else None
    if embedded is None:
        return Sight(identity=identity, embedding=None, blended=None, novelty=Novelty(value=None))
    vector = embedded[0].vector
    blended = blend_memory(vector, known.memory, plan.config.memory)
    place = locate(blended, known.novelty, plan.config.novelty)
    novelty = score_novelty(blended, known.novelty, plan.config.novelty, place=place)
    (draw,) = yield from Draw()
    yield from LearnNovelty(request.tenant, blended, draw, place)
    if request.session is not None:
        yield from Remember(request.tenant, request.session, vector)
    return Sight(identity=identity, embedding=embedded[0], blended=blended, novelty=novelty)


def serve_entry(
    request: Request, entry: CacheEntry, cached: CacheDecision, sight: Sight, known: Known, plan: Plan
) -> Pipeline[Answer]:
    """Answer from the cache."""
    yield from show_early(request, entry.message)
    yield from Notify("cache.hit", {"kind": cached.kind, "entry_id": entry.id})
    bound = cached.error_bound if cached.error_bound is not None else 0.0
    return Answer(
        id=(yield from Entropy(16)).hex(),
        message=entry.message,
        route=Route.CACHE,
        model=entry.model,
        members=entry.members,
        usage=Usage(),
        saved=entry.usage,
        risk=Risk(value=bound, interval=(0.0, max(bound, 1.0 - (cached.trust or 0.0)))),
        novelty=sight.novelty,
        cache=cached,
        decision=RouteDecision(
            route=Route.CACHE, why=cached.why, promotion=find_default(known, sight.novelty.region, plan)
        ),
        stream_policy=request.stream_policy,
        entry=entry,
    )


def show_early(request: Request, message: Message, correction: Correction | None = None) -> Pipeline[None]:
    """Show a settled message before its receipt is written, but for a caller who asked to see nothing before that."""
    if request.stream_policy != "verified":
        yield from Show(message, correction)


def renew(request: Request, stale: CacheEntry, plan: Plan) -> Pipeline[None]:
    """Ask the members what a stale entry answered; their answer takes its place."""
    again = replace(request.with_constraints(cache="renew"), session=None, idempotency_key=None, stream_policy=None)
    answer = yield from answer_request(again, plan)
    kept_elsewhere = stale.exact_key != identify(request, models=plan.fingerprint).exact_key
    if kept_elsewhere and not same_answer(stale.message, answer.message, request.question):
        yield from RemoveEntry(stale.tenant, stale.id)


def ask_members(
    request: Request, cached: CacheDecision, sight: Sight, known: Known, plan: Plan, started: Instant
) -> Pipeline[Answer]:
    """Choose a route, take it, and describe what it brought."""
    region = sight.novelty.region
    risk = score_request(
        request,
        vector=sight.blended,
        novelty=sight.novelty,
        state=known.risk,
        config=plan.config.risk,
        embedding=sight.embedding,
        categories=plan.categories,
    )
    options, constraints = yield from find_room(request, list_options(request, plan), plan)
    draws = yield from Draw(len(options))
    decision = choose_route(
        options,
        risk,
        sight.novelty,
        constraints,
        known.routes,
        plan.config.route,
        draws,
        cascade=foresee_opinions(request, risk, known, region, plan),
        promotion=find_default(known, region, plan),
        trials=(yield from draw_terms(plan)),
    )
    yield from Notify("route.chosen", {"route": decision.route.value, "why": decision.why})
    trip = Trip(
        request=request,
        region=region,
        known=known,
        plan=plan,
        started=started,
        loss_usd=find_loss(risk, plan),
        drafts=[],
        failures=[],
        place=None if risk.features["novel"] else sight.blended,
    )
    outcome = yield from take_route(decision.route, trip)
    correction = trip.find_correction(outcome.served)
    if correction is not None:
        yield from Notify("stream.corrected", {"reason": correction.reason, "member": correction.member})
    yield from show_early(request, outcome.served.message, correction)
    spent = trip.spent
    return Answer(
        id=(yield from Entropy(16)).hex(),
        message=outcome.served.message,
        route=outcome.route,
        model=outcome.served.model,
        members=tuple(draft.member for draft in trip.drafts),
        usage=spent,
        saved=plan.saved_against_large(outcome.served, spent),
        risk=outcome.risk,
        novelty=sight.novelty,
        cache=cached,
        decision=decision,
        request_risk=risk,
        verdict=outcome.verdict,
        finish_reason=outcome.served.finish_reason,
        waited_s=trip.waited_s,
        draft=outcome.served,
        drafts=tuple(trip.drafts),
        failures=tuple(trip.failures),
        stream_policy=request.stream_policy,
        correction=correction,
    )


def certify(
    request: Request,
    answer: Answer,
    sight: Sight,
    known: Known,
    plan: Plan,
    started: Instant,
    waited_s: float,
) -> Pipeline[Answer]:
    """Sign what happened. The receipt is durable before the answer claims it.

    Args:
        request: What was asked.
        answer: What was answered, by now.
        sight: What was seen of the request.
        known: What was known when it came in.
        plan: Members and policies.
        started: When it came in.
        waited_s: Seconds that an equal request was waited for.
    """
    ended = yield from Now()
    answer = replace(answer, latency_s=ended.monotonic - started.monotonic, waited_s=answer.waited_s + waited_s)
    if not plan.config.receipts.enabled:
        yield from keep_result(request, answer)
        return answer
    region, policy = sight.novelty.region, plan.config.consensus
    entropy = yield from Entropy(32)
    seed = yield from AuditSeed(find_day(ended.epoch))
    try:
        statement, openings = build_statement(
            request,
            answer,
            identity=sight.identity,
            drafts=answer.drafts,
            trust=tuple(estimate(known.trust, member, region, policy) for member in answer.members),
            policy=plan.policy,
            audit=AuditTerms(rate=plan.config.audit_rate, chance=find_chance(answer, known, plan), seed=seed),
            source_receipt=answer.entry.receipt_id if answer.entry else None,
            entropy=entropy,
            now=ended.epoch,
            quorum=plan.config.receipts.quorum,
        )
    except ReceiptError as error:
        yield from Notify("receipt.failed", {"error": type(error).__name__})
        if plan.config.receipts.required:
            raise
        yield from keep_result(request, answer)
        return answer
    yield from keep_result(request, answer, statement, openings)
    receipt = yield from Certify(statement, openings)
    return replace(answer, receipt=receipt)

"""What leaves: receipts and answers; and what is noted and told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records.drafts import Draft, Failure, Usage
    from leo_core.records.entries import CacheDecision, CacheEntry, Novelty
    from leo_core.records.requests import Message, Redaction, Route, StreamPolicy
    from leo_core.records.values import Json
    from leo_core.records.verdicts import RequestRisk, Risk, RouteDecision, Verdict

__all__ = ["Answer", "Correction", "Event", "Intent", "Observation", "Receipt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A signed record of how an answer was found.

    Attributes:
        id: ``leo:rcpt:`` followed by the SHA-256 (hex) of the signed statement.
        document: The receipt as it is exported: DSSE envelope, inclusion proof, checkpoint (JSON).
        openings: Nonces that open the commitments; kept by the owner, exported on request only.
        log_index: Its position in the log.
    """

    id: str
    document: Mapping[str, Json]
    openings: Mapping[str, str] = field(default_factory=dict, repr=False)
    log_index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What was shown to a caller who is streaming, and is not the answer.

    Attributes:
        reason: ``"overruled"``: the verdict is for another answer; ``"interrupted"``: the stream died, and another
            member answered.
        member: Id of the member whose words were shown.
        message: What was shown.
    """

    reason: Literal["overruled", "interrupted"]
    member: str
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What LEO answers.

    Attributes:
        id: Id of the answer; also of the cache entry made from it.
        message: The answer itself.
        route: The way on which it was found.
        model: The model that wrote it.
        members: Ids of the members that were asked, in order.
        usage: What was spent.
        saved: What a cache hit or a cheaper route saved against asking the large model.
        risk: P(wrong) after the answer.
        novelty: Novelty of the request.
        cache: What the cache decided.
        decision: Why this route.
        request_risk: Risk known before any model was called; ``None`` on a cache hit.
        verdict: The committee's verdict, where one was asked for.
        receipt: The signed record; ``None`` when receipts are switched off, or when the log failed and the
            configuration does not insist on one.
        finish_reason: Why the text ends.
        latency_s: Wall time of the whole request.
        waited_s: Part of it that was spent waiting for members, or for an equal request that waited for them.
        draft: The draft that is served; ``None`` for a cache hit.
        drafts: All drafts that were made.
        failures: Calls that brought no draft.
        entry: The entry that is served on a cache hit.
        replayed: Whether this is the kept answer to an earlier request with the same idempotency key.
        redaction: What was found of personal data in the request; ``None`` where nothing was, or was looked for.
        stream_policy: What the caller, who was streaming, saw before the verdict; ``None`` where nothing was streamed.
        correction: What that caller was shown first, where it is not the answer.
        covered: The message with the stand-ins for personal data, as it is kept and as its receipt commits to it;
            ``None`` where it is the message itself.
    """

    id: str
    message: Message
    route: Route
    model: str
    members: tuple[str, ...]
    usage: Usage
    saved: Usage
    risk: Risk
    novelty: Novelty
    cache: CacheDecision
    decision: RouteDecision
    request_risk: RequestRisk | None = None
    verdict: Verdict | None = None
    receipt: Receipt | None = None
    finish_reason: str = "stop"
    latency_s: float = 0.0
    waited_s: float = 0.0
    draft: Draft | None = None
    drafts: tuple[Draft, ...] = ()
    failures: tuple[Failure, ...] = ()
    entry: CacheEntry | None = None
    replayed: bool = False
    redaction: Redaction | None = None
    stream_policy: StreamPolicy | None = None
    correction: Correction | None = None
    covered: Message | None = None

    @property
    def own_s(self) -> float:
        """LEO's own part of the latency: all of it but the waiting for members."""
        return max(0.0, self.latency_s - self.waited_s)

    @property
    def text(self) -> str:
        """Text of the answer."""
        return self.message.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A request with an idempotency key, as the journal knows it.

    Attributes:
        tenant: Whose.
        key: The caller's idempotency key.
        digest: SHA-256 (hex) of the request.
        began_at: Instant at which it was begun.
        result: JSON of the answer and of the statement about it; ``None`` while the members are asked.
        receipt_id: Id of its receipt; ``None`` until that is in the log, empty where there is to be none.
    """

    tenant: str
    key: str
    digest: str
    began_at: float
    result: str | None = None
    receipt_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Something learned; what LEO knows of a tenant is the fold of its observations.

    Attributes:
        kind: ``"cache"``: an explored candidate was compared; ``"trust"``: a member was audited;
            ``"route"``: a route's outcome became known; ``"served"``: a hit was served;
            ``"feedback"``: the caller spoke; ``"audit"``: what the audit of an answer found;
            ``"promotion"``: a trial of a route, or a change of a region's default.
        tenant: Whose.
        body: The facts (JSON), named by the stage that folds them.
        at: Instant.
    """

    kind: Literal["cache", "trust", "route", "served", "feedback", "audit", "promotion"]
    tenant: str
    body: Mapping[str, Json]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, for listeners. Never holds a prompt, an answer or a secret.

    Attributes:
        name: Dotted, stable name, such as ``"cache.hit"`` or ``"store.failed"``.
        facts: Plain values (JSON).
        at: Instant.
    """

    name: str
    facts: Mapping[str, Json]
    at: float

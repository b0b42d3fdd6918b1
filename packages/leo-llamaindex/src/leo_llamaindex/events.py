"""LEO's own instrumentation events.

They hold plain values and never a prompt, an answer or a secret. An ``LEOLLM`` emits them once per call, when the
answer is there: always an :class:`LEORouteEvent`, and the others where they apply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from llama_index.core.instrumentation.events import BaseEvent
from llama_index_instrumentation import get_dispatcher
from pydantic import ConfigDict

from leo_core.records import Route

if TYPE_CHECKING:
    from leo_core.records import Answer, CacheDecision, CacheEntry

__all__ = [
    "LEOCacheHitEvent",
    "LEOCorrectionEvent",
    "LEOGroundingEvent",
    "LEOProofEvent",
    "LEORouteEvent",
    "LEOVerifyEvent",
    "report_answer",
    "report_kept",
]

_dispatcher = get_dispatcher(__name__)


class _LEOEvent(BaseEvent):
    """An event about one answer.

    Attributes:
        answer_id: Id of the answer.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(protected_namespaces=())

    answer_id: str

    @classmethod
    def class_name(cls) -> str:
        """Name of the class."""
        return cls.__name__


class LEORouteEvent(_LEOEvent):
    """An answer was found.

    Attributes:
        route: On which way.
        why: Why on this one, in words.
        model: The model that wrote it.
        members: Ids of the members that were asked.
        hit: Whether it came from the cache.
        risk: P(wrong), in [0, 1].
        risk_interval: Its 95 % interval.
        novelty: Novelty of the request, in [0, 1]; ``None`` before there is traffic to compare with.
        input_tokens: Spent.
        output_tokens: Spent.
        calls: Calls of members.
        cost_usd: Spent; ``None`` when a price is unknown.
        saved_usd: Saved against asking the large model; ``None`` when unknown.
        latency_s: Wall time of the whole request.
    """

    route: str
    why: str
    model: str
    members: list[str]
    hit: bool
    risk: float
    risk_interval: tuple[float, float]
    novelty: float | None
    input_tokens: int
    output_tokens: int
    calls: int
    cost_usd: float | None
    saved_usd: float | None
    latency_s: float


class LEOCacheHitEvent(_LEOEvent):
    """An answer was served from the cache.

    Attributes:
        kind: ``"exact"`` or ``"semantic"``.
        why: The deciding reason in words.
        entry_id: The entry that was served.
        error_bound: Estimated P(wrong) of serving it.
        saved_input_tokens: Tokens that the answer had cost.
        saved_output_tokens: As above.
        saved_usd: What it had cost; ``None`` when unknown.
    """

    kind: str
    why: str
    entry_id: str
    error_bound: float | None
    saved_input_tokens: int
    saved_output_tokens: int
    saved_usd: float | None


class LEOVerifyEvent(_LEOEvent):
    """A committee decided about an answer.

    Attributes:
        votes: Drafts that were compared.
        classes: Different answers among them.
        confidence: Posterior of the winner.
        required: Confidence that was asked for.
        abstained: Whether the posterior missed it.
        certified_margin: How many of the heaviest supporters could switch without changing the winner.
        coherence: Agreement of the drafts, in [0, 1]; ``None`` when there were too few.
    """

    votes: int
    classes: int
    confidence: float
    required: float
    abstained: bool
    certified_margin: int
    coherence: float | None


class LEOCorrectionEvent(_LEOEvent):
    """A caller who was streaming was shown words that are not the answer, and was told.

    Attributes:
        reason: ``"overruled"``: the verdict is for another answer; ``"interrupted"``: the stream died.
        member: Id of the member whose words were shown.
    """

    reason: str
    member: str


class LEOProofEvent(_LEOEvent):
    """A receipt was signed and is in the log.

    Attributes:
        receipt_id: Its id.
        log_index: Its position in the log.
    """

    receipt_id: str
    log_index: int


class LEOGroundingEvent(BaseEvent):
    """A :class:`~leo_llamaindex.synthesizer.LEOVerifiedSynthesizer` held an answer against the retrieved nodes.

    Attributes:
        risk: P(the nodes do not support the answer), in [0, 1].
        sentences: Sentences of the answer.
        unsupported: How many of them are above the accepted risk.
        action: ``"kept"``, ``"marked"``, ``"dropped"`` or ``"abstained"``.
        node_ids: The nodes that bear a sentence out best.
    """

    risk: float
    sentences: int
    unsupported: int
    action: str
    node_ids: list[str]

    @classmethod
    def class_name(cls) -> str:
        """Name of the class."""
        return cls.__name__


def report_answer(answer: Answer) -> None:
    """Emit the events of an answer."""
    _dispatcher.event(_route_event(answer))
    if answer.entry is not None:
        _dispatcher.event(_hit_event(answer.id, answer.cache, answer.entry))
    if answer.verdict is not None:
        _dispatcher.event(_verify_event(answer))
    if answer.correction is not None:
        told = answer.correction
        _dispatcher.event(LEOCorrectionEvent(answer_id=answer.id, reason=told.reason, member=told.member))
    if answer.receipt is not None:
        event = LEOProofEvent(answer_id=answer.id, receipt_id=answer.receipt.id, log_index=answer.receipt.log_index)
        _dispatcher.event(event)


def report_kept(decision: CacheDecision, entry: CacheEntry, *, latency_s: float) -> None:
    """Emit the events of an answer that was served from the cache without asking an LLM's engine."""
    risk = decision.error_bound or 0.0
    _dispatcher.event(
        LEORouteEvent(
            answer_id=entry.id,
            route=Route.CACHE.value,
            why=decision.why,
            model=entry.model,
            members=list(entry.members),
            hit=True,
            risk=risk,
            risk_interval=(0.0, risk),
            novelty=None,
            input_tokens=0,
            output_tokens=0,
            calls=0,
            cost_usd=0.0,
            saved_usd=entry.usage.cost_usd,
            latency_s=latency_s,
        )
    )
    _dispatcher.event(_hit_event(entry.id, decision, entry))


def _route_event(answer: Answer) -> LEORouteEvent:
    return LEORouteEvent(
        answer_id=answer.id,
        route=answer.route.value,
        why=answer.decision.why,
        model=answer.model,
        members=list(answer.members),
        hit=answer.cache.hit,
        risk=answer.risk.value,
        risk_interval=answer.risk.interval,
        novelty=answer.novelty.value,
        input_tokens=answer.usage.input_tokens,
        output_tokens=answer.usage.output_tokens,
        calls=answer.usage.calls,
        cost_usd=answer.usage.cost_usd,
        saved_usd=answer.saved.cost_usd,
        latency_s=answer.latency_s,
    )


def _hit_event(answer_id: str, decision: CacheDecision, entry: CacheEntry) -> LEOCacheHitEvent:
    saved = entry.usage
    return LEOCacheHitEvent(
        answer_id=answer_id,
        kind=decision.kind,
        why=decision.why,
        entry_id=entry.id,
        error_bound=decision.error_bound,
        saved_input_tokens=saved.input_tokens,
        saved_output_tokens=saved.output_tokens,
        saved_usd=saved.cost_usd,
    )


def _verify_event(answer: Answer) -> LEOVerifyEvent:
    assert answer.verdict is not None  # noqa: S101 - the caller has looked
    verdict = answer.verdict
    return LEOVerifyEvent(
        answer_id=answer.id,
        votes=len(verdict.votes),
        classes=len({vote.answer_class for vote in verdict.votes}),
        confidence=verdict.confidence,
        required=verdict.required,
        abstained=verdict.abstained,
        certified_margin=verdict.certified_margin,
        coherence=None if verdict.coherence is None else verdict.coherence.value,
    )

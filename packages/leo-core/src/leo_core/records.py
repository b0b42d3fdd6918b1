"""The records that travel through LEO.

Every record is frozen and built with keywords. A record says what a thing *is*; decisions live in
``stages``, effects in ``engine``. Money is in US dollars and ``None`` means *unknown*, which is never the
same as zero. Times are seconds; instants are seconds since the Unix epoch. Embeddings are unit vectors,
float32, shape ``(d,)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from leo_core.errors import LEOError

    Vector = npt.NDArray[np.float32]

__all__ = [
    "Alias",
    "Answer",
    "CacheDecision",
    "CacheEntry",
    "Capabilities",
    "CategoryRisk",
    "Chunk",
    "Coherence",
    "CoherenceCertificate",
    "Constraints",
    "Draft",
    "EmbedderFingerprint",
    "Embedding",
    "Event",
    "Failure",
    "Identity",
    "Json",
    "KeptEntry",
    "Message",
    "Neighbour",
    "Novelty",
    "Observation",
    "Receipt",
    "Request",
    "RequestRisk",
    "Risk",
    "Role",
    "Route",
    "RouteDecision",
    "Sampling",
    "ToolCall",
    "ToolCallDelta",
    "TrustEstimate",
    "Usage",
    "Verdict",
    "Vote",
]

Json = Any
"""A JSON value: ``None``, ``bool``, ``int``, ``float``, ``str``, or lists and string-keyed mappings of these."""

Role = Literal["system", "user", "assistant", "tool"]


class Route(StrEnum):
    """The way on which a request was answered, cheapest first."""

    CACHE = "cache"
    SMALL = "small"
    LARGE = "large"
    CASCADE = "cascade"
    CONSENSUS = "consensus"


# --------------------------------------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call of a tool that a model asks for.

    Attributes:
        id: The provider's id of the call; a tool message refers to it.
        name: Name of the tool.
        arguments: Parsed arguments.
    """

    id: str
    name: str
    arguments: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation.

    Attributes:
        role: Who speaks.
        content: Text, or content blocks in the standard form of LangChain v1 (mappings with a ``"type"``
            such as ``text``, ``image``, ``audio``, ``file``, ``reasoning``).
        tool_calls: Calls that an assistant asks for.
        tool_call_id: In a tool message, the call that it answers.
        tool_error: In a tool message, whether the tool failed.
        name: Name of the speaker or the tool, where given.
    """

    role: Role
    content: str | tuple[Mapping[str, Json], ...] = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    tool_error: bool = False
    name: str | None = None

    @property
    def text(self) -> str:
        """The text of the message: its text blocks joined."""
        if isinstance(self.content, str):
            return self.content
        return "".join(str(block.get("text", "")) for block in self.content if block.get("type") == "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Sampling parameters; ``None`` leaves the provider's default."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What the caller demands of this request; ``None`` leaves the policy's default.

    Attributes:
        max_error: Largest acceptable probability that the answer is wrong, in [0, 1].
        max_cost_usd: Most that may be spent, checked before each call.
        max_latency_s: Deadline for the whole request.
        route: Forces a route instead of choosing one.
        cache: ``False`` neither reads nor writes the cache; ``"exact"`` matches exactly only; ``"renew"`` asks the
            members whatever is kept, and keeps their answer in its place.
        ttl_s: Seconds that the answer is kept for reuse; 0 for hardly.
    """

    max_error: float | None = None
    max_cost_usd: float | None = None
    max_latency_s: float | None = None
    route: Route | None = None
    cache: bool | Literal["exact", "renew"] = True
    ttl_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked.

    Attributes:
        messages: The conversation; the last user turn is the question.
        tenant: Whose request it is; part of every key.
        session: Names a conversation for the micro-memory; never part of a key.
        tools: Tools in the neutral form ``{"name", "description", "parameters" (JSON Schema), "strict"?}``.
        tool_choice: ``None``, ``"auto"``, ``"any"``, ``"none"`` or the name of a tool.
        response_format: ``None`` or the provider-neutral form
            ``{"type": "json_object"}`` / ``{"type": "json_schema", "name", "schema", "strict"?}``.
        sampling: Sampling parameters.
        model: Overrides the model's name for this request, where the caller asked for one.
        options: Further parameters handed to the provider as they are; part of the keys.
        constraints: What the caller demands.
        tags: Labels that cache entries made from this request carry.
        sources: Ids of the documents that the answer is going to stand on; cache entries carry them.
        native: The framework's own messages, handed to members of that framework unchanged; not part of any key.
    """

    messages: tuple[Message, ...]
    tenant: str = "default"
    session: str | None = None
    tools: tuple[Mapping[str, Json], ...] = ()
    tool_choice: str | None = None
    response_format: Mapping[str, Json] | None = None
    sampling: Sampling = Sampling()
    model: str | None = None
    options: Mapping[str, Json] = field(default_factory=dict)
    constraints: Constraints = Constraints()
    tags: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    native: Any = field(default=None, compare=False, repr=False)

    @property
    def question(self) -> str:
        """Text of the last user turn; empty when there is none."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")

    def with_constraints(self, **changes: Any) -> Request:
        """A copy whose constraints are changed."""
        return replace(self, constraints=replace(self.constraints, **changes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The keys of a request (``definitions``: request identity).

    Attributes:
        exact_key: SHA-256 (hex) over everything that can change the answer.
        scope_key: The same without the last user turn; semantic matching stays inside one scope.
        text: The last user turn as it is embedded and compared.
        semantic: Whether semantic matching is admissible (no tools bound, no tool messages in the tail, plain text).
        why_exact: Reason in words when ``semantic`` is false.
    """

    exact_key: str
    scope_key: str
    text: str
    semantic: bool
    why_exact: str = ""


# ---------------------------------------------------------------------------------------------- answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens and money of one or several calls.

    Attributes:
        input_tokens: Tokens of the prompts.
        output_tokens: Tokens of the replies.
        cached_input_tokens: Part of ``input_tokens`` that the provider served from its own prompt cache.
        reasoning_tokens: Part of ``output_tokens`` spent on hidden reasoning.
        calls: Calls made.
        cost_usd: What they cost; ``None`` when any price is unknown.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    calls: int = 0
    cost_usd: float | None = 0.0

    def __add__(self, other: Usage) -> Usage:
        unknown = self.cost_usd is None or other.cost_usd is None
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_input_tokens=self.cached_input_tokens + other.cached_input_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            calls=self.calls + other.calls,
            cost_usd=None if unknown else (self.cost_usd or 0.0) + (other.cost_usd or 0.0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a member can do; ``max_*`` are tokens, ``None`` when unknown."""

    tools: bool = True
    structured_output: bool = True
    images: bool = True
    audio: bool = True
    files: bool = True
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One member's reply, before anything is decided about it.

    Attributes:
        member: Id of the member, unique within a LEO.
        model: The model's name as the provider reported it.
        message: The assistant's message.
        usage: Tokens and cost of this call.
        finish_reason: ``"stop"``, ``"length"``, ``"tool_calls"``, ``"content_filter"`` or the provider's word.
        latency_s: Wall time of the call.
        logprobs: Log-probability per output token, where the provider gives them.
        metadata: The provider's further facts about the reply (JSON).
        native: The framework's own reply, for adapters that pass it on unchanged.
    """

    member: str
    model: str
    message: Message
    usage: Usage = Usage()
    finish_reason: str = "stop"
    latency_s: float = 0.0
    logprobs: tuple[float, ...] | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    native: Any = field(default=None, compare=False, repr=False)

    @property
    def text(self) -> str:
        """Text of the reply."""
        return self.message.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A member's call that brought no draft.

    Attributes:
        member: Id of the member.
        error: What went wrong.
        shown: Text that had been streamed to the caller before it went wrong.
        latency_s: Wall time until it went wrong.
    """

    member: str
    error: LEOError
    shown: str = ""
    latency_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallDelta:
    """A piece of a tool call in a stream; ``index`` tells calls of one message apart."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a streamed reply.

    A model's stream yields chunks with text, tool-call or block deltas and ends with one that carries ``draft``,
    the complete reply; LEO's stream ends with one that carries ``answer``.

    Attributes:
        text: New text.
        tool_calls: New pieces of tool calls.
        blocks: Complete non-text content blocks (such as ``reasoning``) that the reply contains.
        draft: In the last chunk of a model's stream, the complete reply.
        answer: In the last chunk of LEO's stream, the answer.
        native: The framework's own chunk, for adapters that pass it on unchanged.
    """

    text: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    blocks: tuple[Mapping[str, Json], ...] = ()
    draft: Draft | None = None
    answer: Answer | None = None
    native: Any = field(default=None, compare=False, repr=False)


# -------------------------------------------------------------------------------------- what stages find


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderFingerprint:
    """Which embedder made a vector; vectors of different fingerprints are never compared.

    Attributes:
        name: Name of the embedder.
        version: Its version.
        dimension: Length of its vectors.
        table_sha256: Hash of its weights or parameters (hex), or of its settings.
    """

    name: str
    version: str
    dimension: int
    table_sha256: str

    def __str__(self) -> str:
        return f"{self.name}/{self.version}/{self.dimension}/{self.table_sha256[:16]}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embedding:
    """A unit vector, float32, shape ``(d,)``, with the embedder that made it."""

    vector: Vector
    fingerprint: EmbedderFingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Novelty:
    """How unlike past traffic a request is.

    Attributes:
        value: 1 − conformal p-value, in [0, 1], uniform on exchangeable traffic; ``None`` before there are samples.
        entropy: Regional entropy H/ln k, in [0, 1].
        deviation: Distance to the nearest centre over that cluster's own radius.
        region: Index of the nearest centre; −1 before there are centres.
        samples: Past requests that the p-value stands on.
    """

    value: float | None
    entropy: float = 1.0
    deviation: float = 0.0
    region: int = -1
    samples: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """An answer kept for reuse.

    Attributes:
        id: Id of the entry, equal to the ``answer_id`` of the answer that made it.
        tenant: Whose entry it is.
        exact_key: Exact key of the request that made it.
        scope_key: Scope inside which it may be matched.
        text: The question as embedded.
        message: The whole answer (tool calls, structured output, content blocks).
        members: Ids of the members whose answers stand behind it.
        model: The model that is named as the author.
        route: Route on which the answer was found.
        usage: What the answer cost when it was made: what a hit saves.
        receipt_id: Receipt of the answer; empty when there is none.
        created_at: Instant of writing.
        expires_at: Instant after which it is not served; ``None`` for never.
        fresh_until: Instant after which it is stale: served still, and renewed; ``None`` for as long as it is served.
        tags: Labels for invalidation.
        sources: Ids of the documents that the answer stands on, for invalidation.
        size_bytes: Bytes that count against the limit.
        hits: Times served.
        metadata: What an adapter needs to rebuild its own message (JSON).
        seal: Proof that this LEO wrote the entry and the question by which it was found, as a store keeps it beside
            that question; opaque to stores, empty without one. Entries are compared without it.
    """

    id: str
    tenant: str
    exact_key: str
    scope_key: str
    text: str
    message: Message
    members: tuple[str, ...]
    model: str
    route: Route
    usage: Usage
    receipt_id: str
    created_at: float
    expires_at: float | None = None
    fresh_until: float | None = None
    tags: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    size_bytes: int = 0
    hits: int = 0
    metadata: Mapping[str, Json] = field(default_factory=dict)
    seal: str = field(default="", compare=False, repr=False)

    def is_stale(self, now: float) -> bool:
        """Whether it is due to be renewed."""
        return self.fresh_until is not None and self.fresh_until < now


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A verified paraphrase: one more question that leads to a cache entry.

    Attributes:
        exact_key: Exact key of the request that asked it.
        text: The question as embedded.
        vector: Its vector as kept.
        seal: As :attr:`CacheEntry.seal`.
    """

    exact_key: str
    text: str
    vector: Vector = field(compare=False, repr=False)
    seal: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptEntry:
    """A cache entry with everything that a store keeps of it.

    Attributes:
        entry: The entry, with the seal of its own question.
        vector: Vector of its own question; ``None`` for an entry that matches exactly only.
        aliases: Its verified paraphrases, oldest first.
    """

    entry: CacheEntry
    vector: Vector | None = field(default=None, compare=False, repr=False)
    aliases: tuple[Alias, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A cache entry near a request.

    Attributes:
        entry: The entry, with the seal of the question that was nearest.
        cosine: Exact inner product of the unit vectors.
        text: Text of the question that was nearest: the entry's own, or one of its aliases.
        vector: Its vector as kept.
        kin: Cosines of the entry's further vectors that are also near, best first: at least as near as the last
            neighbour of the same search. A store that does not know them leaves it empty, which costs hits.
    """

    entry: CacheEntry
    cosine: float
    text: str
    vector: Vector | None = field(default=None, compare=False, repr=False)
    kin: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheDecision:
    """What the cache decided, with every figure and the deciding one.

    Attributes:
        action: ``serve`` the entry; ``explore``: call the models and compare; ``miss``: nothing comparable;
            ``off``: not consulted.
        kind: ``"exact"`` or ``"semantic"`` for the candidate; empty for none.
        why: The deciding reason in words.
        entry_id: The candidate.
        cosine: Its cosine, in [−1, 1].
        probability: P(same answer) of the pair, in [0, 1].
        error_bound: P(wrong) of serving it, estimated from all outcomes so far, in [0, 1].
        allowance: Largest such estimate that the promise can pay for at this request, in [0, 1].
        trust: Current trust of the members behind it, in [0, 1].
        margin: Gap in cosine to the best candidate with a different answer; to 0 without one.
        score: 1 − ``error_bound``.
        explore_rate: Probability with which this would-be hit had to be explored, in (0, 1]; 1 where it could not
            be served.
        wrong_hits: The most wrong hits served so far that the evidence has not ruled out.
        allowed_wrong_hits: Wrong hits that the promise allows at this request: δ·t.
        features: What the estimate was made from (:mod:`leo_core.stages.cache.correctness`).
        stale: Whether the entry is due to be renewed: served still, or the reason why the members are asked.
    """

    action: Literal["serve", "explore", "miss", "off"]
    kind: Literal["", "exact", "semantic"] = ""
    why: str = ""
    entry_id: str | None = None
    cosine: float | None = None
    probability: float | None = None
    error_bound: float | None = None
    allowance: float | None = None
    trust: float | None = None
    margin: float | None = None
    score: float | None = None
    explore_rate: float | None = None
    wrong_hits: float | None = None
    allowed_wrong_hits: float | None = None
    features: tuple[float, ...] = ()
    stale: bool = False

    @property
    def hit(self) -> bool:
        """Whether the entry is served."""
        return self.action == "serve"


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryRisk:
    """Calibrated probability that a question belongs to a high-risk category."""

    category: str
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRisk:
    """Risk known before any model is called.

    Attributes:
        small_wrong: P(the small model's answer is wrong), in [0, 1].
        small_wrong_interval: Its 95 % credible interval.
        categories: Probability per high-risk category.
        harmful: P(a wrong answer does harm) = P(any high-risk category), in [0, 1].
        features: The features that were compared, by name.
    """

    small_wrong: float
    small_wrong_interval: tuple[float, float]
    categories: tuple[CategoryRisk, ...]
    harmful: float
    features: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDecision:
    """The chosen route and what it was compared with.

    Attributes:
        route: What to do.
        why: The deciding reason in words.
        expected_cost_usd: Expected cost per candidate route; ``None`` where unknown.
        expected_error: Expected P(wrong) per candidate route.
        objective: Value that was minimised, per candidate route.
        explored: Whether a worse-looking route was drawn to learn (Thompson sampling).
    """

    route: Route
    why: str
    expected_cost_usd: Mapping[str, float | None] = field(default_factory=dict)
    expected_error: Mapping[str, float] = field(default_factory=dict)
    objective: Mapping[str, float] = field(default_factory=dict)
    explored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustEstimate:
    """Beta posterior of P(a member's answer is right) in a region; ``mean`` = alpha / (alpha + beta)."""

    member: str
    alpha: float
    beta: float

    @property
    def mean(self) -> float:
        """E[p]."""
        return self.alpha / (self.alpha + self.beta)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one member's draft counted for.

    Attributes:
        member: Who.
        answer_class: Index of the equivalence class of its answer.
        weight: Weight of the vote: log(p / (1 − p)) of its trust, shared within its family.
        trust: Trust at the time of the vote, in (0, 1).
        outlier: Whether its embedding lies far from the robust centre.
    """

    member: str
    answer_class: int
    weight: float
    trust: float
    outlier: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Coherence:
    """Agreement of a set of answer embeddings (group-Huber optimum, normalised).

    Attributes:
        value: 1 − optimum / its value for orthogonal answers, in [0, 1].
        optimum: Value of the convex problem.
        iterations: ADMM iterations.
        primal_residual: At the stop.
        dual_residual: At the stop.
        converged: Whether both residuals met the tolerance.
        distances: Distance of each answer to the robust centre.
        certificate: Lets anyone check ``value`` without solving anything; ``None`` where it was not made.
    """

    value: float
    optimum: float
    iterations: int
    primal_residual: float
    dual_residual: float
    converged: bool
    distances: tuple[float, ...] = ()
    certificate: CoherenceCertificate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoherenceCertificate:
    """Two points whose duality gaps bound how far a coherence is from the exact one.

    Attributes:
        kappa: κ of the problem.
        gram: Inner products of the unit vectors, those of the strict upper triangle by rows, m(m − 1)/2 of them.
        centre: Coefficients of the robust centre in the vectors, m of them.
        orthogonal_centre: The same for orthogonal vectors.
    """

    kappa: float
    gram: tuple[float, ...]
    centre: tuple[float, ...]
    orthogonal_centre: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a committee decided.

    Attributes:
        winner: Index of the winning class; −1 when abstaining.
        classes: Canonical form of each answer class.
        posterior: Posterior probability of each class.
        votes: One per draft.
        certified_margin: f*: the largest number of the heaviest supporters that could switch and leave the winner.
        medoid: Index of the draft that is served: the medoid of the winning class.
        abstained: Whether the posterior missed the confidence asked for.
        confidence: Posterior of the winner.
        required: Confidence that was asked for.
        coherence: Coherence of the drafts; ``None`` when there are fewer than two with text.
    """

    winner: int
    classes: tuple[str, ...]
    posterior: tuple[float, ...]
    votes: tuple[Vote, ...]
    certified_margin: int
    medoid: int
    abstained: bool
    confidence: float
    required: float
    coherence: Coherence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """P(the answer is wrong or ungrounded), after the answer.

    Attributes:
        value: The probability, in [0, 1].
        interval: Its 95 % interval.
        attributions: Exact contribution of each feature to the score (linear SHAP, in log-odds).
        action: ``accept``, ``escalate`` or ``abstain`` at the error asked for.
    """

    value: float
    interval: tuple[float, float]
    attributions: Mapping[str, float] = field(default_factory=dict)
    action: Literal["accept", "escalate", "abstain"] = "accept"


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

    @property
    def own_s(self) -> float:
        """LEO's own part of the latency: all of it but the waiting for members."""
        return max(0.0, self.latency_s - self.waited_s)

    @property
    def text(self) -> str:
        """Text of the answer."""
        return self.message.text


# ------------------------------------------------------------------------------------ learning and events


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Something learned; what LEO knows of a tenant is the fold of its observations.

    Attributes:
        kind: ``"cache"``: an explored candidate was compared; ``"trust"``: a member was audited;
            ``"route"``: a route's outcome became known; ``"served"``: a hit was served;
            ``"feedback"``: the caller spoke.
        tenant: Whose.
        body: The facts (JSON), named by the stage that folds them.
        at: Instant.
    """

    kind: Literal["cache", "trust", "route", "served", "feedback"]
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

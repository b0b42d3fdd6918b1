"""What is kept and compared: vectors, novelty, cache entries, and what the cache decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records.drafts import Usage
    from leo_core.records.requests import Message, Route
    from leo_core.records.values import Json, Vector

__all__ = [
    "Alias",
    "CacheDecision",
    "CacheEntry",
    "EmbedderFingerprint",
    "Embedding",
    "KeptEntry",
    "Neighbour",
    "Novelty",
]


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

"""The records that travel through LEO.

Every record is frozen and built with keywords. A record says what a thing *is*; decisions live in
``stages``, effects in ``engine``. Money is in US dollars and ``None`` means *unknown*, which is never the
same as zero. Times are seconds; instants are seconds since the Unix epoch. Embeddings are unit vectors,
float32, shape ``(d,)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.records.answers import Answer, Correction, Event, Intent, Observation, Receipt
from leo_core.records.budgets import Account, Balance, Booking, Reservation
from leo_core.records.drafts import Capabilities, Chunk, Draft, Failure, ToolCallDelta, Usage
from leo_core.records.entries import (
    Alias,
    CacheDecision,
    CacheEntry,
    EmbedderFingerprint,
    Embedding,
    KeptEntry,
    Neighbour,
    Novelty,
)
from leo_core.records.evolution import Gap, Promotion, RouteChange, Trial
from leo_core.records.grounding import Grounding, InjectionRisk, Objection, SentenceSupport, Source, SourceSpan
from leo_core.records.questions import IndexHit, KeptQuestion, QuestionChanges
from leo_core.records.requests import (
    Constraints,
    Identity,
    Message,
    Redaction,
    Request,
    Route,
    Sampling,
    StreamPolicy,
    ToolCall,
)
from leo_core.records.sealed import SealedPart, SealedValue
from leo_core.records.values import Deferred, Json, Role
from leo_core.records.verdicts import (
    CategoryRisk,
    Coherence,
    CoherenceCertificate,
    RequestRisk,
    Risk,
    RouteDecision,
    TrustEstimate,
    Verdict,
    Vote,
)

if TYPE_CHECKING:
    from leo_core.records.values import Vector as Vector

__all__ = [
    "Account",
    "Alias",
    "Answer",
    "Balance",
    "Booking",
    "CacheDecision",
    "CacheEntry",
    "Capabilities",
    "CategoryRisk",
    "Chunk",
    "Coherence",
    "CoherenceCertificate",
    "Constraints",
    "Correction",
    "Deferred",
    "Draft",
    "EmbedderFingerprint",
    "Embedding",
    "Event",
    "Failure",
    "Gap",
    "Grounding",
    "Identity",
    "IndexHit",
    "InjectionRisk",
    "Intent",
    "Json",
    "KeptEntry",
    "KeptQuestion",
    "Message",
    "Neighbour",
    "Novelty",
    "Objection",
    "Observation",
    "Promotion",
    "QuestionChanges",
    "Receipt",
    "Redaction",
    "Request",
    "RequestRisk",
    "Reservation",
    "Risk",
    "Role",
    "Route",
    "RouteChange",
    "RouteDecision",
    "Sampling",
    "SealedPart",
    "SealedValue",
    "SentenceSupport",
    "Source",
    "SourceSpan",
    "StreamPolicy",
    "ToolCall",
    "ToolCallDelta",
    "Trial",
    "TrustEstimate",
    "Usage",
    "Verdict",
    "Vote",
]

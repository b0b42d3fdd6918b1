"""What the pipeline may ask of the world.

The pipeline does no I/O. It yields an effect and is sent the reply; a driver (:mod:`leo_core.engine.drivers`)
stands between it and the world. Written ``reply = yield from Effect(...)``, the reply is typed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from leo_core.engine.budgets import Hold
from leo_core.engine.flights import Turn
from leo_core.engine.knowledge import Known
from leo_core.records import (
    Alias,
    Balance,
    CacheEntry,
    Correction,
    Draft,
    Embedding,
    Failure,
    Intent,
    Neighbour,
    Receipt,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.ports import Model
    from leo_core.records import Account, Answer, Json, Message, Observation, Request, Reservation, Vector
    from leo_core.stages.novelty.policy import Place

__all__ = [
    "AddAlias",
    "AuditSeed",
    "BeginIntent",
    "CallMember",
    "Certify",
    "CheckAnswer",
    "Compare",
    "CountHit",
    "Decide",
    "Draw",
    "DropIntent",
    "Effect",
    "EmbedTexts",
    "Entropy",
    "FindAliases",
    "FindBalances",
    "FindExact",
    "FindIntent",
    "FindNear",
    "FindReceipt",
    "HandOver",
    "Hedge",
    "Instant",
    "Join",
    "KeepResult",
    "Learn",
    "LearnNovelty",
    "Notify",
    "Now",
    "Pause",
    "Pipeline",
    "Recall",
    "Remember",
    "RemoveEntry",
    "Renew",
    "Reserve",
    "SettleIntent",
    "SettleReservation",
    "Show",
    "ShowRevealed",
    "Together",
    "WriteEntry",
]

T = TypeVar("T")

Pipeline = Generator["Effect[Any]", Any, T]
"""A computation that asks the world for what it needs and returns a ``T``."""


class Effect(Generic[T]):
    """Something that the pipeline asks of the world, with a reply of type ``T``."""

    __slots__ = ()
    blocking: ClassVar[bool] = False
    """Whether the reply may need disk or network, so that an event loop must not wait for it."""

    def __iter__(self) -> Generator[Effect[T], Any, T]:
        reply: T = yield self
        return reply


# ------------------------------------------------------------------------------------------- time and chance


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment: seconds since the Unix epoch, and seconds on a clock that never goes back."""

    epoch: float
    monotonic: float


@dataclass(frozen=True, slots=True)
class Now(Effect[Instant]):
    """What time is it?"""


@dataclass(frozen=True, slots=True)
class Draw(Effect[tuple[float, ...]]):
    """Uniform numbers in [0, 1) from the engine's generator (seeded on request; audits use the system's)."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class AuditSeed(Effect[bytes]):
    """The secret seed that decides which answers of a day (``2026-01-31``, UTC) are audited."""

    day: str


@dataclass(frozen=True, slots=True)
class Entropy(Effect[bytes]):
    """Bytes from the system's secure source, for ids and nonces."""

    count: int = 32


# --------------------------------------------------------------------------------------------- equal requests


@dataclass(frozen=True, slots=True)
class Join(Effect[Turn]):
    """Lead, or wait for an equal request that leads; ``wait_s`` shortens the wait.

    Whoever gets a turn that leads has to end it.
    """

    key: str
    wait_s: float | None = None
    blocking: ClassVar[bool] = True


# ------------------------------------------------------------------------------------------------- knowledge


@dataclass(frozen=True, slots=True)
class Recall(Effect[Known]):
    """What LEO knows of a tenant, and of a session."""

    tenant: str
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Decide(Effect[T], Generic[T]):
    """Decide on what is known and count the decision, in one step that no other request can come between.

    ``choose`` is pure: it maps what is known to the decision and the observations to be folded into it.
    """

    tenant: str
    choose: Callable[[Known], tuple[T, tuple[Observation, ...]]]


@dataclass(frozen=True, slots=True)
class Learn(Effect[None]):
    """Fold observations into what is known, and keep them."""

    observations: tuple[Observation, ...]


@dataclass(frozen=True, slots=True)
class LearnNovelty(Effect[None]):
    """Fold a request's vector into the novelty state of its tenant."""

    tenant: str
    vector: Vector
    draw: float
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Remember(Effect[None]):
    """Fold a request's vector into the micro-memory of its session."""

    tenant: str
    session: str
    vector: Vector


# ------------------------------------------------------------------------------------------- vectors and store


@dataclass(frozen=True, slots=True)
class EmbedTexts(Effect[tuple[Embedding, ...] | None]):
    """Embeddings of texts; ``None`` when the embedder failed (counted; matching is then exact only)."""

    texts: tuple[str, ...]
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class FindExact(Effect[CacheEntry | None]):
    """The live entry with this exact key; ``None`` also when the store is out (counted)."""

    tenant: str
    exact_key: str
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class FindNear(Effect[tuple[Neighbour, ...]]):
    """The nearest live entries in scope; empty also when the store is out (counted)."""

    tenant: str
    scope_key: str
    vector: Vector
    k: int
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class WriteEntry(Effect[None]):
    """Keep an answer for reuse."""

    entry: CacheEntry
    vector: Vector | None
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class AddAlias(Effect[None]):
    """Attach a verified paraphrase to an entry."""

    tenant: str
    entry_id: str
    text: str
    vector: Vector
    exact_key: str
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class FindAliases(Effect[tuple[Alias, ...]]):
    """The verified paraphrases of an entry; empty also when the store is out (counted)."""

    tenant: str
    entry_id: str
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class CountHit(Effect[None]):
    """Count one serving of an entry."""

    tenant: str
    entry_id: str
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class RemoveEntry(Effect[None]):
    """Remove an entry that turned out wrong."""

    tenant: str
    entry_id: str
    blocking: ClassVar[bool] = True


# ---------------------------------------------------------------------------------------------------- members


@dataclass(frozen=True, slots=True)
class CallMember(Effect[Draft | Failure]):
    """Ask one member. With ``live``, a streaming driver may show its tokens as they come."""

    model: Model
    request: Request
    live: bool = False


@dataclass(frozen=True, slots=True)
class Hedge(Effect[tuple[Draft | Failure, ...]]):
    """Make a call, and a second one when the first has brought nothing after ``after_s``; the first draft wins.

    The reply that counts comes first, then what became of the other call, where it was begun or refused. A streaming
    driver that shows the first call's tokens as they come makes no second one.
    """

    first: CallMember
    second: CallMember
    after_s: float | None
    """``None``: the time in which 95 of 100 of the member's last answers came; while it is unknown, never."""


@dataclass(frozen=True, slots=True)
class Together(Effect[tuple[T, ...]], Generic[T]):
    """Run several pipelines at once; their results in the order of the jobs.

    A streaming driver shows what the job at the place ``lead`` shows live; the others run beside it.
    """

    jobs: tuple[Callable[[], Pipeline[T]], ...]
    lead: int | None = None


@dataclass(frozen=True, slots=True)
class Pause(Effect[None]):
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class FindBalances(Effect[tuple[Balance, ...]]):
    """What is spent and reserved of accounts, in their order; from memory when the ledger is out (counted)."""

    accounts: tuple[Account, ...]
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Reserve(Effect[Hold]):
    """Set so many nano-dollars aside in all accounts, or in none; counts as spent after ``life_s`` unless settled."""

    accounts: tuple[Account, ...]
    amount: int
    life_s: float
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class SettleReservation(Effect[None]):
    """Count what calls really cost, in the place of what was reserved for them; done later when the ledger is out."""

    reservation: Reservation
    cost: int
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Show(Effect[None]):
    """Show a settled message to a caller who is streaming and has not seen it live.

    With a correction, what that caller has seen is withdrawn first.
    """

    message: Message
    correction: Correction | None = None


@dataclass(frozen=True, slots=True)
class ShowRevealed(Effect[None]):
    """From now on, show a caller who is streaming what the stand-ins of the request stand for."""

    values: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Compare(Effect[bool]):
    """Do two answers to a question say the same? No, when that cannot be told."""

    question: str
    first: Message
    second: Message
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class CheckAnswer(Effect[bool | None]):
    """Ask the user's checker whether an answer is right; ``None`` when it cannot tell or there is none."""

    request: Request
    answer: Answer
    blocking: ClassVar[bool] = True


# ----------------------------------------------------------------------------------------- receipts and the rest


@dataclass(frozen=True, slots=True)
class Certify(Effect[Receipt | None]):
    """Sign a statement and append it to the log, durably; ``None`` when that failed (counted)."""

    statement: Mapping[str, Json]
    openings: Mapping[str, str]
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class FindReceipt(Effect[Receipt | None]):
    """The receipt with this id; ``None`` when the log has none or failed (counted)."""

    receipt_id: str
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class FindIntent(Effect[Intent | None]):
    """What the journal knows of an idempotency key. Raises when the journal fails."""

    tenant: str
    key: str
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class BeginIntent(Effect[None]):
    """Write an intent before the members are asked. Raises when the journal fails: nothing was spent yet."""

    intent: Intent
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class KeepResult(Effect[None]):
    """Note the result of an intent before its receipt is signed; a failure is counted, the answer stands."""

    tenant: str
    key: str
    result: str
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class SettleIntent(Effect[None]):
    """Note the receipt of a result; a failure is counted and made good when the key is asked again."""

    tenant: str
    key: str
    receipt_id: str
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class DropIntent(Effect[None]):
    """Forget an intent that came to nothing; a failure is counted."""

    tenant: str
    key: str
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Notify(Effect[None]):
    """Tell the listeners. Facts are plain values, never a prompt, an answer or a secret."""

    name: str
    facts: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class HandOver(Effect[None]):
    """Let a pipeline run in the background, off the request's path."""

    job: Callable[[], Pipeline[None]]
    entry: CacheEntry | None = None
    """An entry that the job is going to write: exact look-ups find it at once."""
    blocking: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Renew(Effect[None]):
    """Let a pipeline renew an entry beside the requests; nothing happens while that entry is being renewed."""

    entry: CacheEntry
    job: Callable[[], Pipeline[None]]

"""What LEO needs of the world.

A port is a Protocol: anything with these methods will do. Each has a contract suite in ``tests/contracts``
that every implementation passes, the fakes included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Container, Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from leo_core.records import (
        Account,
        Balance,
        Booking,
        CacheEntry,
        Capabilities,
        Chunk,
        Draft,
        EmbedderFingerprint,
        Event,
        IndexHit,
        Intent,
        Json,
        KeptEntry,
        Message,
        Neighbour,
        Observation,
        QuestionChanges,
        Receipt,
        Request,
        Reservation,
        Usage,
        Vector,
    )

__all__ = [
    "AnswerComparator",
    "Clock",
    "Embedder",
    "Journal",
    "Leases",
    "Ledger",
    "Listener",
    "Model",
    "PrivateIndex",
    "QuestionFeed",
    "ReceiptLog",
    "Retriable",
    "Store",
    "Witness",
]


@runtime_checkable
class Model(Protocol):
    """A member: something that answers requests.

    Failures are raised as :class:`leo_core.errors.ProviderError` or one of its kinds. The async methods never
    block the event loop. Closing is idempotent.
    """

    @property
    def id(self) -> str:
        """Id of the member, unique within a LEO, such as ``"openai:gpt-5-mini"``."""
        ...

    @property
    def family(self) -> str:
        """Models of one family are presumed to err together, such as ``"gpt"``; may equal ``id``."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    @property
    def fingerprint(self) -> Mapping[str, Json]:
        """Everything of its configuration that can change an answer; part of the cache keys. No secret."""
        ...

    def estimate(self, request: Request) -> Usage:
        """Upper estimate of the usage of this request, before the call; unknown price gives ``cost_usd=None``."""
        ...

    def price(self, usage: Usage) -> float | None:
        """What these tokens would cost with this model, in US dollars; ``None`` when the price is unknown."""
        ...

    def generate(self, request: Request) -> Draft:
        """Answer the request. ``request.constraints.max_latency_s``, where set, is the time allowed."""
        ...

    async def agenerate(self, request: Request) -> Draft:
        """Answer the request, without blocking the loop."""
        ...

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Answer in pieces; the last chunk carries the complete ``draft``."""
        ...

    def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """Answer in pieces, without blocking the loop; an async generator."""
        ...

    def close(self) -> None:
        """Release connections that this object opened itself."""
        ...


@runtime_checkable
class Retriable(Protocol):
    """What a model may have besides: it says how often its calls may be retried, and leaves the retries to LEO."""

    @property
    def max_retries(self) -> int:
        """How often a call that failed for a passing reason may be made again, at least 0."""
        ...

    def once(self) -> Model:
        """The same model, making each call once."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into unit vectors."""

    @property
    def fingerprint(self) -> EmbedderFingerprint:
        """Identifies the embedder; stored with every vector."""
        ...

    @property
    def is_local(self) -> bool:
        """Whether ``embed`` is pure computation that takes well under a millisecond, so needs no thread."""
        ...

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit rows, float32, shape ``(len(texts), d)``. A text without any feature gives the first basis vector."""
        ...


@runtime_checkable
class Store(Protocol):
    """Keeps cache entries with their vectors, and observations.

    All methods are synchronous, thread-safe, and raise :class:`leo_core.errors.StorageError` or one of its kinds:
    ``EntryCorruptError`` where a single entry cannot be read. Everything is scoped by tenant; no method returns
    another tenant's rows.
    """

    def open_for(self, fingerprint: EmbedderFingerprint) -> None:
        """Declare the embedder. Raises ``StoreMismatchError`` when vectors of another one are inside."""
        ...

    def get_exact(self, tenant: str, exact_key: str, *, now: float) -> CacheEntry | None:
        """The live entry to which the question with this key leads, with the seal of that question."""
        ...

    def get(self, tenant: str, entry_id: str) -> CacheEntry | None:
        """The entry with this id, live or expired, with the seal of its own question."""
        ...

    def search(self, tenant: str, scope_key: str, vector: Vector, *, k: int, now: float) -> tuple[Neighbour, ...]:
        """The ``k`` nearest live entries in scope, best first, one row per entry, exact inner products."""
        ...

    def entries(self, tenant: str, *, entry_ids: Sequence[str] | None = None) -> Iterator[KeptEntry]:
        """Entries with vectors and aliases, live or expired, in the order of writing: all, or those with these ids.

        A page at a time: the caller may write meanwhile, and what is written or removed then may be seen or not.
        """
        ...

    def put(self, entry: CacheEntry, vector: Vector | None) -> None:
        """Write an entry; replaces one with the same tenant and exact key. Visible to other processes on return.

        Its seal is kept with its question, so that the seals of aliases stand beside it.
        """
        ...

    def put_many(self, rows: Sequence[tuple[CacheEntry, Vector | None]]) -> None:
        """Write several entries in turn as :meth:`put` does, all or none where the store has transactions.

        All are checked before the first is written.
        """
        ...

    def add_alias(
        self, tenant: str, entry_id: str, text: str, vector: Vector, exact_key: str, *, seal: str = ""
    ) -> None:
        """Attach a verified paraphrase to an entry: one more vector and exact key with the same answer."""
        ...

    def count_hit(self, tenant: str, entry_id: str) -> None:
        """Count one serving of the entry."""
        ...

    def remove(
        self,
        tenant: str,
        *,
        entry_ids: Sequence[str] = (),
        tags: Sequence[str] = (),
        sources: Sequence[str] = (),
        model: str | None = None,
    ) -> int:
        """Remove the entries that have one of the ids, tags or sources, or the model; returns how many."""
        ...

    def trim(self, tenant: str, *, max_entries: int | None, max_bytes: int | None, now: float) -> int:
        """Remove expired entries, then those that save least until the limits hold; returns how many.

        Which they are is the business of :func:`leo_core.storage.eviction.choose_evicted`.
        """
        ...

    def clear(self, tenant: str | None = None) -> int:
        """Remove all entries of a tenant, or of all tenants; receipts and observations stay."""
        ...

    def count_entries(self, tenant: str | None = None) -> int:
        """Entries kept, expired ones included."""
        ...

    def observe(self, observations: Sequence[Observation]) -> None:
        """Append observations, durably and atomically."""
        ...

    def observations(self, after: int = 0, *, tenant: str | None = None) -> Iterator[tuple[int, Observation]]:
        """Observations with a number above ``after``, in order of their numbers."""
        ...

    def save_state(self, tenant: str, name: str, blob: bytes) -> None:
        """Keep a stage's state under a name; the last write wins."""
        ...

    def load_state(self, tenant: str, name: str) -> bytes | None:
        """The state kept under a name."""
        ...

    def tenants(self) -> tuple[str, ...]:
        """Tenants with any row, sorted."""
        ...

    def close(self) -> None:
        """Close; idempotent. Everything acknowledged is durable."""
        ...


@runtime_checkable
class Leases(Protocol):
    """What a store may have besides: leases by which processes keep out of each other's way for a while.

    Thread-safe and safe between processes; failures are raised as :class:`leo_core.errors.StorageError`.
    """

    def acquire_lease(self, name: str, owner: str, *, now: float, life_s: float) -> bool:
        """Take the lease if nobody else holds it, and hold it until ``now + life_s``; tells whether it was taken."""
        ...

    def release_lease(self, name: str, owner: str) -> None:
        """Give a lease back before it expires; nothing happens where another owner holds it."""
        ...


@runtime_checkable
class QuestionFeed(Protocol):
    """What a store may have besides: it tells which questions came and went, for a client that searches itself."""

    def changes(self, tenant: str, scope_key: str, after: str, *, known: Container[str] = ()) -> QuestionChanges:
        """What came and went in a scope since the reading that ended with this cursor; from the start for ``""``.

        One page at a time; rows that are known need not be told. What went may be left to whoever misses it.
        """
        ...


@runtime_checkable
class PrivateIndex(Protocol):
    """Finds the nearest questions without the store's learning a vector. Thread-safe; raises ``StorageError``.

    Scopes and questions are named by pseudonyms. Questions that went may still be found; whoever misses them says so.
    """

    @property
    def max_error(self) -> float:
        """How far a cosine that it tells may be off."""
        ...

    def search(self, tenant: str, scope: str, vector: Vector, *, k: int, now: float) -> tuple[IndexHit, ...]:
        """The ``k`` nearest questions, best first, one per entry: the part of the id before the colon."""
        ...

    def add(self, tenant: str, scope: str, question: str, vector: Vector, *, expires_at: float | None) -> None:
        """A question was written to the store, in the place of an earlier one with this id."""
        ...

    def remove(self, tenant: str, scope: str, questions: Sequence[str]) -> None:
        """Questions are not in the store any more."""
        ...

    def clear(self, tenant: str | None = None) -> None:
        """All questions of a tenant, or of all tenants, are gone."""
        ...

    def close(self) -> None:
        """Release what it holds; idempotent."""
        ...


@runtime_checkable
class Journal(Protocol):
    """Intents before the members are asked and results after: what makes a retried request be answered once.

    Thread-safe and, where the store is shared, process-safe; what a method wrote is on disk when it returns. Failures
    are raised as :class:`leo_core.errors.StorageError`.
    """

    def find(self, tenant: str, key: str) -> Intent | None:
        """The intent with this idempotency key."""
        ...

    def begin(self, intent: Intent) -> None:
        """Write an intent, in the place of an earlier one with the same key."""
        ...

    def keep(self, tenant: str, key: str, result: str) -> None:
        """Note the result of an intent; nothing happens where there is no such intent."""
        ...

    def settle(self, tenant: str, key: str, receipt_id: str) -> None:
        """Note the receipt of a result; empty where there is to be none."""
        ...

    def drop(self, tenant: str, key: str) -> None:
        """Forget an intent that came to nothing; one that has a result stays."""
        ...

    def unsettled(self) -> tuple[Intent, ...]:
        """Intents with a result and without a receipt, oldest first: cut off before the receipt was in the log."""
        ...

    def trim(self, before: float) -> int:
        """Forget what was begun before that instant; returns how many."""
        ...


@runtime_checkable
class Ledger(Protocol):
    """What is spent and reserved of budgets, in whole nano-dollars.

    Thread-safe and, where the store is shared, process-safe: of all reservations that were granted, spent and reserved
    together never exceed the limit of an account. Failures are raised as :class:`leo_core.errors.StorageError`.
    """

    def reserve(self, reservation: Reservation, *, now: float, forced: bool = False) -> Booking:
        """Set its amount aside in all its accounts, or in none when one has no room; on disk on return.

        The same id again takes the place of the earlier one. ``forced`` reserves whatever the limits say, for calls
        that were made while the ledger could not be asked.
        """
        ...

    def settle(self, reservation: Reservation, cost: int) -> None:
        """Count what it really cost, in the place of what was reserved; nothing happens where that was done already.

        An expired reservation may still be settled.
        """
        ...

    def release(self, reservation: Reservation) -> None:
        """Give all of it back; nothing happens where it was settled already."""
        ...

    def spent(self, accounts: Sequence[Account], *, now: float) -> tuple[Balance, ...]:
        """What is spent and reserved of each, in their order."""
        ...

    def balances(self, *, now: float) -> tuple[Balance, ...]:
        """All accounts whose period is not over, with the limit they were last used with, sorted by their keys."""
        ...


@runtime_checkable
class ReceiptLog(Protocol):
    """An append-only Merkle log of signed statements (RFC 6962), one linear log per store.

    Thread-safe and, where the store is shared, process-safe.
    """

    def append(self, statement: Mapping[str, Json], openings: Mapping[str, str]) -> Receipt:
        """Complete the statement with the log size before it, sign it, append it durably, return its receipt.

        The receipt is on disk when this returns. The same statement content appended twice (same
        ``answer_id``) returns the first receipt.
        """
        ...

    def get(self, receipt_id: str) -> Receipt | None:
        """The receipt with this id, with a proof against the current checkpoint."""
        ...

    def receipts(self, start: int = 0, stop: int | None = None) -> Iterator[Receipt]:
        """Receipts by position."""
        ...

    def size(self) -> int:
        """Number of receipts."""
        ...

    def checkpoint(self) -> str:
        """Signed tree head in the form of a C2SP tlog-checkpoint."""
        ...

    def consistency_proof(self, old_size: int, new_size: int) -> tuple[str, ...]:
        """Hex hashes that prove that the log of ``old_size`` is a prefix of that of ``new_size``."""
        ...

    def audit_seed(self, day: str) -> bytes:
        """The secret seed that decides which answers of a day (``2026-01-31``, UTC) are audited, 32 bytes."""
        ...

    def audit(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Replay the whole log; returns its size or raises ``ReceiptError`` with the first failed check."""
        ...

    def close(self) -> None:
        """Close; idempotent."""
        ...


@runtime_checkable
class Witness(Protocol):
    """Somebody else who signs a log's checkpoints, each only if it extends the last one that it signed."""

    def add_checkpoint(self, note: str, prove: Callable[[int], Sequence[str]]) -> str:
        """Sign a checkpoint.

        Args:
            note: The checkpoint, signed by its log.
            prove: Gives the consistency proof (hex) to it from an earlier size.

        Returns:
            The witness's signature line, in the form of a C2SP tlog-cosignature.

        Raises:
            ReceiptError: The log is not an extension of what the witness saw (``check="consistency"``), it is not one
                that it knows, or its answer is no signature (``check="witness"``).
            StorageError: It cannot be reached, or cannot keep what it saw.
        """
        ...


@runtime_checkable
class AnswerComparator(Protocol):
    """Says whether one answer may stand for another, when the cache has explored a candidate.

    Called in the background, so it may take its time or ask a model; from one thread at a time. An error counts as
    "cannot tell", is counted and logged.
    """

    def same(self, question: str, first: Message, second: Message) -> bool | None:
        """Whether two answers to a question say the same; ``None`` when it cannot tell, which counts as no."""
        ...


@runtime_checkable
class Listener(Protocol):
    """Hears events. Must return quickly; an error in a listener is logged and never reaches the caller."""

    def notify(self, event: Event) -> None:
        """Take note of an event."""
        ...


@runtime_checkable
class Clock(Protocol):
    """Tells the time."""

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

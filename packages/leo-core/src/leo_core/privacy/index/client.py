"""An encrypted index as a client uses it: implements :class:`leo_core.ports.PrivateIndex`.

The server sees pseudonyms, sealed rows and ciphertexts. Scores are decrypted here and never leave; what is found is
opened here, its inner product is computed again in the clear, and only what fits is told.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from leo_core.errors import LEOError, ScoreMismatchError, UnknownIndexError, WriteConflictError
from leo_core.privacy.ckks.params import FheParams
from leo_core.privacy.index.blocks import compact, flush_tail, rewrite_blocks
from leo_core.privacy.index.config import PrivateIndexConfig
from leo_core.privacy.index.envelope import Kind
from leo_core.privacy.index.flow import Ask
from leo_core.privacy.index.rows import RowSealer
from leo_core.privacy.index.search import search_index
from leo_core.privacy.index.session import IndexSession
from leo_core.privacy.index.stats import read_stats
from leo_core.privacy.index.transport import arun_flow, run_flow
from leo_core.records import IndexHit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from leo_core.privacy.index.access import IndexToken
    from leo_core.privacy.index.config import IndexMode
    from leo_core.privacy.index.flow import Flow
    from leo_core.privacy.index.search import SearchOutcome
    from leo_core.privacy.index.session import IndexSecrets
    from leo_core.privacy.index.transport import IndexTransport
    from leo_core.privacy.keys.keyring import ClientKeyring
    from leo_core.records import Vector

__all__ = ["EncryptedIndex", "TenantRings"]

T = TypeVar("T")

_log = logging.getLogger("leo_core")
_MOST_SESSIONS = 256
_MAX_ERROR = 1e-9
_MOST_KIN = 31
_MOST_TRIES = 64


class TenantRings(Protocol):
    """The keyrings of the tenants."""

    def of(self, tenant: str) -> ClientKeyring:
        """A tenant's."""
        ...


class EncryptedIndex:
    """A :class:`leo_core.ports.PrivateIndex` on an index server; threads may share it.

    Args:
        transport: Leads to the server.
        token: Token of the account there; one account for each store.
        rings: The tenants' keyrings.
        config: Settings.
        on_alarm: Told the tenant and the number of mismatches, each time that there were as many as ``alarm_after``.
        open_secrets: Opens a tenant's homomorphic secrets; by default those in the keyring.

    Attributes:
        config: As given.
        mismatches: Rows so far whose score was not their inner product.
    """

    def __init__(
        self,
        transport: IndexTransport,
        token: IndexToken,
        rings: TenantRings,
        *,
        config: PrivateIndexConfig | None = None,
        on_alarm: Callable[[str, int], None] = lambda *_: None,
        open_secrets: Callable[[ClientKeyring, FheParams, int], IndexSecrets] | None = None,
    ) -> None:
        self.config = config or PrivateIndexConfig()
        self.mismatches = 0
        self._transport, self._token, self._rings, self._on_alarm = transport, token, rings, on_alarm
        self._mac_key = token.mac_key()
        self._params = FheParams.preset(self.config.params)
        self._lock = threading.Lock()
        self._open_secrets = open_secrets or _open_secrets
        self._secrets: dict[str, IndexSecrets] = {}
        self._sessions: OrderedDict[tuple[str, str], IndexSession] = OrderedDict()
        self._expired: dict[tuple[str, str], set[bytes]] = {}
        self._suspect: dict[str, int] = {}
        self._rotating: dict[str, threading.Thread] = {}
        self._closing = threading.Event()

    def __repr__(self) -> str:
        return f"EncryptedIndex({self.config.mode!r}, account={self._token.account!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---------------------------------------------------------------------------------------- the port

    @property
    def mode(self) -> IndexMode:
        """What the server is kept from knowing."""
        return self.config.mode

    @property
    def max_error(self) -> float:
        """How far a cosine that it tells may be off: by rounding."""
        return _MAX_ERROR

    def search(self, tenant: str, scope: str, vector: Vector, *, k: int, now: float) -> tuple[IndexHit, ...]:
        """The ``k`` nearest questions, best first, one per entry: the part of the id before the colon.

        Raises:
            ScoreMismatchError: The server's scores cannot be decrypted; counted as a mismatch.
            KeyExhaustedError: The key version has decrypted as often as it may.
            StorageError: The server refused, or cannot be reached.
        """
        session = self._session(tenant, scope)
        outcome = self._run(search_index(session, vector, k))
        return self._conclude(tenant, session, outcome, k=k, now=now)

    async def asearch(self, tenant: str, scope: str, vector: Vector, *, k: int, now: float) -> tuple[IndexHit, ...]:
        """:meth:`search`, without blocking the event loop."""
        session = await asyncio.to_thread(self._session, tenant, scope)
        outcome = await arun_flow(search_index(session, vector, k), self._transport, self._mac_key)
        return await asyncio.to_thread(self._conclude, tenant, session, outcome, k=k, now=now)

    def add(self, tenant: str, scope: str, question: str, vector: Vector, *, expires_at: float | None) -> None:
        """A question was written, in the place of an earlier one with this id; other clients find it on return.

        When the tail is full, its rows go into a block before this returns.

        Raises:
            IndexQuotaError: The server has no room for it.
            StorageError: The server refused, or cannot be reached.
        """
        session = self._session(tenant, scope)
        with session.writing:
            self._run(self._add(session, question, vector, expires_at))
            if session.view.tail_size >= self.config.tail_rows:
                self._run(flush_tail(session))

    async def aadd(self, tenant: str, scope: str, question: str, vector: Vector, *, expires_at: float | None) -> None:
        """:meth:`add`, without blocking the event loop."""
        await asyncio.to_thread(self.add, tenant, scope, question, vector, expires_at=expires_at)

    def remove(self, tenant: str, scope: str, questions: Sequence[str]) -> None:
        """Questions are not to be found any more."""
        session = self._session(tenant, scope)
        with session.writing:
            self._run(session.catch_up())
            self._run(session.remove([row for question in questions for row in session.find_rows(question)]))

    async def aremove(self, tenant: str, scope: str, questions: Sequence[str]) -> None:
        """:meth:`remove`, without blocking the event loop."""
        await asyncio.to_thread(self.remove, tenant, scope, questions)

    def clear(self, tenant: str | None = None) -> None:
        """Drop all indexes of a tenant, or of the account."""
        whole = self._token.account if tenant is None else self._name_tenant(tenant)
        for name, indexes in self._run(_ask_stats(whole)).items():
            for index in indexes:
                self._run(_drop(name, index))
        with self._lock:
            gone = [key for key in self._sessions if tenant is None or key[0] == whole]
            for key in gone:
                del self._sessions[key]

    def close(self) -> None:
        """Let rotations end and release the transport; idempotent."""
        self._closing.set()
        with self._lock:
            running = list(self._rotating.values())
        for thread in running:
            thread.join()
        self._transport.close()

    # --------------------------------------------------------------------------------------- upkeep

    def stats(self, tenant: str) -> dict[str, dict[str, int]]:
        """By index of a tenant: ``sequence``, ``rows``, ``tail``, ``dead``, ``blocks`` and ``bytes`` on the server."""
        name = self._name_tenant(tenant)
        return self._run(_ask_stats(name)).get(name, {})

    def flush(self, tenant: str, scope: str) -> None:
        """Put the tail into a block now."""
        session = self._session(tenant, scope)
        with session.writing:
            self._run(session.catch_up())
            self._run(flush_tail(session))

    def compact(self, tenant: str, scope: str) -> int:
        """Write blocks with removed rows anew and join small ones; returns how many blocks are left."""
        session = self._session(tenant, scope)
        with session.writing:
            return self._run(compact(session))

    def rotate(self, tenant: str, *, reason: str = "asked", wait: bool = False) -> None:
        """Rotate a tenant's keys, and encrypt everything anew in the background.

        Queries go on meanwhile, under old keys and new ones. The old evaluation keys are retired ``grace_s`` after
        the last block was written anew.

        Args:
            tenant: Whose.
            reason: Why, in a few words.
            wait: Whether to wait until everything is encrypted anew; not for the grace.
        """
        self._rings.of(tenant).rotate(reason=reason)
        if wait:
            self.rewrite(tenant)
        self._start_rotation(tenant)

    def rewrite(self, tenant: str) -> int:
        """Encrypt and seal under the present keys whatever lies under others; returns how many blocks were written.

        Raises:
            WriteConflictError: A block is left: others change it all the time, or there is a row in it that does not
                open. No older key may be destroyed yet.
            StorageError: The server refused, or cannot be reached.
        """
        name, written = self._name_tenant(tenant), 0
        for index in self.stats(tenant):
            session = self._session_of(tenant, name, index)
            with session.writing:
                written += self._run(rewrite_blocks(session))
        return written

    # ------------------------------------------------------------------------------------------ inside

    def _run(self, flow: Flow[T]) -> T:
        return run_flow(flow, self._transport, self._mac_key)

    def _name_tenant(self, tenant: str) -> str:
        return f"{self._token.account}/{self._rings.of(tenant).pseudonym('index tenant', tenant)}"

    def _session(self, tenant: str, scope: str) -> IndexSession:
        return self._session_of(tenant, self._name_tenant(tenant), self._rings.of(tenant).pseudonym("index", scope))

    def _session_of(self, tenant: str, name: str, index: str) -> IndexSession:
        ring = self._rings.of(tenant)
        with self._lock:
            known = self._sessions.get((name, index))
            if known is None:
                secrets = self._secrets.get(name)
                if secrets is None:
                    secrets = self._secrets[name] = self._open_secrets(ring, self._params, self.config.expected)
                known = self._sessions[name, index] = IndexSession(
                    name,
                    index,
                    sealer=RowSealer(ring, name, index),
                    secrets=secrets,
                    params=self._params,
                    config=self.config,
                )
                while len(self._sessions) > _MOST_SESSIONS:
                    self._sessions.popitem(last=False)
            self._sessions.move_to_end((name, index))
            return known

    def _add(self, session: IndexSession, question: str, vector: Vector, expires_at: float | None) -> Flow[None]:
        with self._lock:
            expired = self._expired.pop((session.tenant, session.index), set())
        row = session.sealer.make(question, vector, expires_at=expires_at)
        yield from session.append([row])
        # Only now is everything known that others wrote before: a write goes through on the newest state alone.
        yield from session.remove({*session.find_rows(question), *expired} - {row.id})

    def _conclude(
        self, tenant: str, session: IndexSession, outcome: SearchOutcome, *, k: int, now: float
    ) -> tuple[IndexHit, ...]:
        if outcome.mismatches:
            self._note_mismatches(tenant, outcome.mismatches)
        if outcome.undecryptable:
            message = "the server's scores cannot be decrypted: altered, or of another key"
            raise ScoreMismatchError(message, check="scores")
        if outcome.rotated or any(not key.primary for key in session.view.keys):
            self._start_rotation(tenant)
        living = []
        for each in outcome.found:
            if each.row.is_expired(now):
                with self._lock:
                    self._expired.setdefault((session.tenant, session.index), set()).add(each.row.id)
            else:
                living.append((each.row.question, each.cosine))
        return _join_entries(living, k)

    def _note_mismatches(self, tenant: str, count: int) -> None:
        with self._lock:
            self.mismatches += count
            found = self._suspect.get(tenant, 0) + count
            due = found >= self.config.alarm_after
            self._suspect[tenant] = 0 if due else found
        if not due:
            return
        _log.error("%d scores of an encrypted index were not what its rows say: alarm", found)
        try:
            if self.config.rotate_on_alarm:
                self.rotate(tenant, reason="scores that do not fit")
        except LEOError as error:
            _log.error("keys were not rotated after an alarm (%s); the next mismatch tries again", type(error).__name__)
            with self._lock:
                self._suspect[tenant] += found
        finally:
            self._on_alarm(tenant, found)

    # ---------------------------------------------------------------------------------------- rotation

    def _start_rotation(self, tenant: str) -> None:
        """Encrypt anew and retire old keys in a thread, unless one is at it."""
        with self._lock:
            running = self._rotating.get(tenant)
            if self._closing.is_set() or (running is not None and running.is_alive()):
                return
            thread = threading.Thread(target=self._finish_rotation, args=(tenant,), name="leo-index-rotation")
            thread.daemon = True
            self._rotating[tenant] = thread
            thread.start()

    def _finish_rotation(self, tenant: str) -> None:
        try:
            self.rewrite(tenant)
            self._closing.wait(self.config.grace_s)
            if self._closing.is_set():
                return
            self.rewrite(tenant)
            self._retire(tenant)
        except LEOError as error:
            _log.warning("a rotation of an encrypted index is not finished (%s); it goes on with a later search", error)

    def _retire(self, tenant: str) -> None:
        """Retire the keys of this client's parameters that are not primary and under which nothing lies."""
        name, index = self._name_tenant(tenant), next(iter(self.stats(tenant)), None)
        if index is None:
            return
        session = self._session_of(
            tenant, name, index
        )  # keys are a tenant's, so that any of its indexes knows them all
        for key in self._run(session.catch_up()).keys:
            if not key.primary and key.params_id == session.params_id:
                self._run(_retire(name, key.id))


def _join_entries(questions: Sequence[tuple[str, float]], k: int) -> tuple[IndexHit, ...]:
    """The ``k`` nearest entries; of each its nearest question, and the further ones as near as the last entry."""
    found: dict[str, tuple[str, list[float]]] = {}
    for question, cosine in questions:
        entry = question.partition(":")[0]
        known = found.get(entry)
        if known is None:
            found[entry] = question, [cosine]
            if len(found) == k:
                break
        elif len(known[1]) <= _MOST_KIN:
            known[1].append(cosine)
    return tuple(IndexHit(question=name, cosine=own[0], kin=tuple(own[1:])) for name, own in found.values())


def _open_secrets(ring: ClientKeyring, params: FheParams, expected: int) -> IndexSecrets:
    from leo_core.privacy.index.client_secrets import TenantSecrets  # noqa: PLC0415 - optional part, loaded when it is used

    return TenantSecrets(ring, params, expected)


def _ask_stats(tenant: str) -> Flow[dict[str, dict[str, dict[str, int]]]]:
    reply = yield Ask(kind=Kind.STATS, tenant=tenant)
    return read_stats(reply.payload)


def _retire(tenant: str, key_id: str) -> Flow[None]:
    try:
        yield Ask(kind=Kind.RETIRE_KEYS, tenant=tenant, key_id=key_id)
    except WriteConflictError:
        _log.debug("evaluation keys are in use still; they are retired later")


def _drop(tenant: str, index: str) -> Flow[None]:
    sequence = 0
    for _ in range(_MOST_TRIES):
        try:
            yield Ask(kind=Kind.DROP_INDEX, tenant=tenant, index=index, sequence=sequence + 1)
        except WriteConflictError as error:
            sequence = error.sequence
        except UnknownIndexError:
            return
        else:
            return
    message = f"other clients wrote first, {_MOST_TRIES} times in a row; try again later"
    raise WriteConflictError(message, check="attempts", sequence=sequence)

"""The world as the pipeline meets it: what each effect means."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from leo_core.engine import effects as ask
from leo_core.engine.background import Background
from leo_core.engine.budgets import Budgets
from leo_core.engine.comparators import CanonicalComparator
from leo_core.engine.drivers import arun, run
from leo_core.engine.flights import Flights
from leo_core.engine.forks import EngineForks
from leo_core.engine.gates import Gates
from leo_core.engine.held_writes import HeldWrites
from leo_core.engine.idempotency import recover
from leo_core.engine.knowledge_base import KnowledgeBase
from leo_core.engine.member_calls import MemberCalls
from leo_core.engine.renewals import Renewals
from leo_core.engine.store_guard import StoreGuard
from leo_core.engine.threads import Threads, run_together
from leo_core.errors import ConfigError, ReceiptError, StorageError
from leo_core.records import Embedding, Event

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

    from leo_core.config import LEOConfig
    from leo_core.engine.calls import Relay
    from leo_core.engine.knowledge import Known
    from leo_core.ports import AnswerComparator, Clock, Embedder, Journal, Leases, Ledger, Listener, ReceiptLog
    from leo_core.records import Alias, Answer, CacheEntry, Intent, Json, Neighbour, Receipt, Request
    from leo_core.storage.private_store import PrivateStore
    from leo_core.storage.sealed_store import SealedStore

__all__ = ["SystemClock", "World"]

_log = logging.getLogger("leo_core")
REFRESH_EVERY_S = 2.0
TRIM_EVERY = 64
"""A tenant's limits are looked after at its first write, then at every 1/64 of a large limit or at every write."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.perf_counter()


class World:
    """Performs effects with the parts that a LEO was assembled from.

    Args:
        store: Keeps entries and observations.
        log: Keeps receipts; ``None`` when receipts are switched off.
        journal: Keeps the answers of requests with an idempotency key.
        ledger: Keeps what is spent of budgets.
        embedder: Makes vectors.
        config: Settings.
        clock: Tells the time.
        chance: Source of the uniform draws.
        listeners: Hear events.
        leases: By which processes wait for each other's equal requests; ``None`` where the store has none.
        checker: The user's judge of answers, for audits.
        comparator: Compares the answers of an exploration; by their canonical values by default.
        tidy: Looks after the store's file; called in the background, after each answer.

    Attributes:
        counts: Events so far, by name.
    """

    def __init__(
        self,
        *,
        store: SealedStore | PrivateStore,
        log: ReceiptLog | None,
        journal: Journal,
        ledger: Ledger,
        embedder: Embedder,
        config: LEOConfig,
        clock: Clock,
        chance: random.Random,
        listeners: Sequence[Listener] = (),
        leases: Leases | None = None,
        checker: Callable[[Request, Answer], bool | None] | None = None,
        comparator: AnswerComparator | None = None,
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        self.store, self.log, self.journal, self.embedder, self.config = store, log, journal, embedder, config
        self._clock, self._chance, self._listeners, self._checker = clock, chance, tuple(listeners), checker
        self._comparator, self._tidy = comparator or CanonicalComparator(), tidy
        self.guard = StoreGuard(self._store_failed, lambda: self.notify("store.recovered", {}), self._catch_up)
        self.budgets = Budgets(ledger, clock=clock, notify=self.notify)
        self.writes = HeldWrites(self.guard, self._write_dropped)
        store.on_refused = self._entry_refused
        self.knowledge = KnowledgeBase(store, self.guard, config, embedder.fingerprint.dimension)
        self.background = Background(lambda job: job(), capacity=config.background_capacity)
        self.renewals = Renewals(self.notify)
        self.threads = Threads()
        self.flights = Flights(
            wait_s=config.cache.single_flight_wait_s,
            guard=self.guard,
            submit=self._try_submit,
            leases=leases,
            threads=self.threads,
        )
        self.counts: Counter[str] = Counter()
        self.members = MemberCalls(Gates(config.resilience, clock, self.notify), self.notify)
        self._seed: tuple[str, bytes] = ("", b"")
        self._pending: dict[tuple[str, str], CacheEntry] = {}
        self._revoked: set[str] = set()
        self._pending_lock = threading.Lock()
        self._written: Counter[str] = Counter()
        self._refreshed = clock.monotonic()
        self._handlers: dict[type[ask.Effect[Any]], Callable[[Any], Any]] = {
            ask.Now: self._now,
            ask.Join: lambda effect: self.flights.join(effect.key, wait_s=effect.wait_s),
            ask.Draw: self._draw,
            ask.AuditSeed: self._audit_seed,
            ask.Entropy: lambda effect: secrets.token_bytes(effect.count),
            ask.Recall: self._recall,
            ask.Decide: self._decide,
            ask.Learn: self._learn,
            ask.LearnNovelty: self._learn_novelty,
            ask.Remember: lambda effect: self.knowledge.remember(effect.tenant, effect.session, effect.vector),
            ask.EmbedTexts: self._embed,
            ask.FindExact: self._find_exact,
            ask.FindNear: self._find_near,
            ask.WriteEntry: self._write_entry,
            ask.AddAlias: self._add_alias,
            ask.FindAliases: self._find_aliases,
            ask.CountHit: self._count_hit,
            ask.RemoveEntry: self._remove_entry,
            ask.CallMember: self.members.call,
            ask.Hedge: self.members.hedge,
            ask.Together: lambda effect: run_together([partial(self._run_job, job) for job in effect.jobs]),
            ask.Pause: lambda effect: time.sleep(effect.seconds),
            ask.FindBalances: lambda effect: self.budgets.find(effect.accounts),
            ask.Reserve: lambda effect: self.budgets.reserve(effect.accounts, effect.amount, effect.life_s),
            ask.SettleReservation: lambda effect: self.budgets.settle(effect.reservation, effect.cost),
            ask.Show: lambda _: None,
            ask.ShowRevealed: lambda _: None,
            ask.CheckAnswer: self._check,
            ask.Compare: self._compare,
            ask.Certify: self._certify,
            ask.FindReceipt: self._find_receipt,
            ask.FindIntent: lambda effect: self.journal.find(effect.tenant, effect.key),
            ask.BeginIntent: self._begin_intent,
            ask.KeepResult: lambda effect: self._note(
                lambda: self.journal.keep(effect.tenant, effect.key, effect.result)
            ),
            ask.SettleIntent: lambda effect: self._note(
                lambda: self.journal.settle(effect.tenant, effect.key, effect.receipt_id)
            ),
            ask.DropIntent: lambda effect: self._note(lambda: self.journal.drop(effect.tenant, effect.key)),
            ask.Notify: lambda effect: self.notify(effect.name, effect.facts),
            ask.HandOver: self._hand_over,
            ask.Renew: lambda effect: self.renewals.submit(effect.entry, lambda: run(effect.job(), self)),
        }
        parts = (self.renewals, self.threads, self.flights, self.knowledge, self.budgets)
        self._forks = EngineForks(self.background, *parts, forget=(self._pending, self._revoked))

    def recover(self) -> None:
        """Write the receipts that a crash cut off; where the store is out, the next start does it."""
        unsettled: tuple[Intent, ...] = self.guard.attempt("unsettled", self.journal.unsettled, ())
        self.guard.attempt("recover", lambda: run(recover(unsettled), self), None)

    def perform(self, effect: ask.Effect[Any]) -> Any:
        """The reply to an effect."""
        return self._handlers[type(effect)](effect)

    async def aperform(self, effect: ask.Effect[Any]) -> Any:
        """The reply to an effect, without blocking the event loop."""
        match effect:
            case ask.CallMember():
                reply: Any = await self.members.acall(effect)
            case ask.Hedge():
                reply = await self.members.ahedge(effect)
            case ask.Together():
                reply = tuple(await asyncio.gather(*(arun(job(), self) for job in effect.jobs)))
            case ask.Pause():
                reply = await asyncio.sleep(effect.seconds, result=None)
            case ask.Join():
                reply = await self.flights.ajoin(effect.key, wait_s=effect.wait_s)
            case ask.Reserve():
                reply = await self.budgets.areserve(effect.accounts, effect.amount, effect.life_s, self.threads)
            case ask.HandOver() if self._try_hand_over(effect):
                reply = None
            case _ if self._may_block(effect):
                reply = await self.threads.run(self.perform, effect)
            case _:
                reply = self.perform(effect)
        return reply

    def _run_job(self, job: Callable[[], ask.Pipeline[Any]]) -> Any:
        return run(job(), self)

    def open_relay(self, effect: ask.CallMember) -> Relay:
        """A live call whose chunks go to the caller."""
        return self.members.relay(effect)

    def notify(self, name: str, facts: Mapping[str, Json]) -> None:
        """Count an event and tell the listeners; an error in one of them is logged and goes no further."""
        self.counts[name] += 1
        if not self._listeners:
            return
        event = Event(name=name, facts=facts, at=self._clock.now())
        for listener in self._listeners:
            try:
                listener.notify(event)
            except Exception:  # noqa: BLE001 - a listener may raise anything; it goes no further
                _log.exception("the listener %s failed", type(listener).__name__)

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until everything handed over is done and written; tells whether it was in time."""
        renewed = self.renewals.flush(timeout_s)
        if not self.background.closed:
            self._submit(self._write_knowledge)
            self._submit(self._save_novelty)
        return self.background.flush(timeout_s) and renewed

    def close(self) -> None:
        """Finish the background, write what was learned, close log and store; idempotent.

        A store that fails now is counted and logged; what was acknowledged is safe.
        """
        self.renewals.close()
        self.threads.close()
        if self.background.close():
            self.guard.wake()
            self.writes.drain()
            self._write_knowledge()
            self._save_novelty()
        self.budgets.close()
        if self.log is not None:
            self.guard.attempt("close", self.log.close, None)
        self.guard.wake()
        self.guard.attempt("close", self.store.close, None)

    def _may_block(self, effect: ask.Effect[Any]) -> bool:
        match effect:
            case ask.EmbedTexts():
                return not self.embedder.is_local
            case ask.Recall():
                return not self.knowledge.is_loaded(effect.tenant)
            case _:
                return effect.blocking

    # ------------------------------------------------------------------------------------- time and chance

    def _now(self, _: ask.Now) -> ask.Instant:
        return ask.Instant(self._clock.now(), self._clock.monotonic())

    def _draw(self, effect: ask.Draw) -> tuple[float, ...]:
        return tuple(self._chance.random() for _ in range(effect.count))

    def _audit_seed(self, effect: ask.AuditSeed) -> bytes:
        if self.log is None:
            message = "there is no log, so no audit can be drawn from it"
            raise ConfigError(message)
        day, seed = self._seed
        if day != effect.day:
            seed = self.log.audit_seed(effect.day)
            self._seed = (effect.day, seed)
        return seed

    # ------------------------------------------------------------------------------------------ knowledge

    def _recall(self, effect: ask.Recall) -> Known:
        if self._clock.monotonic() - self._refreshed > REFRESH_EVERY_S:
            self._refreshed = self._clock.monotonic()
            self._try_submit(self.knowledge.refresh)
        return self.knowledge.recall(effect.tenant, effect.session)

    def _decide(self, effect: ask.Decide[Any]) -> Any:
        return self.knowledge.decide(effect.tenant, effect.choose)

    def _learn(self, effect: ask.Learn) -> None:
        self.knowledge.learn(effect.observations)

    def _learn_novelty(self, effect: ask.LearnNovelty) -> None:
        if self.knowledge.learn_novelty(effect.tenant, effect.vector, effect.draw, place=effect.place):
            self._try_submit(self._save_novelty)

    def _write_knowledge(self) -> None:
        self.guard.attempt("observe", self.knowledge.write, None)
        if lost := self.knowledge.take_dropped():
            self.notify("store.dropped", {"operation": "observe", "count": lost})

    def _save_novelty(self) -> None:
        self.guard.attempt("save_state", self.knowledge.save_novelty, None)

    # ---------------------------------------------------------------------------------- vectors and entries

    def _embed(self, effect: ask.EmbedTexts) -> tuple[Embedding, ...] | None:
        try:
            rows = self.embedder.embed(effect.texts)
        except Exception as error:  # noqa: BLE001 - any embedder may be plugged in; matching falls back to exact
            _log.debug("the embedder failed", exc_info=error)
            self.notify("embedder.failed", {"error": type(error).__name__})
            return None
        return tuple(Embedding(vector=row, fingerprint=self.embedder.fingerprint) for row in rows)

    def _find_exact(self, effect: ask.FindExact) -> CacheEntry | None:
        now, pending = self._clock.now(), self._pending.get((effect.tenant, effect.exact_key))
        if pending is not None and (pending.expires_at is None or pending.expires_at >= now):
            return pending
        found = self.guard.attempt(
            "get_exact", lambda: self.store.get_exact(effect.tenant, effect.exact_key, now=now), None
        )
        return None if found is None or self.writes.awaits_removal(found.id) else found

    def _find_near(self, effect: ask.FindNear) -> tuple[Neighbour, ...]:
        now = self._clock.now()
        found: tuple[Neighbour, ...] = self.guard.attempt(
            "search",
            lambda: self.store.search(effect.tenant, effect.scope_key, effect.vector, k=effect.k, now=now),
            (),
        )
        return tuple(each for each in found if not self.writes.awaits_removal(each.entry.id))

    def _write_entry(self, effect: ask.WriteEntry) -> None:
        if effect.entry.id in self._revoked:
            return
        self.writes.write("put", lambda: self.store.put(effect.entry, effect.vector))
        tenant, every = effect.entry.tenant, max(1, (self.config.cache.max_entries or TRIM_EVERY) // TRIM_EVERY)
        if self._written[tenant] % every == 0:
            self.guard.attempt("trim", lambda: self._trim(tenant), 0)
        self._written[tenant] += 1

    def _trim(self, tenant: str) -> int:
        settings = self.config.cache
        return self.store.trim(
            tenant, max_entries=settings.max_entries, max_bytes=settings.max_bytes, now=self._clock.now()
        )

    def _add_alias(self, effect: ask.AddAlias) -> None:
        self.writes.write(
            "add_alias",
            lambda: self.store.add_alias(effect.tenant, effect.entry_id, effect.text, effect.vector, effect.exact_key),
        )

    def _find_aliases(self, effect: ask.FindAliases) -> tuple[Alias, ...]:
        nothing: tuple[Alias, ...] = ()
        return self.guard.attempt(
            "entries",
            lambda: tuple(
                alias
                for kept in self.store.entries(effect.tenant, entry_ids=[effect.entry_id])
                for alias in kept.aliases
            ),
            nothing,
        )

    def _count_hit(self, effect: ask.CountHit) -> None:
        self.guard.attempt("count_hit", lambda: self.store.count_hit(effect.tenant, effect.entry_id), None)

    def _remove_entry(self, effect: ask.RemoveEntry) -> None:
        with self._pending_lock:
            keys = [key for key, entry in self._pending.items() if entry.id == effect.entry_id]
            for key in keys:
                del self._pending[key]
        self._remove(effect)
        if keys:  # it is on its way to the store: stop it, and remove it once more if it was just being written
            self._revoked.add(effect.entry_id)
            self._submit(lambda: self._finish_removal(effect))

    def _finish_removal(self, effect: ask.RemoveEntry) -> None:
        self._remove(effect)
        self._revoked.discard(effect.entry_id)

    def _remove(self, effect: ask.RemoveEntry) -> None:
        self.writes.write(
            "remove",
            lambda: self.store.remove(effect.tenant, entry_ids=[effect.entry_id]),
            removes=effect.entry_id,
        )

    def _entry_refused(self, tenant: str, entry_id: str, why: str) -> None:
        self.notify("cache.poisoned", {"tenant": tenant, "entry_id": entry_id, "why": why})

    def _store_failed(self, operation: str, error: Exception) -> None:
        self.notify("store.failed", {"operation": operation, "error": type(error).__name__})

    def _catch_up(self) -> None:
        """Do in the background what waits for the store, which just did well again."""
        self._try_submit(self.writes.drain)
        self._try_submit(self._write_knowledge)

    def _write_dropped(self, operation: str) -> None:
        self.notify("store.dropped", {"operation": operation})

    # --------------------------------------------------------------------------------- receipts and the rest

    def _certify(self, effect: ask.Certify) -> Receipt | None:
        if self.log is None:
            return None
        try:
            receipt = self.log.append(effect.statement, effect.openings)
        except (StorageError, ReceiptError, OSError) as error:
            self.notify("receipt.failed", {"error": type(error).__name__})
            _log.warning("no receipt was written (%s)", error)
            if self.config.receipts.required:
                raise
            return None
        self.notify("receipt.appended", {"receipt": receipt.id, "index": receipt.log_index})
        return receipt

    def _find_receipt(self, effect: ask.FindReceipt) -> Receipt | None:
        log = self.log
        return None if log is None else self.guard.attempt("get", lambda: log.get(effect.receipt_id), None)

    def _begin_intent(self, effect: ask.BeginIntent) -> None:
        self.journal.trim(effect.intent.began_at - self.config.idempotency_ttl_s)
        self.journal.begin(effect.intent)

    def _note(self, write: Callable[[], None]) -> None:
        """Write to the journal; when that fails the answer stands, and a retry may be answered anew."""
        try:
            write()
        except (StorageError, OSError) as error:
            self.notify("journal.failed", {"error": type(error).__name__})
            _log.warning("the journal failed (%s)", error)

    def _compare(self, effect: ask.Compare) -> bool:
        try:
            return bool(self._comparator.same(effect.question, effect.first, effect.second))
        except Exception as error:  # noqa: BLE001 - a comparator may raise anything; it then cannot tell
            _log.exception("the comparator of answers failed")
            self.notify("comparator.failed", {"error": type(error).__name__})
            return False

    def _check(self, effect: ask.CheckAnswer) -> bool | None:
        if self._checker is None:
            return None
        try:
            return self._checker(effect.request, effect.answer)
        except Exception as error:  # noqa: BLE001 - a checker may raise anything; it then cannot tell
            _log.exception("the checker failed")
            self.notify("checker.failed", {"error": type(error).__name__})
            return None

    def _hand_over(self, effect: ask.HandOver) -> None:
        self._mark_pending(effect)
        if not self._submit(lambda: self._settle(effect)):
            self._unmark_pending(effect.entry)

    def _try_hand_over(self, effect: ask.HandOver) -> bool:
        self._mark_pending(effect)
        return self._try_submit(lambda: self._settle(effect))

    def _try_submit(self, job: Callable[[], object]) -> bool:
        try:
            return self.background.try_submit(job)
        except RuntimeError:  # closed meanwhile
            return False

    def _submit(self, job: Callable[[], object]) -> bool:
        """Queue a job; tells whether it was queued. After :meth:`close` the answer stands, but is not kept."""
        try:
            self.background.submit(job)
        except RuntimeError:
            self.notify("background.closed", {})
            return False
        return True

    def _mark_pending(self, effect: ask.HandOver) -> None:
        if effect.entry is not None:
            with self._pending_lock:
                self._pending[effect.entry.tenant, effect.entry.exact_key] = effect.entry

    def _settle(self, effect: ask.HandOver) -> None:
        try:
            run(effect.job(), self)
            self._write_knowledge()
            self._tidy()
        finally:
            self._unmark_pending(effect.entry)

    def _unmark_pending(self, entry: CacheEntry | None) -> None:
        """The store has the entry now, unless a newer answer to the same request is already on its way."""
        with self._pending_lock:
            if entry is not None and self._pending.get((entry.tenant, entry.exact_key)) is entry:
                del self._pending[entry.tenant, entry.exact_key]

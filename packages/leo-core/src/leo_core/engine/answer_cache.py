"""The cache alone, for frameworks that call the models themselves (``set_llm_cache``).

It runs the same look-up and the same comparison as the pipeline: a candidate that may not be served yet is a
miss, and when the framework brings the model's answer the two are compared and the outcome is learned.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from leo_core.engine.admission import check_tenant
from leo_core.engine.aftermath import keep
from leo_core.engine.drivers import arun, run
from leo_core.engine.effects import CountHit, EmbedTexts, Entropy, HandOver, Notify, Now, Recall
from leo_core.engine.entries import make_entry
from leo_core.engine.lookup import consult_cache
from leo_core.engine.open_lookups import OpenLookups, give_up_lookups
from leo_core.engine.sharing import take_turn
from leo_core.engine.tracing import awatch, watch
from leo_core.engine.warming import keep_filed, keep_past, make_past_answer, read_log
from leo_core.errors import ConfigError
from leo_core.privacy.personal.redaction import holds_personal_data
from leo_core.records import CacheDecision, Route, Usage
from leo_core.stages.cache.identity import identify
from leo_core.stages.receipt.keys import PublicKey
from leo_core.storage.cache_file import read_cache_file, write_cache_file
from leo_core.telemetry.tracer import LookedUp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

    from leo_core.engine.effects import Pipeline
    from leo_core.engine.plan import Plan
    from leo_core.engine.requests import Prompt
    from leo_core.engine.tracing import Tracing
    from leo_core.engine.world import World
    from leo_core.records import CacheEntry, Embedding, Identity, Json, Message, Request

__all__ = ["AnswerCache"]

CLAIM_S = 60.0
"""For how long a caller who was told that an entry is stale has to bring a fresh answer before another is told."""

T = TypeVar("T")
_AT_ONCE = 256
_UNTOUCHED = CacheDecision(action="off", why="the request holds personal data, which the framework's model has seen")
"""An answer of a model that saw personal data may depend on it, so that it is neither kept nor looked up."""


class AnswerCache:
    """Look-up, update and clearing of kept answers, without members.

    A request without a tenant is a ``TenantRequiredError`` where the settings require one.

    Args:
        world: Where effects are performed.
        plan: Policies.
        warm_up: Awaited before anything runs on an event loop, so that nothing has to be compiled there.
        tracing: Begins the spans of look-ups.
    """

    def __init__(self, world: World, plan: Plan, warm_up: Callable[[], Awaitable[None]], tracing: Tracing) -> None:
        self._world, self._plan, self._warm_up, self._tracing = world, plan, warm_up, tracing
        self._open = OpenLookups()
        self._claims: dict[tuple[str, str], float] = {}
        self._lock = Lock()

    def decide(self, request: Request) -> tuple[CacheDecision, CacheEntry | None]:
        """The decision by itself, and the entry to serve, to compare with or to renew.

        It is counted as a request; but no update is expected, and nobody waits for another caller's answer.
        """
        return run(self._decide(request), self._world)

    def lookup(self, request: Request, *, promised: bool = False) -> tuple[CacheDecision, CacheEntry | None]:
        """Whether a kept answer may be served, and which; the entry is ``None`` unless the decision is a hit.

        Args:
            request: What is asked.
            promised: Whether, after a miss, :meth:`update` or :meth:`give_up` is called whatever happens. Equal
                requests then wait for that; otherwise only until the same thread or task looks for something again.
        """
        span = self._tracing.begin_lookup(request)
        found = watch(span, lambda: run(self._lookup(request, promised=promised), self._world))
        return found.decision, found.entry

    async def alookup(self, request: Request, *, promised: bool = False) -> tuple[CacheDecision, CacheEntry | None]:
        """:meth:`lookup` without blocking the event loop."""
        await self._warm_up()
        span = self._tracing.begin_lookup(request)
        found = await awatch(span, arun(self._lookup(request, promised=promised), self._world))
        return found.decision, found.entry

    def update(
        self,
        request: Request,
        message: Message,
        *,
        model: str = "",
        usage: Usage | None = None,
        metadata: Mapping[str, Json] | None = None,
        receipt_id: str = "",
    ) -> None:
        """Keep a model's answer; compare it with the candidate that the look-up left open, if it did.

        Args:
            request: As it was looked up; its ``sources`` may have become known since, they are part of no key.
            message: The answer.
            model: Who wrote it.
            usage: What it cost: what a hit saves.
            metadata: What the adapter needs to rebuild its own message (JSON).
            receipt_id: Receipt of the answer, where it has one.
        """
        run(self._update(request, message, model, usage or Usage(), metadata or {}, receipt_id), self._world)

    async def aupdate(
        self,
        request: Request,
        message: Message,
        *,
        model: str = "",
        usage: Usage | None = None,
        metadata: Mapping[str, Json] | None = None,
        receipt_id: str = "",
    ) -> None:
        """:meth:`update` without blocking the event loop."""
        await self._warm_up()
        await arun(self._update(request, message, model, usage or Usage(), metadata or {}, receipt_id), self._world)

    def give_up(self, request: Request) -> None:
        """No update will come for what was looked up: whoever waits for it goes on. Never blocks."""
        key = request.tenant, identify(request, models=self._plan.fingerprint).exact_key
        self._open.take(key)[2].end(landed=False)

    def clear(self, tenant: str | None = None) -> int:
        """Remove all entries of a tenant, or of all; returns how many."""
        self._world.flush()
        self._open.clear()
        return self._world.store.clear(tenant)

    def invalidate(
        self,
        *,
        tenant: str | None = "default",
        ids: Sequence[str] = (),
        tags: Sequence[str] = (),
        sources: Sequence[str] = (),
        model: str | None = None,
        where: Callable[[CacheEntry], bool] | None = None,
    ) -> int:
        """Remove the entries to which any of these applies; returns how many.

        Answers that are on their way into the cache are waited for. What another process is just answering may still
        come after.

        Args:
            tenant: Whose entries; ``None`` for all tenants.
            ids: Ids of entries: the ``answer_id`` of the answers that made them.
            tags: Labels that their requests had.
            sources: Ids of documents that they stand on.
            model: The model that is named as their author.
            where: Says of an entry whether it goes. Every entry is read for that.

        Raises:
            ConfigError: Nothing was named (:meth:`clear` removes everything), or what was is no list.
            StorageError: The store failed, so that something may be left.
        """
        if not (ids or tags or sources or model is not None or where is not None):
            message = "say which entries: ids, tags, sources, model or where; clear() removes all"
            raise ConfigError(message)
        for name, named in (("ids", ids), ("tags", tags), ("sources", sources)):
            if isinstance(named, str):
                message = f"{name} is a list of texts: write {name}=[{named!r}]"
                raise ConfigError(message)
        self._world.flush()
        store = self._world.store
        removed = 0
        for owner in store.tenants() if tenant is None else (tenant,):
            removed += store.remove(owner, entry_ids=ids, tags=tags, sources=sources, model=model)
            if where is not None:
                chosen = (kept.entry.id for kept in store.entries(owner) if where(kept.entry))
                for batch in _batches(chosen):
                    removed += store.remove(owner, entry_ids=batch)
        return removed

    async def ainvalidate(self, **criteria: Any) -> int:
        """:meth:`invalidate` without blocking the event loop."""
        return await asyncio.to_thread(self.invalidate, **criteria)

    # ----------------------------------------------------------------------------------- files and past traffic

    @property
    def export_key(self) -> PublicKey:
        """The public key that exports of this store are checked with."""
        return self._world.store.derive_export_key().public

    def export(self, path: str | Path, *, tenant: str | None = None) -> int:
        """Write the entries of a tenant, or of all, to a signed file of JSON lines (mode 0600); returns how many.

        Raises:
            ConfigError: The file cannot be written.
            StorageError: The store failed.
        """
        self._world.flush()
        store = self._world.store
        owners = store.tenants() if tenant is None else (tenant,)
        entries = (kept for owner in owners for kept in store.entries(owner))
        key = store.derive_export_key()
        return write_cache_file(Path(path).expanduser(), entries, key, now=time.time())

    async def aexport(self, path: str | Path, *, tenant: str | None = None) -> int:
        """:meth:`export` without blocking the event loop."""
        return await asyncio.to_thread(self.export, path, tenant=tenant)

    def load(
        self, path: str | Path, *, key: PublicKey | str | None = None, progress: Callable[[int], None] | None = None
    ) -> int:
        """Keep the entries of an export; returns how many. Expired ones, and older ones than those kept, are not.

        They are sealed anew, embedded anew, and explored like any other before they are served by meaning. A request
        finds them exactly where the same members and settings are asked: these are part of every key.

        Args:
            path: The file.
            key: Key of the store that it comes from (:attr:`export_key`, or its PEM); by default this store's.
            progress: Hears how many entries were looked at so far.

        Raises:
            ConfigError: The file cannot be read, or is no export.
            StoreCorruptError: It is cut off, altered, or signed with another key; nothing was kept.
        """
        trusted = PublicKey.from_pem(key) if isinstance(key, str) else key or self.export_key
        filed = read_cache_file(Path(path).expanduser(), trusted)
        return self._run_batches(filed, keep_filed, progress)

    async def aload(self, path: str | Path, **settings: Any) -> int:
        """:meth:`load` without blocking the event loop."""
        return await asyncio.to_thread(self.load, path, **settings)

    def warm(
        self,
        past: str | Path | Iterable[tuple[Prompt, Any] | Mapping[str, Any]],
        *,
        progress: Callable[[int], None] | None = None,
        **settings: Any,
    ) -> int:
        """Keep past answers; returns how many. Those to requests that are kept already are passed over.

        They are explored like any other entry before they are served by meaning.

        Args:
            past: A file of JSON lines, or pairs: ``(prompt, answer)``, or mappings with ``prompt`` (a question or
                messages), ``answer`` (a text or a message), ``model`` and ``cost_usd`` where known, and any setting
                that :meth:`leo_core.LEO.ask` takes.
            progress: Hears how many pairs were looked at so far.
            **settings: Settings for all of them, such as ``tenant``, ``tags`` or ``ttl_s``.

        Raises:
            ConfigError: The file cannot be read.
            RequestError: A pair has another form; those before it are kept.
        """
        if isinstance(past, str | Path):
            pairs = read_log(Path(past).expanduser(), settings)
        else:
            pairs = (make_past_answer(pair, settings) for pair in past)
        return self._run_batches(pairs, lambda batch: keep_past(batch, self._plan), progress)

    async def awarm(self, past: Any, **settings: Any) -> int:
        """:meth:`warm` without blocking the event loop."""
        return await asyncio.to_thread(self.warm, past, **settings)

    def _run_batches(
        self,
        items: Iterable[T],
        keep_batch: Callable[[Sequence[T]], Pipeline[int]],
        progress: Callable[[int], None] | None,
    ) -> int:
        seen = kept = 0
        for batch in _batches(items):
            kept += run(keep_batch(batch), self._world)
            seen += len(batch)
            if progress is not None:
                progress(seen)
        return kept

    # ---------------------------------------------------------------------------------------------- pipelines

    def _consult(
        self, request: Request, *, claims: Callable[[CacheEntry], bool] | None = None
    ) -> Pipeline[tuple[Identity, tuple[CacheDecision, CacheEntry | None]]]:
        yield from Recall(request.tenant)
        identity, embedding = yield from self._look_at(request)
        return identity, (yield from consult_cache(request, identity, embedding, -1, self._plan, claims=claims))

    def _decide(self, request: Request) -> Pipeline[tuple[CacheDecision, CacheEntry | None]]:
        check_tenant(request, self._plan)
        if holds_personal_data(request, self._plan.config.personal_data):
            return _UNTOUCHED, None
        return (yield from self._consult(request))[1]

    def _lookup(self, request: Request, *, promised: bool) -> Pipeline[LookedUp]:
        check_tenant(request, self._plan)
        if holds_personal_data(request, self._plan.config.personal_data):
            return LookedUp(decision=_UNTOUCHED)
        give_up_lookups()  # whoever asks again has no answer to bring, and waits without keeping others waiting
        started = yield from Now()
        identity, found = yield from self._consult(request, claims=self._claim_renewal)
        turn, decision, entry = yield from take_turn(request, identity, found, -1, self._plan, started)
        waited_s = turn.waited_s if turn.waited else 0.0
        if decision.hit and entry is not None:
            yield from Notify("cache.hit", {"kind": decision.kind, "entry_id": entry.id})
            yield from HandOver(lambda: _count_hit(entry))
            return LookedUp(decision=decision, entry=entry, waited_s=waited_s)
        self._open.leave((request.tenant, identity.exact_key), decision, entry, turn, promised=promised)
        return LookedUp(decision=decision, waited_s=waited_s)

    def _update(
        self,
        request: Request,
        message: Message,
        model: str,
        usage: Usage,
        metadata: Mapping[str, Json],
        receipt_id: str,
    ) -> Pipeline[None]:
        check_tenant(request, self._plan)
        if holds_personal_data(request, self._plan.config.personal_data):
            return
        identity, embedding = yield from self._look_at(request)
        now = yield from Now()
        answer_id = (yield from Entropy(16)).hex()
        decision, candidate, turn = self._open.take((request.tenant, identity.exact_key))
        entry = make_entry(
            request,
            message,
            identity,
            entry_id=answer_id,
            now=now.epoch,
            plan=self._plan,
            members=(model,) if model else (),
            model=model,
            route=Route.LARGE,
            usage=usage,
            receipt_id=receipt_id,
            metadata=metadata,
        )
        with turn:
            yield from HandOver(
                lambda: keep(entry, decision=decision, candidate=candidate, identity=identity, embedding=embedding),
                entry,
            )

    def _look_at(self, request: Request) -> Pipeline[tuple[Identity, Embedding | None]]:
        identity = identify(request, models=self._plan.fingerprint)
        if not (identity.semantic and identity.text):
            return identity, None
        embedded = yield from EmbedTexts((identity.text,))
        return identity, None if embedded is None else embedded[0]

    def _claim_renewal(self, entry: CacheEntry) -> bool:
        """Whether the caller who asks for a stale entry is the one who renews it; the others are served meanwhile."""
        key, now = (entry.tenant, entry.id), time.monotonic()
        with self._lock:
            if self._claims.get(key, 0.0) > now:
                return False
            self._claims = {each: until for each, until in self._claims.items() if until > now}
            self._claims[key] = now + CLAIM_S
            return True


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    """Items by so many at once; those before an item that cannot be made come before its error."""
    batch: list[T] = []
    try:
        for item in items:
            batch.append(item)
            if len(batch) == _AT_ONCE:
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _count_hit(entry: CacheEntry) -> Pipeline[None]:
    yield from CountHit(entry.tenant, entry.id)

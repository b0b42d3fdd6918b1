"""The cache alone, for frameworks that call the models themselves (``set_llm_cache``).

It runs the same look-up and the same comparison as the pipeline: a candidate that may not be served yet is a
miss, and when the framework brings the model's answer the two are compared and the outcome is learned.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

from leo_core.engine.aftermath import keep
from leo_core.engine.drivers import arun, run
from leo_core.engine.effects import CountHit, EmbedTexts, Entropy, HandOver, Notify, Now, Recall
from leo_core.engine.lookup import consult_cache
from leo_core.records import CacheDecision, CacheEntry, Route, Usage
from leo_core.stages.cache.identity import identify

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from leo_core.engine.effects import Pipeline
    from leo_core.engine.plan import Plan
    from leo_core.engine.world import World
    from leo_core.records import Embedding, Identity, Json, Message, Request

__all__ = ["AnswerCache"]

MOST_OPEN = 10_000


class AnswerCache:
    """Look-up, update and clearing of kept answers, without members.

    Args:
        world: Where effects are performed.
        plan: Policies.
        warm_up: Awaited before anything runs on an event loop, so that nothing has to be compiled there.
    """

    def __init__(self, world: World, plan: Plan, warm_up: Callable[[], Awaitable[None]]) -> None:
        self._world, self._plan, self._warm_up = world, plan, warm_up
        self._open: OrderedDict[tuple[str, str], tuple[CacheDecision, CacheEntry | None]] = OrderedDict()
        self._lock = Lock()

    def lookup(self, request: Request) -> tuple[CacheDecision, CacheEntry | None]:
        """Whether a kept answer may be served, and which; the entry is ``None`` unless the decision is a hit."""
        return run(self._lookup(request), self._world)

    async def alookup(self, request: Request) -> tuple[CacheDecision, CacheEntry | None]:
        """:meth:`lookup` without blocking the event loop."""
        await self._warm_up()
        return await arun(self._lookup(request), self._world)

    def update(
        self,
        request: Request,
        message: Message,
        *,
        model: str = "",
        usage: Usage | None = None,
        metadata: Mapping[str, Json] | None = None,
    ) -> None:
        """Keep a model's answer; compare it with the candidate that the look-up left open, if it did."""
        run(self._update(request, message, model, usage or Usage(), metadata or {}), self._world)

    async def aupdate(
        self,
        request: Request,
        message: Message,
        *,
        model: str = "",
        usage: Usage | None = None,
        metadata: Mapping[str, Json] | None = None,
    ) -> None:
        """:meth:`update` without blocking the event loop."""
        await self._warm_up()
        await arun(self._update(request, message, model, usage or Usage(), metadata or {}), self._world)

    def clear(self, tenant: str | None = None) -> int:
        """Remove all entries of a tenant, or of all; returns how many."""
        self._world.flush()
        with self._lock:
            self._open.clear()
        return self._world.store.clear(tenant)

    # ---------------------------------------------------------------------------------------------- pipelines

    def _lookup(self, request: Request) -> Pipeline[tuple[CacheDecision, CacheEntry | None]]:
        yield from Recall(request.tenant)
        identity, embedding = yield from self._look_at(request)
        decision, entry = yield from consult_cache(request, identity, embedding, -1, self._plan)
        if decision.hit and entry is not None:
            yield from Notify("cache.hit", {"kind": decision.kind, "entry_id": entry.id})
            yield from HandOver(lambda: _count_hit(entry))
            return decision, entry
        self._leave_open((request.tenant, identity.exact_key), decision, entry)
        return decision, None

    def _update(
        self, request: Request, message: Message, model: str, usage: Usage, metadata: Mapping[str, Json]
    ) -> Pipeline[None]:
        identity, embedding = yield from self._look_at(request)
        now = yield from Now()
        answer_id = (yield from Entropy(16)).hex()
        decision, candidate = self._take_open((request.tenant, identity.exact_key))
        ttl_s = self._plan.config.cache.ttl_s
        entry = CacheEntry(
            id=answer_id,
            tenant=request.tenant,
            exact_key=identity.exact_key,
            scope_key=identity.scope_key,
            text=identity.text,
            message=message,
            members=(model,) if model else (),
            model=model,
            route=Route.LARGE,
            usage=usage,
            receipt_id="",
            created_at=now.epoch,
            expires_at=None if ttl_s is None else now.epoch + ttl_s,
            tags=request.tags,
            size_bytes=len(identity.text) + len(message.text),
            metadata=metadata,
        )
        yield from HandOver(
            lambda: keep(entry, decision=decision, candidate=candidate, identity=identity, embedding=embedding), entry
        )

    def _look_at(self, request: Request) -> Pipeline[tuple[Identity, Embedding | None]]:
        identity = identify(request, models=self._plan.fingerprint)
        if not (identity.semantic and identity.text):
            return identity, None
        embedded = yield from EmbedTexts((identity.text,))
        return identity, None if embedded is None else embedded[0]

    def _leave_open(self, key: tuple[str, str], decision: CacheDecision, entry: CacheEntry | None) -> None:
        with self._lock:
            self._open[key] = (decision, entry)
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)

    def _take_open(self, key: tuple[str, str]) -> tuple[CacheDecision, CacheEntry | None]:
        with self._lock:
            return self._open.pop(key, (CacheDecision(action="miss"), None))


def _count_hit(entry: CacheEntry) -> Pipeline[None]:
    yield from CountHit(entry.tenant, entry.id)

"""A query engine that answers a repeated or equivalent question before anything is retrieved."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import threading
import time
import weakref
from contextlib import aclosing, closing
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import getattr_static
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.callbacks import CBEventType, EventPayload

from leo_core.adapting.closing import Closeable
from leo_core.adapting.keeper import make_keeper
from leo_core.adapting.settings import CRITERIA, refuse_unknown
from leo_core.engine.arguments import check_arguments
from leo_core.engine.drivers import chunk_message
from leo_core.errors import ConfigError, TenantRequiredError
from leo_core.records import Message, Request
from leo_core.stages.cache.identity import canonical_bytes
from leo_llamaindex._annotate import collect_answers
from leo_llamaindex._corpus import CorpusVersions, check_documents, mark_documents, name_corpus
from leo_llamaindex._engine_parts import read_engine
from leo_llamaindex._kept_response import KeptResponse, describe_hit, find_sources, measure_usage, text_of
from leo_llamaindex._settings import current_tags
from leo_llamaindex.events import report_kept

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence

    from llama_index.core.base.response.schema import RESPONSE_TYPE
    from llama_index.core.indices.base import BaseIndex
    from llama_index.core.prompts.mixin import PromptDictType, PromptMixinType
    from llama_index.core.schema import NodeWithScore, QueryBundle
    from pydantic import BaseModel

    from leo_core import LEO
    from leo_core.config import LEOConfig
    from leo_core.records import CacheDecision, CacheEntry, Json
    from leo_llamaindex._annotate import Sheet

__all__ = ["LEOCachedQueryEngine"]

Stream = TypeVar("Stream", bound="Generator[str, None, None] | AsyncGenerator[str, None]")
_RESPONSE, _MARKS = "llamaindex_response", "llamaindex_documents"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A question as the cache knows it, the indexes that it goes to, and a mark once its stream is being read."""

    request: Request
    indexes: tuple[BaseIndex[Any], ...]
    began: float
    reading: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hit:
    """A kept response that may be served."""

    kept: KeptResponse
    decision: CacheDecision
    entry: CacheEntry


class LEOCachedQueryEngine(Closeable, BaseQueryEngine):
    """Answers a question that was answered before, or an equivalent one, without retrieving or asking a model.

    A hit is a new response with the text, the source nodes and the metadata of the one that was kept; its receipt is
    the one of that answer. Questions are compared by meaning as LEO's cache does it: inside one scope, past the guards,
    within the promise about wrong hits, first explored and then served. The scope is everything else that can change
    an answer: the tenant, the engine's parts, prompts, models and settings as they are at the time of the question,
    and the version of the documents. A failure of the cache never reaches the caller.

    Responses without a source node, without text, or with an answer on which a committee abstained are not kept.

    Args:
        engine: The engine that answers what is not kept.
        store: A path, ``":memory:"``, or a store of leo_core.
        invalidation: What becomes of kept answers when documents change. ``"corpus"``: after any change of any document
            none is served any more. ``"sources"``: those that stand on a document that changed or went are not; a new
            document leaves all of them, although it might have changed an answer.
        version: Version of the documents, where LEO cannot see them change (a vector store with its own server, a
            retriever without an index): a text, or a function that gives one. By default read from the engine's
            indexes.
        tenant: Whose answers, where ``instrument_tags`` does not say so. Never shared between tenants.
        streaming: Whether hits are streams; by default as the engine's response synthesizer says, or, of an engine
            without one of its own, as the answer was when it was kept.
        max_wrong_hits: The cache's promise: wrong hits over all questions stay at or below this share; 0 matches
            exactly only.
        config: Every other setting.
        embedder, listeners, seal_key, privacy, single_flight_wait_s, comparator, seed: As for
            :class:`leo_core.LEO` and :class:`leo_core.LEOConfig`.

    Raises:
        ConfigError: An argument is unusable, or the documents' version cannot be read and is not given.

    Example:
        >>> engine = LEOCachedQueryEngine(index.as_query_engine(), store="leo.db")  # doctest: +SKIP
        >>> engine.query("What does a day ticket cost?").metadata["leo"]["cache"]["hit"]  # doctest: +SKIP
    """

    def __init__(
        self,
        engine: BaseQueryEngine,
        *,
        store: Any = ":memory:",
        invalidation: Literal["corpus", "sources"] = "corpus",
        version: str | Callable[[], str] | None = None,
        tenant: str | None = None,
        streaming: bool | None = None,
        max_wrong_hits: float | None = None,
        config: LEOConfig | None = None,
        **settings: Any,
    ) -> None:
        if not isinstance(engine, BaseQueryEngine):
            message = f"LEOCachedQueryEngine wraps a query engine, not {type(engine).__name__}"
            raise ConfigError(message)
        if invalidation not in ("corpus", "sources"):
            message = f"invalidation is 'corpus' or 'sources', not {invalidation!r}"
            raise ConfigError(message)
        check_arguments({"tenant": tenant, "streaming": streaming, "config": config}, owner="LEOCachedQueryEngine")
        if version is not None and not isinstance(version, str) and not callable(version):
            message = f"version is a text, or a function that gives one, not {type(version).__name__}"
            raise ConfigError(message)
        super().__init__(callback_manager=engine.callback_manager)
        self._engine, self._tenant, self._version = engine, tenant, version
        self._by_sources = invalidation == "sources"
        self._streams: bool | None = _find(engine, "_streaming", default=None) if streaming is None else streaming
        self._is_plain = getattr_static(engine, "query") is getattr_static(BaseQueryEngine, "query")
        self._needs_tenant = config is not None and config.require_tenant
        settings |= {"max_wrong_hits": max_wrong_hits, "config": config}
        self._keeper = make_keeper(LEOCachedQueryEngine, store, logger="leo_llamaindex", **settings)
        self._versions = CorpusVersions()
        parts = read_engine(engine)
        self._check_corpus(parts.indexes)
        self._whole = parts.whole if self._by_sources else frozenset()

    # ------------------------------------------------------------------------------------------------ the cache

    @property
    def leo(self) -> LEO:
        """The core's engine; it has no members, so only its cache is of use."""
        return self._keeper.leo

    @property
    def counts(self) -> dict[str, int]:
        """Events so far, by name: ``cache.hit``, ``cache.miss``, ``lookup.failed``, ``update.failed`` …."""
        return self._keeper.counts

    def invalidate(self, **criteria: Any) -> int:
        """Remove the answers to which any of the criteria applies; returns how many.

        Args:
            **criteria: As for :meth:`leo_core.engine.answer_cache.AnswerCache.invalidate`, such as ``sources``: ids of
                documents. Where no ``tenant`` is given, that of ``instrument_tags``, or of this object.

        Raises:
            ConfigError: Nothing was named, or a criterion is unknown or no list.
            StorageError: The store failed, so that something may be left.
        """
        refuse_unknown(criteria, CRITERIA, owner="invalidate()")
        return self.leo.cache.invalidate(**({"tenant": self._current_tenant()} | criteria))

    async def ainvalidate(self, **criteria: Any) -> int:
        """:meth:`invalidate` without blocking the event loop."""
        return await asyncio.to_thread(self.invalidate, **criteria)

    def clear(self, tenant: str | None = None) -> int:
        """Remove all entries of a tenant from the store, or of all; returns how many.

        Raises:
            StorageError: The store failed, so that something may be left.
        """
        return self.leo.cache.clear(tenant)

    async def aclear(self, tenant: str | None = None) -> int:
        """:meth:`clear` without blocking the event loop."""
        return await asyncio.to_thread(self.clear, tenant)

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until everything handed in is written; tells whether it was in time."""
        return self._keeper.flush(timeout_s)

    def close(self) -> None:
        """Write what is left and release the store; idempotent. A later question opens it again."""
        self._keeper.close()

    # ------------------------------------------------------------------------------------------- the engine inside

    def _get_prompts(self) -> PromptDictType:
        return self._engine._get_prompts()  # noqa: SLF001 - prompts are named as those of the engine inside

    def _update_prompts(self, prompts: PromptDictType) -> None:
        self._engine._update_prompts(prompts)  # noqa: SLF001 - as above

    def _get_prompt_modules(self) -> PromptMixinType:
        return self._engine._get_prompt_modules()  # noqa: SLF001 - as above

    def retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """What the engine retrieves; nothing is cached of it."""
        return self._engine.retrieve(query_bundle)

    def synthesize(
        self,
        query_bundle: QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
    ) -> RESPONSE_TYPE:
        """What the engine makes of nodes; nothing is cached of it."""
        return self._engine.synthesize(query_bundle, nodes, additional_source_nodes)

    async def asynthesize(
        self,
        query_bundle: QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
    ) -> RESPONSE_TYPE:
        """:meth:`synthesize` as the engine does it asynchronously."""
        return await self._engine.asynthesize(query_bundle, nodes, additional_source_nodes)

    def _query(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        asked = self._look_at(query_bundle, self._current_tenant())
        if asked is None:
            return self._run(query_bundle)
        hit = self._keeper.find(lambda: asked.request, _read_hit, promised=not self._streams)
        if hit is not None and not self._is_outdated(asked, hit):
            return self._serve(asked, hit, query_bundle, awaited=False)
        try:
            with collect_answers() as found:
                response = self._run(query_bundle)
        except BaseException:
            self._keeper.give_up(lambda: asked.request)
            raise
        if isinstance(response, StreamingResponse):
            response.response_gen = self._watch(asked, self._read(asked, found, _bare(response), response.response_gen))
        else:
            self._keep(asked, found, response)
        return response

    async def _aquery(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        asked = await asyncio.to_thread(self._look_at, query_bundle, self._current_tenant())
        if asked is None:
            return await self._arun(query_bundle)
        hit = await self._keeper.afind(lambda: asked.request, _read_hit, promised=not self._streams)
        if hit is not None and not await asyncio.to_thread(self._is_outdated, asked, hit):
            return self._serve(asked, hit, query_bundle, awaited=True)
        try:
            with collect_answers() as found:
                response = await self._arun(query_bundle)
        except BaseException:
            self._keeper.give_up(lambda: asked.request)
            raise
        if isinstance(response, AsyncStreamingResponse):
            response.response_gen = self._watch(
                asked, self._aread(asked, found, _bare(response), response.response_gen)
            )
        elif isinstance(response, StreamingResponse):
            response.response_gen = self._watch(asked, self._read(asked, found, _bare(response), response.response_gen))
        else:
            await self._akeep(asked, found, response)
        return response

    def _run(self, query: QueryBundle) -> RESPONSE_TYPE:
        """Ask the engine inside; by its inner method, where that is what ``query`` calls between its own two events."""
        return self._engine._query(query) if self._is_plain else self._engine.query(query)  # noqa: SLF001 - as it says

    async def _arun(self, query: QueryBundle) -> RESPONSE_TYPE:
        return await (self._engine._aquery(query) if self._is_plain else self._engine.aquery(query))  # noqa: SLF001 - as above

    # ------------------------------------------------------------------------------------------- what is asked

    def _look_at(self, query: QueryBundle, tenant: str) -> _Asked | None:
        """The question as the cache knows it; ``None`` where that fails, which is counted as a failed look-up."""
        try:
            return self._read_question(query, tenant)
        except Exception as error:  # noqa: BLE001 - a cache must not take the question down
            self._keeper.find(partial(_fail, error), _read_hit)
            return None

    def _read_question(self, query: QueryBundle, tenant: str) -> _Asked:
        began = time.perf_counter()
        parts = read_engine(self._engine, whole=self._whole, with_streaming=self._streams is None)
        beside = {
            "image": query.image_path,
            "texts": query.custom_embedding_strs,
            "vector": None if query.embedding is None else [float(each) for each in query.embedding],
        }
        scope = {
            "engine": _hash(parts.settings),
            "corpus": self._name_corpus(parts.indexes),
            "beside": _hash(beside) if any(each is not None for each in beside.values()) else None,
        }
        request = Request(
            messages=(Message(role="user", content=query.query_str),),
            tenant=tenant,
            options={"query_engine": scope},
        )
        return _Asked(request=request, indexes=parts.indexes, began=began)

    def _name_corpus(self, indexes: tuple[BaseIndex[Any], ...]) -> str:
        if self._version is not None:
            return self._version if isinstance(self._version, str) else str(self._version())
        return name_corpus(indexes) if self._by_sources else self._versions.read(indexes)

    def _check_corpus(self, indexes: tuple[BaseIndex[Any], ...]) -> None:
        if self._version is None:
            self._versions.read(indexes)
        elif self._by_sources:
            message = "invalidation='sources' reads the engine's own indexes; leave out version="
            raise ConfigError(message)

    def _current_tenant(self) -> str:
        named = current_tags().get("tenant") or self._tenant
        if named is None and self._needs_tenant:
            message = "name the tenant: tenant=, or instrument_tags({'tenant': …}) around the question"
            raise TenantRequiredError(message)
        return named or "default"

    # ---------------------------------------------------------------------------------------------------- a hit

    def _is_outdated(self, asked: _Asked, hit: _Hit) -> bool:
        """Whether a document that the answer stands on changed; then everything that stands on it is removed."""
        if not self._by_sources:
            return False
        try:
            changed = check_documents(asked.indexes, _marks(hit.entry))
            if changed:
                self.leo.cache.invalidate(tenant=asked.request.tenant, sources=changed)
        except Exception as error:  # noqa: BLE001 - as above
            self._keeper.find(partial(_fail, error), _read_hit)
            return True
        return bool(changed)

    def _serve(self, asked: _Asked, hit: _Hit, query: QueryBundle, *, awaited: bool) -> RESPONSE_TYPE:
        payload: dict[str, Any] = {EventPayload.QUERY_STR: query.query_str}
        with self.callback_manager.event(CBEventType.QUERY, payload=payload) as event:
            response = hit.kept.to_response(describe_hit(hit.decision, hit.entry), self._output_cls)
            report_kept(hit.decision, hit.entry, latency_s=time.perf_counter() - asked.began)
            streams = hit.kept.is_stream if self._streams is None else self._streams
            served = self._stream(response, awaited=awaited) if streams else response
            event.on_end(payload={EventPayload.RESPONSE: served})
        return served

    def _stream(self, response: Response | PydanticResponse, *, awaited: bool) -> RESPONSE_TYPE:
        if not isinstance(response, Response):
            return response
        pieces = [chunk.text for chunk in chunk_message(Message(role="assistant", content=response.response or ""))]
        if awaited:
            return AsyncStreamingResponse(_astream(pieces), response.source_nodes, response.metadata)
        return StreamingResponse(_stream(pieces), response.source_nodes, response.metadata)

    @property
    def _output_cls(self) -> type[BaseModel] | None:
        found: type[BaseModel] | None = _find(self._engine, "_output_cls", default=None)
        return found

    # ----------------------------------------------------------------------------------------------- an answer

    def _keep(self, asked: _Asked, found: Sheet, response: Any, text: str | None = None) -> None:
        kept = KeptResponse.of(response, text_of(response) if text is None else text, found.facts)
        if kept.is_keepable:
            self._keeper.keep(lambda: _add_sources(asked.request, kept), lambda: self._describe(asked, kept))
        else:
            self._keeper.give_up(lambda: asked.request)

    async def _akeep(self, asked: _Asked, found: Sheet, response: Any, text: str | None = None) -> None:
        kept = KeptResponse.of(response, text_of(response) if text is None else text, found.facts)
        if kept.is_keepable:
            await self._keeper.akeep(lambda: _add_sources(asked.request, kept), lambda: self._describe(asked, kept))
        else:
            self._keeper.give_up(lambda: asked.request)

    def _describe(self, asked: _Asked, kept: KeptResponse) -> tuple[Message, Mapping[str, Any]]:
        last = kept.answers[-1] if kept.answers else {}
        metadata: dict[str, Json] = {_RESPONSE: kept.to_json()}
        if self._by_sources:
            metadata[_MARKS] = dict(mark_documents(asked.indexes, find_sources(kept.nodes)))
        return Message(role="assistant", content=kept.text), {
            "model": str(last.get("model") or ""),
            "usage": measure_usage(kept.answers),
            "receipt_id": str(last.get("receipt") or ""),
            "metadata": metadata,
        }

    def _watch(self, asked: _Asked, stream: Stream) -> Stream:
        """The stream; nobody waits any longer for one that is thrown away unread, which hears nothing of it itself."""
        weakref.finalize(stream, self._give_up_unread, asked).atexit = False
        return stream

    def _give_up_unread(self, asked: _Asked) -> None:
        if not asked.reading.is_set():
            self._keeper.give_up(lambda: asked.request)

    def _read(
        self, asked: _Asked, found: Sheet, response: Any, inner: Generator[str, None, None]
    ) -> Generator[str, None, None]:
        """The engine's stream, whose text is kept when all of it was read."""
        asked.reading.set()
        text = []
        try:
            with closing(inner) as pieces:
                for piece in pieces:
                    text.append(piece)
                    yield piece
        except BaseException:
            self._keeper.give_up(lambda: asked.request)
            raise
        self._keep(asked, found, response, "".join(text))

    async def _aread(
        self, asked: _Asked, found: Sheet, response: Any, inner: AsyncGenerator[str, None]
    ) -> AsyncGenerator[str, None]:
        """The same for an asynchronous stream."""
        asked.reading.set()
        text = []
        try:
            async with aclosing(inner) as pieces:
                async for piece in pieces:
                    text.append(piece)
                    yield piece
        except BaseException:
            self._keeper.give_up(lambda: asked.request)
            raise
        await self._akeep(asked, found, response, "".join(text))


def _find(engine: BaseQueryEngine, name: str, *, default: Any) -> Any:
    """A setting of the engine's response synthesizer, where it has one."""
    return getattr(getattr(engine, "_response_synthesizer", None), name, default)


def _bare(response: Any) -> Any:
    """The response without its stream, which would otherwise hold itself."""
    bare = copy.copy(response)
    bare.response_gen = None
    return bare


def _fail(error: Exception) -> Request:
    raise error


def _hash(value: Json) -> str:
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def _read_hit(decision: CacheDecision, entry: CacheEntry) -> _Hit:
    return _Hit(kept=KeptResponse.from_json(str(entry.metadata[_RESPONSE])), decision=decision, entry=entry)


def _marks(entry: CacheEntry) -> Mapping[str, str]:
    marks: Mapping[str, str] = entry.metadata.get(_MARKS) or {}
    return marks


def _add_sources(request: Request, kept: KeptResponse) -> Request:
    return replace(request, sources=find_sources(kept.nodes))


def _stream(pieces: Sequence[str]) -> Generator[str, None, None]:
    yield from pieces


async def _astream(pieces: Sequence[str]) -> AsyncGenerator[str, None]:
    for piece in pieces:
        yield piece

"""LEO's cache for every model of a process: ``set_llm_cache(LEOCache("leo.db"))``."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.utils.utils import LC_ID_PREFIX

from leo_core.adapting.closing import Closeable
from leo_core.adapting.lazy import LazyEngine
from leo_core.adapting.settings import configure
from leo_core.records import CacheDecision, CacheEntry, Constraints, Message, Request, Usage
from leo_core.telemetry.cost import cost_of
from leo_core.telemetry.prices import load_prices
from leo_langchain._answers import dump_generations, load_generations, to_usage_metadata
from leo_langchain._convert import to_message, to_messages, to_usage
from leo_langchain._load import read_objects
from leo_langchain.tenancy import current_tenant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from leo_core import LEO
    from leo_core.config import LEOConfig
    from leo_core.privacy.config import PrivacyConfig

__all__ = ["LEOCache"]

_log = logging.getLogger("leo_langchain")
_GENERATIONS = "langchain_generations"
_TOOLS_BOUND = re.compile(r"""['"](?:tools|functions)['"]\s*[:,]\s*\[(?!\s*\])""")
_NOT_REPLAYED = frozenset({"id", "token_usage", "usage"})


class LEOCache(Closeable, BaseCache):
    """A cache that knows when two questions have the same answer, and keeps its promise about wrong hits.

    Whatever belongs to the model (name, parameters, tools, stop sequences) and everything but the last user turn has
    to be the same exactly; only the last user turn is compared by meaning. Prompts with tools are matched exactly.
    A failure of the cache never reaches the caller: it is counted, and logged once per kind.

    Equal prompts at the same time make one call: the others wait for its answer, in this process and, where they share
    the store, in others.

    Args:
        store: A path, ``":memory:"``, or a store of leo_core.
        max_wrong_hits: The cache's promise: wrong hits over all requests stay at or below this share; 0 matches
            exactly only.
        tenant: Whose answers, where no ``tenant(...)`` block says so. Answers are never shared between tenants.
        config: Every other setting.
        embedder: Makes the vectors; by default what the settings name.
        listeners: Hear the cache's events.
        seal_key: File of the key that entries are sealed with; by default made beside the store, mode 0600.
        privacy: ``"sealed_local"``, another mode, or a :class:`leo_core.PrivacyConfig`: whoever holds the store learns
            no prompt, no answer and no name. By default what the settings say.
        single_flight_wait_s: Longest wait for an equal prompt that a model is answering, in seconds; then another one
            asks too. A call that fails or is cancelled lets one of them ask at once. 0 waits for nobody; by
            default what the settings say.
        comparator: How answers are compared when the cache explores; as :class:`leo_core.LEO` takes it.
        seed: Makes explorations repeatable, for tests.

    Example:
        >>> from langchain_core.globals import set_llm_cache
        >>> from leo_langchain import LEOCache, tenant
        >>> set_llm_cache(LEOCache("leo.db", max_wrong_hits=0.01))  # doctest: +SKIP
        >>> with tenant("acme"):  # doctest: +SKIP
        ...     ChatOpenAI(model="gpt-5-mini").invoke("…")
    """

    def __init__(
        self,
        store: Any = ":memory:",
        *,
        max_wrong_hits: float | None = None,
        tenant: str | None = None,
        config: LEOConfig | None = None,
        embedder: Any = None,
        listeners: Sequence[Any] = (),
        seal_key: str | Path | None = None,
        privacy: PrivacyConfig | str | None = None,
        single_flight_wait_s: float | None = None,
        comparator: Any = None,
        seed: int | None = None,
    ) -> None:
        settings = configure(config, max_wrong_hits, privacy)
        if single_flight_wait_s is not None:
            settings = replace(settings, cache=replace(settings.cache, single_flight_wait_s=single_flight_wait_s))
        self._config = replace(settings, receipts=replace(settings.receipts, enabled=False))
        self._store, self._tenant = store, tenant
        self._embedder, self._listeners, self._seed = embedder, tuple(listeners), seed
        self._seal_key, self._comparator = seal_key, comparator
        self._engine = LazyEngine()
        self._prices = load_prices()
        self._failures: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"LEOCache({self._store!r}, max_wrong_hits={self._config.cache.max_wrong_hits})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    # -------------------------------------------------------------------------------------------------- the door

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """The kept generations, as new objects, or ``None``."""
        try:
            decision, entry = self.leo.cache.lookup(self._request(prompt, llm_string))
            return _serve(decision, entry)
        except Exception as error:  # noqa: BLE001 - a cache must not take the call down
            self._failed("lookup", error)
            return None

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """:meth:`lookup` without blocking the event loop."""
        try:
            leo = await self._aleo()
            decision, entry = await leo.cache.alookup(self._request(prompt, llm_string))
            return _serve(decision, entry)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed("lookup", error)
            return None

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Keep generations; a candidate that the look-up had found but could not trust is compared with them."""
        try:
            message, facts = self._describe(return_val)
            self.leo.cache.update(self._request(prompt, llm_string), message, **facts)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed("update", error)
            self._give_up(prompt, llm_string)

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """:meth:`update` without blocking the event loop."""
        try:
            leo = await self._aleo()
            message, facts = self._describe(return_val)
            await leo.cache.aupdate(self._request(prompt, llm_string), message, **facts)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed("update", error)
            self._give_up(prompt, llm_string)

    def clear(self, **kwargs: Any) -> None:
        """Remove everything, of all tenants and processes.

        Args:
            **kwargs: ``tenant`` removes that tenant's answers only; others are ignored, as LangChain's callers expect.

        Raises:
            StorageError: The store failed, so that something may be left.
        """
        self.leo.cache.clear(kwargs.get("tenant"))

    async def aclear(self, **kwargs: Any) -> None:
        """:meth:`clear` without blocking the event loop."""
        await asyncio.to_thread(self.clear, **kwargs)

    def invalidate(self, **criteria: Any) -> int:
        """Remove the answers to which any of the criteria applies; returns how many.

        Args:
            **criteria: As for :meth:`leo_core.engine.answer_cache.AnswerCache.invalidate`; where no ``tenant`` is
                given, that of the ``tenant(...)`` block, or of this object.

        Raises:
            ConfigError: Nothing was named.
            StorageError: The store failed, so that something may be left.
        """
        mine = {"tenant": current_tenant() or self._tenant or "default"}
        return self.leo.cache.invalidate(**(mine | criteria))

    async def ainvalidate(self, **criteria: Any) -> int:
        """:meth:`invalidate` without blocking the event loop."""
        return await asyncio.to_thread(self.invalidate, **criteria)

    # ------------------------------------------------------------------------------------------------- the rest

    @property
    def leo(self) -> LEO:
        """The core's engine; it has no members, so only its cache is of use."""
        return self._engine.get(self._build)

    @property
    def counts(self) -> dict[str, int]:
        """Events so far, by name: ``cache.hit``, ``cache.miss``, ``lookup.failed``, ``update.failed`` …."""
        events = {} if self._engine.built is None else self._engine.built.counts
        with self._lock:
            return {**events, **self._failures}

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until everything handed in is written; tells whether it was in time."""
        return self.leo.flush(timeout_s)

    def close(self) -> None:
        """Write what is left and release the store; idempotent. A later use opens it again."""
        self._engine.close()

    # ------------------------------------------------------------------------------------------------- private

    def _build(self) -> LEO:
        from leo_core import LEO  # noqa: PLC0415 - the engine loads numba

        return LEO(
            config=self._config,
            store=self._store,
            embedder=self._embedder,
            listeners=self._listeners,
            seal_key=self._seal_key,
            comparator=self._comparator,
            seed=self._seed,
        )

    async def _aleo(self) -> LEO:
        return await self._engine.aget(self._build)

    def _request(self, prompt: str, llm_string: str) -> Request:
        messages, extra = _read_prompt(prompt)
        exact = extra is None or _TOOLS_BOUND.search(llm_string) is not None
        return Request(
            messages=messages,
            tenant=current_tenant() or self._tenant or "default",
            options={
                "llm_sha256": hashlib.sha256(llm_string.encode("utf-8", "surrogatepass")).hexdigest(),
                "extra": extra,
            },
            constraints=Constraints(cache="exact" if exact else True),
        )

    def _describe(self, generations: RETURN_VAL_TYPE) -> tuple[Message, dict[str, Any]]:
        """What the core keeps of generations.

        Raises:
            ValueError: They could not be read back.
        """
        text = dump_generations(list(generations))
        load_generations(text)
        first = next(iter(generations), Generation(text=""))
        reply = first.message if isinstance(first, ChatGeneration) else None
        if not isinstance(reply, AIMessage):
            message = Message(role="assistant", content=first.text)
            return message, {"model": "", "usage": Usage(), "metadata": {_GENERATIONS: text}}
        model = str(reply.response_metadata.get("model_name") or "")
        usage = to_usage(reply)
        priced = replace(usage, cost_usd=cost_of(usage, model, self._prices) if reply.usage_metadata else None)
        return to_message(reply), {"model": model, "usage": priced, "metadata": {_GENERATIONS: text}}

    def _give_up(self, prompt: str, llm_string: str) -> None:
        """Let those go on who wait for an answer that could not be kept."""
        engine = self._engine.built
        if engine is not None:
            with suppress(Exception):  # it failed once already, and was counted
                engine.cache.give_up(self._request(prompt, llm_string))

    def _failed(self, operation: str, error: Exception) -> None:
        name = f"{operation}.failed"
        with self._lock:
            self._failures[name] += 1
            first = self._failures[name] == 1
        if first:
            _log.warning("the cache failed in %s (%s); answers come from the models", operation, type(error).__name__)
            _log.debug("the cache failed in %s", operation, exc_info=error)


def _read_prompt(prompt: str) -> tuple[tuple[Message, ...], list[Any] | None]:
    """The messages of a prompt, and what else of them can change an answer.

    Chat models hand over a JSON list of LangChain's constructor objects, other models the text itself. A list that
    cannot be read is taken as a text that has to match exactly, which ``None`` for the second value says.
    """
    if not prompt.startswith('[{"lc"'):
        return (Message(role="user", content=prompt),), []
    try:
        native: list[BaseMessage] = read_objects(prompt, "messages")
        extra = [None if isinstance(item, AIMessage) else item.additional_kwargs or None for item in native]
        return to_messages(native), extra if any(extra) else []
    except Exception:  # noqa: BLE001 - what cannot be read is matched byte by byte
        return (Message(role="user", content=prompt),), None


def _serve(decision: CacheDecision, entry: CacheEntry | None) -> list[Generation] | None:
    """New objects of the kept generations, marked as a hit; ``None`` when there is no hit."""
    if not decision.hit or entry is None:
        return None
    generations = load_generations(str(entry.metadata[_GENERATIONS]))
    return [_mark(generation, decision, entry) for generation in generations]


def _mark(generation: Generation, decision: CacheDecision, entry: CacheEntry) -> Generation:
    """The generation with nothing spent, and what was saved beside it."""
    if not isinstance(generation, ChatGeneration) or not isinstance(generation.message, AIMessage):
        return generation
    message = generation.message
    facts = {
        "route": "cache",
        "model": entry.model,
        "risk": decision.error_bound or 0.0,
        "cost_usd": 0.0,
        "saved_usd": entry.usage.cost_usd,
        "cache": {"hit": True, "action": decision.action, "why": decision.why},
        "receipt": None,
        "answer_id": entry.id,
        "saved_usage": {**to_usage_metadata(to_usage(message)), "cost_usd": entry.usage.cost_usd},
    }
    kept = {name: value for name, value in message.response_metadata.items() if name not in _NOT_REPLAYED}
    update = {
        "id": f"{LC_ID_PREFIX}-{uuid4()}",  # another one for each hit: graphs replace messages of the same id
        "usage_metadata": to_usage_metadata(Usage()),
        "response_metadata": {**kept, "leo": facts},
    }
    return generation.model_copy(update={"message": message.model_copy(update=update)})

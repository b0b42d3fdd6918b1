"""LEO's cache for every model of a process: ``set_llm_cache(LEOCache("leo.db"))``."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import TYPE_CHECKING, Any

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, Generation

from leo_core.adapting.keeper import AnswerKeeper
from leo_core.adapting.settings import CRITERIA, refuse_unknown
from leo_core.records import CacheDecision, CacheEntry, Constraints, Message, Request, Usage
from leo_core.telemetry.prices import load_prices
from leo_langchain._answers import dump_generations, load_generations
from leo_langchain._convert import to_messages
from leo_langchain._failed_calls import watch_failures
from leo_langchain._finish import is_whole
from leo_langchain._kept import describe_reply, mark_hit
from leo_langchain._load import read_objects
from leo_langchain.tenancy import check_name, current_tenant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from leo_core.config import LEOConfig
    from leo_core.privacy.config import PrivacyConfig

__all__ = ["LEOCache"]

_GENERATIONS = "langchain_generations"
_TOOLS_BOUND = re.compile(r"""['"](?:tools|functions)['"]\s*[:,]\s*\[(?!\s*\])""")


class LEOCache(AnswerKeeper, BaseCache):
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
            asks too. As soon as the call has failed, or the task, the thread, the chain or the ``batch`` that made
            it has ended, one of them asks. 0 waits for nobody; by default what the settings say.
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
        super().__init__(
            store,
            logger="leo_langchain",
            owner="LEOCache",
            max_wrong_hits=max_wrong_hits,
            config=config,
            embedder=embedder,
            listeners=listeners,
            seal_key=seal_key,
            privacy=privacy,
            single_flight_wait_s=single_flight_wait_s,
            comparator=comparator,
            seed=seed,
        )
        self._tenant = None if tenant is None else check_name(tenant, "tenant")
        self._prices = load_prices()
        watch_failures()

    def __repr__(self) -> str:
        return f"LEOCache({self._store!r}, max_wrong_hits={self._config.cache.max_wrong_hits})"

    # -------------------------------------------------------------------------------------------------- the door

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """The kept generations, as new objects, or ``None``."""
        return self.find(lambda: self._request(prompt, llm_string), _serve)

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """:meth:`lookup` without blocking the event loop."""
        return await self.afind(lambda: self._request(prompt, llm_string), _serve)

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Keep generations; a candidate that the look-up had found but could not trust is compared with them.

        A chat model's reply that is empty, was cut off, filtered or refused, or calls tools in malformed JSON is not
        kept.
        """
        if _is_keepable(return_val):
            self.keep(lambda: self._request(prompt, llm_string), lambda: self._describe(return_val))
        else:
            self.give_up(lambda: self._request(prompt, llm_string))

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """:meth:`update` without blocking the event loop."""
        if _is_keepable(return_val):
            await self.akeep(lambda: self._request(prompt, llm_string), lambda: self._describe(return_val))
        else:
            self.give_up(lambda: self._request(prompt, llm_string))

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
            ConfigError: Nothing was named, or a criterion is unknown or no list.
            StorageError: The store failed, so that something may be left.
        """
        refuse_unknown(criteria, CRITERIA, owner="invalidate()")
        mine = {"tenant": current_tenant() or self._tenant or "default"}
        return self.leo.cache.invalidate(**(mine | criteria))

    async def ainvalidate(self, **criteria: Any) -> int:
        """:meth:`invalidate` without blocking the event loop."""
        return await asyncio.to_thread(self.invalidate, **criteria)

    # ------------------------------------------------------------------------------------------------- private

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
        return describe_reply(reply, {_GENERATIONS: text}, self._prices)


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


def _is_keepable(generations: RETURN_VAL_TYPE) -> bool:
    """Whether all of them may be served again."""
    replies = [each.message for each in generations if isinstance(each, ChatGeneration)]
    return all(is_whole(reply) for reply in replies if isinstance(reply, AIMessage))


def _serve(decision: CacheDecision, entry: CacheEntry) -> list[Generation]:
    """New objects of the kept generations, marked as a hit."""
    generations = load_generations(str(entry.metadata[_GENERATIONS]))
    return [_mark(generation, decision, entry) for generation in generations]


def _mark(generation: Generation, decision: CacheDecision, entry: CacheEntry) -> Generation:
    """The generation with nothing spent, and what was saved beside it."""
    if not isinstance(generation, ChatGeneration) or not isinstance(generation.message, AIMessage):
        return generation
    return generation.model_copy(update={"message": mark_hit(generation.message, decision, entry)})

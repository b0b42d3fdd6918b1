"""The cache of an adapter: built on first use, and never the reason why a call fails."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeVar

from leo_core.adapting.closing import Closeable
from leo_core.adapting.lazy import LazyEngine
from leo_core.adapting.settings import configure, refuse_unknown
from leo_core.engine.arguments import check_argument, check_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from leo_core.config import LEOConfig
    from leo_core.engine.leo import LEO
    from leo_core.privacy.config import PrivacyConfig
    from leo_core.records import CacheDecision, CacheEntry, Message, Request

__all__ = ["AnswerKeeper", "make_keeper"]

T = TypeVar("T")


class AnswerKeeper(Closeable):
    """Finds and keeps answers for a framework that asks its models itself; safe to share between threads and tasks.

    Whatever fails here is counted, logged once per kind, and a miss.

    Args:
        store: A path, ``":memory:"``, or a store.
        logger: Name of the logger.
        max_wrong_hits: The cache's promise; by default what the settings say.
        config: Every other setting; receipts are switched off, since nothing is answered here.
        embedder: As :class:`leo_core.LEO` takes it, and so the rest.
        listeners: Hear the cache's events.
        seal_key: File of the key that entries are sealed with.
        privacy: The mode of privacy, or its settings.
        single_flight_wait_s: Longest wait for an equal request, in seconds; by default what the settings say.
        comparator: How answers are compared when the cache explores.
        seed: Makes explorations repeatable, for tests.
        owner: Whose arguments these are, for the errors.

    Raises:
        ConfigError: An argument is of the wrong type or outside its range.
    """

    def __init__(
        self,
        store: Any = ":memory:",
        *,
        logger: str,
        owner: str = "AnswerKeeper",
        max_wrong_hits: float | None = None,
        config: LEOConfig | None = None,
        embedder: Any = None,
        listeners: Sequence[Any] = (),
        seal_key: str | Path | None = None,
        privacy: PrivacyConfig | str | None = None,
        single_flight_wait_s: float | None = None,
        comparator: Any = None,
        seed: int | None = None,
    ) -> None:
        check_argument("store", store, owner=owner)
        given = {
            "max_wrong_hits": max_wrong_hits,
            "config": config,
            "embedder": embedder,
            "listeners": listeners,
            "seal_key": seal_key,
            "single_flight_wait_s": single_flight_wait_s,
            "comparator": comparator,
            "seed": seed,
        }
        check_arguments(given, owner=owner)
        settings = configure(config, max_wrong_hits, privacy)
        if single_flight_wait_s is not None:
            settings = replace(settings, cache=replace(settings.cache, single_flight_wait_s=single_flight_wait_s))
        self._store = store
        self._config = replace(settings, receipts=replace(settings.receipts, enabled=False))
        self._logger = logger
        self._embedder, self._listeners, self._seed = embedder, tuple(listeners), seed
        self._seal_key, self._comparator = seal_key, comparator
        self._engine = LazyEngine()
        self._failures: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"AnswerKeeper({self._store!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    # --------------------------------------------------------------------------------------------- find and keep

    def find(
        self,
        build: Callable[[], Request],
        read: Callable[[CacheDecision, CacheEntry], T],
        *,
        promised: bool = False,
    ) -> T | None:
        """What ``read`` makes of the kept answer to the request, or ``None``.

        After ``None`` the caller brings the answer (:meth:`keep`), or says that none will come (:meth:`give_up`).
        With ``promised`` it does one of them whatever happens, so that what is looked up between ends nothing.
        """
        try:
            return _read(self.leo.cache.lookup(build(), promised=promised), read)
        except Exception as error:  # noqa: BLE001 - a cache must not take the call down
            self._failed("lookup", error)
            return None

    async def afind(
        self,
        build: Callable[[], Request],
        read: Callable[[CacheDecision, CacheEntry], T],
        *,
        promised: bool = False,
    ) -> T | None:
        """:meth:`find` without blocking the event loop."""
        try:
            leo = await self._aleo()
            return _read(await leo.cache.alookup(build(), promised=promised), read)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed("lookup", error)
            return None

    def keep(self, build: Callable[[], Request], describe: Callable[[], tuple[Message, Mapping[str, Any]]]) -> None:
        """Keep the answer that ``describe`` gives, with the facts that :meth:`AnswerCache.update` takes beside it."""
        try:
            message, facts = describe()
            self.leo.cache.update(build(), message, **facts)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed("update", error)
            self.give_up(build)

    async def akeep(
        self, build: Callable[[], Request], describe: Callable[[], tuple[Message, Mapping[str, Any]]]
    ) -> None:
        """:meth:`keep` without blocking the event loop."""
        try:
            leo = await self._aleo()
            message, facts = describe()
            await leo.cache.aupdate(build(), message, **facts)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed("update", error)
            self.give_up(build)

    def give_up(self, build: Callable[[], Request]) -> None:
        """No answer will come: whoever waits for it goes on. Never blocks."""
        engine = self._engine.built
        if engine is not None:
            with suppress(Exception):  # whatever it is has been counted when it was looked up
                engine.cache.give_up(build())

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

    def _failed(self, operation: str, error: Exception) -> None:
        name = f"{operation}.failed"
        with self._lock:
            self._failures[name] += 1
            first = self._failures[name] == 1
        if first:
            log, kind = logging.getLogger(self._logger), type(error).__name__
            log.warning("the cache failed in %s (%s); answers come from the models", operation, kind)
            log.debug("the cache failed in %s", operation, exc_info=error)


_SETTINGS = frozenset(signature(AnswerKeeper).parameters) - {"store", "logger", "owner"}


def make_keeper(owner: type, store: Any, *, logger: str, **settings: Any) -> AnswerKeeper:
    """The cache of a class that takes the settings of one beside its own arguments.

    Args:
        owner: The class, for the errors.
        store: A path, ``":memory:"``, or a store.
        logger: Name of the logger.
        **settings: As for :class:`AnswerKeeper`.

    Raises:
        ConfigError: A setting is unknown, of the wrong type, or outside its range.
    """
    own = {name for name, each in signature(owner).parameters.items() if each.kind is not each.VAR_KEYWORD}
    refuse_unknown(settings, _SETTINGS | own, owner=owner.__name__)
    return AnswerKeeper(store, logger=logger, owner=owner.__name__, **settings)


def _read(found: tuple[CacheDecision, CacheEntry | None], read: Callable[[CacheDecision, CacheEntry], T]) -> T | None:
    decision, entry = found
    return read(decision, entry) if decision.hit and entry is not None else None

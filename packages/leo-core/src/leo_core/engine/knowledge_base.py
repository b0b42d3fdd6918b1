"""What LEO knows, tenant by tenant, safe to share between threads, kept in step with other processes.

Knowledge is the fold of observations. They are folded here at once and written by the background; what other
processes wrote is folded in when it is read. The novelty state is the one exception: it is kept whole.
"""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from leo_core.engine.knowledge import Known, fold
from leo_core.stages.memory.policy import MemoryState, remember
from leo_core.stages.novelty.policy import learn_novelty
from leo_core.stages.novelty.state import NoveltyState

if TYPE_CHECKING:
    from collections.abc import Callable

    from leo_core.config import LEOConfig
    from leo_core.engine.store_guard import StoreGuard
    from leo_core.ports import Store
    from leo_core.records import Observation, Vector
    from leo_core.stages.novelty.policy import Place

__all__ = ["KnowledgeBase"]

T = TypeVar("T")
MOST_SESSIONS = 4096
SAVE_NOVELTY_EVERY = 64
MOST_PENDING = 10_000
"""Observations that may wait for a store that is out; past that the oldest are dropped."""


class KnowledgeBase:
    """The knowledge of every tenant that was asked about.

    Args:
        store: Where observations are kept.
        guard: Runs what reads the store; knowledge that cannot be read is not known, and is asked for again.
        config: Settings of the stages.
        dimension: Dimension of the embeddings.
    """

    def __init__(self, store: Store, guard: StoreGuard, config: LEOConfig, dimension: int) -> None:
        self._store, self._guard, self._config, self._dimension = store, guard, config, dimension
        self._lock = threading.RLock()
        self._refreshing = threading.Lock()
        self._known: dict[str, Known] = {}
        self._memories: OrderedDict[tuple[str, str], MemoryState] = OrderedDict()
        self._unsaved: dict[str, int] = {}
        self._unread: set[str] = set()
        self._pending: list[Observation] = []
        self._dropped = 0
        self._seen = 0
        self._opened = False
        self._writer = uuid.uuid4().hex

    def is_loaded(self, tenant: str) -> bool:
        """Whether :meth:`recall` answers without the disk."""
        return tenant in self._known

    def recall(self, tenant: str, session: str | None = None) -> Known:
        """What is known of a tenant and a session."""
        if not self._opened:
            self.refresh()
            self._opened = True
        with self._lock:
            known = self._load(tenant)
            memory = self._memories.get((tenant, session)) if session is not None else None
            return known if memory is None else replace(known, memory=memory)

    def decide(self, tenant: str, choose: Callable[[Known], tuple[T, tuple[Observation, ...]]]) -> T:
        """Decide on what is known and fold what follows, in one step. Returns the decision."""
        with self._lock:
            decision, observations = choose(self._load(tenant))
            self.learn(observations)
            return decision

    def learn(self, observations: tuple[Observation, ...]) -> None:
        """Fold observations now; :meth:`write` keeps them."""
        with self._lock:
            for observation in observations:
                self._known[observation.tenant] = fold(self._load(observation.tenant), observation, self._config)
            self._pending.extend(observations)
            self._drop_oldest()

    def write(self) -> None:
        """Write what was learned since the last time. What cannot be written stays for the next time."""
        with self._lock:
            batch, self._pending = self._pending, []
        if not batch:
            return
        try:
            self._store.observe([replace(item, body={**item.body, "by": self._writer}) for item in batch])
        except Exception:
            with self._lock:
                self._pending = batch + self._pending
                self._drop_oldest()
            raise

    def take_dropped(self) -> int:
        """How many observations were dropped since the last call; they are known here and to no other process."""
        with self._lock:
            dropped, self._dropped = self._dropped, 0
            return dropped

    def refresh(self) -> None:
        """Fold in what other processes observed since the last time. Nobody waits while the store is read."""
        with self._refreshing:
            nothing: tuple[tuple[int, Observation], ...] = ()
            found = self._guard.attempt("observations", lambda: tuple(self._store.observations(self._seen)), nothing)
            foreign = [item for _, item in found if item.body.get("by") != self._writer]
            strangers = {item.tenant for item in foreign} - self._known.keys()
            fresh = {tenant: self._start(tenant) for tenant in strangers}
            with self._lock:
                for tenant, known in fresh.items():
                    self._known.setdefault(tenant, known)
                for observation in foreign:
                    known = self._known[observation.tenant]
                    self._known[observation.tenant] = fold(known, observation, self._config)
            self._seen = found[-1][0] if found else self._seen
            for tenant in tuple(self._unread):
                novelty = self._start(tenant).novelty
                with self._lock:
                    if tenant not in self._unread:
                        self._known[tenant] = replace(self._known[tenant], novelty=novelty)

    def learn_novelty(self, tenant: str, vector: Vector, draw: float, *, place: Place | None = None) -> bool:
        """Fold a vector into the novelty state; tells whether it is time to save it."""
        with self._lock:
            known = self._load(tenant)
            novelty = learn_novelty(vector, known.novelty, self._config.novelty, draw, place=place)
            self._known[tenant] = replace(known, novelty=novelty)
            self._unsaved[tenant] = self._unsaved.get(tenant, 0) + 1
            return self._unsaved[tenant] >= SAVE_NOVELTY_EVERY

    def save_novelty(self) -> None:
        """Save the novelty states that changed."""
        with self._lock:
            waiting = [tenant for tenant in self._unsaved if tenant not in self._unread]
            states = {tenant: self._known[tenant].novelty for tenant in waiting}
        for tenant, state in states.items():
            self._store.save_state(tenant, "novelty", state.to_bytes())
            with self._lock:
                self._unsaved.pop(tenant, None)

    def remember(self, tenant: str, session: str, vector: Vector) -> None:
        """Fold a vector into the memory of a session; the sessions longest unused are forgotten."""
        with self._lock:
            state = self._memories.pop((tenant, session), None) or MemoryState.empty(self._dimension)
            self._memories[tenant, session] = remember(vector, state, self._config.memory)
            while len(self._memories) > MOST_SESSIONS:
                self._memories.popitem(last=False)

    def start_anew(self) -> None:
        """Go on in a forked process: another writer from now on, which reads what the parent and others wrote."""
        self._lock, self._refreshing = threading.RLock(), threading.Lock()
        self._known, self._unsaved, self._unread, self._pending = {}, {}, set(), []
        self._seen, self._opened, self._writer = 0, False, uuid.uuid4().hex

    def _drop_oldest(self) -> None:
        excess = max(0, len(self._pending) - MOST_PENDING)
        del self._pending[:excess]
        self._dropped += excess

    def _load(self, tenant: str) -> Known:
        if tenant not in self._known:
            self._known[tenant] = self._start(tenant)
        return self._known[tenant]

    def _start(self, tenant: str) -> Known:
        known = Known.fresh(self._dimension)
        kept: tuple[bytes | None, ...] = ()
        kept = self._guard.attempt("load_state", lambda: (self._store.load_state(tenant, "novelty"),), kept)
        if not kept:  # what could not be read is not written over
            self._unread.add(tenant)
            return known
        self._unread.discard(tenant)
        blob = kept[0]
        if blob is None:
            return known
        novelty = self._guard.attempt("read_state", lambda: NoveltyState.from_bytes(blob), None)
        return known if novelty is None else replace(known, novelty=novelty)

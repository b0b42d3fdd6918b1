"""The object that users hold."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import OrderedDict
from contextlib import aclosing, closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from leo_core.config import LEOConfig
from leo_core.engine import drivers
from leo_core.engine.answer_cache import AnswerCache
from leo_core.engine.arguments import check_arguments
from leo_core.engine.aside import start_aside
from leo_core.engine.assembly import (
    make_plan,
    make_world,
    open_parts,
    pick_embedder,
    pick_jury,
    pick_member,
    presume,
)
from leo_core.engine.comparators import pick_comparator
from leo_core.engine.explain import explain_answer
from leo_core.engine.feedback import take_entry_feedback, take_feedback
from leo_core.engine.gaps import find_examples, find_gaps
from leo_core.engine.pipeline import answer_request
from leo_core.engine.requests import make_request
from leo_core.engine.tracing import Tracing, afollow, awatch, follow, watch
from leo_core.engine.trials import demote_default
from leo_core.errors import ConfigError, RequestError
from leo_core.privacy.personal.redaction import cover_request
from leo_core.records import Answer
from leo_core.stages.budget.policy import find_accounts
from leo_core.stages.receipt.spelling import is_spelled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Sequence
    from pathlib import Path
    from types import TracebackType

    from leo_core.engine.requests import Prompt
    from leo_core.engine.teaching import Lesson
    from leo_core.engine.verified_pairs import ExportTerms
    from leo_core.engine.world import World
    from leo_core.ports import AnswerComparator, Clock, Embedder, Listener, Model, ReceiptLog, Store
    from leo_core.records import Balance, Chunk, Gap, Message, Request, RouteChange
    from leo_core.stages.receipt.keys import SigningKey
    from leo_core.stages.student.config import StudentConfig

__all__ = ["LEO"]

MOST_RECENT = 1024


class LEO:
    """Answers requests by the cheapest route that can be trusted, each with a signed receipt.

    Safe to share between threads and tasks. Use it as a context manager, or call :meth:`close`.

    Args:
        small: The member asked where that is enough: a name like ``"openai:gpt-5-mini"``, or a model.
        large: The member asked where the small one is not enough.
        jury: Members asked when a verdict is needed; small and large may sit in it.
        config: Settings; the defaults are ``LEOConfig()``.
        store: A path to one SQLite file (made when absent), ``":memory:"``, or a store.
        signing_key: A key, or the path of a key file; by default made beside the store with mode 0600.
        seal_key: Path of the file with the key that cache entries are sealed with; by default made beside the store
            with mode 0600. Whoever shares a store has to share it.
        embedder: ``"default"``, another name, or an embedder; by default what the settings name.
        listeners: Hear events, and follow requests where they can (:mod:`leo_core.telemetry`).
        checker: Judges answers for audits: right, wrong, or ``None`` for "cannot tell".
        comparator: How the cache compares answers when it explores: ``"canonical"`` (the default), ``"exact"``,
            ``"similarity"``, a model as judge of what the rules leave open, a function of (question, first text,
            second text), or an :class:`leo_core.ports.AnswerComparator`. The promise is as good as this comparison.
        lifetime: Says for how many seconds an answer to a request is fresh; ``None`` for ever. A request's own
            ``ttl_s`` goes before it.
        seed: Makes the engine's draws repeatable, for tests and benchmarks.
        clock: Another clock, for tests.

    Raises:
        ConfigError: A setting, a name or a key is wrong.
        StorageError: The store cannot be opened.

    Example:
        >>> from leo_core import LEO
        >>> from leo_core.providers.scripted import ScriptedModel
        >>> with LEO(small=ScriptedModel("parrot", replies=lambda request: request.question)) as leo:
        ...     leo.ask("Hello?").text
        'Hello?'
    """

    def __init__(
        self,
        small: str | Model | None = None,
        large: str | Model | None = None,
        jury: Sequence[str | Model] = (),
        *,
        config: LEOConfig | None = None,
        store: str | Path | Store = ":memory:",
        signing_key: SigningKey | str | Path | None = None,
        seal_key: str | Path | None = None,
        embedder: str | Embedder | None = None,
        listeners: Sequence[Listener] = (),
        checker: Callable[[Request, Answer], bool | None] | None = None,
        lifetime: Callable[[Request, Message], float | None] | None = None,
        comparator: str | Model | AnswerComparator | Callable[[str, str, str], bool | None] | None = None,
        seed: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        check_arguments(locals(), owner="LEO")
        small_member, large_member = pick_member(small), pick_member(large)
        panel = pick_jury(jury, (small_member, large_member))
        self.config = presume(config or LEOConfig(), (small_member, large_member, *panel))
        eyes = pick_embedder(embedder, self.config)
        self._plan = make_plan(
            small_member,
            large_member,
            panel,
            self.config,
            audits=checker is not None,
            lifetime=lifetime,
            embedder=eyes,
        )
        kept, log, self._key = open_parts(store, signing_key, self.config, seal_key=seal_key)
        self._world = make_world(
            store=kept,
            log=log,
            embedder=eyes,
            config=self.config,
            listeners=listeners,
            checker=checker,
            comparator=pick_comparator(comparator, self._plan.pair_model),
            seed=seed,
            clock=clock,
        )
        self._tracing = Tracing(listeners, self.config.personal_data)
        self._world.recover()
        self.cache = AnswerCache(self._world, self._plan, self._awarm_up, self._tracing)
        self._recent: OrderedDict[str, tuple[Request, Answer]] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False
        self._warm = False
        self._warming = threading.Lock()

    def __repr__(self) -> str:
        members = ", ".join(member.id for member in self.members)
        return f"LEO({members})"

    # ------------------------------------------------------------------------------------------------ asking

    def ask(self, prompt: Prompt, **settings: Any) -> Answer:
        """Answer a prompt.

        Args:
            prompt: A question, messages, or a :class:`~leo_core.records.Request`.
            **settings: Constraints (``max_error``, ``max_cost_usd``, ``max_latency_s``, ``route``, ``cache``),
                sampling (``temperature``, ``max_tokens``, …) or request fields (``tenant``, ``user``, ``session``,
                ``tools``, ``idempotency_key``, …).

        Raises:
            RequestError: The prompt or a setting is unusable.
            ProviderError: The only member that could be asked failed.
            NoAnswerError: Every member failed, or the committee abstained and was told not to answer then.
            BudgetExceededError: Even the first call would cost more than ``max_cost_usd``, or than a budget leaves.
        """
        admitted = self._admit(prompt, settings)
        request, span = self._tracing.begin(admitted)
        work = answer_request(request, self._plan)
        return self._keep(admitted, watch(span, lambda: drivers.run(work, self._world)))

    async def aask(self, prompt: Prompt, **settings: Any) -> Answer:
        """:meth:`ask` without blocking the event loop."""
        admitted = self._admit(prompt, settings)
        await self._awarm_up()
        request, span = self._tracing.begin(admitted)
        work = answer_request(request, self._plan)
        return self._keep(admitted, await awatch(span, drivers.arun(work, self._world)))

    def stream(self, prompt: Prompt, **settings: Any) -> Generator[Chunk, None, None]:
        """Answer in pieces; the last chunk carries the ``answer``. Takes what :meth:`ask` takes.

        What comes before the verdict is a matter of ``stream_policy``, by default that of the settings:
        ``"cascade"`` the tokens of a member that answers alone; ``"verified"`` nothing, and nothing before the
        receipt; ``"optimistic"`` also the tokens of a draft that is still to be judged. Where that turns out not to be
        the answer, a chunk with a ``correction`` comes, and after it the answer from its beginning.
        A cache hit is streamed as well.

        Raises:
            StreamInterruptedError: The stream died after its first token; ``.partial`` holds what was shown.
        """
        admitted = self._admit_stream(prompt, settings)
        request, span = self._tracing.begin(admitted, stream=True)
        with closing(follow(span, drivers.stream(answer_request(request, self._plan), self._world))) as chunks:
            for chunk in chunks:
                if chunk.answer is not None:
                    self._keep(admitted, chunk.answer)
                yield chunk

    async def astream(self, prompt: Prompt, **settings: Any) -> AsyncGenerator[Chunk, None]:
        """:meth:`stream` without blocking the event loop."""
        admitted = self._admit_stream(prompt, settings)
        await self._awarm_up()
        request, span = self._tracing.begin(admitted, stream=True)
        async with aclosing(afollow(span, drivers.astream(answer_request(request, self._plan), self._world))) as chunks:
            async for chunk in chunks:
                if chunk.answer is not None:
                    self._keep(admitted, chunk.answer)
                yield chunk

    # ---------------------------------------------------------------------------------------- after the answer

    def explain(self, answer: Answer | str | object) -> dict[str, Any]:
        """Every compared quantity of an answer, in words and figures.

        Args:
            answer: An answer, its id, or a framework's message that carries the id in its metadata. An id is known
                for the last 1,024 answers of this object; the receipt holds the figures for ever.

        Raises:
            RequestError: The answer is not known here.
        """
        return explain_answer(answer if isinstance(answer, Answer) else self._find(answer)[1])

    def feedback(self, answer: Answer | str | object, *, wrong: bool, tenant: str = "default") -> None:
        """Say whether an answer was wrong: a wrong one is removed from the cache, and either way LEO learns.

        Args:
            answer: As for :meth:`explain`; also the id of an answer that another process gave, as long as it is kept.
            wrong: Whether it was wrong.
            tenant: Whose answer it was, where this object did not give it.

        Raises:
            RequestError: The answer is neither known here nor kept.
        """
        self._check_open()
        self.flush()
        try:
            request, known = self._find(answer)
        except RequestError:
            entry = self._world.store.get(tenant, str(_id_of(answer)))
            if entry is None:
                raise
            drivers.run(take_entry_feedback(entry, wrong=wrong), self._world)
        else:
            drivers.run(take_feedback(request, known, self._plan, wrong=wrong), self._world)

    def demote(self, region: int, *, tenant: str = "default", why: str = "by hand") -> RouteChange:
        """Take a region's default route from its place: the router chooses there again, as before its promotion.

        Args:
            region: Which; an answer's ``novelty.region``.
            tenant: Whose.
            why: A reason for the log of observations; not a prompt or a secret.

        Raises:
            RequestError: The region has no default.
        """
        self._check_open()
        self.flush()
        change = drivers.run(demote_default(tenant, region, why), self._world)
        if change is None:
            message = f"region {region} of the tenant {tenant!r} has no default route"
            raise RequestError(message)
        return change

    def route_changes(self, tenant: str = "default") -> tuple[RouteChange, ...]:
        """Every promotion and demotion of a default route so far, oldest first."""
        self._check_open()
        self.flush()
        return self._world.knowledge.recall(tenant).promotions.changes

    def gaps(
        self, tenant: str = "default", *, below: float = 0.5, least: int = 20, examples: int = 3
    ) -> tuple[Gap, ...]:
        """The regions of the traffic in which every member fails, the dearest first.

        Args:
            tenant: Whose.
            below: Share of right answers, in (0, 1), below which a member fails; the upper end of its 95 % credible
                interval has to lie under it.
            least: Audits or feedback that have to be known of each member.
            examples: Most questions that are shown of a region, of those that the store still holds.
        """
        self._check_open()
        self.flush()
        store = self._world.store
        observed = (each for _, each in store.observations(tenant=tenant))
        found = find_gaps(observed, members=[member.id for member in self.members], below=below, least=least)
        centres = self._world.knowledge.recall(tenant).novelty.centres
        return tuple(
            replace(gap, examples=find_examples(store.entries(tenant), centres, gap.region, examples)) for gap in found
        )

    def warm_up(self) -> None:
        """Load and compile what the first request would otherwise wait for; idempotent.

        Asynchronous requests do it by themselves, in a thread, before the first of them.
        """
        from leo_core.kernels.warm import compile_for_requests  # noqa: PLC0415 - loads numba

        with self._warming:
            if not self._warm:
                compile_for_requests(max(2, self._world.embedder.fingerprint.dimension))
                self._world.embedder.embed(["warm up"])
                self._plan.pair_model.probability_at([1.0], ["warm up"], ["warm up"])
                self._plan.pair_model.find_conflict("Is the car red?", "Is the bike red?")  # reads the thesaurus
                is_spelled(b"")  # compiles its expression
                self._warm = True

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until all answers are kept and everything learned is written; tells whether it was in time."""
        return self._world.flush(timeout_s)

    def close(self) -> None:
        """Write what is left and release store, log and the members that were made here; idempotent."""
        if self._closed:
            return
        self._closed = True
        _close_parts(self._world, self.members)

    def close_when_unused(self) -> None:
        """:meth:`close` as soon as nobody holds this LEO any more: calls that are under way end first."""
        finalizer = weakref.finalize(self, start_aside, partial(_close_parts, self._world, self.members))
        finalizer.atexit = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def train_student(
        self,
        path: str | Path,
        *,
        tenants: Sequence[str] | None = None,
        config: StudentConfig | None = None,
        terms: ExportTerms | None = None,
    ) -> Lesson:
        """Train a student on the verified pairs of the store, a tenant at a time, and write it into a file.

        Load it with :meth:`leo_core.providers.student.StudentModel.load`, as a member of the next LEO.

        Args:
            path: File to write, mode 0600. It holds answers and vectors of the questions, and no question.
            tenants: Whose; by default all.
            config: When an answer is taught, and when the student abstains.
            terms: Which pairs; by default those of ``leo export``.

        Raises:
            ConfigError: There are too few verified pairs, or the file cannot be written.
            StorageError: The store failed.
        """
        self._check_open()
        self.flush()
        from leo_core.engine.teaching import save_student, teach  # noqa: PLC0415 - loads what training alone needs

        whose = self.store.tenants() if tenants is None else tenants
        lesson = teach(self.store, whose, self.config, embedder=self._world.embedder, student=config, terms=terms)
        save_student(lesson, path)
        return lesson

    # ------------------------------------------------------------------------------------------------- facts

    @property
    def members(self) -> tuple[Model, ...]:
        """Every member once: small, large, then the jury."""
        return self._plan.members

    @property
    def store(self) -> Store:
        """Where entries and observations are kept."""
        return self._world.store

    @property
    def log(self) -> ReceiptLog | None:
        """The log of receipts; ``None`` when they are switched off."""
        return self._world.log

    def budgets(
        self, *, tenant: str | None = None, user: str | None = None, session: str | None = None
    ) -> tuple[Balance, ...]:
        """What is spent, reserved and left of the budgets, until their periods end.

        Args:
            tenant: The budgets that a request of this tenant, ``user`` and ``session`` would be charged to, in the
                order of the settings. Without any of the three: all in the ledger whose period is not over.
            user: As above.
            session: As above.

        Raises:
            StorageError: The ledger failed.
        """
        if tenant is None and user is None and session is None:
            return self._world.budgets.list_open()
        return self._world.budgets.find(
            find_accounts(
                self.config.budgets,
                tenant=tenant or "default",
                user=user,
                session=session,
                now=self._world.budgets.clock.now(),
            )
        )

    @property
    def public_key(self) -> str:
        """The public key (PEM) that the receipts are checked with.

        Raises:
            ConfigError: Receipts are switched off.
        """
        if self._key is None:
            message = "receipts are switched off (config.receipts.enabled), so there is no key"
            raise ConfigError(message)
        return self._key.public.to_pem()

    @property
    def public_keys(self) -> str:
        """The public keys (PEM, one after the other) of all its receipts: the present one, and those it replaced.

        Raises:
            ConfigError: Receipts are switched off.
        """
        earlier = () if self.log is None else getattr(self.log, "public_keys", ())
        others = "".join(key.to_pem() for key in earlier if key.to_pem() != self.public_key)
        return self.public_key + others

    @property
    def counts(self) -> dict[str, int]:
        """Events so far, by name, such as ``cache.hit`` or ``store.failed``."""
        return dict(self._world.counts)

    # ------------------------------------------------------------------------------------------------ private

    async def _awarm_up(self) -> None:
        if not self._warm:
            await asyncio.to_thread(self.warm_up)

    def _admit(self, prompt: Prompt, settings: dict[str, Any]) -> Request:
        self._check_open()
        request = make_request(prompt, **settings)
        return request if request.stream_policy is None else replace(request, stream_policy=None)

    def _admit_stream(self, prompt: Prompt, settings: dict[str, Any]) -> Request:
        self._check_open()
        request = make_request(prompt, **settings)
        return replace(request, stream_policy=request.stream_policy or self.config.stream_policy)

    def _check_open(self) -> None:
        if self._closed:
            message = "this LEO is closed; make another"
            raise ConfigError(message)

    def _keep(self, request: Request, answer: Answer) -> Answer:
        kept = answer if answer.covered is None else replace(answer, message=answer.covered)
        request, _ = cover_request(request, self.config.personal_data)
        with self._lock:
            if answer.replayed and answer.id in self._recent:  # the first one knows more
                return answer
            self._recent[answer.id] = (request, kept)
            while len(self._recent) > MOST_RECENT:
                self._recent.popitem(last=False)
        return answer

    def _find(self, answer: object) -> tuple[Request, Answer]:
        answer_id = _id_of(answer)
        with self._lock:
            found = self._recent.get(str(answer_id))
        if found is None:
            message = f"the answer {answer_id!r} is not among the last {MOST_RECENT} of this LEO"
            raise RequestError(message)
        return found


def _close_parts(world: World, members: Sequence[Model]) -> None:
    try:
        world.close()
    finally:
        for member in members:
            member.close()


def _id_of(answer: object) -> object:
    """The id of an answer, given as itself, its id, or a framework's message that carries the id in its metadata."""
    answer_id = answer.id if isinstance(answer, Answer) else answer
    if isinstance(answer_id, str):
        return answer_id
    metadata = getattr(answer, "response_metadata", None) or getattr(answer, "metadata", None) or {}
    return metadata.get("leo", metadata).get("answer_id") if isinstance(metadata, dict) else None

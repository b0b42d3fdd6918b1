"""Judging an answer that a framework's own model gave: LEO takes it as a member's, and lets the others say theirs."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from leo_core.adapting.closing import Closeable
from leo_core.adapting.lazy import LazyEngine
from leo_core.adapting.settings import refuse_unknown
from leo_core.engine.arguments import check_arguments
from leo_core.engine.explain import summarise_answer
from leo_core.errors import ConfigError, InvalidRequestError
from leo_core.providers.draft_chunks import draft_chunks
from leo_core.records import Answer, Capabilities, Chunk, Draft, Json, Request, Route, Usage
from leo_core.stages.consensus.equivalence import same_answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from leo_core.adapting.members import Panel
    from leo_core.engine.leo import LEO

__all__ = ["SETTINGS", "AnswerJudge", "Judgement", "Outcome"]

Outcome = Literal["confirmed", "overruled", "doubtful"]

SETTINGS: Final = frozenset({
    "config", "store", "signing_key", "seal_key", "embedder", "listeners", "checker", "lifetime", "comparator", "seed",
    "clock",
})  # fmt: skip
"""What :class:`leo_core.LEO` takes beside its members; it is not loaded here, because that loads numba."""

_PROPOSED: ContextVar[Draft | None] = ContextVar("leo_proposed", default=None)
_ID: Final = "agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was found out about a proposed answer.

    Attributes:
        outcome: ``confirmed``: it is the answer that LEO would give. ``overruled``: LEO would give another one.
            ``doubtful``: the members disagree too much, or the answer's risk is too high.
        answer: LEO's answer, with verdict, risk and receipt.
        proposed: Whether LEO's answer is the proposed one.
    """

    outcome: Outcome
    answer: Answer
    proposed: bool

    def facts(self) -> dict[str, Any]:
        """Plain values for the framework's own state: the answer's metadata, and the outcome."""
        verdict = self.answer.verdict
        votes = {} if verdict is None else verdict.answer_classes()
        return {
            **summarise_answer(self.answer),
            "outcome": self.outcome,
            "required": None if verdict is None else round(verdict.required, 6),
            "votes": votes,
        }


class AnswerJudge(Closeable):
    """Judges proposed answers by LEO's routes: by their risk, by a stronger member, by a jury's vote.

    Args:
        pick: Makes the members: ``large`` is asked where the risk of the proposal is too high, the ``jury`` votes
            on it; ``small`` is the proposal's place.
        route: ``"small"``: its risk alone. ``"cascade"``: the large member where the risk is too high. ``"consensus"``:
            the jury always.
        owner: Whose arguments these are, for the errors.
        **settings: As :class:`leo_core.LEO` takes them (:data:`SETTINGS`).

    Raises:
        ConfigError: There is no such route, or a setting is unknown, of the wrong type, or outside its range.
    """

    def __init__(
        self, pick: Callable[[], Panel], *, route: Route | str, owner: str = "AnswerJudge", **settings: Any
    ) -> None:
        if route not in (Route.SMALL, Route.CASCADE, Route.CONSENSUS):
            message = f"an answer is judged by 'small', 'cascade' or 'consensus', not {route!r}"
            raise ConfigError(message)
        refuse_unknown(settings, SETTINGS, owner=owner)
        check_arguments(settings, owner=owner)
        self._pick, self.route, self._settings = pick, Route(route), settings
        self._engine = LazyEngine()

    def __repr__(self) -> str:
        return f"AnswerJudge({self.route.value!r})"

    @property
    def leo(self) -> LEO:
        """The core's engine: ``explain``, ``feedback``, ``public_key``, ``log`` and the rest."""
        return self._engine.get(self._build)

    def judge(self, request: Request, proposed: Draft) -> Judgement:
        """Judge an answer to a request.

        Raises:
            ReceiptError: The settings require a receipt, and there is none.
            AbstainedError: The members disagree, and the settings say to raise then.
        """
        leo = self.leo
        with _proposing(proposed) as draft:
            return self._conclude(request, draft, leo.ask(self._prepare(request)))

    async def ajudge(self, request: Request, proposed: Draft) -> Judgement:
        """:meth:`judge` without blocking the event loop."""
        leo = await self._engine.aget(self._build)
        with _proposing(proposed) as draft:
            return self._conclude(request, draft, await leo.aask(self._prepare(request)))

    def close(self) -> None:
        """Write what is left and release the store; idempotent. A later use opens it again."""
        self._engine.close()

    def _build(self) -> LEO:
        from leo_core import LEO  # noqa: PLC0415 - the engine loads numba

        panel, proposal = self._pick(), ProposedAnswer()
        jury = (proposal, *panel.jury) if panel.jury else ()
        return LEO(small=proposal, large=panel.large, jury=jury, **self._settings)

    def _prepare(self, request: Request) -> Request:
        return request.with_constraints(cache=False, route=self.route)

    def _conclude(self, request: Request, proposed: Draft, answer: Answer) -> Judgement:
        verdict, strict = answer.verdict, request.constraints.max_error is not None
        if verdict is None:
            certain = self.route is not Route.CONSENSUS and answer.risk.action == "accept"
        else:
            certain = not verdict.abstained and (answer.risk.action == "accept" or not strict)
        served = answer.draft
        own = served is None or served.member == _ID or same_answer(proposed.message, served.message, request.question)
        if verdict is not None and verdict.winner >= 0:
            own = verdict.answer_classes().get(_ID) == verdict.winner
        outcome: Outcome = "doubtful" if not certain else "confirmed" if own else "overruled"
        return Judgement(outcome=outcome, answer=answer, proposed=own)


class ProposedAnswer:
    """The member that says what was proposed. Its call was paid for where it was made, so it costs nothing here."""

    id: Final = _ID
    family: Final = _ID
    capabilities: Final = Capabilities()
    fingerprint: Final[Mapping[str, Json]] = {"provider": "leo", "model": _ID}

    def __repr__(self) -> str:
        return "ProposedAnswer()"

    def estimate(self, request: Request) -> Usage:  # noqa: ARG002 - the port's signature
        """Nothing."""
        return Usage()

    def price(self, usage: Usage) -> float | None:  # noqa: ARG002 - the port's signature
        """Unknown: it says nothing of the one who made the proposal."""
        return None

    def generate(self, request: Request) -> Draft:  # noqa: ARG002 - the port's signature
        """The proposal."""
        draft = _PROPOSED.get()
        if draft is None:
            message = "nothing was proposed: this member answers only while an answer is judged"
            raise InvalidRequestError(message, provider="leo", model=_ID)
        return draft

    async def agenerate(self, request: Request) -> Draft:
        """The proposal."""
        return self.generate(request)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """The proposal in pieces."""
        yield from draft_chunks(self.generate(request))

    async def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """The proposal in pieces."""
        for chunk in draft_chunks(self.generate(request)):
            yield chunk

    def close(self) -> None:
        """Nothing to release."""


@contextmanager
def _proposing(proposed: Draft) -> Iterator[Draft]:
    """The proposal as this member's, for whoever runs in this context and in copies of it."""
    draft = replace(proposed, member=_ID, usage=Usage())
    token = _PROPOSED.set(draft)
    try:
        yield draft
    finally:
        _PROPOSED.reset(token)

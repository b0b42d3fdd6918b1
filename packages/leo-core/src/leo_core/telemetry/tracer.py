"""How a listener follows a request from its beginning to its end, and every call of a member on the way.

Events (:class:`leo_core.records.Event`) say that something happened. A listener that is a :class:`Tracer` besides is
told when a request or a call begins, may set the context in which the work is done, and is told how it ended.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, runtime_checkable

from leo_core.records import Answer, CacheDecision, CacheEntry, Draft, Failure

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from leo_core.ports import Model
    from leo_core.records import Request

__all__ = ["NO_SPAN", "LookedUp", "LookupTracer", "Outcome", "Span", "Tracer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """What came of a look-up in the cache of a framework that asks its models itself.

    Attributes:
        decision: What was decided.
        entry: The entry that is served; ``None`` unless the decision is a hit.
        waited_s: Seconds spent on an equal request that was under way.
    """

    decision: CacheDecision
    entry: CacheEntry | None = None
    waited_s: float = 0.0


Outcome: TypeAlias = Answer | Draft | Failure | LookedUp | BaseException | None
"""How a span ends: with an answer (requests), a draft or a failure (calls), what was looked up (look-ups), an error, or
``None``: it was given up."""

_NOTHING: Final = nullcontext()


class Span:
    """The time of one request, one look-up, or one call of a member. This one takes no note of anything.

    The methods must return quickly; an error in one of them is logged and goes no further. A call may begin after its
    request has ended: audits and renewals are made in the background.
    """

    __slots__ = ()

    def active(self) -> AbstractContextManager[object]:
        """A context in which a step of the work is done; entered and left in one thread or task, maybe many times."""
        return _NOTHING

    def begin_call(self, model: Model, request: Request, *, stream: bool) -> Span:  # noqa: ARG002 - for those that do
        """A call begins.

        Args:
            model: The member that is called.
            request: What it is asked, with stand-ins for personal data.
            stream: Whether its reply is passed on as it comes.
        """
        return self

    def first_chunk(self) -> None:
        """The first piece of a streamed reply has come."""

    def end(self, outcome: Outcome) -> None:
        """The work has ended; called once."""


NO_SPAN: Final = Span()


@runtime_checkable
class Tracer(Protocol):
    """What a listener may be besides: it follows requests."""

    def begin_request(self, request: Request, *, stream: bool) -> Span:
        """A request begins, in the thread or task of whoever asks.

        Args:
            request: What is asked, with stand-ins for personal data where the settings say so.
            stream: Whether the answer is passed on as it comes.
        """
        ...


@runtime_checkable
class LookupTracer(Protocol):
    """What a listener may be besides: it follows look-ups that are made without a request to LEO's members."""

    def begin_lookup(self, request: Request) -> Span:
        """A look-up begins, in the thread or task of whoever asks.

        Args:
            request: What is looked up, with stand-ins for personal data where the settings say so.
        """
        ...

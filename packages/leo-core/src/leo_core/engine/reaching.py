"""Reaching one member: asked again after a passing failure, and in good time.

Written as a pipeline like everything else, so that waits hold up no event loop, and that a stream of which nothing was
shown yet is begun anew like any other call.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from leo_core.engine.effects import CallMember, Draw, Hedge, Notify, Now, Pause
from leo_core.errors import OutOfTimeError
from leo_core.ports import Retriable
from leo_core.records import Draft, Failure
from leo_core.stages.budget.policy import find_charge
from leo_core.stages.resilience.retry import decide_wait, may_repeat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leo_core.engine.effects import Instant, Pipeline
    from leo_core.engine.plan import Plan
    from leo_core.ports import Model
    from leo_core.records import Request
    from leo_core.stages.resilience.config import ResilienceConfig

__all__ = ["Reached", "reach"]

_RESERVE_S: Final = 0.2
_RESERVE_SHARE: Final = 0.1
"""What is kept of the time that is left when a member is asked: this share of it, and at most so many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What came of asking a member.

    Attributes:
        draft: Its draft, or that of another member that got the second copy of the call; ``None`` when all failed.
        failures: Calls that brought none, in the order in which they ended.
    """

    draft: Draft | None
    failures: tuple[Failure, ...] = ()


def reach(
    member: Model,
    request: Request,
    plan: Plan,
    started: Instant,
    *,
    live: bool = False,
    second: Model | None = None,
) -> Pipeline[Reached]:
    """Ask a member, and again after failures that may pass, as long as settings and deadline allow.

    Args:
        member: Who is asked.
        request: What is asked.
        plan: Settings.
        started: When the request came in; ``max_latency_s`` counts from then.
        live: Whether tokens may be shown as they come.
        second: Who gets the second copy, where the call is to be hedged.
    """
    config = plan.config.resilience
    failures: list[Failure] = []
    attempt, waited_s = 1, 0.0
    while True:
        left_s = _left(request, started, (yield from Now()))
        if left_s is not None and left_s <= 0.0:
            failures.append((yield from _note(_out_of_time(member), attempt)))
            return Reached(draft=None, failures=tuple(failures))
        reply, *others = yield from _ask(member, second, _timed(request, left_s), config, live=live)
        failures.extend((yield from _note_all(others, attempt)))
        if isinstance(reply, Draft):
            return Reached(draft=reply, failures=tuple(failures))
        wait_s = yield from _find_wait(reply, member, request, started, plan, attempt=attempt, waited_s=waited_s)
        if wait_s is None:
            failures.append((yield from _note(reply, attempt)))
            return Reached(draft=None, failures=tuple(failures))
        facts = {"member": member.id, "error": type(reply.error).__name__, "wait_s": wait_s}
        if reply.outcome == "skipped":
            yield from Notify("member.awaited", facts)
        else:
            failures.append((yield from _note(reply, attempt)))
            yield from Notify("member.retried", facts)
            attempt += 1
        yield from Pause(wait_s)
        waited_s += wait_s


def _ask(
    member: Model, second: Model | None, request: Request, config: ResilienceConfig, *, live: bool
) -> Pipeline[tuple[Draft | Failure, ...]]:
    call = CallMember(member, request, live)
    if second is None or config.hedge_after_s is None:
        return ((yield from call),)
    after_s = None if isinstance(config.hedge_after_s, str) else config.hedge_after_s
    return (yield from Hedge(call, CallMember(second, request), after_s))


def _find_wait(
    failed: Failure,
    member: Model,
    request: Request,
    started: Instant,
    plan: Plan,
    *,
    attempt: int,
    waited_s: float,
) -> Pipeline[float | None]:
    """Seconds until the member is asked again; ``None`` when it is not."""
    config = plan.config.resilience
    retries = config.max_retries if config.max_retries is not None else _retries_of(member)
    if plan.config.budgets and find_charge(failed, 1):  # what is reserved may be spent already
        return None
    if failed.shown or not may_repeat(failed.error, attempt=attempt, retries=retries):
        return None
    (draw,) = yield from Draw()
    left_s = _left(request, started, (yield from Now()))
    if left_s is not None:  # an attempt that took all the time it was given is not made again in the rest of it
        left_s -= 2.0 * _reserve_of(request.constraints.max_latency_s or 0.0)
    return decide_wait(failed.error, attempt=attempt, waited_s=waited_s, left_s=left_s, draw=draw, config=config)


def _retries_of(member: Model) -> int:
    return member.max_retries if isinstance(member, Retriable) else 0


def _note(failure: Failure, attempt: int) -> Pipeline[Failure]:
    """Tell the listeners of a call that brought no draft."""
    failure = replace(failure, attempt=attempt)
    facts = {"member": failure.member, "error": type(failure.error).__name__, "attempt": attempt}
    yield from Notify(f"member.{failure.outcome}", facts)
    return failure


def _note_all(replies: Iterable[Draft | Failure], attempt: int) -> Pipeline[list[Failure]]:
    noted = []
    for reply in replies:
        if isinstance(reply, Failure):
            noted += [(yield from _note(reply, attempt))]
    return noted


def _left(request: Request, started: Instant, now: Instant) -> float | None:
    """Seconds until the request's deadline; ``None`` without one."""
    limit = request.constraints.max_latency_s
    return None if limit is None else limit - (now.monotonic - started.monotonic)


def _timed(request: Request, left_s: float | None) -> Request:
    """The request as a member gets it: with what is left of the time, less what vote and receipt may take."""
    if left_s is None:
        return request
    return request.with_constraints(max_latency_s=left_s - _reserve_of(left_s))


def _reserve_of(time_s: float) -> float:
    """Seconds of a time that are kept for vote and receipt."""
    return min(_RESERVE_S, _RESERVE_SHARE * time_s)


def _out_of_time(member: Model) -> Failure:
    provider = member.id.partition(":")[0]
    message = f"the time allowed was over before {member.id} was asked"
    return Failure(member=member.id, error=OutOfTimeError(message, provider=provider, model=member.id))

"""Asking members on behalf of a request: within its budget and its deadline, and noting what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from leo_core.engine.admission import find_able
from leo_core.engine.effects import Notify, Now, Together
from leo_core.engine.reaching import reach
from leo_core.engine.spending import estimate_cost, reserve, spend
from leo_core.errors import BudgetExceededError, StreamInterruptedError
from leo_core.records import Correction, Draft, Failure, Message, Usage
from leo_core.stages.consensus.trust import estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leo_core.engine.effects import Instant, Pipeline
    from leo_core.engine.knowledge import Known
    from leo_core.engine.plan import Plan
    from leo_core.engine.reaching import Reached
    from leo_core.engine.spending import Payment
    from leo_core.ports import Model
    from leo_core.records import Request, Vector

__all__ = ["Trip", "ask_all", "ask_one", "cost_of_calls", "interrupted"]


@dataclass(slots=True, kw_only=True)
class Trip:
    """The state of one request under way: what was asked, what came back, what it cost so far.

    Attributes:
        request: The request.
        region: Region of its traffic.
        known: What was known when it came in.
        plan: Members and policies.
        started: When it came in.
        loss_usd: What a wrong answer to it costs, in US dollars.
        drafts: Drafts so far, in the order they came.
        failures: Calls so far that brought no draft.
        waited_s: Time spent waiting for members.
        refused: Calls that were not made because a budget had no room, by the ids of the members.
        shown: Whose words a caller who is streaming has seen: a draft, or a stream that died after its first token.
        place: Its place among past requests, unit, (d,); ``None`` where there is none, or where it is novel.
    """

    request: Request
    region: int
    known: Known
    plan: Plan
    started: Instant
    loss_usd: float
    drafts: list[Draft]
    failures: list[Failure]
    waited_s: float = 0.0
    refused: dict[str, BudgetExceededError] = field(default_factory=dict)
    shown: Draft | Failure | None = None
    place: Vector | None = None

    @property
    def shows_answers(self) -> bool:
        """Whether the tokens of a member that answers alone may be shown as they come."""
        return self.request.stream_policy in {"cascade", "optimistic"} and self.shown is None

    @property
    def shows_drafts(self) -> bool:
        """Whether the tokens of a draft that is still to be judged may be shown as they come."""
        return self.corrects and self.shown is None

    @property
    def corrects(self) -> bool:
        """Whether what is shown may turn out not to be the answer: text only, since a tool call would be acted upon."""
        request = self.request
        return request.stream_policy == "optimistic" and not request.tools and request.response_format is None

    def find_correction(self, served: Draft) -> Correction | None:
        """What a caller who is streaming has to be told, where the words that were shown are not those served."""
        match self.shown:
            case Draft(member=member, message=message) if message != served.message:
                return Correction(reason="overruled", member=member, message=message)
            case Failure(member=member, shown=text):
                return Correction(reason="interrupted", member=member, message=Message(role="assistant", content=text))
            case _:
                return None

    @property
    def spent(self) -> Usage:
        """Usage of all drafts so far, and what is counted for copies of calls that were abandoned."""
        made: tuple[Draft | Failure, ...] = (*self.drafts, *self.failures)
        return sum((each.usage for each in made), Usage())

    def draft_of(self, member: Model | None) -> Draft | None:
        """The draft that a member made on this trip."""
        return next((draft for draft in self.drafts if member is not None and draft.member == member.id), None)


def ask_one(trip: Trip, member: Model | None, *, live: bool = False, alone: bool = False) -> Pipeline[Draft | None]:
    """Ask one member within budget and deadline; a failure is noted and gives ``None``.

    Args:
        trip: The request under way.
        member: Who is asked.
        live: Whether its tokens are shown as they come to a caller who is streaming.
        alone: Whether any member's answer will do, so that a hedged call may go to another one.

    Raises:
        BudgetExceededError: It costs more than is left, and nothing has been answered yet.
        StreamInterruptedError: Its stream died after the first token.
    """
    if member is None or member not in find_able(trip.plan.members, trip.request):
        return None
    if not (yield from _affordable(trip, (member,))):
        return None
    payment = yield from _reserve(trip, (member,))
    if payment is None:
        return None
    before = yield from Now()
    second = _second(trip, member, alone=alone)
    calls = reach(member, trip.request, trip.plan, trip.started, live=live, second=second)
    reached = yield from spend(payment, calls)
    after = yield from Now()
    trip.waited_s += after.monotonic - before.monotonic
    return _take_in(trip, reached, live=live)


def ask_all(trip: Trip, members: tuple[Model, ...]) -> Pipeline[None]:
    """Ask members at once within budget and deadline; drafts and failures are noted in the order of the members.

    Where drafts may be shown before they are judged, the tokens of the most trusted of them are shown as they come.

    Raises:
        BudgetExceededError: They cost more than is left, and nothing has been answered yet.
    """
    able = find_able(trip.plan.members, trip.request)
    asked = tuple(member for member in members if member in able)
    if not asked or not (yield from _affordable(trip, asked)):
        return
    payment = yield from _reserve(trip, asked)
    if payment is None:
        return
    spare = _affords_twice(trip, asked)
    lead = _most_trusted(trip, asked) if trip.shows_drafts else None

    before = yield from Now()
    jobs = (
        partial(
            reach,
            member,
            trip.request,
            trip.plan,
            trip.started,
            live=place == lead,
            second=member if spare and place != lead else None,
        )
        for place, member in enumerate(asked)
    )
    found = yield from spend(payment, iter(Together(tuple(jobs), lead)))
    after = yield from Now()
    trip.waited_s += after.monotonic - before.monotonic
    for place, reached in enumerate(found):
        _take_in(trip, reached, live=place == lead)


def _most_trusted(trip: Trip, members: tuple[Model, ...]) -> int:
    """The place of the member that is least likely to be overruled; the first of equals."""
    policy = trip.plan.config.consensus
    trust = [estimate(trip.known.trust, member.id, trip.region, policy).mean for member in members]
    return trust.index(max(trust))


def _take_in(trip: Trip, reached: Reached, *, live: bool) -> Draft | None:
    trip.failures.extend(reached.failures)
    if reached.draft is not None:
        trip.drafts.append(reached.draft)
        if live:
            trip.shown = reached.draft
        return reached.draft
    broken = next((failure for failure in reached.failures if failure.shown), None)
    if broken is not None and not trip.corrects:
        raise interrupted(broken) from broken.error
    trip.shown = broken or trip.shown
    return None


def interrupted(broken: Failure) -> StreamInterruptedError:
    """The error of a stream that died after its first token, where nobody else answered."""
    message = f"the stream of {broken.member} died after its first token ({type(broken.error).__name__})"
    return StreamInterruptedError(message, partial=broken.shown)


# ------------------------------------------------------------------------------------------------ the second copy


def _second(trip: Trip, member: Model, *, alone: bool) -> Model | None:
    """Who gets the second copy of a hedged call; ``None`` where calls are not hedged, or two are too dear."""
    config = trip.plan.config.resilience
    if config.hedge_after_s is None or trip.plan.config.budgets:  # what is reserved in a budget pays for one copy
        return None
    second = member
    if alone and config.hedge_to == "next":
        tried = {failure.member for failure in trip.failures}
        able = find_able(trip.plan.members, trip.request)
        others = (other for other in able if other.id != member.id and other.id not in tried)
        second = next(others, member)
    return second if _fits(trip, (member, second)) else None


def _affords_twice(trip: Trip, members: tuple[Model, ...]) -> bool:
    config = trip.plan.config
    return config.resilience.hedge_after_s is not None and not config.budgets and _fits(trip, members * 2)


# ---------------------------------------------------------------------------------------------------- the budget


def _affordable(trip: Trip, members: tuple[Model, ...]) -> Pipeline[bool]:
    """Whether these calls fit into what is left of ``max_cost_usd``; raises when nothing has been answered yet."""
    limit = trip.request.constraints.max_cost_usd
    if limit is None:
        return True
    if _fits(trip, members):
        return True
    next_cost = cost_of_calls(members, trip.request)
    names = ", ".join(member.id for member in members)
    cost = "an unknown price (give prices=)" if next_cost is None else f"up to ${next_cost:.6f}"
    yield from Notify("budget.exceeded", {"members": names, "max_cost_usd": limit})
    if trip.drafts:
        return False
    message = f"calling {names} costs {cost}, more than is left of max_cost_usd={limit}"
    raise BudgetExceededError(message)


def _reserve(trip: Trip, members: tuple[Model, ...]) -> Pipeline[Payment | None]:
    """Reserve in the budgets what these calls may cost; ``None`` where one has no room, which the trip then knows."""
    payment = yield from reserve(trip.request, members, trip.plan)
    if isinstance(payment, BudgetExceededError):
        trip.refused[", ".join(member.id for member in members)] = payment
        return None
    return payment


def _fits(trip: Trip, members: tuple[Model, ...]) -> bool:
    limit = trip.request.constraints.max_cost_usd
    if limit is None:
        return True
    spent, next_cost = trip.spent.cost_usd, cost_of_calls(members, trip.request)
    return spent is not None and next_cost is not None and spent + next_cost <= limit


def cost_of_calls(members: Sequence[Model], request: Request) -> float | None:
    """What these calls may cost in all; ``None`` where one member cannot say."""
    costs = [estimate_cost(member, request) for member in members]
    return None if None in costs else sum(cost for cost in costs if cost is not None)

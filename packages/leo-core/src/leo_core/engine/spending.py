"""Spending within the budgets: which routes they leave room for, and a reservation around every call of a member."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from leo_core.engine.effects import FindBalances, Notify, Now, Reserve, SettleReservation
from leo_core.engine.reaching import Reached
from leo_core.errors import BudgetExceededError
from leo_core.stages.budget.policy import describe_shortage, find_accounts, find_charge, find_tightest, to_nano

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leo_core.engine.budgets import Hold
    from leo_core.engine.effects import Pipeline
    from leo_core.engine.plan import Plan
    from leo_core.ports import Model
    from leo_core.records import Account, Balance, Constraints, Draft, Failure, Request
    from leo_core.stages.route.policy import RouteOption

__all__ = ["Payment", "estimate_cost", "find_room", "reserve", "spend"]

R = TypeVar("R", bound="Reached | tuple[Reached, ...] | tuple[Draft | Failure, ...]")


@dataclass(frozen=True, slots=True)
class Payment:
    """How calls are paid for.

    Attributes:
        hold: What is reserved for them; ``None`` where no budget applies.
        estimates: What each of them may cost, in nano-dollars.
    """

    hold: Hold | None = None
    estimates: tuple[int, ...] = ()


def find_room(
    request: Request, options: tuple[RouteOption, ...], plan: Plan
) -> Pipeline[tuple[tuple[RouteOption, ...], Constraints]]:
    """The routes whose price is known, and the request's constraints with what the budgets leave as the most to spend.

    Without budgets both are as they were.

    Raises:
        BudgetExceededError: The budgets have no room for any route that may be taken.
    """
    asked = request.constraints
    accounts = yield from _find_accounts(request, plan)
    if not accounts or (asked.route is not None and asked.route not in [option.route for option in options]):
        return options, asked
    tightest = find_tightest((yield from FindBalances(accounts)))
    priced = tuple(option for option in options if option.cost_usd is not None)
    permitted = [to_nano(option.cost_usd or 0.0) for option in priced if asked.route in (None, option.route)]
    if not any(tightest.has_room_for(cost) for cost in permitted):
        if not permitted:
            raise (yield from _refuse(tightest, unpriced="any route that may be taken"))
        raise (yield from _refuse(tightest, f"a call for up to ${min(permitted) / 1e9:.9g}"))
    limits = [limit for limit in (asked.max_cost_usd, tightest.left_usd) if limit is not None]
    return priced, replace(asked, max_cost_usd=min(limits))


def reserve(request: Request, members: Sequence[Model], plan: Plan) -> Pipeline[Payment | BudgetExceededError]:
    """Reserve what a call of each member may cost together, in every budget that applies to the request.

    Returns:
        What to hand to :func:`spend`, or the error to raise where a budget has no room (counted).
    """
    accounts = yield from _find_accounts(request, plan)
    if not accounts:
        return Payment()
    costs = {member.id: estimate_cost(member, request) for member in members}
    unpriced = [member for member, cost in costs.items() if cost is None]
    if unpriced:
        balance = find_tightest((yield from FindBalances(accounts)))
        return (yield from _refuse(balance, unpriced=", ".join(unpriced)))
    estimates = tuple(to_nano(cost) for cost in costs.values() if cost is not None)
    life_s = max(plan.config.reservation_ttl_s, 2.0 * (request.constraints.max_latency_s or 0.0))
    hold = yield from Reserve(accounts, sum(estimates), life_s)
    if hold.short is not None:
        what = f"a call of {', '.join(costs)} for up to ${sum(estimates) / 1e9:.9g}"
        return (yield from _refuse(hold.short, what))
    return Payment(hold, estimates)


def spend(payment: Payment, calls: Pipeline[R]) -> Pipeline[R]:
    """Make calls, and settle what was reserved for them with what they cost.

    Where nobody learns what they cost, because the caller went away, they count in full.
    """
    if payment.hold is None or payment.hold.reservation is None:
        return (yield from calls)
    with payment.hold:
        reply = yield from calls
        replies = reply if isinstance(reply, tuple) else (reply,)
        cost = sum(map(_find_charge, replies, payment.estimates))
        yield from SettleReservation(payment.hold.reservation, cost)
    return reply


def _find_charge(reply: Reached | Draft | Failure, estimate: int) -> int:
    """What asking a member is charged, all its attempts together."""
    if not isinstance(reply, Reached):
        return find_charge(reply, estimate)
    made = (*reply.failures, *(() if reply.draft is None else (reply.draft,)))
    return sum(find_charge(each, estimate) for each in made)


def _find_accounts(request: Request, plan: Plan) -> Pipeline[tuple[Account, ...]]:
    if not plan.config.budgets:
        return ()
    now = yield from Now()
    return find_accounts(
        plan.config.budgets, tenant=request.tenant, user=request.user, session=request.session, now=now.epoch
    )


def _refuse(balance: Balance, what: str = "", *, unpriced: str = "") -> Pipeline[BudgetExceededError]:
    """Count a refusal: of what does not fit, or of members whose price is unknown."""
    account = balance.account
    if unpriced:
        message = f"the budget {account.budget!r} applies, but the price of {unpriced} is unknown: give prices="
    else:
        message = describe_shortage(balance, what)
    yield from Notify("budget.exceeded", {"budget": account.budget, "left_usd": balance.left_usd})
    return BudgetExceededError(message, budget=account.budget, ends_at=account.ends_at)


def estimate_cost(member: Model, request: Request) -> float | None:
    """What a call may cost, in US dollars; ``None`` where the member cannot say, or says what is no cost."""
    try:
        cost = member.estimate(request).cost_usd
    except Exception:  # noqa: BLE001 - a member may raise anything; when it is called that becomes its failure
        return None
    return cost if cost is not None and 0.0 <= cost < math.inf else None

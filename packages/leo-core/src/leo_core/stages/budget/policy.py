"""Which budgets a request is charged to, what a call is charged, and what is said when it does not fit."""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

from leo_core.errors import (
    AuthenticationError,
    ConfigError,
    InvalidRequestError,
    MemberSkippedError,
    ProviderUnavailableError,
    RateLimitError,
    RequestError,
)
from leo_core.records import Account, Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leo_core.records import Balance, Draft
    from leo_core.stages.budget.config import Budget, Period

__all__ = [
    "describe_shortage",
    "find_accounts",
    "find_charge",
    "find_period",
    "find_tightest",
    "spell_instant",
    "to_nano",
]

_MOST_NANO = 10**18
"""A billion dollars: no call costs more, and sums of a few fit into 64 bits."""
_HOUR_S = 3600.0
_DAY_S = 24 * _HOUR_S
_BAD_STATUS = 400
_FREE = (MemberSkippedError, RateLimitError, AuthenticationError, InvalidRequestError, ConfigError, RequestError)
_NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "ConnectionRefusedError", "PoolTimeout", "gaierror"})


def find_accounts(
    budgets: Sequence[Budget], *, tenant: str, user: str | None, session: str | None, now: float
) -> tuple[Account, ...]:
    """The accounts that a request is charged to at an instant, one per budget.

    A user and a session are known to their accounts by a pseudonym only: the first half of a SHA-256 that covers the
    tenant.
    """
    accounts = []
    for budget in budgets:
        begins_at, ends_at = find_period(budget.period, now)
        names = {"user": user, "session": session}
        accounts.append(
            Account(
                budget=budget.label,
                tenant="" if budget.per == "all" else tenant,
                owner=_pseudonym(budget.per, tenant, names[budget.per]) if budget.per in names else "",
                begins_at=begins_at,
                ends_at=ends_at,
                limit=to_nano(budget.limit_usd, up=False),
            )
        )
    return tuple(accounts)


def _pseudonym(kind: str, tenant: str, name: str | None) -> str:
    if name is None:
        return f"{kind}:none"
    text = "\0".join(("leo.budget.v1", kind, f"{len(tenant)}", tenant, name))
    return f"{kind}:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def find_period(period: Period, now: float) -> tuple[float, float | None]:
    """Begin and end of the calendar period (UTC) around an instant; ``(0, None)`` for ``total``."""
    if period == "total":
        return 0.0, None
    if period == "hour":
        begin = math.floor(now / _HOUR_S) * _HOUR_S
        return begin, begin + _HOUR_S
    day = datetime.fromtimestamp(math.floor(now / _DAY_S) * _DAY_S, UTC)
    if period == "day":
        return day.timestamp(), day.timestamp() + _DAY_S
    if period == "week":
        monday = day - timedelta(days=day.weekday())
        return monday.timestamp(), monday.timestamp() + 7 * _DAY_S
    first = day.replace(day=1)
    return first.timestamp(), (first + timedelta(days=31)).replace(day=1).timestamp()


def to_nano(usd: float, *, up: bool = True) -> int:
    """US dollars as whole nano-dollars, at most 1e18; costs are rounded up, limits down.

    The decimal digits that the number is written with are what is rounded: 0.0007 is 700,000.
    """
    nano = Decimal(repr(float(usd))).scaleb(9).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR)
    return int(min(nano, Decimal(_MOST_NANO)))


def find_charge(reply: Draft | Failure, estimate: int) -> int:
    """What a call is charged, in nano-dollars: its cost; its estimate where that is unknown; 0 for one that was free.

    A failed call was free where the provider answered with an error, or was never reached. Of a call that ran out of
    time, or was cut off, or brought something unreadable, nobody knows whether the provider charges for it.

    Args:
        reply: What came of it.
        estimate: What it was estimated to cost at most, in nano-dollars.
    """
    if isinstance(reply, Failure):
        return 0 if not reply.shown and _was_free(reply.error) else estimate
    cost = reply.usage.cost_usd
    return estimate if cost is None else to_nano(cost)


def _was_free(error: BaseException) -> bool:
    if isinstance(error, _FREE):
        return True
    return isinstance(error, ProviderUnavailableError) and any(_says_free(cause) for cause in _causes(error))


def _says_free(cause: BaseException) -> bool:
    status = getattr(cause, "status_code", None)
    refused = isinstance(status, int) and status >= _BAD_STATUS
    return refused or bool(_NEVER_SENT & {kind.__name__ for kind in type(cause).__mro__})


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    cause = error.__cause__ or error.__context__
    while cause is not None and cause not in found:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    return found


def find_tightest(balances: Sequence[Balance]) -> Balance:
    """The balance with the least left."""
    return min(balances, key=lambda balance: balance.left)


def describe_shortage(balance: Balance, what: str) -> str:
    """Which budget has no room, how it stands, and when its period ends; no user, session, prompt or secret.

    Args:
        balance: Of the account.
        what: What does not fit, as the subject of the sentence.
    """
    account = balance.account
    whose = f" of tenant {account.tenant!r}" if account.tenant else ""
    whose += f", {account.owner.partition(':')[0]}" if account.owner else ""
    ends = "it never ends" if account.ends_at is None else f"its period ends at {spell_instant(account.ends_at)}"
    if not balance.known:
        where = f"the budget {account.budget!r}{whose}"
        return f"{what} is not made: the ledger cannot be read, and of {where} nothing is known"
    return (
        f"{what} does not fit into the budget {account.budget!r}{whose}: of ${balance.limit_usd:.9g}, "
        f"${balance.spent_usd:.9g} is spent and ${balance.reserved_usd:.9g} reserved; {ends}"
    )


def spell_instant(instant: float) -> str:
    """An instant in ISO 8601, UTC, to the second."""
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

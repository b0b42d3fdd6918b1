"""Settings of a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Budget", "Payer", "Period", "check_budgets"]

Payer = Literal["tenant", "user", "session", "all"]
Period = Literal["hour", "day", "week", "month", "total"]

_LONGEST_NAME = 64
_MOST_USD = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent on calls of members in a period.

    Attributes:
        limit_usd: Most that may be spent, in US dollars; 0 to 1e9.
        per: Whose spending is added up: each ``tenant``'s, each ``user``'s or ``session``'s of a tenant, or that of
            ``all`` tenants together. The requests of a tenant that name no user (or session) share one account.
        period: ``hour``, ``day``, ``week`` (from Monday), ``month`` of the calendar in UTC, or ``total`` for no end.
        name: Names it in messages, in the ledger and in ``leo stats``, up to 64 characters; by default such as
            ``"tenant/month"``. Under another name it begins anew.
    """

    limit_usd: float
    per: Payer = "tenant"
    period: Period = "month"
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse settings out of their range.

        Raises:
            ConfigError: Names the setting, its value and what is understood.
        """
        for name, known in (("per", get_args(Payer)), ("period", get_args(Period))):
            value = getattr(self, name)
            if value not in known:
                message = f"Budget.{name} is {value!r}; there are {', '.join(known)}"
                raise ConfigError(message)
        _check_limit(self.limit_usd)
        _check_name(self.name)

    @property
    def label(self) -> str:
        """The name, or what stands for it."""
        return self.name or f"{self.per}/{self.period}"


def _check_limit(limit: object) -> None:
    is_number = isinstance(limit, int | float) and not isinstance(limit, bool)
    if not is_number or not 0.0 <= float(str(limit)) <= _MOST_USD:
        message = f"Budget.limit_usd is {limit!r}; give US dollars, 0 to {_MOST_USD:g}"
        raise ConfigError(message)


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name.isprintable() or len(name) > _LONGEST_NAME:
        message = f"Budget.name is {name!r}; give up to {_LONGEST_NAME} printable characters"
        raise ConfigError(message)


def check_budgets(budgets: Iterable[Budget]) -> None:
    """Check that budgets can be told apart.

    Raises:
        ConfigError: One is no budget, or two have the same name.
    """
    if isinstance(budgets, Budget | str) or not isinstance(budgets, tuple):
        message = f"budgets must be a tuple of Budget, got {type(budgets).__name__}"
        raise ConfigError(message)
    seen: set[str] = set()
    for budget in budgets:
        if not isinstance(budget, Budget):
            message = f"budgets holds a {type(budget).__name__}, not a Budget"
            raise ConfigError(message)
        if budget.label in seen:
            message = f"two budgets are called {budget.label!r}; give one of them another name="
            raise ConfigError(message)
        seen.add(budget.label)

"""What budgets are kept in: accounts, reservations, and what is left. Money is in whole nano-dollars."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Account", "Balance", "Booking", "Reservation"]

_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A budget of one owner in one period.

    Attributes:
        budget: Name of the budget.
        tenant: Whose; empty for a budget of all tenants together.
        owner: A pseudonym of the user or session; empty for a budget of the whole tenant, or of all.
        begins_at: Instant at which the period began; 0 for one without end.
        ends_at: Instant at which it ends; ``None`` for never.
        limit: What may be spent in it, in nano-dollars. Not part of the account's identity.
    """

    budget: str
    tenant: str
    owner: str
    begins_at: float
    ends_at: float | None
    limit: int

    @property
    def key(self) -> tuple[str, str, str, float]:
        """What makes two accounts the same one."""
        return self.budget, self.tenant, self.owner, self.begins_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Money set aside for calls that are about to be made, in every account that they are charged to.

    Attributes:
        id: Unique.
        accounts: The accounts.
        amount: What the calls may cost together, in nano-dollars.
        expires_at: Instant from which on it counts as spent, unless it is settled later.
    """

    id: str
    accounts: tuple[Account, ...]
    amount: int
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What is spent and reserved of an account.

    Attributes:
        account: The account.
        spent: Cost of settled calls and of expired reservations, in nano-dollars.
        reserved: Reservations of calls under way, in nano-dollars.
        expired: Part of ``spent``: reservations that nobody settled in time, as a crash leaves them.
        known: Whether the ledger said so; otherwise it cannot be read, and nothing is known of the account.
    """

    account: Account
    spent: int = 0
    reserved: int = 0
    expired: int = 0
    known: bool = True

    def has_room_for(self, amount: int) -> bool:
        """Whether so many nano-dollars fit in; nothing always does."""
        return amount <= 0 or (self.known and self.spent + self.reserved + amount <= self.account.limit)

    @property
    def left(self) -> int:
        """What may still be reserved, in nano-dollars; at least 0."""
        return max(0, self.account.limit - self.spent - self.reserved) if self.known else 0

    @property
    def limit_usd(self) -> float:
        """The limit, in US dollars."""
        return self.account.limit / _NANO

    @property
    def spent_usd(self) -> float:
        """What is spent, in US dollars."""
        return self.spent / _NANO

    @property
    def reserved_usd(self) -> float:
        """What is reserved, in US dollars."""
        return self.reserved / _NANO

    @property
    def expired_usd(self) -> float:
        """What expired of it, in US dollars."""
        return self.expired / _NANO

    @property
    def left_usd(self) -> float:
        """What may still be reserved, in US dollars."""
        return self.left / _NANO


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What came of an attempt to reserve.

    Attributes:
        reserved: Whether it was reserved, in all accounts; otherwise in none.
        balances: Of the accounts, in their order, as they are now.
    """

    reserved: bool
    balances: tuple[Balance, ...]

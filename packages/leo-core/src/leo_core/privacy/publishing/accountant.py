"""The accountant of published figures: charges what a release costs in privacy, and refuses what is not left."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError, PrivacyBudgetError
from leo_core.privacy.publishing.charge_ledger import ChargeLedger
from leo_core.privacy.publishing.composition import Accounting, Cost, check_delta, compose
from leo_core.privacy.publishing.mechanisms import Gaussian, Laplace, Mechanism, read_mechanism

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Callable, Iterable

__all__ = ["Charge", "PrivacyAccountant"]

_MOST_COUNT = 2**40
_ADD = """
    INSERT INTO totals VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count
"""
_NOTE = """
    INSERT INTO charges (principal, kind, noise, sensitivity, count, label, at) VALUES (?, ?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What was charged once.

    Attributes:
        number: Its number in the ledger, growing.
        principal: Whose budget paid.
        mechanism: Which noise on which sensitivity.
        count: How many releases of it.
        label: What was released, in the words of whoever charged it.
        at: Instant (seconds since the Unix epoch).
    """

    number: int
    principal: str
    mechanism: Mechanism
    count: int
    label: str
    at: float


class PrivacyAccountant:
    """A budget (ε, δ) for every principal, spent by releases and kept in a file.

    A principal names a body of data about which figures are published: everything released about it, ever, together
    is (ε, δ)-differentially private for the unit that the sensitivities were stated for. Charge before you show: a
    charge is on disk when :meth:`charge` returns, and a figure whose charge was refused must not be drawn.
    Safe for threads and processes; a charge is made as a whole or not at all.

    Args:
        epsilon: ε of every principal, finite and greater than 0.
        delta: δ in (0, 1), well below one over the number of units.
        path: File of the ledger, made when absent; ``None`` keeps it in memory, where it is forgotten.
        accounting: ``"tightest"`` or ``"rdp"``; ``"zcdp"`` where results decide how much noise the next release has.
        now: Seconds since the Unix epoch.

    Raises:
        ConfigError: A figure is out of its range, or the file was begun with another budget.
        StorageError: The file cannot be used.

    Example:
        >>> from leo_core.privacy.publishing.mechanisms import Gaussian
        >>> accountant = PrivacyAccountant(epsilon=3, delta=1e-6)
        >>> cost = accountant.charge(Gaussian(sigma=10, sensitivity=1), principal="t1", count=30)
        >>> round(cost.epsilon, 3), cost.by
        (2.492, 'exact')
    """

    def __init__(
        self,
        *,
        epsilon: float,
        delta: float,
        path: str | os.PathLike[str] | None = None,
        accounting: Accounting = "tightest",
        now: Callable[[], float] = time.time,
    ) -> None:
        _check_epsilon(epsilon)
        check_delta(delta)
        compose([(Gaussian(sigma=1.0), 1)], delta, accounting)  # an unknown accounting is refused here
        self.epsilon, self.delta, self.accounting = float(epsilon), float(delta), accounting
        self._now = now
        self._ledger = ChargeLedger(path, (self.epsilon, self.delta, accounting))

    def __repr__(self) -> str:
        return f"PrivacyAccountant(epsilon={self.epsilon:g}, delta={self.delta:g}, path={self._ledger.name!r})"

    def charge(self, mechanism: Mechanism, *, principal: str, count: int = 1, label: str = "") -> Cost:
        """Charge releases of a mechanism; returns what the principal has spent with them.

        Args:
            mechanism: Noise and sensitivity.
            principal: Whose budget pays.
            count: How many releases.
            label: What is released, for the history; no personal data.

        Raises:
            PrivacyBudgetError: It would cost more than is left; nothing is charged.
            ConfigError: The mechanism, the principal or the count is wrong.
            StorageError: The ledger failed; nothing is charged.
        """
        return self.charge_all([(mechanism, count)], principal=principal, label=label)

    def charge_all(self, releases: Iterable[tuple[Mechanism, int]], *, principal: str, label: str = "") -> Cost:
        """:meth:`charge` for several mechanisms at once: all are charged, or none."""
        made = [_check(mechanism, count) for mechanism, count in releases]
        _check_principal(principal)
        with self._ledger.write() as connection:
            before = self._spent(connection, principal)
            for mechanism, count in made:
                row = (mechanism.kind, float(mechanism.noise), float(mechanism.sensitivity), count)
                connection.execute(_ADD, (principal, *row))
                connection.execute(_NOTE, (principal, *row, label, self._now()))
            after = self._spent(connection, principal)
            if not after.epsilon <= self.epsilon:
                message = (
                    f"the privacy budget of {principal!r} is epsilon={self.epsilon:g} at delta={self.delta:g}; "
                    f"{before.epsilon:.4g} is spent, and with this release it would be {after.epsilon:.4g}: "
                    "nothing was charged, so do not publish it; add more noise, or publish less often"
                )
                raise PrivacyBudgetError(
                    message, principal=principal, spent=before.epsilon, needed=after.epsilon, epsilon=self.epsilon
                )
        return after

    def spent(self, principal: str) -> Cost:
        """What a principal has spent so far."""
        with self._ledger.read() as connection:
            return self._spent(connection, principal)

    def remaining(self, principal: str) -> float:
        """ε that is left of a principal's budget; releases cost less together than one by one, so it goes further."""
        return max(0.0, self.epsilon - self.spent(principal).epsilon)

    def count_affordable(self, mechanism: Mechanism, *, principal: str) -> int:
        """How many more releases of a mechanism the budget pays for, at most 2^40."""
        _check(mechanism, 1)
        with self._ledger.read() as connection:
            made = _totals(connection, principal)

        def fits(count: int) -> bool:
            return compose([*made, (mechanism, count)], self.delta, self.accounting).epsilon <= self.epsilon

        low, high = 0, 1
        while high <= _MOST_COUNT and fits(high):
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low

    def history(self, principal: str | None = None) -> tuple[Charge, ...]:
        """Everything that was charged, oldest first; of one principal only where it is named."""
        query = "SELECT number, principal, kind, noise, sensitivity, count, label, at FROM charges ORDER BY number"
        with self._ledger.read() as connection:
            rows = connection.execute(query).fetchall()
        return tuple(
            Charge(
                number=number,
                principal=whose,
                mechanism=read_mechanism(kind, noise, sensitivity),
                count=count,
                label=label,
                at=at,
            )
            for number, whose, kind, noise, sensitivity, count, label, at in rows
            if principal is None or whose == principal
        )

    def _spent(self, connection: sqlite3.Connection, principal: str) -> Cost:
        return compose(_totals(connection, principal), self.delta, self.accounting)


def _totals(connection: sqlite3.Connection, principal: str) -> list[tuple[Mechanism, int]]:
    rows = connection.execute(
        "SELECT kind, noise, sensitivity, count FROM totals WHERE principal = ? ORDER BY kind, noise, sensitivity",
        (principal,),
    ).fetchall()
    return [(read_mechanism(kind, noise, sensitivity), count) for kind, noise, sensitivity, count in rows]


def _check(mechanism: Mechanism, count: int) -> tuple[Mechanism, int]:
    if not isinstance(mechanism, Gaussian | Laplace):
        message = f"a mechanism is Gaussian, Laplace or a discrete one of them, not {type(mechanism).__name__}"
        raise ConfigError(message)
    _check_count(count)
    return mechanism, count


def _check_count(count: object) -> None:
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= _MOST_COUNT:
        message = f"count is {count!r}; give a whole number of releases, 1 or more"
        raise ConfigError(message)


def _check_epsilon(epsilon: object) -> None:
    if not isinstance(epsilon, int | float) or not 0.0 < epsilon < math.inf:
        message = f"epsilon is {epsilon!r}; give a finite number greater than 0"
        raise ConfigError(message)


def _check_principal(principal: object) -> None:
    if not isinstance(principal, str) or not principal:
        message = f"principal is {principal!r}; name the data whose budget pays, such as a tenant"
        raise ConfigError(message)

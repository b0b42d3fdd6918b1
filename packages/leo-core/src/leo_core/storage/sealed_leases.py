"""Leases whose names say nothing of the requests that they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leo_core.ports import Leases
    from leo_core.storage.sealed_rows import SealedRows

__all__ = ["SealedLeases"]


class SealedLeases:
    """The :class:`leo_core.ports.Leases` of another store, under pseudonyms: a plain hash lets requests be guessed.

    Args:
        inner: The leases.
        rows: Makes the pseudonyms.
    """

    def __init__(self, inner: Leases, rows: SealedRows) -> None:
        self._inner, self._rows = inner, rows

    def acquire_lease(self, name: str, owner: str, *, now: float, life_s: float) -> bool:
        """Take a lease; see :meth:`leo_core.ports.Leases.acquire_lease`."""
        return self._inner.acquire_lease(self._rows.name_for_store("lease", name), owner, now=now, life_s=life_s)

    def release_lease(self, name: str, owner: str) -> None:
        """Give a lease back; see :meth:`leo_core.ports.Leases.release_lease`."""
        self._inner.release_lease(self._rows.name_for_store("lease", name), owner)

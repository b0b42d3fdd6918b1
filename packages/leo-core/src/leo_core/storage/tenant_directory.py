"""Whose pseudonym is whose, sealed in the store itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.errors import SealedDataError, StoreMismatchError

if TYPE_CHECKING:
    from leo_core.ports import Store
    from leo_core.storage.sealed_rows import SealedRows

__all__ = ["MARK", "TenantDirectory", "find_directory_owner"]

_OWNER = "\0directory"
MARK = "sealed"
"""Name of the state that tells a private store from one that is not sealed."""


class TenantDirectory:
    """The names of the tenants of a private store, and a mark that tells the store from one that is not sealed.

    Args:
        store: Keeps it, as states of a tenant of its own.
        rows: Seals the names.
    """

    def __init__(self, store: Store, rows: SealedRows) -> None:
        self._store, self._rows = store, rows
        self._names: dict[str, str] = {}
        self._noted: set[str] = set()
        self._marked = False

    @property
    def owner(self) -> str:
        """The pseudonym under which it is kept; no tenant."""
        return find_directory_owner(self._rows)

    def mark(self) -> None:
        """See that the store is one that these keys have sealed, or an empty one, which is marked.

        Raises:
            StoreMismatchError: It holds something and no mark of these keys.
        """
        if self._marked:
            return
        if self._store.load_state(self.owner, MARK) is None:
            if self._store.tenants():
                message = (
                    "the store holds records that these keys have not sealed: give the keys that did, or, where they "
                    "are not sealed at all, choose another path and move them with 'leo cache export'"
                )
                raise StoreMismatchError(message)
            self._store.save_state(self.owner, MARK, self._rows.seal_for_store("mark", MARK, place=MARK))
        self._marked = True

    def note(self, tenant: str) -> None:
        """See that the tenant's name is kept; before the first row that bears its pseudonym."""
        if tenant in self._noted:
            return
        self.mark()
        name = self._rows.name_tenant(tenant)
        if self._store.load_state(self.owner, name) is None:
            sealed = self._rows.seal_for_store("tenant", tenant, place=name)
            self._store.save_state(self.owner, name, sealed)
        self._names[name] = tenant
        self._noted.add(tenant)

    def find(self, name: str) -> str | None:
        """The tenant behind a pseudonym; ``None`` where it is not known, or its name does not open."""
        known = self._names.get(name)
        if known is not None:
            return known
        sealed = self._store.load_state(self.owner, name)
        if sealed is None:
            return None
        try:
            tenant = self._rows.open_for_store("tenant", sealed, place=name)
        except SealedDataError:
            return None
        if not isinstance(tenant, str):
            return None
        self._names[name] = tenant
        return tenant


def find_directory_owner(rows: SealedRows) -> str:
    """The pseudonym under which a store keeps the names of its tenants."""
    return rows.name_tenant(_OWNER)

"""The journal of requests with an idempotency key, sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.errors import StoreCorruptError
from leo_core.records import Intent
from leo_core.storage.key_trouble import key_trouble_told
from leo_core.storage.sealed_rows import decode_sealed, encode_sealed, name_result

if TYPE_CHECKING:
    from leo_core.ports import Journal
    from leo_core.storage.sealed_rows import SealedRows

__all__ = ["SealedJournal"]


class SealedJournal:
    """The :class:`leo_core.ports.Journal` of another store, which learns no name, no key, no request and no answer.

    It learns when an intent began, whether it has a result, and whether a receipt.

    Args:
        inner: Keeps the rows.
        rows: Seals them.
    """

    def __init__(self, inner: Journal, rows: SealedRows) -> None:
        self._inner, self._rows = inner, rows

    def find(self, tenant: str, key: str) -> Intent | None:
        """The intent with this idempotency key.

        Raises:
            StoreCorruptError: It does not open: it was altered, or sealed under other keys.
        """
        with key_trouble_told("journal"):
            row = self._inner.find(*self._name(tenant, key))
            return None if row is None else self._open(row)

    def begin(self, intent: Intent) -> None:
        """Write an intent, in the place of an earlier one with the same key."""
        with key_trouble_told("journal"):
            owner, name = self._name(intent.tenant, intent.key)
            facts = [intent.tenant, intent.key, intent.digest]
            digest = encode_sealed(self._rows.seal_for_store("intent", facts, place=f"{owner}:{name}"))
            self._inner.begin(Intent(tenant=owner, key=name, digest=digest, began_at=intent.began_at))

    def keep(self, tenant: str, key: str, result: str) -> None:
        """Note the result of an intent."""
        with key_trouble_told("journal"):
            owner, name = self._name(tenant, key)
            place = name_result(self._rows.rings.of(tenant), name)
            body = self._rows.seal_state(tenant, place, result.encode("utf-8", "surrogatepass"))
            self._inner.keep(owner, name, encode_sealed(body))

    def settle(self, tenant: str, key: str, receipt_id: str) -> None:
        """Note the receipt of a result."""
        with key_trouble_told("journal"):
            owner, name = self._name(tenant, key)
            self._inner.settle(owner, name, self._seal_receipt(owner, name, receipt_id))

    def drop(self, tenant: str, key: str) -> None:
        """Forget an intent that came to nothing."""
        with key_trouble_told("journal"):
            self._inner.drop(*self._name(tenant, key))

    def unsettled(self) -> tuple[Intent, ...]:
        """Intents with a result and without a receipt, oldest first; those that do not open are left out."""
        found = []
        for row in self._inner.unsettled():
            try:
                with key_trouble_told("journal"):
                    found.append(self._open(row))
            except StoreCorruptError:
                continue
        return tuple(found)

    def trim(self, before: float) -> int:
        """Forget what was begun before that instant; returns how many."""
        return self._inner.trim(before)

    def _name(self, tenant: str, key: str) -> tuple[str, str]:
        return self._rows.name_tenant(tenant), self._rows.name(tenant, "intent", key)

    def _seal_receipt(self, owner: str, name: str, receipt_id: str) -> str:
        if not receipt_id:
            return ""
        return encode_sealed(self._rows.seal_for_store("settled", receipt_id, place=f"{owner}:{name}"))

    def _open(self, row: Intent) -> Intent:
        place = f"{row.tenant}:{row.key}"
        tenant, key, digest = self._rows.open_for_store("intent", decode_sealed(row.digest), place=place)
        result = receipt_id = None
        if row.result is not None:
            where = name_result(self._rows.rings.of(tenant), row.key)
            body = self._rows.open_state(tenant, where, decode_sealed(row.result))
            result = body.decode("utf-8", "surrogatepass")
        if row.receipt_id:
            receipt_id = self._rows.open_for_store("settled", decode_sealed(row.receipt_id), place=place)
        return Intent(
            tenant=tenant,
            key=key,
            digest=digest,
            began_at=row.began_at,
            result=result,
            receipt_id=row.receipt_id if receipt_id is None else receipt_id,
        )

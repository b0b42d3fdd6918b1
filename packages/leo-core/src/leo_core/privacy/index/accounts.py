"""Accounts of an index server and their evaluation keys, as statements over its database.

Each function takes a connection inside a transaction, and refuses what the tables do not allow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from leo_core.errors import StaleEvaluationKeyError, UnknownEvaluationKeyError, WriteConflictError
from leo_core.privacy.index.access import AccountAccess
from leo_core.privacy.index.payloads import KeyHead

if TYPE_CHECKING:
    import sqlite3

__all__ = [
    "check_primary",
    "find_access",
    "find_keys",
    "list_keys",
    "measure_keys",
    "put_access",
    "put_keys",
    "read_keys",
    "remove_access",
    "retire_keys",
]

_PRIMARY: Final = "primary"
_GRACE: Final = "grace"
_RETIRED: Final = "retired"


def find_access(connection: sqlite3.Connection, account: str) -> AccountAccess | None:
    """What is kept of an account's token."""
    row = connection.execute(
        "SELECT bearer_sha256, wrapped_mac_key FROM accounts WHERE account = ?", (account,)
    ).fetchone()
    return None if row is None else AccountAccess(account=account, bearer_sha256=row[0], wrapped_mac_key=row[1])


def put_access(connection: sqlite3.Connection, access: AccountAccess) -> None:
    """Keep a token; an older one of the account is not accepted any more."""
    connection.execute(
        "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?)",
        (access.account, access.bearer_sha256, access.wrapped_mac_key),
    )


def remove_access(connection: sqlite3.Connection, account: str) -> bool:
    """Remove an account with the keys of all its tenants; tells whether there was one."""
    connection.execute("DELETE FROM keys WHERE account = ?1 OR account GLOB ?1 || '/*'", (account,))
    return connection.execute("DELETE FROM accounts WHERE account = ?", (account,)).rowcount > 0


_HEAD = "id, params_id, dim, state, secret_id"


def list_keys(connection: sqlite3.Connection, account: str) -> tuple[KeyHead, ...]:
    """Keys of an account that are not retired, oldest first."""
    rows = connection.execute(
        f"SELECT {_HEAD} FROM keys WHERE account = ? AND state != ? ORDER BY number",  # noqa: S608 - constant columns
        (account, _RETIRED),
    )
    return tuple(_read_head(row) for row in rows)


def find_keys(connection: sqlite3.Connection, account: str, key_id: str) -> KeyHead:
    """Registered evaluation keys.

    Raises:
        UnknownEvaluationKeyError: The account has none of this id.
        StaleEvaluationKeyError: They were rotated out.
    """
    row = connection.execute(
        f"SELECT {_HEAD} FROM keys WHERE account = ? AND id = ?",  # noqa: S608 - constant columns
        (account, key_id),
    ).fetchone()
    if row is None:
        message = f"the account has no evaluation keys {key_id!r}; register them first"
        raise UnknownEvaluationKeyError(message, check="key")
    if row[3] == _RETIRED:
        message = f"the evaluation keys {key_id!r} were rotated out; use the account's present ones"
        raise StaleEvaluationKeyError(message, check="retired")
    return _read_head(row)


def measure_keys(connection: sqlite3.Connection, account: str) -> int:
    """Bytes of the keys of all tenants of an account that are not retired."""
    row = connection.execute(
        "SELECT coalesce(sum(length(data)), 0) FROM keys WHERE account = ?1 OR account GLOB ?1 || '/*'", (account,)
    ).fetchone()
    return int(row[0])


def read_keys(connection: sqlite3.Connection, account: str, key_id: str) -> bytes:
    """Registered evaluation keys, as they were uploaded; raises as :func:`find_keys`."""
    find_keys(connection, account, key_id)  # they may have been retired since somebody looked
    row = connection.execute("SELECT data FROM keys WHERE account = ? AND id = ?", (account, key_id)).fetchone()
    return bytes(row[0])


def _read_head(row: tuple[Any, ...]) -> KeyHead:
    return KeyHead(id=row[0], params_id=row[1], dim=row[2], primary=row[3] == _PRIMARY, secret_id=row[4])


def check_primary(connection: sqlite3.Connection, account: str, key_id: str) -> None:
    """Refuse to encrypt anything more under keys that are being rotated out.

    Raises:
        UnknownEvaluationKeyError: The account has none of this id.
        StaleEvaluationKeyError: They are not the primary ones.
    """
    if not find_keys(connection, account, key_id).primary:
        message = f"the evaluation keys {key_id!r} are being rotated out: encrypt blocks under the primary ones"
        raise StaleEvaluationKeyError(message, check="grace")


def put_keys(connection: sqlite3.Connection, account: str, new: KeyHead, data: bytes, *, expected: str) -> None:
    """Make keys the primary ones of their parameters and dimension; queries under those before stay possible.

    Nothing happens where they are registered already.

    Raises:
        StaleEvaluationKeyError: They were rotated out before.
        WriteConflictError: The primary keys are not those that the client expected.
    """
    known = connection.execute("SELECT state FROM keys WHERE account = ? AND id = ?", (account, new.id)).fetchone()
    if known is not None and known[0] == _RETIRED:
        message = f"the evaluation keys {new.id!r} were rotated out and do not come back; make new ones"
        raise StaleEvaluationKeyError(message, check="retired")
    if known is not None:
        return
    same = (account, new.params_id, new.dim, _PRIMARY)
    found = connection.execute(
        "SELECT id FROM keys WHERE account = ? AND params_id = ? AND dim = ? AND state = ?", same
    ).fetchone()
    primary = found[0] if found else ""
    if primary != expected:
        message = f"the primary evaluation keys are {primary!r} and not {expected!r}: another client registered first"
        raise WriteConflictError(message, check="primary")
    connection.execute(
        "UPDATE keys SET state = ?5 WHERE account = ?1 AND params_id = ?2 AND dim = ?3 AND state = ?4", (*same, _GRACE)
    )
    connection.execute(
        "INSERT INTO keys (account, id, params_id, dim, secret_id, state, data, number)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, coalesce(max(number), 0) + 1 FROM keys WHERE account = ?1",
        (account, new.id, new.params_id, new.dim, new.secret_id, _PRIMARY, data),
    )


def retire_keys(connection: sqlite3.Connection, account: str, key_id: str) -> None:
    """Accept keys no more; nothing happens where that is so already.

    Raises:
        UnknownEvaluationKeyError: There are none of this id.
        WriteConflictError: They are the primary ones, or a block is encrypted under them still.
    """
    try:
        kept = find_keys(connection, account, key_id)
    except StaleEvaluationKeyError:
        return
    used = connection.execute(
        "SELECT count(*) FROM blocks JOIN indexes ON indexes.row = blocks.owner WHERE account = ? AND key_id = ?",
        (account, key_id),
    ).fetchone()[0]
    if kept.primary or used:
        why = "they are the primary ones" if kept.primary else f"{used} blocks are encrypted under them"
        message = f"the evaluation keys {key_id!r} cannot be retired: {why}"
        raise WriteConflictError(message, check="in use")
    connection.execute(
        "UPDATE keys SET state = ?, data = x'' WHERE account = ? AND id = ?", (_RETIRED, account, key_id)
    )

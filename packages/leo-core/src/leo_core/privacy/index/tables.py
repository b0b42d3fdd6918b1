"""Indexes, blocks and rows of an index server, as statements over its database.

Each function takes a connection inside a transaction, and refuses what the tables do not allow.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from leo_core.errors import (
    EnvelopeError,
    IndexQuotaError,
    ReplayedWriteError,
    StoreCorruptError,
    UnknownIndexError,
    WriteConflictError,
)
from leo_core.privacy.index.accounts import list_keys
from leo_core.privacy.index.framing import ID_BYTES
from leo_core.privacy.index.payloads import BlockHead, Changes, SealedRow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from leo_core.privacy.index.payloads import BlockUpload, IndexForm

__all__ = [
    "IndexHead",
    "add_block",
    "add_rows",
    "advance",
    "check_sequence",
    "count_tail",
    "drop_all",
    "drop_index",
    "find_index",
    "list_blocks",
    "list_changes",
    "measure_account",
    "open_index",
    "read_block",
    "read_block_rows",
    "read_rows",
    "remove_rows",
    "replace_rows",
]

_DROPPED: Final = 0
_WRITES_KEPT: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexHead:
    """An index.

    Attributes:
        row: Its number in the database.
        name: Its name.
        mode: ``PLAIN`` or ``ENCRYPTED``.
        dim: Length of its vectors.
        params_id: Encryption parameters.
        sequence: Number of the last write.
    """

    row: int
    name: str
    mode: int
    dim: int
    params_id: str
    sequence: int


def find_index(connection: sqlite3.Connection, account: str, name: str) -> IndexHead:
    """An index of an account.

    Raises:
        UnknownIndexError: There is none of this name.
    """
    for head in _list_indexes(connection, account, name):
        return head
    message = f"the account has no index {name!r}; open it first"
    raise UnknownIndexError(message, check="index")


def open_index(
    connection: sqlite3.Connection, account: str, name: str, form: IndexForm, params_id: str, *, most: int
) -> IndexHead:
    """An index, made where there is none. One that was dropped goes on in the old sequence: no old write fits.

    Raises:
        IndexQuotaError: There are ``most`` already.
    """
    for head in _list_indexes(connection, account, name):
        return head
    if len(_list_indexes(connection, account)) >= most:
        message = f"the account has {most} indexes, as many as it may; drop one"
        raise IndexQuotaError(message, check="indexes")
    connection.execute(
        "INSERT INTO indexes (account, name, mode, dim, params_id, sequence) VALUES (?, ?, ?, ?, ?, 0)"
        " ON CONFLICT (account, name) DO UPDATE SET mode = excluded.mode, dim = excluded.dim,"
        " params_id = excluded.params_id",
        (account, name, form.mode, form.dim, params_id),
    )
    return find_index(connection, account, name)


def drop_index(connection: sqlite3.Connection, head: IndexHead) -> None:
    """Remove an index with everything in it; what is left is its name and the number of its last write."""
    _empty(connection, head.row)
    connection.execute("UPDATE indexes SET mode = ? WHERE row = ?", (_DROPPED, head.row))


def drop_all(connection: sqlite3.Connection, account: str) -> list[int]:
    """Remove all indexes of an account, those of all its tenants; returns their rows."""
    ours = "account = ?1 OR account GLOB ?1 || '/*'"
    found = connection.execute(f"SELECT row FROM indexes WHERE {ours}", (account,)).fetchall()  # noqa: S608 - constant
    owners = [row[0] for row in found]
    for owner in owners:
        _empty(connection, owner)
        connection.execute("DELETE FROM writes WHERE owner = ?", (owner,))
    connection.execute(f"DELETE FROM indexes WHERE {ours}", (account,))  # noqa: S608 - constant
    return owners


def measure_account(connection: sqlite3.Connection, account: str) -> dict[str, dict[str, dict[str, int]]]:
    """By tenant and name of the index: its ``sequence``, ``rows``, ``tail``, ``dead``, ``blocks`` and ``bytes``.

    ``account`` may also be one tenant, ``account/tenant``.
    """
    found: dict[str, dict[str, dict[str, int]]] = {}
    heads = connection.execute(
        "SELECT row, account, name, sequence FROM indexes"
        " WHERE (account = ?1 OR account GLOB ?1 || '/*') AND mode != ?2 ORDER BY row",
        (account, _DROPPED),
    ).fetchall()
    for owner, tenant, name, sequence in heads:
        rows, tail, dead, row_bytes = connection.execute(
            "SELECT count(*), coalesce(sum(block IS NULL), 0), coalesce(sum(dead > 0), 0),"
            " coalesce(sum(length(sealed)), 0) FROM rows WHERE owner = ?",
            (owner,),
        ).fetchone()
        blocks, block_bytes = connection.execute(
            "SELECT count(*), coalesce(sum(size), 0) FROM blocks WHERE owner = ?", (owner,)
        ).fetchone()
        found.setdefault(tenant, {})[name] = {
            "sequence": sequence,
            "rows": rows - dead,
            "tail": tail,
            "dead": dead,
            "blocks": blocks,
            "bytes": row_bytes + block_bytes,
        }
    return found


def check_sequence(connection: sqlite3.Connection, head: IndexHead, sequence: int, mac: bytes) -> None:
    """Let a write pass that has the next number.

    Raises:
        ReplayedWriteError: It is in the index already, as one of the last 4096.
        WriteConflictError: Another write has this number, or there is a gap before it.
    """
    if sequence == head.sequence + 1:
        return
    row = connection.execute(
        "SELECT mac FROM writes WHERE owner = ? AND sequence = ?", (head.row, min(sequence, 2**63 - 1))
    ).fetchone()
    if row is not None and hmac.compare_digest(row[0], mac):
        message = f"write {sequence} is in the index already; its last one is {head.sequence}"
        raise ReplayedWriteError(message, check="sequence")
    message = f"write {sequence} does not follow on {head.sequence}: another client wrote; read its changes, then write"
    raise WriteConflictError(message, check="sequence", sequence=head.sequence)


def advance(connection: sqlite3.Connection, head: IndexHead, mac: bytes) -> int:
    """Count a write; returns its number."""
    sequence = head.sequence + 1
    connection.execute("UPDATE indexes SET sequence = ? WHERE row = ?", (sequence, head.row))
    connection.execute("INSERT INTO writes VALUES (?, ?, ?)", (head.row, sequence, mac))
    connection.execute("DELETE FROM writes WHERE owner = ? AND sequence <= ?", (head.row, sequence - _WRITES_KEPT))
    return sequence


def _list_indexes(connection: sqlite3.Connection, account: str, name: str | None = None) -> list[IndexHead]:
    rows = connection.execute(
        "SELECT row, name, mode, dim, params_id, sequence FROM indexes WHERE account = ?1 AND mode != ?2"
        " AND (?3 IS NULL OR name = ?3) ORDER BY row",
        (account, _DROPPED, name),
    )
    return [
        IndexHead(row=row[0], name=row[1], mode=row[2], dim=row[3], params_id=row[4], sequence=row[5]) for row in rows
    ]


def _empty(connection: sqlite3.Connection, owner: int) -> None:
    connection.execute("DELETE FROM rows WHERE owner = ?", (owner,))
    connection.execute("DELETE FROM blocks WHERE owner = ?", (owner,))


# ---------------------------------------------------------------------------------------------- blocks and rows


def add_rows(connection: sqlite3.Connection, head: IndexHead, rows: Iterable[SealedRow]) -> None:
    """Put rows into the tail.

    Raises:
        EnvelopeError: One of the ids is taken.
    """
    for row in rows:
        taken = connection.execute("SELECT 1 FROM rows WHERE owner = ? AND id = ?", (head.row, row.id)).fetchone()
        if taken:
            message = f"row {row.id.hex()} is in the index already; ids are used once"
            raise EnvelopeError(message, check="row")
        connection.execute(
            "INSERT INTO rows (owner, id, sequence, sealed) VALUES (?, ?, ?, ?)",
            (head.row, row.id, head.sequence + 1, row.sealed),
        )


def replace_rows(connection: sqlite3.Connection, head: IndexHead, rows: Iterable[SealedRow]) -> int:
    """Put rows that are sealed anew in the place of the old ones; returns how many are there still."""
    return sum(
        connection.execute(
            "UPDATE rows SET sealed = ? WHERE owner = ? AND id = ? AND dead = 0",
            (row.sealed, head.row, row.id),
        ).rowcount
        for row in rows
    )


def remove_rows(connection: sqlite3.Connection, head: IndexHead, ids: Iterable[bytes]) -> int:
    """Remove rows; returns how many.

    Of one that lies in a block its id is left until the block is written anew. A block without a living row goes.
    """
    removed, touched = 0, set()
    for row_id in ids:
        row = connection.execute(
            "SELECT row, block FROM rows WHERE owner = ? AND id = ? AND dead = 0", (head.row, row_id)
        ).fetchone()
        if row is None:
            continue
        removed += 1
        if row[1] is None:
            connection.execute("DELETE FROM rows WHERE row = ?", (row[0],))
        else:
            touched.add(row[1])
            connection.execute("UPDATE rows SET dead = ?, sealed = x'' WHERE row = ?", (head.sequence + 1, row[0]))
    for block in touched:
        if not connection.execute(_LIVING_IDS, (head.row, block)).fetchone():
            _drop_block(connection, head, block)
    return removed


def _drop_block(connection: sqlite3.Connection, head: IndexHead, block: bytes) -> None:
    """Remove a block, with what is left of its removed rows."""
    connection.execute("DELETE FROM rows WHERE owner = ? AND block = ? AND dead > 0", (head.row, block))
    connection.execute("DELETE FROM blocks WHERE owner = ? AND id = ?", (head.row, block))


def add_block(connection: sqlite3.Connection, head: IndexHead, upload: BlockUpload, key_id: str) -> None:
    """Put a block in the place of those that it replaces, with the rows of the tail that it takes up.

    Raises:
        EnvelopeError: A row is not there or lies in a block that stays, or a living row would be left without one.
        WriteConflictError: A block that is to be replaced is not there.
    """
    given = set(upload.rows)
    movable = {row[0] for row in connection.execute(_TAIL_IDS, (head.row,))}
    for block in upload.replaces:
        if not connection.execute("SELECT 1 FROM blocks WHERE owner = ? AND id = ?", (head.row, block)).fetchone():
            message = f"block {block.hex()} is not in the index: another client replaced it"
            raise WriteConflictError(message, check="block", sequence=head.sequence)
        living = {row[0] for row in connection.execute(_LIVING_IDS, (head.row, block))}
        if not living <= given:
            message = f"{len(living - given)} rows of block {block.hex()} are not in the one that replaces it"
            raise EnvelopeError(message, check="rows")
        movable |= living
        _drop_block(connection, head, block)
    if not given <= movable:
        message = f"{len(given - movable)} rows of the block are neither in the tail nor in a block that it replaces"
        raise EnvelopeError(message, check="rows")
    connection.execute(
        "INSERT INTO blocks (owner, id, key_id, sequence, count, ids, sha256, size, data)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(head.row, upload.id, key_id, head.sequence + 1, len(upload.rows), b"".join(upload.rows)),
            *(hashlib.sha256(upload.data).digest(), len(upload.data), upload.data),
        ),
    )
    connection.executemany(
        "UPDATE rows SET block = ? WHERE owner = ? AND id = ?", [(upload.id, head.row, each) for each in upload.rows]
    )


_TAIL_IDS = "SELECT id FROM rows WHERE owner = ? AND block IS NULL ORDER BY row"
_LIVING_IDS = "SELECT id FROM rows WHERE owner = ? AND block = ? AND dead = 0"


def count_tail(connection: sqlite3.Connection, head: IndexHead) -> int:
    """Rows that lie in no block."""
    row = connection.execute("SELECT count(*) FROM rows WHERE owner = ? AND block IS NULL", (head.row,)).fetchone()
    return int(row[0])


def list_blocks(connection: sqlite3.Connection, head: IndexHead, key_ids: set[str]) -> list[tuple[bytes, int]]:
    """Ids and numbers of rows of the blocks under these keys, oldest first."""
    rows = connection.execute("SELECT id, count, key_id FROM blocks WHERE owner = ? ORDER BY row", (head.row,))
    return [(row[0], row[1]) for row in rows if row[2] in key_ids]


def read_block(connection: sqlite3.Connection, head: IndexHead, block: bytes) -> bytes | None:
    """The data of a block; ``None`` where it was replaced meanwhile.

    Raises:
        StoreCorruptError: They are not what was written.
    """
    row = connection.execute("SELECT data, sha256 FROM blocks WHERE owner = ? AND id = ?", (head.row, block)).fetchone()
    if row is None:
        return None
    if not hmac.compare_digest(hashlib.sha256(row[0]).digest(), row[1]):
        message = f"block {block.hex()} on disk is not what was written; restore a copy, or let a client write it anew"
        raise StoreCorruptError(message)
    return bytes(row[0])


def read_rows(connection: sqlite3.Connection, head: IndexHead, ids: Iterable[bytes]) -> tuple[SealedRow, ...]:
    """Rows with these ids, those that are there."""
    found = (
        connection.execute(
            "SELECT id, sealed FROM rows WHERE owner = ? AND id = ? AND dead = 0", (head.row, each)
        ).fetchone()
        for each in ids
    )
    return tuple(SealedRow(id=row[0], sealed=row[1]) for row in found if row is not None)


def read_block_rows(connection: sqlite3.Connection, head: IndexHead, block: bytes) -> tuple[SealedRow, ...]:
    """The living rows of a block."""
    rows = connection.execute(
        "SELECT id, sealed FROM rows WHERE owner = ? AND block = ? AND dead = 0 ORDER BY row", (head.row, block)
    )
    return tuple(SealedRow(id=row[0], sealed=row[1]) for row in rows)


def list_changes(connection: sqlite3.Connection, account: str, head: IndexHead, after: int) -> Changes:
    """What is in an index, less what was there after that write."""
    heads = connection.execute(
        "SELECT id, key_id, sequence, count, CASE WHEN sequence > ? THEN ids END FROM blocks WHERE owner = ?"
        " ORDER BY row",
        (after, head.row),
    )
    dead = connection.execute("SELECT id FROM rows WHERE owner = ? AND dead > ? ORDER BY row", (head.row, after))
    tail = connection.execute(_TAIL_IDS, (head.row,))
    rows = connection.execute(
        "SELECT id, sealed FROM rows WHERE owner = ? AND block IS NULL AND sequence > ? ORDER BY row",
        (head.row, after),
    )
    return Changes(
        keys=list_keys(connection, account),
        blocks=tuple(
            BlockHead(id=row[0], key_id=row[1], sequence=row[2], count=row[3], rows=_split_ids(row[4])) for row in heads
        ),
        dead=tuple(row[0] for row in dead),
        tail=tuple(row[0] for row in tail),
        rows=tuple(SealedRow(id=row[0], sealed=row[1]) for row in rows),
    )


def _split_ids(data: bytes | None) -> tuple[bytes, ...] | None:
    if data is None:
        return None
    return tuple(data[at : at + ID_BYTES] for at in range(0, len(data), ID_BYTES))

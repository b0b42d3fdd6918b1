"""Logs of receipts: in the store's SQLite file, and in memory."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from leo_core.errors import ConfigError, ReceiptError, SigningKeyError, StorageError, StoreCorruptError
from leo_core.stages.receipt.audit import CLOCK_TOLERANCE_S, Replay, check_head, replay_record
from leo_core.stages.receipt.checkpoint import sign_checkpoint
from leo_core.stages.receipt.keys import Keyset, SigningKey
from leo_core.stages.receipt.lottery import derive_seed
from leo_core.stages.receipt.merkle import EMPTY_ROOT, HASH_BYTES, CompactRange, consistency_proof
from leo_core.stages.receipt.sealing import LogHead, LogRecord, make_receipt, seal
from leo_core.storage.codec import to_column
from leo_core.storage.key_trouble import key_trouble_told

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from leo_core.records import Json, Receipt
    from leo_core.stages.receipt.keys import PublicKey, PublicKeys
    from leo_core.stages.receipt.merkle import NodeReader
    from leo_core.storage.database import Database
    from leo_core.storage.sealed_rows import SealedRows

__all__ = ["InMemoryReceiptLog", "SqliteReceiptLog", "find_origin"]

_CHUNK = 256
_COLUMNS = "r.position, r.id, r.answer_id, r.envelope, o.body"
_ROWS = f"SELECT {_COLUMNS} FROM receipts r LEFT JOIN receipt_openings o ON o.position = r.position"  # noqa: S608 - constants of this module only


def find_origin(database: Database) -> str | None:
    """Name of the log in a store's file, from its checkpoint; ``None`` before the first receipt."""
    with database.read() as connection:
        row = connection.execute("SELECT checkpoint FROM receipt_head").fetchone()
    return None if row is None else str(row[0]).partition("\n")[0]


class SqliteReceiptLog:
    """The log in a store's file; one linear log however many threads and processes append.

    Args:
        database: The store's file; stays open when the log is closed.
        key: Key that signs; with public keys only, the log can be read and audited.
        origin: Name of the log in its checkpoints; the same for its whole life.
        earlier_keys: Public keys that signed before ``key`` did.
        clock_tolerance_s: How far the time of a receipt may lie before that of an earlier one, in an audit.
        rows: Seals what is kept of each receipt: its envelope and its nonces. By default they are kept as they are. The
            hashes and the signed checkpoints are never sealed, so that the log extends and is witnessed as any other.

    Raises:
        ConfigError: The log in this file has another name.
    """

    def __init__(
        self,
        database: Database,
        key: SigningKey | PublicKeys,
        origin: str,
        *,
        earlier_keys: PublicKeys = (),
        clock_tolerance_s: float = CLOCK_TOLERANCE_S,
        rows: SealedRows | None = None,
    ) -> None:
        self._database, self._rows = database, rows
        self._signing_key = key if isinstance(key, SigningKey) else None
        self._keys = _trusted(key, earlier_keys)
        self._origin = origin
        self._clock_tolerance_s = clock_tolerance_s
        self._closed = False
        with database.read() as connection:
            self._head(connection)

    def __repr__(self) -> str:
        return f"SqliteReceiptLog({self._database!r}, origin={self._origin!r})"

    @property
    def public_keys(self) -> tuple[PublicKey, ...]:
        """The keys that its receipts may be signed with, the present one first."""
        return self._keys.keys

    def append(self, statement: Mapping[str, Json], openings: Mapping[str, str]) -> Receipt:
        """Complete, sign and keep a statement; on disk when this returns.

        A statement whose ``answer_id`` is in the log already is not appended: the first receipt is returned.

        Raises:
            ReceiptError: The statement is malformed.
            SigningKeyError: The log was opened without a signing key.
            StorageError: The store failed; nothing was appended.
        """
        self._check_open()
        with self._database.write(durable=True) as connection:
            head = self._head(connection)
            row = connection.execute(f"{_ROWS} WHERE r.answer_id = ?", (statement.get("answer_id"),)).fetchone()
            if row is not None:
                return make_receipt(self._open(row), head, _reader(connection))
            sealed = seal(statement, openings, head=head, origin=self._origin, key=_signer(self._signing_key))
            record = sealed.record
            connection.execute(
                "INSERT INTO receipts (position, id, answer_id, envelope) VALUES (?, ?, ?, ?)",
                (record.index, record.id, record.answer_id, self._seal("receipt", record.envelope, record.index)),
            )
            connection.execute(
                "INSERT INTO receipt_openings (position, body) VALUES (?, ?)",
                (record.index, self._seal("openings", json.dumps(dict(openings)), record.index)),
            )
            connection.executemany("INSERT INTO receipt_nodes (level, position, hash) VALUES (?, ?, ?)", sealed.nodes)
            leaves = sealed.head.leaves
            connection.execute(
                "REPLACE INTO receipt_head (only_row, size, frontier, checkpoint) VALUES (1, ?, ?, ?)",
                (leaves.size, b"".join(leaves.hashes), sealed.head.checkpoint),
            )
            return sealed.receipt

    def get(self, receipt_id: str) -> Receipt | None:
        """The receipt with this id, with a proof against the current checkpoint."""
        self._check_open()
        with self._database.read() as connection:
            row = connection.execute(f"{_ROWS} WHERE r.id = ?", (to_column(receipt_id),)).fetchone()
            return None if row is None else make_receipt(self._open(row), self._head(connection), _reader(connection))

    def receipts(self, start: int = 0, stop: int | None = None) -> Iterator[Receipt]:
        """Receipts by position, from ``start`` up to but not including ``stop``, or the size of the log now."""
        stop = self.size() if stop is None else stop
        start = max(start, 0)
        while start < stop:
            found = self._chunk(start, min(stop, start + _CHUNK))
            if not found:
                return
            yield from found
            start += len(found)

    def size(self) -> int:
        """Number of receipts."""
        self._check_open()
        with self._database.read() as connection:
            return self._head(connection).size

    def checkpoint(self) -> str:
        """Signed tree head.

        Raises:
            SigningKeyError: The log is empty and was opened without a signing key.
        """
        self._check_open()
        with self._database.read() as connection:
            return _note(self._head(connection), self._origin, self._signing_key)

    def consistency_proof(self, old_size: int, new_size: int) -> tuple[str, ...]:
        """Hex hashes that prove that the log of ``old_size`` is a prefix of that of ``new_size``.

        Raises:
            ReceiptError: The log never had these sizes (``check="consistency"``).
        """
        self._check_open()
        with self._database.read() as connection:
            return _consistency(old_size, new_size, self._head(connection).size, _reader(connection))

    def audit_seed(self, day: str) -> bytes:
        """The secret seed that decides which answers of a day are audited, 32 bytes.

        Raises:
            SigningKeyError: The log was opened without a signing key.
        """
        return derive_seed(_signer(self._signing_key), self._origin, day)

    def erase_openings(self, *receipt_ids: str) -> int:
        """Forget the nonces of receipts: nobody can open their commitments any more; the log stays whole.

        Returns:
            Of how many there were any. Copies stand in SQLite's write-ahead log until the file is compacted or closed.
        """
        self._check_open()
        if not receipt_ids:
            return 0
        with self._database.write(durable=True) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            try:
                return connection.executemany(
                    "DELETE FROM receipt_openings WHERE position = (SELECT position FROM receipts WHERE id = ?)",
                    [(to_column(each),) for each in receipt_ids],
                ).rowcount
            finally:
                connection.execute("PRAGMA secure_delete = OFF")

    def audit(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Replay the whole log, as far as it has grown at the end.

        Args:
            progress: Told the records done and their number, every now and then.

        Returns:
            Size of the log.

        Raises:
            ReceiptError: The first check that fails, as ``stages.receipt.audit`` lists them.
        """
        replay, done = _start(self._origin, self._keys, self._clock_tolerance_s), False
        while not done:
            self._check_open()
            with self._database.read() as connection:
                rows = connection.execute(
                    f"{_ROWS} WHERE r.position >= ? ORDER BY r.position LIMIT {_CHUNK}", (replay.size,)
                ).fetchall()
                find = _finder(connection)
                for row in rows:
                    replay = replay_record(replay, self._open(row), find)
                head, done = self._head(connection), len(rows) < _CHUNK
                if done:
                    records, nodes = connection.execute(
                        "SELECT (SELECT count(*) FROM receipts), (SELECT count(*) FROM receipt_nodes)"
                    ).fetchone()
                    check_head(replay, head, records=records, nodes=nodes)
            if progress is not None:
                progress(replay.size, head.size)
        return replay.size

    def close(self) -> None:
        """Refuse further work; idempotent. The database stays open."""
        self._closed = True

    def _chunk(self, start: int, stop: int) -> list[Receipt]:
        self._check_open()
        with self._database.read() as connection:
            head, read = self._head(connection), _reader(connection)
            rows = connection.execute(
                f"{_ROWS} WHERE r.position >= ? AND r.position < ? ORDER BY r.position", (start, min(stop, head.size))
            ).fetchall()
            return [make_receipt(self._open(row), head, read) for row in rows]

    def _seal(self, purpose: str, data: bytes | str, position: int) -> bytes | str:
        """What is kept of data of a receipt."""
        if self._rows is None:
            return data
        raw = data if isinstance(data, bytes) else data.encode()
        with key_trouble_told("receipt log"):
            return self._rows.seal_bytes_for_store(purpose, raw, place=str(position))

    def _unseal(self, purpose: str, kept: bytes | str, position: int) -> bytes:
        data = kept if isinstance(kept, bytes) else str(kept).encode()
        if self._rows is None:
            return data
        with key_trouble_told("receipt log"):
            return self._rows.open_bytes_for_store(purpose, data, place=str(position))

    def _open(self, row: Sequence[Any]) -> LogRecord:
        position, receipt_id, answer_id, envelope, openings = row
        return LogRecord(
            index=position,
            id=receipt_id,
            answer_id=answer_id,
            envelope=self._unseal("receipt", envelope, position),
            openings={} if openings is None else json.loads(self._unseal("openings", openings, position)),
        )

    def _head(self, connection: sqlite3.Connection) -> LogHead:
        row = connection.execute("SELECT size, frontier, checkpoint FROM receipt_head").fetchone()
        if row is None:
            return LogHead()
        size, frontier, note = row
        _check_name(note, self._origin)
        if not isinstance(frontier, bytes) or len(frontier) != HASH_BYTES * int(size).bit_count():
            message = f"the head of the log in {self._database.path!r} is damaged; run an audit, restore a copy"
            raise StoreCorruptError(message)
        hashes = (frontier[at : at + HASH_BYTES] for at in range(0, len(frontier), HASH_BYTES))
        return LogHead(leaves=CompactRange(size, tuple(hashes)), checkpoint=note)

    def _check_open(self) -> None:
        if self._closed:
            message = "the receipt log is closed"
            raise StorageError(message)


class InMemoryReceiptLog:
    """The log without a file, for tests and for processes that keep nothing.

    Args:
        key: Key that signs; with public keys only, nothing can be appended.
        origin: Name of the log in its checkpoints.
        earlier_keys: Public keys that signed before ``key`` did.
        clock_tolerance_s: How far the time of a receipt may lie before that of an earlier one, in an audit.
    """

    def __init__(
        self,
        key: SigningKey | PublicKeys,
        origin: str,
        *,
        earlier_keys: PublicKeys = (),
        clock_tolerance_s: float = CLOCK_TOLERANCE_S,
    ) -> None:
        self._signing_key = key if isinstance(key, SigningKey) else None
        self._keys = _trusted(key, earlier_keys)
        self._origin = origin
        self._clock_tolerance_s = clock_tolerance_s
        self._lock = threading.Lock()
        self._head = LogHead()
        self._records: list[LogRecord] = []
        self._nodes: dict[tuple[int, int], bytes] = {}
        self._by_answer: dict[str, int] = {}
        self._by_id: dict[str, int] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"InMemoryReceiptLog(origin={self._origin!r})"

    @property
    def public_keys(self) -> tuple[PublicKey, ...]:
        """The keys that its receipts may be signed with, the present one first."""
        return self._keys.keys

    def append(self, statement: Mapping[str, Json], openings: Mapping[str, str]) -> Receipt:
        """Complete, sign and keep a statement; the first receipt of an ``answer_id`` wins.

        Raises:
            ReceiptError: The statement is malformed.
            SigningKeyError: The log was opened without a signing key.
        """
        with self._lock:
            self._check_open()
            known = self._by_answer.get(statement.get("answer_id", ""))
            if known is None:
                return self._add(statement, openings)
            return make_receipt(self._records[known], self._head, self._read)

    def get(self, receipt_id: str) -> Receipt | None:
        """The receipt with this id, with a proof against the current checkpoint."""
        with self._lock:
            self._check_open()
            known = self._by_id.get(receipt_id)
            return None if known is None else make_receipt(self._records[known], self._head, self._read)

    def receipts(self, start: int = 0, stop: int | None = None) -> Iterator[Receipt]:
        """Receipts by position, from ``start`` up to but not including ``stop``, or the size of the log now."""
        size = self.size()
        for position in range(max(start, 0), size if stop is None else min(stop, size)):
            with self._lock:
                self._check_open()
                receipt = make_receipt(self._records[position], self._head, self._read)
            yield receipt

    def size(self) -> int:
        """Number of receipts."""
        with self._lock:
            self._check_open()
            return self._head.size

    def checkpoint(self) -> str:
        """Signed tree head."""
        with self._lock:
            self._check_open()
            return _note(self._head, self._origin, self._signing_key)

    def consistency_proof(self, old_size: int, new_size: int) -> tuple[str, ...]:
        """Hex hashes that prove that the log of ``old_size`` is a prefix of that of ``new_size``.

        Raises:
            ReceiptError: The log never had these sizes (``check="consistency"``).
        """
        with self._lock:
            self._check_open()
            return _consistency(old_size, new_size, self._head.size, self._read)

    def audit_seed(self, day: str) -> bytes:
        """The secret seed that decides which answers of a day are audited, 32 bytes.

        Raises:
            SigningKeyError: The log was opened without a signing key.
        """
        return derive_seed(_signer(self._signing_key), self._origin, day)

    def erase_openings(self, *receipt_ids: str) -> int:
        """Forget the nonces of receipts; returns of how many there were any."""
        with self._lock:
            self._check_open()
            places = [self._by_id[each] for each in receipt_ids if each in self._by_id]
            found = [place for place in places if self._records[place].openings]
            for place in found:
                self._records[place] = replace(self._records[place], openings={})
            return len(found)

    def audit(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Replay the whole log; returns its size or raises the first failed check."""
        with self._lock:
            self._check_open()
            records, head, nodes = tuple(self._records), self._head, dict(self._nodes)
        replay = _start(self._origin, self._keys, self._clock_tolerance_s)
        for record in records:
            replay = replay_record(replay, record, lambda level, position: nodes.get((level, position)))
            if progress is not None and replay.size % _CHUNK == 0:
                progress(replay.size, head.size)
        check_head(replay, head, records=len(records), nodes=len(nodes))
        if progress is not None:
            progress(replay.size, head.size)
        return replay.size

    def close(self) -> None:
        """Refuse further work; idempotent."""
        self._closed = True

    def _add(self, statement: Mapping[str, Json], openings: Mapping[str, str]) -> Receipt:
        sealed = seal(statement, openings, head=self._head, origin=self._origin, key=_signer(self._signing_key))
        self._records.append(sealed.record)
        self._nodes.update({(level, position): node for level, position, node in sealed.nodes})
        self._by_answer[sealed.record.answer_id] = self._by_id[sealed.record.id] = sealed.record.index
        self._head = sealed.head
        return sealed.receipt

    def _read(self, level: int, position: int) -> bytes:
        return self._nodes[level, position]

    def _check_open(self) -> None:
        if self._closed:
            message = "the receipt log is closed"
            raise StorageError(message)


def _trusted(key: SigningKey | PublicKeys, earlier: PublicKeys) -> Keyset:
    return Keyset((*Keyset.of(key).keys, *(Keyset.of(earlier).keys if earlier else ())))


def _signer(key: SigningKey | None) -> SigningKey:
    if key is None:
        message = "the log was opened with public keys only; give its signing key to append"
        raise SigningKeyError(message)
    return key


def _note(head: LogHead, origin: str, key: SigningKey | None) -> str:
    if head.size:
        return head.checkpoint
    if key is None:
        message = "the log holds no receipt yet, so no checkpoint was signed; give its signing key"
        raise SigningKeyError(message)
    return sign_checkpoint(origin, 0, EMPTY_ROOT, key)


def _start(origin: str, keys: Keyset, clock_tolerance_s: float) -> Replay:
    return Replay(origin=origin, keys=keys, clock_tolerance_s=clock_tolerance_s)


def _consistency(old_size: int, new_size: int, size: int, read: NodeReader) -> tuple[str, ...]:
    if new_size > size:
        message = f"the log holds {size} receipts, not {new_size}"
        raise ReceiptError(message, check="consistency")
    return tuple(node.hex() for node in consistency_proof(old_size, new_size, read))


def _check_name(note: str, origin: str) -> None:
    name = note.partition("\n")[0]
    if name != origin:
        message = f"the log in this store is named {name!r}; set origin={name!r}, or choose another store"
        raise ConfigError(message)


def _finder(connection: sqlite3.Connection) -> Callable[[int, int], bytes | None]:
    def find(level: int, position: int) -> bytes | None:
        row = connection.execute(
            "SELECT hash FROM receipt_nodes WHERE level = ? AND position = ?", (level, position)
        ).fetchone()
        return row[0] if row is not None and isinstance(row[0], bytes) else None

    return find


def _reader(connection: sqlite3.Connection) -> NodeReader:
    find = _finder(connection)

    def read(level: int, position: int) -> bytes:
        node = find(level, position)
        if node is None:
            message = f"the log lacks the subtree at level {level}, position {position}"
            raise ReceiptError(message, check="node")
        return node

    return read

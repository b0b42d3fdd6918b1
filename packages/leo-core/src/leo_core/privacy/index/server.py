"""The server of encrypted indexes: bytes in, bytes out.

It holds evaluation keys, blocks, sealed rows and accounts. It holds no secret key, it imports nothing of the side that
does, and nothing here decrypts: what it knows of an entry is its id, its length, when it was written and when it was
fetched.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from leo_core.errors import EnvelopeError, ForeignAccountError, IndexQuotaError, ParametersError, WriteConflictError
from leo_core.privacy.index import accounts as index_accounts
from leo_core.privacy.index import tables as index_tables
from leo_core.privacy.index.access import AccountAccess, IndexToken, check_account, read_bearer, refuse_access
from leo_core.privacy.index.database import IndexDatabase
from leo_core.privacy.index.envelope import Envelope, Kind, open_envelope, read_mac, seal_envelope
from leo_core.privacy.index.framing import FramingReader, pack_u32
from leo_core.privacy.index.limits import IndexLimits
from leo_core.privacy.index.payloads import (
    ENCRYPTED,
    PLAIN,
    BlockUpload,
    IndexForm,
    KeyHead,
    KeyUpload,
    Scores,
    pack_rows,
    read_id,
    read_rows,
    read_wanted,
)
from leo_core.privacy.index.quota import IndexQuota
from leo_core.privacy.index.scoring import LoadedBlock, LoadedBlocks, OpenedKeys, blame_client, read_plain_rows
from leo_core.privacy.index.stats import pack_stats

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Callable, Sequence

    from leo_core.privacy.index.tables import IndexHead

__all__ = ["EncryptedIndexServer", "open_block_scorer"]

_ROUNDS = 4
"""Tries to find all blocks of an index at once, while clients replace them."""

_log = logging.getLogger("leo_core.index")


@dataclass(frozen=True, slots=True)
class _Request:
    """A request that was let in: the envelope, its MAC, and the key of the reply's."""

    envelope: Envelope
    mac: bytes
    mac_key: bytes = field(repr=False)


class EncryptedIndexServer:
    """Indexes of several accounts in one file; threads may share it.

    Args:
        path: Its file; ``":memory:"`` for none. One server for each file.
        limits: What it takes.
        open_scorer: Opens evaluation keys; by default those of :mod:`leo_core.privacy.ckks.block_scoring`.

    Raises:
        StorageError: The file cannot be opened; see :class:`leo_core.privacy.index.database.IndexDatabase`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        limits: IndexLimits | None = None,
        open_scorer: Callable[[bytes], OpenedKeys] | None = None,
    ) -> None:
        self.limits = limits or IndexLimits()
        self._database = IndexDatabase(path)
        self._loaded = LoadedBlocks(open_scorer or open_block_scorer, self.limits.max_loaded_bytes)
        self._quota = IndexQuota(self.limits)
        self._answers: dict[Kind, Callable[[_Request], tuple[bytes, int]]] = {
            Kind.REGISTER_KEYS: self._register_keys,
            Kind.RETIRE_KEYS: self._retire_keys,
            Kind.OPEN_INDEX: self._open_index,
            Kind.APPEND_TAIL: self._append_tail,
            Kind.APPEND_PLAIN_BLOCK: self._append_block,
            Kind.APPEND_ENCRYPTED_BLOCK: self._append_block,
            Kind.REMOVE: self._remove,
            Kind.RESEAL: self._reseal,
            Kind.CHANGES: self._changes,
            Kind.SCORE: self._score,
            Kind.FETCH: self._fetch,
            Kind.BLOCK_ROWS: self._block_rows,
            Kind.DROP_INDEX: self._drop_index,
            Kind.STATS: self._stats,
        }

    def __repr__(self) -> str:
        return f"EncryptedIndexServer({self._database.path!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------------------------------ the operator

    def add_account(self, account: str) -> IndexToken:
        """Make an account, or give one a new token; the old one is not accepted any more. The token is not kept.

        Raises:
            ConfigError: The name is none.
        """
        token = IndexToken.generate(check_account(account))
        with self._database.write() as connection:
            index_accounts.put_access(connection, AccountAccess.of(token))
        return token

    def remove_account(self, account: str) -> bool:
        """Remove an account with all its keys and indexes; tells whether there was one."""
        with self._database.write() as connection:
            owners = index_tables.drop_all(connection, account)
            found = index_accounts.remove_access(connection, account)
        self._database.forget_writes()
        for owner in owners:
            self._loaded.forget(owner)
        self._loaded.forget_keys(account)
        self._quota.forget()  # numbers of indexes are given again
        return found

    def close(self) -> None:
        """Close the file; idempotent. What was acknowledged is on disk."""
        self._database.close()

    # --------------------------------------------------------------------------------------------- requests

    def admit(self, bearer: str) -> bytes:
        """The MAC key of the account to which this bearer belongs; what a request is let in by, before it is read.

        Raises:
            IndexAccessError: It is no bearer of an account.
        """
        account, secret = read_bearer(bearer)
        with self._database.read() as connection:
            access = index_accounts.find_access(connection, account)
        if access is None:
            raise refuse_access()
        return access.open(secret)

    def check(self) -> None:
        """Read something of the file.

        Raises:
            StorageError: It cannot be read.
        """
        with self._database.read() as connection:
            index_accounts.find_access(connection, "")

    def answer(self, bearer: str, request: bytes) -> bytes:
        """The reply to a request.

        Args:
            bearer: What the client's token says is to be sent along.
            request: An envelope.

        Raises:
            IndexAccessError: The bearer is none of an account.
            ForeignAccountError: The envelope is of another account.
            PrivateIndexError: The request is refused; its kind says why.
            StorageError: The file failed.
        """
        mac_key = self.admit(bearer)
        account = read_bearer(bearer)[0]
        envelope = open_envelope(request, mac_key, most_bytes=self.limits.max_envelope_bytes)
        if envelope.tenant.partition("/")[0] != account:
            message = f"the envelope is of account {envelope.tenant!r} and the token of account {account!r}"
            raise ForeignAccountError(message, check="tenant")
        if envelope.is_reply:
            message = "a reply was sent where a request is expected"
            raise EnvelopeError(message, check="kind")
        payload, sequence = self._answers[envelope.kind](_Request(envelope, read_mac(request), mac_key))
        reply = Envelope(
            kind=envelope.kind,
            is_reply=True,
            request_id=envelope.request_id,
            sequence=sequence,
            params_id=envelope.params_id,
            key_id=envelope.key_id,
            tenant=envelope.tenant,
            index=envelope.index,
            payload=payload,
        )
        _log.debug("%s: %d bytes in, %d out", envelope.kind.name, len(request), len(payload))
        return seal_envelope(reply, mac_key)

    # ------------------------------------------------------------------------------------------------- keys

    def _register_keys(self, request: _Request) -> tuple[bytes, int]:
        envelope, upload = request.envelope, KeyUpload.read(request.envelope.payload)
        opened = self._loaded.open_unregistered(upload.keys)
        _check_same("evaluation keys", envelope.key_id, opened.id)
        _check_same("parameters", envelope.params_id, opened.params_id)
        head = KeyHead(
            id=opened.id, params_id=opened.params_id, dim=opened.dim, primary=True, secret_id=opened.secret_id
        )
        with self._database.write() as connection:
            known = index_accounts.list_keys(connection, envelope.tenant)
            if len(known) >= self.limits.max_keys and all(each.id != head.id for each in known):
                message = f"the tenant has {len(known)} evaluation keys, as many as it may; retire old ones"
                raise IndexQuotaError(message, check="keys")
            if all(each.id != head.id for each in known):
                self._quota.take_for_keys(connection, envelope.tenant, len(upload.keys))
            index_accounts.put_keys(connection, envelope.tenant, head, upload.keys, expected=upload.expected)
        return b"", 0

    def _retire_keys(self, request: _Request) -> tuple[bytes, int]:
        envelope = request.envelope
        FramingReader(envelope.payload, "a request without payload").end()
        with self._database.write() as connection:
            index_accounts.retire_keys(connection, envelope.tenant, envelope.key_id)
        self._loaded.forget_keys(envelope.tenant, envelope.key_id)
        return b"", 0

    def _open_keys(self, envelope: Envelope, kept: KeyHead, head: IndexHead) -> OpenedKeys:
        """The keys that an envelope names, opened, if they are those of the index's parameters."""
        _check_same("parameters", envelope.params_id, head.params_id)
        _check_same("parameters", kept.params_id, head.params_id)
        _check_same("dimension", kept.dim, head.dim)
        return self._loaded.open_keys(envelope.tenant, kept.id, lambda: self._read_keys(envelope.tenant, kept.id))

    def _read_keys(self, tenant: str, key_id: str) -> bytes:
        with self._database.read() as connection:
            return index_accounts.read_keys(connection, tenant, key_id)

    # ----------------------------------------------------------------------------------------------- indexes

    def _open_index(self, request: _Request) -> tuple[bytes, int]:
        envelope, form = request.envelope, IndexForm.read(request.envelope.payload)
        if not envelope.index or not envelope.params_id:
            message = "an index is opened with a name and parameters"
            raise EnvelopeError(message, check="payload")
        with self._database.write() as connection:
            head = index_tables.open_index(
                connection, envelope.tenant, envelope.index, form, envelope.params_id, most=self.limits.max_indexes
            )
        _check_same("mode", form.mode, head.mode)
        _check_same("dimension", form.dim, head.dim)
        _check_same("parameters", envelope.params_id, head.params_id)
        return b"", head.sequence

    def _drop_index(self, request: _Request) -> tuple[bytes, int]:
        FramingReader(request.envelope.payload, "a request without payload").end()
        owner, sequence = self._write(request, index_tables.drop_index)
        self._database.forget_writes()
        self._loaded.forget(owner)
        return b"", sequence

    def _stats(self, request: _Request) -> tuple[bytes, int]:
        FramingReader(request.envelope.payload, "a request without payload").end()
        with self._database.read() as connection:
            return pack_stats(index_tables.measure_account(connection, request.envelope.tenant)), 0

    # ------------------------------------------------------------------------------------------------ writes

    def _write(
        self,
        request: _Request,
        change: Callable[[sqlite3.Connection, IndexHead], object],
        *,
        size: int = 0,
        rows: int = 0,
    ) -> tuple[int, int]:
        """Change an index under the next number of its sequence; returns its row and that number.

        ``size`` and ``rows`` are the bytes and rows that the account must have room for.
        """
        envelope = request.envelope
        with self._database.write() as connection:
            head = index_tables.find_index(connection, envelope.tenant, envelope.index)
            index_tables.check_sequence(connection, head, envelope.sequence, request.mac)
            if size:
                self._quota.take(connection, envelope.tenant, head, size=size, rows=rows)
            change(connection, head)
            return head.row, index_tables.advance(connection, head, request.mac)

    def _append_tail(self, request: _Request) -> tuple[bytes, int]:
        payload = request.envelope.payload
        rows = read_rows(payload, most_rows=self.limits.max_tail, most_bytes=self.limits.max_row_bytes)

        def change(connection: sqlite3.Connection, head: IndexHead) -> None:
            tail = index_tables.count_tail(connection, head)
            if tail + len(rows) > self.limits.max_tail:
                message = f"{tail} rows lie in the tail and {len(rows)} more do not fit; upload a block first"
                raise IndexQuotaError(message, check="tail")
            index_tables.add_rows(connection, head, rows)

        return b"", self._write(request, change, size=len(payload), rows=len(rows))[1]

    def _append_block(self, request: _Request) -> tuple[bytes, int]:
        envelope = request.envelope
        upload = BlockUpload.read(envelope.payload, most_rows=self.limits.max_block_rows)
        plain = envelope.kind is Kind.APPEND_PLAIN_BLOCK
        with self._database.read() as connection:
            head = index_tables.find_index(connection, envelope.tenant, envelope.index)
            index_tables.check_sequence(connection, head, envelope.sequence, request.mac)
            kept = index_accounts.find_keys(connection, envelope.tenant, envelope.key_id)
            if not plain:
                index_accounts.check_primary(connection, envelope.tenant, envelope.key_id)
        _check_same("mode", PLAIN if plain else ENCRYPTED, head.mode)
        opened = self._open_keys(envelope, kept, head)
        if not 1 <= len(upload.rows) <= opened.block_size:
            message = f"a block of these parameters has 1 to {opened.block_size} rows, got {len(upload.rows)}"
            raise ParametersError(message, check="block size")
        block = _load_block(opened, upload.data, len(upload.rows), plain=plain)

        def change(connection: sqlite3.Connection, head: IndexHead) -> None:
            if not plain:
                index_accounts.check_primary(connection, envelope.tenant, envelope.key_id)
            index_tables.add_block(connection, head, upload, "" if plain else envelope.key_id)

        owner, sequence = self._write(request, change, size=len(upload.data))
        if plain and upload.replaces:  # where vectors of removed rows stood
            self._database.forget_writes()
        self._loaded.forget(owner, upload.replaces)
        self._loaded.keep(owner, upload.id, envelope.key_id, block)
        return b"", sequence

    def _remove(self, request: _Request) -> tuple[bytes, int]:
        ids = read_wanted(request.envelope.payload, most=self.limits.max_rows)
        removed = [0]

        def change(connection: sqlite3.Connection, head: IndexHead) -> None:
            removed[0] = index_tables.remove_rows(connection, head, ids)

        sequence = self._write(request, change)[1]
        if removed[0]:
            self._database.forget_writes()
        return pack_u32(removed[0]), sequence

    def _reseal(self, request: _Request) -> tuple[bytes, int]:
        payload = request.envelope.payload
        rows = read_rows(payload, most_rows=self.limits.max_block_rows, most_bytes=self.limits.max_row_bytes)
        replaced = [0]

        def change(connection: sqlite3.Connection, head: IndexHead) -> None:
            replaced[0] = index_tables.replace_rows(connection, head, rows)

        sequence = self._write(request, change)[1]
        return pack_u32(replaced[0]), sequence

    # ------------------------------------------------------------------------------------------------- reads

    def _changes(self, request: _Request) -> tuple[bytes, int]:
        envelope = request.envelope
        reader = FramingReader(envelope.payload, "a request for changes")
        after = reader.u64()
        reader.end()
        with self._database.read() as connection:
            head = index_tables.find_index(connection, envelope.tenant, envelope.index)
            changes = index_tables.list_changes(connection, envelope.tenant, head, min(after, head.sequence))
        return changes.pack(), head.sequence

    def _score(self, request: _Request) -> tuple[bytes, int]:
        envelope = request.envelope
        for _ in range(_ROUNDS):
            with self._database.read() as connection:
                head = index_tables.find_index(connection, envelope.tenant, envelope.index)
                kept = index_accounts.find_keys(connection, envelope.tenant, envelope.key_id)
                listed = index_tables.list_blocks(connection, head, {"", envelope.key_id})
            opened = self._open_keys(envelope, kept, head)
            found = [self._load(head, opened, *each) for each in listed]
            blocks = [block for block in found if block is not None]
            if len(blocks) == len(listed):
                scores = self._score_blocks(opened, envelope.payload, blocks)
                return Scores(blocks=tuple(listed), scores=scores).pack(), head.sequence
        message = "the blocks of the index are replaced faster than they can be read; ask again"
        raise WriteConflictError(message, check="block", sequence=head.sequence)

    @staticmethod
    def _score_blocks(opened: OpenedKeys, query: bytes, blocks: Sequence[LoadedBlock]) -> bytes:
        if not blocks:
            return b""
        return blame_client(lambda: opened.scorer.score(query, blocks), "a query")

    def _load(self, head: IndexHead, opened: OpenedKeys, block: bytes, count: int) -> LoadedBlock | None:
        """A block that is ready for scoring; ``None`` where it was replaced meanwhile."""
        known = self._loaded.find(head.row, block, opened.id)
        if known is not None:
            return known
        with self._database.read() as connection:
            data = index_tables.read_block(connection, head, block)
        if data is None:
            return None
        loaded = _load_block(opened, data, count, plain=head.mode == PLAIN)
        self._loaded.keep(head.row, block, opened.id, loaded)
        return loaded

    def _fetch(self, request: _Request) -> tuple[bytes, int]:
        envelope = request.envelope
        ids = read_wanted(envelope.payload, most=self.limits.max_fetch)
        with self._database.read() as connection:
            head = index_tables.find_index(connection, envelope.tenant, envelope.index)
            return pack_rows(index_tables.read_rows(connection, head, ids)), head.sequence

    def _block_rows(self, request: _Request) -> tuple[bytes, int]:
        envelope = request.envelope
        block = read_id(envelope.payload)
        with self._database.read() as connection:
            head = index_tables.find_index(connection, envelope.tenant, envelope.index)
            return pack_rows(index_tables.read_block_rows(connection, head, block)), head.sequence


def _load_block(opened: OpenedKeys, data: bytes, count: int, *, plain: bool) -> LoadedBlock:
    if plain:
        rows = read_plain_rows(data, count, opened.dim)
        return blame_client(lambda: opened.scorer.load_plain(rows), "a plain block")
    block = blame_client(lambda: opened.scorer.load_encrypted(data), "an encrypted block")
    _check_same("rows", block.count, count)
    return block


def _check_same(what: str, given: object, known: object) -> None:
    if given != known:
        message = f"{what} {given!r} do not fit: the index or its keys have {known!r}"
        raise ParametersError(message, check=what)


def open_block_scorer(data: bytes) -> OpenedKeys:
    """Evaluation keys from bytes, with the scorer of :mod:`leo_core.privacy.ckks.block_scoring`.

    Raises:
        CiphertextError: They are none.
        MissingExtraError: The extra ``fhe`` is not installed.
    """
    from leo_core.privacy.ckks.block_scoring import BlockScorer  # noqa: PLC0415 - optional part, loaded when it is used
    from leo_core.privacy.ckks.evaluation_keys import EvaluationKeys  # noqa: PLC0415 - as above

    keys = EvaluationKeys.from_bytes(data)
    return OpenedKeys(
        id=keys.key_id,
        params_id=keys.params.params_id.hex(),
        dim=keys.dim,
        secret_id=keys.secret_id.hex(),
        block_size=keys.params.block_size,
        scorer=BlockScorer(keys),
    )

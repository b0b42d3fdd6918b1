"""One index, as a client works with it: what it knows of it, and the flows that write to it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from leo_core.errors import (
    KeyringError,
    PrivateIndexError,
    ReplayedWriteError,
    UnknownIndexError,
    WriteConflictError,
)
from leo_core.privacy.index.envelope import Kind
from leo_core.privacy.index.flow import Ask, Reply
from leo_core.privacy.index.framing import FramingReader, pack_ids, pack_u64
from leo_core.privacy.index.payloads import ENCRYPTED, PLAIN, Changes, IndexForm, KeyUpload, pack_rows
from leo_core.privacy.index.rows import PREFIX_BYTES
from leo_core.privacy.index.view import IndexView, add_to_tail, fold_changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from leo_core.privacy.ckks.params import FheParams
    from leo_core.privacy.index.config import PrivateIndexConfig
    from leo_core.privacy.index.flow import Flow
    from leo_core.privacy.index.payloads import KeyHead, SealedRow
    from leo_core.privacy.index.rows import OpenedRow, RowSealer
    from leo_core.records import Vector

__all__ = ["IndexSecrets", "IndexSession", "OpenSearch", "PublicKeys"]

_log = logging.getLogger("leo_core")


class IndexSecrets(Protocol):
    """The homomorphic secrets of a tenant; :class:`leo_core.privacy.index.client_secrets.TenantSecrets`."""

    def find_primary(self) -> str:
        """Name of the secret under which blocks are encrypted now."""
        ...

    def holds(self, secret_id: str) -> bool:
        """Whether the secret of this name may still be used."""
        ...

    def make_evaluation_keys(self, secret_id: str, dim: int) -> PublicKeys:
        """Public keys of a secret for vectors of ``dim`` coordinates."""
        ...

    def encrypt_query(self, secret_id: str, vector: Vector) -> bytes:
        """A query under this secret."""
        ...

    def encrypt_block(self, secret_id: str, rows: npt.NDArray[np.float32]) -> bytes:
        """A block under this secret."""
        ...

    def decrypt_scores(self, secret_id: str, reply: bytes, counts: Sequence[int]) -> list[npt.NDArray[np.float64]]:
        """The scores in a reply, counted before they are decrypted."""
        ...


class PublicKeys(Protocol):
    """Evaluation keys; :class:`leo_core.privacy.ckks.evaluation_keys.EvaluationKeys`."""

    @property
    def key_id(self) -> str:
        """Hash of the content."""
        ...

    def to_bytes(self) -> bytes:
        """All of it, for the server."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenSearch:
    """A search whose rows are still to be fetched and checked.

    Attributes:
        vector: The query.
        scores: By id, what the server's scores of the best rows came to.
        wanted: Ids of all rows that are asked for, in that order.
        broken: Replies with scores that could not be decrypted.
    """

    vector: Vector = field(repr=False)
    scores: Mapping[bytes, float] = field(repr=False)
    wanted: tuple[bytes, ...] = field(repr=False)
    broken: int


class IndexSession:
    """One index of one tenant. Its view only ever moves forward; whoever writes holds ``writing``.

    Args:
        tenant: The tenant, as the server knows it.
        index: The index, as the server knows it.
        sealer: Seals and opens its rows.
        secrets: The tenant's homomorphic secrets.
        params: Encryption parameters.
        config: Settings.

    Attributes:
        view: What is known of the index.
        writing: Held by the thread that writes.
        refused: Rows that did not open.
        unsettled: Searches that were cut off after their rows were asked for.
    """

    def __init__(
        self,
        tenant: str,
        index: str,
        *,
        sealer: RowSealer,
        secrets: IndexSecrets,
        params: FheParams,
        config: PrivateIndexConfig,
    ) -> None:
        self.tenant, self.index = tenant, index
        self.sealer, self.secrets, self.params, self.config = sealer, secrets, params, config
        self.view = IndexView()
        self.writing = threading.RLock()
        self.refused = 0
        self.unsettled: deque[OpenSearch] = deque()
        self._vanished = 0
        self._moving = threading.Lock()
        self._ids: dict[bytes, set[bytes]] = {}

    @property
    def params_id(self) -> str:
        """The parameters, as envelopes name them."""
        return self.params.params_id.hex()

    @property
    def encrypted(self) -> bool:
        """Whether blocks are encrypted."""
        return self.config.mode == "fully_encrypted"

    def ask(self, kind: Kind, payload: bytes = b"", *, key_id: str = "", sequence: int = 0) -> Ask:
        """A request about this index."""
        return Ask(
            kind=kind,
            tenant=self.tenant,
            index=self.index,
            params_id=self.params_id,
            key_id=key_id,
            sequence=sequence,
            payload=payload,
        )

    # -------------------------------------------------------------------------------------------- reading

    def catch_up(self) -> Flow[IndexView]:
        """What has changed since; an index that is not there is empty."""
        before = self.view
        try:
            reply = yield self.ask(Kind.CHANGES, pack_u64(before.sequence))
        except UnknownIndexError:
            return self._forget()
        return self.move_to(fold_changes(before, Changes.read(reply.payload), reply.sequence, self.open_row))

    def move_to(self, view: IndexView) -> IndexView:
        """Take a view for the present one, unless that is further already."""
        fresh = [row for head in view.blocks.values() if head.id not in self.view.blocks for row in head.rows or ()]
        with self._moving:
            for row in (*fresh, *view.tail):
                self._ids.setdefault(row[:PREFIX_BYTES], set()).add(row)
            if view.sequence >= self.view.sequence:
                self.view = view
            return self.view

    def open_row(self, row: SealedRow) -> OpenedRow | None:
        """The row in the clear; ``None`` for one that this client's keys did not seal so, which is counted."""
        try:
            return self.sealer.open(row)
        except (KeyringError, PrivateIndexError) as error:
            self.refused += 1
            level = logging.WARNING if self.refused == 1 else logging.DEBUG
            _log.log(level, "a row of an encrypted index did not open (%s)", type(error).__name__)
            return None

    def count_vanished(self, rows: int, fetched: int) -> int:
        """Count rows that scores led to and that cannot be checked; returns how many mismatches they come to.

        Others may have removed them just then, which happens to a row now and then: as many as a search fetches are one
        mismatch, because it happens to all of them where scores are made up.
        """
        if not rows:
            return 0
        with self._moving:
            mismatches, self._vanished = divmod(self._vanished + rows, max(1, fetched))
            return mismatches

    def find_rows(self, question: str) -> list[bytes]:
        """Ids of the rows that a question has, or had."""
        with self._moving:
            return sorted(self._ids.get(self.sealer.find_prefix(question), ()))

    def _forget(self) -> IndexView:
        with self._moving:
            self._ids.clear()
            self.view = IndexView()
            return self.view

    # -------------------------------------------------------------------------------------------- writing

    def write(self, make: Callable[[IndexView], Ask | None]) -> Flow[Reply | None]:
        """Write, as often as other clients come before.

        Args:
            make: Makes the request for a view; asked again after each conflict. ``None`` where there is nothing to do.

        Raises:
            WriteConflictError: Others came before at each try.
        """
        for _ in range(self.config.attempts):
            asked = make(self.view)
            if asked is None:
                return None
            try:
                return (yield asked)
            except ReplayedWriteError:
                return Reply(payload=b"", sequence=asked.sequence)  # its first acknowledgement was lost on the way
            except UnknownIndexError:
                self._forget()
                raise
            except WriteConflictError:
                yield from self.catch_up()
        message = f"other clients wrote first, {self.config.attempts} times in a row; try again later"
        raise WriteConflictError(message, check="attempts", sequence=self.view.sequence)

    def open_index(self, dim: int) -> Flow[IndexView]:
        """Make the index where there is none, and see to it that the keys of the present secret are registered."""
        mode = ENCRYPTED if self.encrypted else PLAIN
        yield self.ask(Kind.OPEN_INDEX, IndexForm(mode=mode, dim=dim).pack())
        view = yield from self.catch_up()
        yield from self.register_keys(dim)
        return view

    def register_keys(self, dim: int) -> Flow[KeyHead]:
        """The primary evaluation keys, which are those of the keyring's present secret; registered where they are not.

        Raises:
            WriteConflictError: Other clients register others all the time.
        """
        for _ in range(self.config.attempts):
            secret_id = self.secrets.find_primary()
            primary = self.view.find_primary(self.params_id, dim)
            if primary is not None and primary.secret_id == secret_id:
                return primary
            keys = self.secrets.make_evaluation_keys(secret_id, dim)
            upload = KeyUpload(expected=primary.id if primary else "", keys=keys.to_bytes())
            try:
                yield self.ask(Kind.REGISTER_KEYS, upload.pack(), key_id=keys.key_id)
            except WriteConflictError:
                _log.debug("another client registered evaluation keys first")
            yield from self.catch_up()
        message = "other clients register other evaluation keys all the time: do they use the same keyring?"
        raise WriteConflictError(message, check="primary")

    def append(self, rows: Sequence[OpenedRow]) -> Flow[None]:
        """Put rows into the tail."""
        payload = pack_rows([self.sealer.seal(row) for row in rows])

        def make(view: IndexView) -> Ask:
            return self.ask(Kind.APPEND_TAIL, payload, sequence=view.sequence + 1)

        try:
            reply = yield from self.write(make)
        except UnknownIndexError:
            yield from self.open_index(len(rows[0].vector))
            reply = yield from self.write(make)
        if reply is not None and reply.sequence == self.view.sequence + 1:
            self.move_to(add_to_tail(self.view, rows, reply.sequence))
        else:
            yield from self.catch_up()

    def remove(self, ids: Iterable[bytes]) -> Flow[int]:
        """Remove rows; returns how many were there."""
        wanted = tuple(sorted(ids))
        if not wanted:
            return 0

        def make(view: IndexView) -> Ask:
            return self.ask(Kind.REMOVE, pack_ids(wanted), sequence=view.sequence + 1)

        try:
            reply = yield from self.write(make)
        except UnknownIndexError:
            return 0
        with self._moving:
            for row in wanted:
                self._ids.get(row[:PREFIX_BYTES], set()).discard(row)
        yield from self.catch_up()
        return FramingReader(reply.payload, "a count").u32() if reply is not None and reply.payload else 0

    def drop(self) -> Flow[None]:
        """Remove the index with everything in it."""
        yield from self.catch_up()
        try:
            yield from self.write(lambda view: self.ask(Kind.DROP_INDEX, sequence=view.sequence + 1))
        except UnknownIndexError:
            return
        self._forget()

"""Flows that put rows into blocks: from a full tail, from blocks with removed rows, and under new keys."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import EnvelopeError, StaleEvaluationKeyError, WriteConflictError
from leo_core.privacy.index.envelope import Kind
from leo_core.privacy.index.framing import ID_BYTES, pack_u64
from leo_core.privacy.index.payloads import BlockUpload, Changes, pack_rows, read_rows
from leo_core.privacy.index.view import choose_merge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leo_core.privacy.index.flow import Ask, Flow
    from leo_core.privacy.index.payloads import KeyHead, SealedRow
    from leo_core.privacy.index.rows import OpenedRow
    from leo_core.privacy.index.session import IndexSession
    from leo_core.privacy.index.view import IndexView

__all__ = ["compact", "flush_tail", "rewrite_blocks"]

_MOST_ROWS = 2**20
_MOST_BYTES = 2**24
_ROUNDS = 8
_REWRITES = 64
"""Most passes over the blocks that others made meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A block that is ready to be sent.

    Attributes:
        upload: The block.
        key: Keys under which it is encrypted.
        tail: Its rows that lie in the tail.
    """

    upload: BlockUpload
    key: KeyHead
    tail: frozenset[bytes] = field(default_factory=frozenset)


def flush_tail(session: IndexSession) -> Flow[bool]:
    """Put the tail into a block, together with the rows of blocks that have room; tells whether there was anything.

    Meanwhile the rows stay where they are: a search finds them in the tail until the block is there.
    """
    for _ in range(_ROUNDS):
        view = session.view
        if not view.tail:
            return False
        dim = len(next(iter(view.tail.values())).vector)
        key = yield from session.register_keys(dim)
        view = session.view
        merged = choose_merge(
            view,
            block_size=session.params.block_size,
            dead_share=session.config.compact_share,
            key_id=key.id if session.encrypted else None,
        )
        if (yield from _rewrite(session, key, merged, tuple(view.tail.values()))):
            return True
    return False


def compact(session: IndexSession) -> Flow[int]:
    """Write anew each block with a removed row, and join blocks that fit into one; returns how many blocks are left."""
    yield from session.catch_up()
    for _ in range(_ROUNDS):
        view = session.view
        worn = [head for head in view.blocks.values() if not view.alive[head.id].all()]
        small = [head for head in view.blocks.values() if head.count < session.params.block_size]
        if not worn and len(small) < 2:  # noqa: PLR2004 - two can be joined
            break
        rows = yield from _read_block_rows(session, (worn or small)[0].id)
        if not rows:
            yield from session.catch_up()
            continue
        key = yield from session.register_keys(len(rows[0].vector))
        view = session.view
        merged = choose_merge(
            view,
            block_size=session.params.block_size,
            dead_share=1e-9,
            key_id=key.id if session.encrypted else None,
        )
        if not merged or (len(merged) == 1 and not view.tail and view.alive[merged[0]].all()):
            break
        yield from _rewrite(session, key, merged, tuple(view.tail.values()))
    return len(session.view.blocks)


def rewrite_blocks(session: IndexSession) -> Flow[int]:
    """Encrypt under the primary keys what lies under others, and seal all rows under the present key version.

    Cut off at any point, or run by several clients at once, it loses nothing and can be run again. When it returns,
    nothing is under keys older than those of when it began: blocks that others made meanwhile, of rows that had not
    been reached yet, are gone through as well.

    Returns:
        How many blocks were written.

    Raises:
        WriteConflictError: A block is left: others change it all the time, or there is a row in it that does not open.
    """
    written, done = 0, set[bytes]()
    view = yield from session.catch_up()
    for _ in range(_REWRITES):
        left, before = view.blocks.keys() - done, written
        for block in left:
            finished, made = yield from _rewrite_block(session, block)
            written += made
            if finished:
                done.add(block)
        tail = yield from _read_tail(session)
        yield from _reseal(session, [row for row in tail if not session.sealer.is_current(row)])
        view = yield from session.catch_up()
        if done.issuperset(view.blocks):
            return written
        if written == before and view.blocks.keys() - done == left:
            break
    message = (
        f"{len(view.blocks.keys() - done)} blocks could not be written anew: others change them, or a row in them does "
        "not open; try again later"
    )
    raise WriteConflictError(message, check="attempts", sequence=view.sequence)


def _rewrite_block(session: IndexSession, block: bytes) -> Flow[tuple[bool, int]]:
    """Whether a block needs no second look, and how many were written in its place."""
    sealed = yield from _read_sealed(session, block)
    rows = _open_rows(session, sealed)
    if not rows:
        return True, 0
    key = yield from session.register_keys(len(rows[0].vector))
    yield from _reseal(session, [row for row in sealed if not session.sealer.is_current(row)])
    head = session.view.blocks.get(block)
    if not session.encrypted or head is None or head.key_id == key.id:
        return True, 0
    return False, int((yield from _rewrite(session, key, (block,), ())))


def _rewrite(session: IndexSession, key: KeyHead, blocks: Sequence[bytes], tail: Sequence[OpenedRow]) -> Flow[bool]:
    """Put the living rows of blocks, and rows of the tail, into one block; tells whether it is there.

    Where other clients changed just these rows meanwhile, nothing is written.
    """
    rows: list[OpenedRow] = []
    for block in blocks:
        if block not in session.view.blocks:
            return False
        rows += yield from _read_block_rows(session, block)
    rows = [*rows, *tail][: session.params.block_size]
    if not rows:
        return False
    draft = _encrypt(session, key, blocks, rows, frozenset(row.id for row in tail))
    try:
        reply = yield from session.write(lambda view: _place(session, draft, view))
    except (EnvelopeError, WriteConflictError) as error:
        if isinstance(error, EnvelopeError) and error.check != "rows":
            raise
        yield from session.catch_up()
        return False
    except StaleEvaluationKeyError:
        yield from session.catch_up()
        return False
    yield from session.catch_up()
    return reply is not None


def _encrypt(
    session: IndexSession, key: KeyHead, blocks: Sequence[bytes], rows: Sequence[OpenedRow], tail: frozenset[bytes]
) -> _Draft:
    matrix = np.stack([row.vector for row in rows]).astype("<f4")
    data = session.secrets.encrypt_block(key.secret_id, matrix) if session.encrypted else matrix.tobytes()
    upload = BlockUpload(
        id=secrets.token_bytes(ID_BYTES), rows=tuple(row.id for row in rows), replaces=tuple(blocks), data=data
    )
    return _Draft(upload=upload, key=key, tail=tail)


def _place(session: IndexSession, draft: _Draft, view: IndexView) -> Ask | None:
    """The request that puts a block into its place, if it still has one: nothing is encrypted twice for a conflict."""
    upload = draft.upload
    if not all(block in view.blocks for block in upload.replaces):
        return None
    living = {row for block in upload.replaces for row in view.living(block)}
    if living | (draft.tail & view.tail.keys()) != set(upload.rows):
        return None
    kind = Kind.APPEND_ENCRYPTED_BLOCK if session.encrypted else Kind.APPEND_PLAIN_BLOCK
    return session.ask(kind, upload.pack(), key_id=draft.key.id, sequence=view.sequence + 1)


def _read_block_rows(session: IndexSession, block: bytes) -> Flow[list[OpenedRow]]:
    return _open_rows(session, (yield from _read_sealed(session, block)))


def _read_sealed(session: IndexSession, block: bytes) -> Flow[tuple[SealedRow, ...]]:
    reply = yield session.ask(Kind.BLOCK_ROWS, block)
    return read_rows(reply.payload, most_rows=_MOST_ROWS, most_bytes=_MOST_BYTES)


def _read_tail(session: IndexSession) -> Flow[tuple[SealedRow, ...]]:
    """The sealed rows of the tail, those included that do not open."""
    reply = yield session.ask(Kind.CHANGES, pack_u64(0))
    return Changes.read(reply.payload).rows


def _open_rows(session: IndexSession, rows: Sequence[SealedRow]) -> list[OpenedRow]:
    opened = (session.open_row(row) for row in rows)
    return [row for row in opened if row is not None]


def _reseal(session: IndexSession, rows: Sequence[SealedRow]) -> Flow[None]:
    """Seal rows under the present key version; those that do not open stay as they are."""
    opened = _open_rows(session, rows)
    if opened:
        payload = pack_rows([session.sealer.seal(row) for row in opened])
        yield from session.write(lambda view: session.ask(Kind.RESEAL, payload, sequence=view.sequence + 1))

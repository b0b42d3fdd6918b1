"""Payloads of the envelopes of an encrypted index, kind by kind.

Each is a record with ``pack`` and ``read``; the layout is in the docstring of the record, in the words of
:mod:`leo_core.privacy.index.framing`. What is read raises :class:`leo_core.errors.EnvelopeError` or its kind
``EnvelopeSizeError`` where it does not hold to its layout.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from leo_core.errors import EnvelopeError, EnvelopeSizeError
from leo_core.privacy.index.framing import (
    ID_BYTES,
    FramingReader,
    pack_blob,
    pack_byte,
    pack_ids,
    pack_text,
    pack_u16,
    pack_u32,
    pack_u64,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ENCRYPTED",
    "PLAIN",
    "BlockHead",
    "BlockUpload",
    "Changes",
    "IndexForm",
    "KeyHead",
    "KeyUpload",
    "Scores",
    "SealedRow",
    "pack_rows",
    "read_id",
    "read_rows",
    "read_wanted",
]

PLAIN: Final = 1
"""Mode of an index whose blocks the server can read: ``query_private``."""
ENCRYPTED: Final = 2
"""Mode of an index whose blocks are encrypted: ``fully_encrypted``."""

_MOST_IDS = 2**24
_MOST_LISTED = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUpload:
    """Evaluation keys to register: ``text expected · blob keys``.

    Attributes:
        expected: Key id that is primary now, as far as the client knows; empty for none.
        keys: The evaluation keys.
    """

    expected: str
    keys: bytes = field(repr=False)

    def pack(self) -> bytes:
        """As bytes."""
        return pack_text(self.expected) + pack_blob(self.keys)

    @classmethod
    def read(cls, payload: bytes) -> KeyUpload:
        """From bytes."""
        reader = FramingReader(payload, "an upload of evaluation keys")
        found = cls(expected=reader.text(), keys=reader.blob())
        reader.end()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexForm:
    """What an index is made for: ``u8 mode · u16 dim``.

    Attributes:
        mode: :data:`PLAIN` or :data:`ENCRYPTED`.
        dim: Length of its vectors.
    """

    mode: int
    dim: int

    def pack(self) -> bytes:
        """As bytes."""
        return pack_byte(self.mode) + pack_u16(self.dim)

    @classmethod
    def read(cls, payload: bytes) -> IndexForm:
        """From bytes."""
        reader = FramingReader(payload, "the form of an index")
        found = cls(mode=reader.u8(), dim=reader.u16())
        reader.end()
        if found.mode not in {PLAIN, ENCRYPTED} or not found.dim:
            message = f"an index has mode {PLAIN} or {ENCRYPTED} and a dimension, got {found.mode} and {found.dim}"
            raise EnvelopeError(message, check="payload")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRow:
    """A row as the server keeps it: ``16 id · blob sealed``.

    Attributes:
        id: 16 bytes that say nothing.
        sealed: Its vector and what it stands for, sealed by the client.
    """

    id: bytes
    sealed: bytes = field(repr=False)


def pack_rows(rows: Sequence[SealedRow]) -> bytes:
    """``u32 count``, then the rows."""
    return pack_u32(len(rows)) + b"".join(row.id + pack_blob(row.sealed) for row in rows)


def read_rows(payload: bytes, *, most_rows: int, most_bytes: int) -> tuple[SealedRow, ...]:
    """Rows from bytes, with ids that are all different.

    Args:
        payload: The bytes.
        most_rows: Most rows allowed.
        most_bytes: Longest sealed row allowed.
    """
    reader = FramingReader(payload, "a list of rows")
    found = _take_rows(reader, most_rows, most_bytes)
    reader.end()
    return found


def _take_rows(reader: FramingReader, most_rows: int, most_bytes: int) -> tuple[SealedRow, ...]:
    count = reader.u32()
    if count > most_rows:
        message = f"a list of {count} rows is refused: at most {most_rows} are allowed"
        raise EnvelopeSizeError(message, check="oversized")
    rows = tuple(SealedRow(id=reader.take(ID_BYTES), sealed=reader.blob(most_bytes)) for _ in range(count))
    if len({row.id for row in rows}) < count:
        message = "a list of rows has an id twice"
        raise EnvelopeError(message, check="payload")
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockUpload:
    """A block: ``16 id · ids rows · ids replaces · blob data``.

    Attributes:
        id: Its id.
        rows: Ids of the rows, in the order in which they lie in the block.
        replaces: Blocks whose rows are in this one; they go.
        data: The rows as float32, little-endian, one after the other, or encrypted.
    """

    id: bytes
    rows: tuple[bytes, ...]
    replaces: tuple[bytes, ...]
    data: bytes = field(repr=False)

    def pack(self) -> bytes:
        """As bytes."""
        return self.id + pack_ids(self.rows) + pack_ids(self.replaces) + pack_blob(self.data)

    @classmethod
    def read(cls, payload: bytes, *, most_rows: int) -> BlockUpload:
        """From bytes."""
        reader = FramingReader(payload, "a block")
        found = cls(
            id=reader.take(ID_BYTES), rows=reader.ids(most_rows), replaces=reader.ids(_MOST_LISTED), data=reader.blob()
        )
        reader.end()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyHead:
    """Registered evaluation keys: ``text id · text params · u16 dim · u8 primary · text secret``.

    Attributes:
        id: Hash of the keys.
        params_id: Their encryption parameters.
        dim: Length of the vectors that they are made for.
        primary: Whether blocks are encrypted under them; otherwise they are being rotated out.
        secret_id: Name of the secret that they belong to; it tells nothing about it.
    """

    id: str
    params_id: str
    dim: int
    primary: bool
    secret_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockHead:
    """A block in the directory: ``16 id · text key · u64 sequence · u32 count · u8 told · ids rows``.

    Attributes:
        id: Its id.
        key_id: Keys under which it is encrypted; empty for a plain one.
        sequence: Number of the write that made it.
        count: Rows in it, removed ones included.
        rows: Their ids in order; ``None`` where the client knows them already.
    """

    id: bytes
    key_id: str
    sequence: int
    count: int
    rows: tuple[bytes, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is in an index, without what the client knows.

    ``u16 count · keys · u32 count · blocks · ids dead · ids tail · rows``

    Attributes:
        keys: Registered evaluation keys of the account.
        blocks: All blocks, those that are new to the client with the ids of their rows.
        dead: Rows that lie in a block and were removed since.
        tail: Ids of all rows of the tail, in the order of writing.
        rows: Those of them that are new to the client, with their vectors and without their records.
    """

    keys: tuple[KeyHead, ...]
    blocks: tuple[BlockHead, ...]
    dead: tuple[bytes, ...]
    tail: tuple[bytes, ...]
    rows: tuple[SealedRow, ...]

    def pack(self) -> bytes:
        """As bytes."""
        keys = (
            pack_text(each.id)
            + pack_text(each.params_id)
            + pack_u16(each.dim)
            + pack_byte(each.primary)
            + pack_text(each.secret_id)
            for each in self.keys
        )
        blocks = (_pack_head(each) for each in self.blocks)
        return b"".join(
            (
                pack_u16(len(self.keys)),
                *keys,
                pack_u32(len(self.blocks)),
                *blocks,
                pack_ids(self.dead),
                pack_ids(self.tail),
                pack_rows(self.rows),
            )
        )

    @classmethod
    def read(cls, payload: bytes) -> Changes:
        """From bytes."""
        reader = FramingReader(payload, "a list of changes")
        keys = tuple(
            KeyHead(
                id=reader.text(),
                params_id=reader.text(),
                dim=reader.u16(),
                primary=bool(reader.u8()),
                secret_id=reader.text(),
            )
            for _ in range(reader.u16())
        )
        blocks = tuple(_read_head(reader) for _ in range(reader.u32()))
        found = cls(
            keys=keys,
            blocks=blocks,
            dead=reader.ids(_MOST_IDS),
            tail=reader.ids(_MOST_IDS),
            rows=_take_rows(reader, _MOST_IDS, reader.left),
        )
        reader.end()
        return found


def _pack_head(head: BlockHead) -> bytes:
    fixed = head.id + pack_text(head.key_id) + pack_u64(head.sequence) + pack_u32(head.count)
    return fixed + (pack_byte(0) if head.rows is None else pack_byte(1) + pack_ids(head.rows))


def _read_head(reader: FramingReader) -> BlockHead:
    block_id, key_id, sequence, count = reader.take(ID_BYTES), reader.text(), reader.u64(), reader.u32()
    rows = reader.ids(_MOST_IDS) if reader.u8() else None
    if rows is not None and len(rows) != count:
        message = f"a block of {count} rows comes with the ids of {len(rows)}"
        raise EnvelopeError(message, check="payload")
    return BlockHead(id=block_id, key_id=key_id, sequence=sequence, count=count, rows=rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Encrypted scores: ``u32 count · (16 block · u32 rows) … · blob scores``.

    Attributes:
        blocks: Ids of the blocks that were scored and how many rows each has, in the order of the scores.
        scores: The encrypted scores; empty where there was no block.
    """

    blocks: tuple[tuple[bytes, int], ...]
    scores: bytes = field(repr=False)

    def pack(self) -> bytes:
        """As bytes."""
        heads = b"".join(block + pack_u32(count) for block, count in self.blocks)
        return pack_u32(len(self.blocks)) + heads + pack_blob(self.scores)

    @classmethod
    def read(cls, payload: bytes) -> Scores:
        """From bytes."""
        reader = FramingReader(payload, "a reply with scores")
        blocks = tuple((reader.take(ID_BYTES), reader.u32()) for _ in range(reader.u32()))
        found = cls(blocks=blocks, scores=reader.blob())
        reader.end()
        return found


def read_wanted(payload: bytes, *, most: int) -> tuple[bytes, ...]:
    """A list of ids, all different: ``ids``."""
    reader = FramingReader(payload, "a list of ids")
    found = reader.ids(most)
    reader.end()
    return found


def read_id(payload: bytes) -> bytes:
    """One id."""
    reader = FramingReader(payload, "an id")
    found = reader.take(ID_BYTES)
    reader.end()
    return found

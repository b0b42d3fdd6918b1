"""Bytes with lengths: how envelopes and their payloads are written and read.

Integers are big-endian. A text is its length in one byte and UTF-8; a blob is its length in four bytes and the bytes.
There is one way to write each value, and a reader takes nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leo_core.errors import EnvelopeError, EnvelopeSizeError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ID_BYTES",
    "FramingReader",
    "pack_blob",
    "pack_byte",
    "pack_ids",
    "pack_text",
    "pack_u16",
    "pack_u32",
    "pack_u64",
]

ID_BYTES: Final = 16
"""Length of the ids of rows, blocks and requests."""

_LONGEST_TEXT = 255


def pack_byte(value: int) -> bytes:
    """An integer in [0, 2^8)."""
    return value.to_bytes(1, "big")


def pack_u16(value: int) -> bytes:
    """An integer in [0, 2^16)."""
    return value.to_bytes(2, "big")


def pack_u32(value: int) -> bytes:
    """An integer in [0, 2^32)."""
    return value.to_bytes(4, "big")


def pack_u64(value: int) -> bytes:
    """An integer in [0, 2^64)."""
    return value.to_bytes(8, "big")


def pack_text(text: str) -> bytes:
    """A text of at most 255 bytes of UTF-8.

    Raises:
        EnvelopeSizeError: It is longer.
    """
    encoded = text.encode("utf-8")
    if len(encoded) > _LONGEST_TEXT:
        message = f"a field of {len(encoded)} bytes does not fit into an envelope; at most {_LONGEST_TEXT} do"
        raise EnvelopeSizeError(message, check="field")
    return pack_byte(len(encoded)) + encoded


def pack_blob(data: bytes) -> bytes:
    """Bytes of any length below 2^32."""
    return pack_u32(len(data)) + data


def pack_ids(ids: Iterable[bytes]) -> bytes:
    """How many ids (four bytes), and the ids."""
    listed = list(ids)
    return pack_u32(len(listed)) + b"".join(listed)


class FramingReader:
    """Reads what was packed, front to back.

    Args:
        data: All of it.
        what: What it is, for messages.

    Raises:
        EnvelopeSizeError: Every method, where the bytes end too soon.
    """

    __slots__ = ("_at", "_data", "_what")

    def __init__(self, data: bytes, what: str) -> None:
        self._data, self._what = data, what
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._at

    @property
    def position(self) -> int:
        """Bytes read."""
        return self._at

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count > self.left:
            message = f"{self._what} is cut off: {count} more bytes are announced and {self.left} are there"
            raise EnvelopeSizeError(message, check="truncated")
        start, self._at = self._at, self._at + count
        return self._data[start : self._at]

    def u8(self) -> int:
        """An integer of one byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """An integer of two bytes."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """An integer of four bytes."""
        return int.from_bytes(self.take(4), "big")

    def u64(self) -> int:
        """An integer of eight bytes."""
        return int.from_bytes(self.take(8), "big")

    def text(self) -> str:
        """A text.

        Raises:
            EnvelopeError: It is not UTF-8.
        """
        try:
            return self.take(self.u8()).decode("utf-8")
        except UnicodeDecodeError:
            message = f"{self._what} holds a text that is not UTF-8"
            raise EnvelopeError(message, check="field") from None

    def blob(self, most: int | None = None) -> bytes:
        """Bytes with their length.

        Args:
            most: Longest allowed; ``None`` for no limit.

        Raises:
            EnvelopeSizeError: It is longer.
        """
        length = self.u32()
        if most is not None and length > most:
            message = f"{self._what} holds {length} bytes where at most {most} are allowed"
            raise EnvelopeSizeError(message, check="oversized")
        return self.take(length)

    def ids(self, most: int) -> tuple[bytes, ...]:
        """A list of ids, all different.

        Args:
            most: Most of them allowed.

        Raises:
            EnvelopeSizeError: There are more.
            EnvelopeError: One comes twice.
        """
        count = self.u32()
        if count > most:
            message = f"{self._what} lists {count} ids where at most {most} are allowed"
            raise EnvelopeSizeError(message, check="oversized")
        data = self.take(count * ID_BYTES)
        found = tuple(data[at : at + ID_BYTES] for at in range(0, len(data), ID_BYTES))
        if len(set(found)) < count:
            message = f"{self._what} lists an id twice"
            raise EnvelopeError(message, check="payload")
        return found

    def end(self) -> None:
        """Nothing may follow.

        Raises:
            EnvelopeSizeError: Something does.
        """
        if self.left:
            message = f"{self._what} has {self.left} bytes too many at its end"
            raise EnvelopeSizeError(message, check="trailing")

"""Observations in Chroma: numbered blocks, each written by one atomic request that only the first of a number wins.

Chroma ignores the addition of an id that is there, so that adding a block and reading it back tells whether it was
won; the loser takes the next number. A number is only tried once the one before it is taken: there are no gaps, and
who has read up to a number misses nothing that comes below it.
"""

from __future__ import annotations

import json
import secrets
import threading
from typing import TYPE_CHECKING, Any

from leo_core.errors import StoreCorruptError
from leo_core.storage.chroma_rows import decode_text, encode_text, idle_vector
from leo_core.storage.chroma_sealed import exchange_in_block, read_block
from leo_core.storage.codec import decode_observation, encode_observation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from leo_core.records import Observation, SealedValue

__all__ = ["ChromaLog"]

_PLACES = 1 << 24
"""Numbers of the observations of a block begin at its number times this."""
_BLOCKS_AT_ONCE = 32


class ChromaLog:
    """The observations of a store.

    Args:
        collection: Gives the collection, connected.
    """

    def __init__(self, collection: Callable[[], Any]) -> None:
        self._collection = collection
        self._lock = threading.Lock()
        self._next: int | None = None
        self._unsure: tuple[int, str, list[str]] | None = None

    def append(self, observations: Sequence[Observation]) -> None:
        """Write them, all or none. A batch whose writing ended in an error may be given again, with more after it."""
        items = [encode_text(encode_observation(each)) for each in observations]
        with self._lock:
            items = self._leave_out_written(items)
            if items:
                self._write(items)

    def _leave_out_written(self, items: list[str]) -> list[str]:
        """What is left of a batch of which an earlier try, whose outcome is not known, may have written the start."""
        if self._unsure is None:
            return items
        number, nonce, tried = self._unsure
        written = self._read_nonce(number) == nonce
        self._unsure = None
        return items[len(tried) :] if written and items[: len(tried)] == tried else items

    def _write(self, items: list[str]) -> None:
        nonce = secrets.token_hex(8)
        collection = self._collection()
        number, self._next = self._next or int(collection.count()) + 1, None
        while True:
            self._unsure = (number, nonce, items)
            collection.add(
                ids=[_name(number)],
                embeddings=[idle_vector()],
                metadatas=[{"nonce": nonce, "number": number}],
                documents=[json.dumps(items)],
            )
            won = self._read_nonce(number) == nonce
            self._unsure = None
            if won:
                self._next = number + 1
                return
            number = int(collection.count()) + 1

    def _read_nonce(self, number: int) -> str | None:
        found = self._collection().get(ids=[_name(number)], include=["metadatas"])["metadatas"]
        return str(found[0]["nonce"]) if found else None

    def read(self, after: int) -> list[tuple[int, Observation]]:
        """Some observations with a number above ``after``, in order; none when there are no more."""
        first = max(1, (after + 1) // _PLACES)
        while True:
            names = [_name(number) for number in range(first, first + _BLOCKS_AT_ONCE)]
            found = self._collection().get(ids=names, include=["metadatas", "documents"])
            blocks = sorted(
                (int(facts["number"]), document)
                for facts, document in zip(found["metadatas"], found["documents"], strict=True)
            )
            seen = [item for number, document in blocks for item in _read_block(number, document) if item[0] > after]
            if seen or len(blocks) < _BLOCKS_AT_ONCE:
                return seen
            first += _BLOCKS_AT_ONCE

    def read_sealed(self, number: int, tenant: str) -> list[SealedValue] | None:
        """The sealed observations of a tenant in the block of this number; ``None`` where there is none."""
        return read_block(self._collection(), number, _name(number), tenant)

    def exchange(self, value: SealedValue, fresh: str) -> bool:
        """Put another observation in the place of one; whether it was still there."""
        number, place = json.loads(value.row)
        with self._lock:
            return exchange_in_block(self._collection(), _name(number), place, value, fresh)


def _name(number: int) -> str:
    return f"{number:012d}"


def _read_block(number: int, document: str) -> list[tuple[int, Observation]]:
    try:
        items = json.loads(document)
        return [
            (number * _PLACES + place, decode_observation(decode_text(item)))
            for place, item in enumerate(items, start=1)
        ]
    except (TypeError, ValueError) as error:
        message = "observations in the Chroma store cannot be read; restore a copy of the store"
        raise StoreCorruptError(message) from error

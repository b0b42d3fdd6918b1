"""Sealing anew, a little at a time, what earlier key versions sealed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from leo_core.errors import SealedDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leo_core.records import KeptEntry
    from leo_core.storage.sealed_reader import SealedReader
    from leo_core.storage.sealed_rows import SealedRows

__all__ = ["Resealing"]

_FIRST = 1
ROWS_AT_ONCE = 32
"""Rows that are looked at in a step, which follows on a write."""


class Resealing:
    """Goes through a tenant's entries once after each rotation of its keys, and once for each new process.

    An entry that is sealed anew is without its paraphrases for an instant. Observations cannot be written over, so that
    the versions that sealed them have to stay.

    Args:
        reader: Reads and opens the rows.
        rows: Tells which are sealed under an earlier version.
        write: Writes an entry with its vector and paraphrases, sealed under the present version.
    """

    def __init__(self, reader: SealedReader, rows: SealedRows, write: Callable[[str, KeptEntry], None]) -> None:
        self._reader, self._rows, self._write = reader, rows, write
        self._passes: dict[str, tuple[int, Iterator[KeptEntry]]] = {}
        self._stepping = threading.Lock()

    def step(self, tenant: str) -> None:
        """Look at some more rows of a tenant, unless another thread does."""
        if not self._stepping.acquire(blocking=False):
            return
        try:
            version = self._rows.rings.of(tenant).version
            if version == _FIRST:
                return
            known = self._passes.get(tenant)
            if known is None or known[0] != version:
                known = self._passes[tenant] = version, self._reader.list_rows(tenant, None)
            for row, _ in zip(known[1], range(ROWS_AT_ONCE), strict=False):
                self._renew(tenant, row)
        finally:
            self._stepping.release()

    def run(self, tenant: str, report: Callable[[int], None]) -> int:
        """Go through all rows of a tenant; returns how many were sealed anew. Cut off, it can be run again."""
        done = 0
        for row in self._reader.list_rows(tenant, None):
            if self._renew(tenant, row):
                done += 1
                report(done)
        return done

    def _renew(self, tenant: str, row: KeptEntry) -> bool:
        try:
            if self._rows.is_current(tenant, row.entry):
                return False
        except SealedDataError:
            return False
        kept = self._reader.open_kept(tenant, row)
        if kept is None:
            return False
        self._write(tenant, kept)
        return True

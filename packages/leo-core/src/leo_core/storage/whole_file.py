"""Files that are written whole or not at all, and are on disk when the writer returns."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

__all__ = ["DRAFT_MARK", "create_file", "replace_file"]

PRIVATE = 0o600
_MARK_BYTES = 8
DRAFT_MARK = "[0-9a-f]" * (2 * _MARK_BYTES)
"""What the name of a draft of ``NAME`` ends with, behind ``.NAME.``, as a pattern of :mod:`glob`."""


@contextmanager
def replace_file(path: str | os.PathLike[str], *, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """A file to write; it takes the place of the one at ``path`` at the end, unless an error leaves the block.

    Args:
        path: The file; its folder has to exist.
        mode: Its permissions, less the process's mask.

    Raises:
        OSError: It cannot be written.
    """
    file = Path(path)
    with _open_draft(file, mode) as (stream, draft):
        yield stream
        _sync(stream)
        draft.replace(file)
    _sync_folder(file.parent)


def create_file(path: str | os.PathLike[str], content: bytes, *, mode: int = PRIVATE) -> bool:
    """Put content into a file, and leave it as it is where there is one already; folders are made.

    Returns:
        Whether there was none.

    Raises:
        OSError: It cannot be written.
    """
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    with _open_draft(file, mode) as (stream, draft):
        stream.write(content)
        _sync(stream)
        try:
            os.link(draft, file)
        except FileExistsError:
            return False
    _sync_folder(file.parent)
    return True


@contextmanager
def _open_draft(file: Path, mode: int) -> Iterator[tuple[BinaryIO, Path]]:
    """A fresh file beside this one; gone at the end, if it is still there."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(_MARK_BYTES)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream, draft
    finally:
        draft.unlink(missing_ok=True)


def _sync(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Bring a folder's entries to disk, where the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""Where a keyset is kept."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from leo_core.errors import ConfigError, KeyringError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from contextlib import AbstractContextManager

__all__ = ["InMemoryKeysetStore", "KeysetStore"]


class KeysetStore(Protocol):
    """Keeps the text of one keyset; several threads and processes use it at once."""

    def create(self, text: bytes) -> None:
        """Put the text where there is none.

        Raises:
            ConfigError: There is one.
            KeyringError: It cannot be written.
        """
        ...

    def stamp(self) -> Hashable:
        """Something that is different after each change; quick to get. ``None`` where there is no text."""
        ...

    def read(self) -> tuple[bytes, Hashable]:
        """The text, and its stamp.

        Raises:
            KeyringError: There is none, it cannot be read, or others than its owner can read it.
        """
        ...

    def changing(self) -> AbstractContextManager[None]:
        """Nobody else changes the text inside this block.

        Raises:
            StoreLockedError: Somebody else did for too long.
        """
        ...

    def replace(self, text: bytes) -> None:
        """Put the text in the place of the one that is there, whole or not at all; inside :meth:`changing`.

        Raises:
            KeyringError: It cannot be written.
        """
        ...

    def shred(self, text: bytes) -> None:
        """As :meth:`replace`, and the old text is overwritten where it lies, as far as that can be done.

        Raises:
            KeyringError: It cannot be written.
        """
        ...


class InMemoryKeysetStore:
    """A keyset that is gone with the process: for tests, and for what nobody has to open later."""

    def __init__(self) -> None:
        self._text = b""
        self._changes = 0
        self._lock = threading.RLock()

    def create(self, text: bytes) -> None:
        """Put the text where there is none."""
        with self._lock:
            if self._changes:
                message = "there is a keyring here already; load it, or choose another place"
                raise ConfigError(message)
            self.replace(text)

    def stamp(self) -> int | None:
        """The number of changes."""
        return self._changes or None

    def read(self) -> tuple[bytes, int]:
        """The text, and its stamp."""
        with self._lock:
            if not self._changes:
                message = "there is no keyring here; create one first"
                raise KeyringError(message)
            return self._text, self._changes

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Nobody else changes the text inside this block."""
        with self._lock:
            yield

    def replace(self, text: bytes) -> None:
        """Put the text in the place of the one that is there."""
        with self._lock:
            self._text, self._changes = text, self._changes + 1

    def shred(self, text: bytes) -> None:
        """As :meth:`replace`; what was in memory is left to the interpreter."""
        self.replace(text)

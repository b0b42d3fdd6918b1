"""Trouble with keys, told as trouble with the store: answers go on without it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from leo_core.errors import (
    KekUnavailableError,
    KeyringError,
    SealedDataError,
    StorageError,
    StoreCorruptError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["key_trouble_told"]


@contextmanager
def key_trouble_told(part: str) -> Iterator[None]:
    """What keys raise in this block comes out as ``StorageError`` or one of its kinds.

    Args:
        part: What of the store the keys are for, for the message.

    Raises:
        StoreUnavailableError: The KEK cannot be reached now.
        StoreCorruptError: Something does not open: it was altered, or sealed under other keys.
        StorageError: The keys are disabled, destroyed, missing, or others.
    """
    try:
        yield
    except KekUnavailableError as error:
        message = f"the keys of the {part} cannot be had now: {error}"
        raise StoreUnavailableError(message) from error
    except SealedDataError as error:
        message = f"something in the {part} does not open: it was altered, or sealed under other keys ({error})"
        raise StoreCorruptError(message) from error
    except KeyringError as error:
        message = f"the keys of the {part} cannot be used: {error}"
        raise StorageError(message) from error

"""Opening an existing store for a command that must not create one."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from leo_core.stages.receipt.keys import Keyset, SigningKey
    from leo_core.storage.keyrings import Keyrings
    from leo_core.storage.private_store import PrivateStore
    from leo_core.storage.receipt_log import SqliteReceiptLog
    from leo_core.storage.sqlite import SqliteStore

__all__ = [
    "find_keyrings",
    "key_path",
    "open_existing",
    "open_guarded",
    "open_new",
    "read_text",
    "read_time",
    "write_text",
]


def key_path(store: Path) -> Path:
    """Where the signing key of a store is kept."""
    return store.with_name(store.name + ".key")


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        ConfigError: It cannot be read as text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read {path}: {error}"
        raise ConfigError(message) from error


def write_text(path: Path, text: str) -> None:
    """Write a file.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise ConfigError(message) from error


@contextmanager
def open_new(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes its place when all is written, and is not there when that fails.

    Raises:
        ConfigError: It cannot be written.
    """
    from leo_core.storage.whole_file import replace_file  # noqa: PLC0415 - a command loads what it needs

    try:
        with replace_file(path, mode=0o666) as stream:
            yield stream
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise ConfigError(message) from error


def read_time(name: str, text: str) -> float:
    """Seconds since the Unix epoch of an instant in ISO 8601; UTC where it does not say.

    Raises:
        ConfigError: It is no such instant.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"--{name} is {text!r}; give an instant such as 2026-01-31 or 2026-01-31T12:00:00Z"
        raise ConfigError(message) from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def find_keyrings(store: Path) -> Keyrings | None:
    """The keyrings of a private store, in the folder beside it; ``None`` where there is none.

    Raises:
        KeyringError: They cannot be read, or their KEK is not with them.
    """
    from leo_core.storage.keyrings import KEYS_SUFFIX, Keyrings  # noqa: PLC0415 - a command loads what it needs

    folder = store.parent / (store.name + KEYS_SUFFIX)
    return Keyrings.in_folder(folder) if folder.is_dir() else None


def open_guarded(plain: SqliteStore, store: Path) -> SqliteStore | PrivateStore:
    """The store in a file; a private one with the keyrings beside it.

    Raises:
        ConfigError: It is private, and there are no keyrings beside it.
        KeyringError: They cannot be read, or their KEK is not with them.
    """
    from leo_core.storage.checks import SEALED_EMBEDDER  # noqa: PLC0415 - a command loads what it needs
    from leo_core.storage.keyrings import KEYS_SUFFIX  # noqa: PLC0415 - a command loads what it needs
    from leo_core.storage.private_store import PrivateStore  # noqa: PLC0415 - a command loads what it needs

    rings = find_keyrings(store)
    if rings is not None:
        return PrivateStore(plain, rings)
    noted = plain.embedder
    if noted is not None and noted.name == SEALED_EMBEDDER:
        message = (
            f"{store} is private, and the keyrings that sealed it are not at {store}{KEYS_SUFFIX}: "
            "put their folder, or a link to it, there"
        )
        raise ConfigError(message)
    return plain


@contextmanager
def open_existing(
    store: Path, public_key: Path | None = None
) -> Iterator[tuple[SqliteStore | PrivateStore, SqliteReceiptLog]]:
    """The store and the receipt log in a file; those of a private store with the keyrings beside it.

    A store that never signed anything, such as that of a cache alone, has no key: its log is empty.

    Args:
        store: The SQLite file.
        public_key: Key (PEM) that the log is checked against, and all keys that it leads to by the handovers beside the
            store; by default that of the key file beside the store, and those that led to it.

    Raises:
        ConfigError: There is no such file, or it is private and its keyrings are not beside it.
        SigningKeyError: The key is missing, though there are receipts, or unreadable.
    """
    if not store.is_file():
        message = f"there is no store {store}"
        raise ConfigError(message)
    from leo_core.stages.receipt.config import ReceiptConfig  # noqa: PLC0415 - a command loads what it needs
    from leo_core.stages.receipt.keys import SigningKey  # noqa: PLC0415 - a command loads what it needs
    from leo_core.stages.receipt.rotation import follow, trace  # noqa: PLC0415 - a command loads what it needs
    from leo_core.storage.database import Database  # noqa: PLC0415 - a command loads what it needs
    from leo_core.storage.keyfile import load_handovers  # noqa: PLC0415 - a command loads what it needs
    from leo_core.storage.receipt_log import SqliteReceiptLog, find_origin  # noqa: PLC0415 - a command loads what it needs
    from leo_core.storage.sqlite import SqliteStore  # noqa: PLC0415 - a command loads what it needs

    handovers = load_handovers(key_path(store))
    trusted = None if public_key is None else follow(read_text(public_key), handovers)
    database = Database(store)
    try:
        origin = find_origin(database)
        key: SigningKey | Keyset = trusted or _find_signer(store, signed=origin is not None)
        earlier = trace(key.public, handovers).keys if isinstance(key, SigningKey) else ()
        kept = open_guarded(SqliteStore(database), store)
        rows = None if isinstance(kept, SqliteStore) else kept.rows
        log = SqliteReceiptLog(database, key, origin or ReceiptConfig().origin, earlier_keys=earlier, rows=rows)
        yield kept, log
    finally:
        database.close()


def _find_signer(store: Path, *, signed: bool) -> SigningKey | Keyset:
    """The key beside a store; no key where there is none and nothing was signed."""
    from leo_core.stages.receipt.keys import Keyset  # noqa: PLC0415 - a command loads what it needs
    from leo_core.storage.keyfile import load_key  # noqa: PLC0415 - a command loads what it needs

    file = key_path(store)
    return load_key(file) if signed or file.exists() else Keyset(())

"""Cache entries in a file: JSON lines, versioned, signed as a whole.

The first line says what the file is, each further one holds an entry with its paraphrases, the last one their number
and an Ed25519 signature over the SHA-256 of all lines before it. Vectors are not in it: they are made anew, so that
stores with different embedders understand each other.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leo_core.errors import ConfigError, StoreCorruptError
from leo_core.storage.codec import decode_entry, encode_entry
from leo_core.storage.whole_file import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from leo_core.records import CacheEntry, KeptEntry
    from leo_core.stages.receipt.keys import PublicKey, SigningKey

__all__ = ["FiledEntry", "is_cache_file", "read_cache_file", "write_cache_file"]

_FORMAT = "leo.cache.export"
_VERSION = 1
_DOMAIN = b"leo.cache.export.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledEntry:
    """An entry as a file holds it.

    Attributes:
        entry: The entry, without hits and seal.
        semantic: Whether it is matched by meaning, so that its question needs a vector.
        aliases: Exact key and text of each paraphrase.
    """

    entry: CacheEntry
    semantic: bool
    aliases: tuple[tuple[str, str], ...] = ()


def write_cache_file(path: Path, entries: Iterable[KeptEntry], key: SigningKey, *, now: float) -> int:
    """Write entries to a file with mode 0600: whole or not at all; returns how many.

    Raises:
        ConfigError: The file cannot be written.
    """
    try:
        with replace_file(path) as stream:
            digest, count = hashlib.sha256(), 0
            for line in _lines(entries, key, now):
                digest.update(line)
                stream.write(line)
                count += 1
            stream.write(_line({"entries": count - 1, "signature": key.sign(_DOMAIN + digest.digest()).hex()}))
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise ConfigError(message) from error
    return count - 1


def read_cache_file(path: Path, key: PublicKey) -> Iterator[FiledEntry]:
    """The entries of a file. Everything is checked before the first one is given out.

    Raises:
        ConfigError: The file cannot be read, or is none of these.
        StoreCorruptError: It is cut off, altered, or signed with another key.
    """
    count = _check(path, key)
    try:
        with path.open("rb") as stream:
            next(stream)
            for _ in range(count):
                yield _read_entry(json.loads(next(stream)))
    except (OSError, KeyError, TypeError, ValueError, StopIteration) as error:
        message = f"{path} cannot be read to its end; was it changed meanwhile?"
        raise StoreCorruptError(message) from error


def is_cache_file(path: Path) -> bool:
    """Whether a file says that it is one of these."""
    try:
        with path.open("rb") as stream:
            return _is_head(stream.readline())
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise ConfigError(message) from error


def _lines(entries: Iterable[KeptEntry], key: SigningKey, now: float) -> Iterator[bytes]:
    yield _line({"format": _FORMAT, "version": _VERSION, "created_at": now, "key": key.id})
    for kept in entries:
        yield _line(
            {
                "entry": json.loads(encode_entry(kept.entry)),
                "semantic": kept.vector is not None,
                "aliases": [[alias.exact_key, alias.text] for alias in kept.aliases],
            }
        )


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _is_head(line: bytes) -> bool:
    try:
        head = json.loads(line)
    except ValueError:
        return False
    return isinstance(head, dict) and head.get("format") == _FORMAT


def _check(path: Path, key: PublicKey) -> int:
    """Check the signature; returns the number of entries."""
    digest, last, lines = hashlib.sha256(), b"", 0
    try:
        with path.open("rb") as stream:
            for line in stream:
                if not lines and not _is_head(line):
                    message = f"{path} is no export of a LEO cache"
                    raise ConfigError(message)
                if not lines and json.loads(line).get("version") != _VERSION:
                    message = f"{path} was written by another version of LEO; this one reads version {_VERSION}"
                    raise ConfigError(message)
                digest.update(last)
                last, lines = line, lines + 1
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise ConfigError(message) from error
    try:
        foot = json.loads(last)
        count, signature = int(foot["entries"]), bytes.fromhex(foot["signature"])
    except (KeyError, TypeError, ValueError) as error:
        message = f"{path} is cut off: its last line is no signature; nothing was imported"
        raise StoreCorruptError(message) from error
    if count != lines - 2 or not key.verifies(signature, _DOMAIN + digest.digest()):
        message = f"{path} was altered, or signed with another key than {key.id}; nothing was imported"
        raise StoreCorruptError(message)
    return count


def _read_entry(body: dict[str, Any]) -> FiledEntry:
    aliases = tuple((str(exact_key), str(text)) for exact_key, text in body["aliases"])
    return FiledEntry(
        entry=decode_entry(json.dumps(body["entry"]), hits=0), semantic=bool(body["semantic"]), aliases=aliases
    )

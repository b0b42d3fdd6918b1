"""The files that hold keys: that of the receipts, that of the cache's seals, and that which wraps keyrings."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError, KekError, SigningKeyError
from leo_core.privacy.index.access import IndexToken
from leo_core.privacy.keys.kek import LocalKek
from leo_core.stages.receipt.keys import SEED_BYTES, SigningKey
from leo_core.stages.receipt.rotation import Handover, hand_over, read_handovers, write_handovers
from leo_core.storage.sealing import SECRET_BYTES, SealKey
from leo_core.storage.whole_file import create_file, replace_file

if TYPE_CHECKING:
    from leo_core.errors import LEOError

__all__ = [
    "handovers_path",
    "load_handovers",
    "load_kek",
    "load_key",
    "load_or_create_kek",
    "load_or_create_key",
    "load_or_create_seal_key",
    "load_seal_key",
    "load_token",
    "rotate_key",
]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MOST_BYTES = 64 * 1024
_PUBLIC = 0o644


def load_or_create_key(path: str | os.PathLike[str]) -> SigningKey:
    """The signing key in this file; a fresh one, in a new file with mode 0600, when there is no such file.

    Of several processes that do this at once, all end with the same key.

    Raises:
        SigningKeyError: The file is readable by others, holds no Ed25519 private key, or cannot be read or created.
    """
    file = Path(path)
    try:
        if not file.exists():
            create_file(file, SigningKey.from_seed(secrets.token_bytes(SEED_BYTES)).to_pem().encode())
    except OSError as error:
        message = f"signing key {str(file)!r} cannot be created: {error.strerror}; check folder and rights"
        raise SigningKeyError(message) from error
    return load_key(file)


def load_key(path: str | os.PathLike[str]) -> SigningKey:
    """The signing key in this file.

    Raises:
        SigningKeyError: There is no such file, it is readable by others, or it holds no Ed25519 private key.
    """
    file = Path(path)
    pem = _read_secret(file, "signing key", SigningKeyError)
    try:
        return SigningKey.from_pem(pem)
    except SigningKeyError as error:
        message = f"{str(file)!r}: {error}"
        raise SigningKeyError(message) from error


def handovers_path(path: str | os.PathLike[str]) -> Path:
    """Where the handovers that led to the key in this file are kept: public, beside it."""
    file = Path(path)
    return file.with_name(file.name + ".handovers")


def load_handovers(path: str | os.PathLike[str]) -> tuple[Handover, ...]:
    """The handovers that led to the key in this file, oldest first; none where it was never rotated.

    Raises:
        SigningKeyError: The file beside the key cannot be read, or holds something else.
    """
    file = handovers_path(path)
    try:
        return read_handovers(file.read_bytes())
    except FileNotFoundError:
        return ()
    except OSError as error:
        message = f"handovers {str(file)!r} cannot be read: {error.strerror}"
        raise SigningKeyError(message) from error
    except SigningKeyError as error:
        message = f"{str(file)!r}: {error}"
        raise SigningKeyError(message) from error


def rotate_key(path: str | os.PathLike[str]) -> Handover:
    """Put a fresh key in the place of the one in this file, which signs it; the old key is gone for good.

    The handover is on disk before the key is replaced: cut off in between, the old key stays, and the fresh one, which
    nobody has, is trusted in vain. A process that has the old key open signs with it until it opens the store again;
    its receipts stay valid. One rotation at a time.

    Raises:
        SigningKeyError: There is no key in this file, or the folder cannot be written.
    """
    file = Path(path)
    old, fresh = load_key(file), SigningKey.from_seed(secrets.token_bytes(SEED_BYTES))
    handover = hand_over(old, fresh.public)
    try:
        with replace_file(handovers_path(file), mode=_PUBLIC) as stream:
            stream.write(write_handovers((*load_handovers(file), handover)))
        with replace_file(file) as stream:
            stream.write(fresh.to_pem().encode())
    except OSError as error:
        message = f"signing key {str(file)!r} cannot be replaced: {error.strerror}; check folder and rights"
        raise SigningKeyError(message) from error
    return handover


def load_or_create_seal_key(path: str | os.PathLike[str]) -> SealKey:
    """The seal key in this file; a fresh one, in a new file with mode 0600, when there is no such file.

    Of several processes that do this at once, all end with the same key.

    Raises:
        ConfigError: The file is readable by others, holds no seal key, or cannot be read or created.
    """
    file = Path(path)
    try:
        if not file.exists():
            create_file(file, f"{secrets.token_hex(SECRET_BYTES)}\n".encode())
    except OSError as error:
        message = f"seal key {str(file)!r} cannot be created: {error.strerror}; check folder and rights"
        raise ConfigError(message) from error
    return load_seal_key(file)


def load_seal_key(path: str | os.PathLike[str]) -> SealKey:
    """The seal key in this file: 64 hex digits.

    Raises:
        ConfigError: There is no such file, it is readable by others, or it holds no seal key.
    """
    file = Path(path)
    text = _read_secret(file, "seal key", ConfigError)
    try:
        return SealKey(bytes.fromhex(text.decode("ascii")))
    except ValueError:  # its text may hold a part of the secret
        message = f"{str(file)!r} is no seal key: it holds {2 * SECRET_BYTES} hex digits and nothing else"
        raise ConfigError(message) from None


def load_or_create_kek(path: str | os.PathLike[str]) -> LocalKek:
    """The KEK in this file; a fresh one, in a new file with mode 0600, when there is no such file.

    Of several processes that do this at once, all end with the same key.

    Raises:
        KekError: The file is readable by others, holds no KEK, or cannot be read or created.
    """
    file = Path(path)
    try:
        if not file.exists():
            create_file(file, f"{LocalKek.generate().to_text()}\n".encode())
    except OSError as error:
        message = f"KEK {str(file)!r} cannot be created: {error.strerror}; check folder and rights"
        raise KekError(message) from error
    return load_kek(file)


def load_kek(path: str | os.PathLike[str]) -> LocalKek:
    """The KEK in this file.

    Raises:
        KekError: There is no such file, it is readable by others, or it holds no KEK.
    """
    file = Path(path)
    text = _read_secret(file, "KEK", KekError)
    try:
        return LocalKek.from_text(text.decode("ascii", "replace"))
    except KekError as error:
        message = f"{str(file)!r}: {error}"
        raise KekError(message) from None


def load_token(path: str | os.PathLike[str]) -> IndexToken:
    """The token of an index server in this file, as ``leo index account add`` prints it.

    Raises:
        ConfigError: There is no such file, it is readable by others, or it holds no token.
    """
    file = Path(path).expanduser()
    text = _read_secret(file, "token", ConfigError)
    try:
        return IndexToken.from_text(text.decode("ascii", "replace"))
    except ConfigError as error:
        message = f"{str(file)!r}: {error}"
        raise ConfigError(message) from None


def _read_secret(file: Path, what: str, refusal: type[LEOError]) -> bytes:
    """The content of a file that nobody else may read.

    Raises:
        LEOError: Of the kind ``refusal``: there is no such file, or others can read it.
    """
    try:
        with file.open("rb") as stream:
            status = os.fstat(stream.fileno())
            content = stream.read(_MOST_BYTES)
    except OSError as error:
        message = f"{what} {str(file)!r} cannot be read: {error.strerror}"
        raise refusal(message) from error
    if os.name == "posix" and status.st_mode & _OTHERS:
        message = f"{what} {str(file)!r} can be read by others (mode {status.st_mode & 0o777:o}): chmod 600 it"
        raise refusal(message)
    return content

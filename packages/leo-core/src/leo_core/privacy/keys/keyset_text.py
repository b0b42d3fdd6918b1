"""Keysets as text: a line with the MAC, and a line of JSON.

::

    leo-keyring:1:<HMAC-SHA256 of the rest, 64 hex digits>
    {"ring": …, "tenant": …, "versions": […], …}

The MAC (RFC 2104) is made with a key below the keyset's lasting secret, so whoever has not the KEK can change neither
states nor counts nor dates unseen. Putting back an older file as a whole is seen only by those who have read the newer
one. Of a destroyed keyset nothing secret is left, and the MAC is 64 zeros.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from leo_core.errors import KeyringCorruptError
from leo_core.privacy.keys.keyset import KeptSecret, Keyset, KeyState, KeyVersion

if TYPE_CHECKING:
    from typing import Final

__all__ = ["check_mac", "read_keyset", "write_keyset"]

T = TypeVar("T")

_LINE = re.compile(rb"leo-keyring:(\d+):([0-9a-f]{64})")
_FORMAT: Final = 1
_NO_MAC = "0" * 64


def write_keyset(keyset: Keyset, mac_key: bytes | None) -> bytes:
    """The keyset as text; without a MAC where there is no key, because all are destroyed."""
    body = json.dumps(asdict(keyset), default=_encode, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
    mac = _NO_MAC if mac_key is None else hmac.digest(mac_key, body, hashlib.sha256).hex()
    return f"leo-keyring:{_FORMAT}:{mac}\n".encode() + body


def read_keyset(text: bytes) -> Keyset:
    """The keyset in a text; nothing of it is proven until :func:`check_mac` has passed.

    Raises:
        KeyringCorruptError: It is no keyring, of a newer format, or damaged.
    """
    _, body = _split(text)
    try:
        row = json.loads(body)
        return _read_keyset(row)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"the keyring is damaged: {type(error).__name__} while its {len(body)} bytes were read"
        raise KeyringCorruptError(message) from None


def check_mac(text: bytes, mac_key: bytes) -> None:
    """Check that the text was written with this key.

    Raises:
        KeyringCorruptError: It was not, or was altered since.
    """
    mac, body = _split(text)
    if not hmac.compare_digest(mac, hmac.digest(mac_key, body, hashlib.sha256).hex()):
        message = "the keyring was altered by somebody without its keys: restore it from a backup"
        raise KeyringCorruptError(message)


def _split(text: bytes) -> tuple[str, bytes]:
    line, _, body = text.partition(b"\n")
    match = _LINE.fullmatch(line)
    if match is None:
        message = f"this is no keyring: its {len(text)} bytes do not begin with leo-keyring:{_FORMAT}:"
        raise KeyringCorruptError(message)
    if int(match[1]) != _FORMAT:
        message = f"the keyring has format {int(match[1])}; this LEO knows {_FORMAT}: use a newer LEO"
        raise KeyringCorruptError(message)
    return match[2].decode(), body


def _encode(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    message = f"{type(value).__name__} is no part of a keyset"
    raise TypeError(message)


def _read_keyset(row: dict[str, Any]) -> Keyset:
    keyset = Keyset(
        ring=_hex(row["ring"]),
        tenant=_typed(row["tenant"], str),
        kek=_typed(row["kek"], str),
        lasting=_bytes(row["lasting"]),
        primary=_typed(row["primary"], int),
        versions=tuple(_read_version(each) for each in _typed(row["versions"], list)),
        revision=_typed(row["revision"], int),
        suspended=_typed(row["suspended"], bool),
        destroyed_at=_time(row["destroyed_at"]),
    )
    numbers = [each.number for each in keyset.versions]
    if not numbers or numbers != sorted(set(numbers)) or numbers[0] < 1:
        raise ValueError
    enabled = [each.number for each in keyset.versions if each.state is KeyState.ENABLED]
    if enabled != ([keyset.primary] if keyset.destroyed_at is None else []):
        raise ValueError
    return keyset


def _read_version(row: dict[str, Any]) -> KeyVersion:
    version = KeyVersion(
        number=_typed(row["number"], int),
        kid=_hex(row["kid"]),
        state=KeyState(row["state"]),
        reason=_typed(row["reason"], str),
        created_at=float(row["created_at"]),
        grace_ends_at=_time(row["grace_ends_at"]),
        wrapped=_bytes(row["wrapped"]),
        seals=_typed(row["seals"], int),
        decrypts=_typed(row["decrypts"], int),
        kept=tuple(
            KeptSecret(name=_typed(each["name"], str), sealed=_bytes(each["sealed"]))
            for each in _typed(row["kept"], list)
        ),
    )
    if bool(version.wrapped) == (version.state is KeyState.DESTROYED):
        raise ValueError
    return version


def _typed(value: object, kind: type[T]) -> T:
    if type(value) is not kind:
        raise TypeError
    return value


def _hex(value: object) -> str:
    text = _typed(value, str)
    if re.fullmatch(r"[0-9a-f]{16}", text) is None:
        raise ValueError
    return text


def _bytes(value: object) -> bytes:
    try:
        return base64.b64decode(_typed(value, str), validate=True)
    except binascii.Error:
        raise ValueError from None


def _time(value: float | None) -> float | None:
    return None if value is None else float(value)
